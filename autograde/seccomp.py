"""seccomp: which system calls a process can make. A classic BPF program, assembled here by hand."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable

from autograde.kernel import MACHINE, prctl
from autograde.syscalls import DENIED, HARMLESS, LAST_KNOWN, UNSUPPORTED, numbers

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06  # of a word at an offset; with a constant; a constant
_EQUAL, _AT_LEAST = 0x15, 0x35
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

Program = list[bytes]


def install() -> int:
    """Filter the system calls of this process, for good. It must have no_new_privs and one thread.

    Returns:
        How many instructions the filter has.

    Raises:
        Unsupported: this machine is neither x86_64 nor aarch64.
        OSError: the kernel refused.
    """
    program = assemble(os.getpid(), MACHINE)
    code = ctypes.create_string_buffer(b"".join(program))
    # struct sock_fprog: a length, and after the padding a pointer.
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))
    return len(program)


def assemble(pid: int, machine: str) -> Program:
    """The filter for the process `pid`, as instructions of eight bytes.

    Raises:
        Unsupported: no table of system calls for `machine`.
    """
    number = numbers(machine)
    program = [_load(_ARCH_AT), _jump(_EQUAL, _AUDIT_ARCH[machine], 1, 0), _return(_KILL), _load(_NUMBER_AT)]
    if machine == "x86_64":
        program += [_jump(_AT_LEAST, _X32_BIT, 0, 1), _return(_KILL)]
    # A call newer than the table might be a new way out: for us it does not exist yet.
    program += [_jump(_AT_LEAST, LAST_KNOWN + 1, 0, 1), _fail(errno.ENOSYS)]
    for names, answer in ((DENIED, errno.EPERM), (HARMLESS, 0), (UNSUPPORTED, errno.ENOTSUP)):
        for name in names & number.keys():
            program += _when(number[name], [_fail(answer)])
    program += _when(number["clone3"], [_fail(errno.ENOSYS)])  # glibc then takes clone
    for name, block in _ARGUMENTS.items():
        if name in number:
            program += _when(number[name], [*block(pid), _return(_ALLOW)])
    return [*program, _return(_ALLOW)]


def _instruction(code: int, constant: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when_true, when_false, constant)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _jump(test: int, constant: int, when_true: int, when_false: int) -> bytes:
    return _instruction(test, constant, when_true, when_false)


def _return(action: int) -> bytes:
    return _instruction(_RETURN, action)


def _fail(number: int) -> bytes:
    return _return(_ERRNO | number)


def _when(number: int, block: Program) -> Program:
    """The block, skipped for any other call. Every block ends in a return."""
    return [_jump(_EQUAL, number, 0, len(block)), *block]


def _only(position: int, *allowed: int, mask: int = 0xFFFFFFFF, half: int = 0) -> Program:
    """Go on only with one of these values in the lower (or upper) half of an argument."""
    over = range(len(allowed), 0, -1)  # what is left of this block
    tests = [_jump(_EQUAL, value, skip, 0) for value, skip in zip(allowed, over, strict=True)]
    return [_load(_ARGUMENTS_AT + 8 * position + 4 * half), _instruction(_AND, mask), *tests, _REFUSED]


def _not(position: int, *denied: int, mask: int = 0xFFFFFFFF) -> Program:
    """Go on unless the lower half of an argument is one of these."""
    tests = [step for value in denied for step in (_jump(_EQUAL, value, 0, 1), _REFUSED)]
    return [_load(_ARGUMENTS_AT + 8 * position), _instruction(_AND, mask), *tests]


_REFUSED = _fail(errno.EPERM)
_SHARED_ANONYMOUS, _GROWS_DOWN = 0x01 | 0x20, 0x100  # memory that RLIMIT_DATA does not count
_CLONE_THREAD, _NEW_NAMESPACES = 0x00010000, 0x7E020000
_UNIX, _STREAM, _TYPE = 1, 1, 0xF
_SET_NAME, _GET_NAME, _SVE_VECTOR_LENGTH = 15, 16, 51
# F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY
_SIGNALS_BY_FCNTL = (8, 10, 15, 1024, 1026)
# FIOSETOWN, SIOCSPGRP, TIOCSCTTY, TIOCSPGRP, TIOCSTI, TIOCLINUX, TIOCNOTTY, TIOCSETD; chattr's two
_IOCTLS = (0x8901, 0x8902, 0x540E, 0x5410, 0x5412, 0x541C, 0x5422, 0x5423, 0x40086602, 0x401C5820)

# What may be called, but not with any arguments. The kernel reads whole numbers here as 32 bits wide
# (of flags, only low bits are looked at), so the lower half decides.
_ARGUMENTS: dict[str, Callable[[int], Program]] = {
    "kill": lambda pid: _only(0, pid),
    "tgkill": lambda pid: _only(0, pid),
    "clone": lambda _: _only(0, _CLONE_THREAD, mask=_CLONE_THREAD | _NEW_NAMESPACES),
    "mmap": lambda _: (
        _not(3, _SHARED_ANONYMOUS, mask=_SHARED_ANONYMOUS) + _not(3, _GROWS_DOWN, mask=_GROWS_DOWN)
    ),
    "prctl": lambda _: _only(0, _SET_NAME, _GET_NAME, _SVE_VECTOR_LENGTH),
    "prlimit64": lambda _: _only(2, 0) + _only(2, 0, half=1),  # no new limit; both halves of a pointer
    # A datagram socket can be sent to any listener by its path, connected or not. A stream can't.
    "socketpair": lambda _: _only(0, _UNIX) + _only(1, _STREAM, mask=_TYPE),
    "fcntl": lambda _: _not(1, *_SIGNALS_BY_FCNTL),
    "ioctl": lambda _: _not(1, *_IOCTLS),
    "setpriority": lambda pid: _only(0, 0) + _only(1, 0, pid),
    "ioprio_set": lambda pid: _only(0, 1) + _only(1, 0, pid),
    # With times (shutil.copy2): done, it says. Without (Path.touch): refused, upon which it makes the file.
    "utimensat": lambda _: [*_not(2, 0), _fail(0)],
    "sched_setaffinity": lambda pid: _only(0, 0, pid),
    "sched_setscheduler": lambda pid: _only(0, 0, pid),
    "sched_setparam": lambda pid: _only(0, 0, pid),
    "sched_setattr": lambda pid: _only(0, 0, pid),
}
