"""Landlock: which files a process can open, whoever it runs as. Unprivileged, Linux 5.13 and newer."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from autograde.kernel import syscall

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every machine
_ASK_VERSION = 1
_PATH_BENEATH = 1
_O_PATH = getattr(os, "O_PATH", 0)  # only Linux has it, and only there it is used

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

_FIRST_RIGHTS = (1 << 13) - 1
_LATER_RIGHTS = {2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
_NETWORK, _SCOPES = 0b11, 0b11  # TCP bind and connect; abstract unix sockets and signals

# No EXECUTE anywhere: loading a shared library does not need it, starting a program would.
_READ = _READ_FILE | _READ_DIR
_SCRATCH = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM
_SCRATCH |= _REFER | _TRUNCATE

COMPLETE = 3  # the first version that keeps files outside from being cut to nothing


def version() -> int:
    """The kernel's Landlock version, 0 where there is none (or it is switched off at boot)."""
    if sys.platform != "linux":
        return 0
    try:
        return syscall(_CREATE, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def covers(known: int) -> str:
    """What a Landlock version keeps in, in words."""
    parts = ["files"]
    parts += ["TCP"] if known >= 4 else []
    parts += ["devices"] if known >= 5 else []
    parts += ["signals", "abstract sockets"] if known >= 6 else []
    return ", ".join(parts) + ("" if known >= COMPLETE else ", but files outside can be truncated")


def restrict(scratch: Path, reads: Iterable[Path]) -> int:
    """Take from this process every file except these, for good.

    Args:
        scratch: a folder to read and write below; no devices, sockets, pipes or programs.
        reads: files, and folders with all that is below them, to read. Missing ones are left out.

    Returns:
        How many rules it took.

    Raises:
        OSError: the kernel has no Landlock, or `scratch` does not exist.
    """
    known = version()
    if not known:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock (Linux 5.13 or newer has)")
    handled = _handled(known)
    ruleset = syscall(_CREATE, *_attributes(known, handled), 0)
    try:
        _allow(ruleset, scratch, _SCRATCH & handled)
        rules = 1 + sum(_allow_if_there(ruleset, path, _READ) for path in reads)
        rules += _allow_if_there(ruleset, Path(os.devnull), _READ_FILE | _WRITE_FILE | (_TRUNCATE & handled))
        syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return rules


def _handled(known: int) -> int:
    return _FIRST_RIGHTS | sum(right for since, right in _LATER_RIGHTS.items() if known >= since)


def _attributes(known: int, handled: int) -> tuple[bytes, int]:
    fields = [handled] + ([_NETWORK] if known >= 4 else []) + ([_SCOPES] if known >= 6 else [])
    packed = struct.pack(f"={len(fields)}Q", *fields)
    return packed, len(packed)


def _allow_if_there(ruleset: int, path: Path, rights: int) -> bool:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        _allow(ruleset, path, rights)
        return True
    return False


def _allow(ruleset: int, path: Path, rights: int) -> None:
    folder = os.open(path, _O_PATH | os.O_CLOEXEC)
    try:
        try:
            syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, folder), 0)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # A file, and the kernel takes only the rights that a file has. Cheaper than asking first.
            file_rights = rights & (_READ_FILE | _WRITE_FILE | _TRUNCATE)
            syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", file_rights, folder), 0)
    finally:
        os.close(folder)
