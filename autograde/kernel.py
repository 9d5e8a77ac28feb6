"""Calls straight into the Linux kernel, for what Python has no function for."""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from pathlib import Path

MACHINE = platform.machine()


@cache
def _libc() -> ctypes.CDLL:
    # Not at import: a system without this libc can still import us and say what it lacks.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    libc.prctl.restype = ctypes.c_int
    return libc


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """One system call by its number.

    Args:
        number: of this machine.
        arguments: whole numbers, or bytes where the kernel wants a pointer to them.

    Raises:
        OSError: the kernel refused.
    """
    return _checked(_libc().syscall(ctypes.c_long(number), *map(_register, arguments)))


def prctl(option: int, *arguments: int | bytes) -> int:
    """`prctl(2)`, with the unused arguments as zeros.

    Raises:
        OSError: the kernel refused.
    """
    filled = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_libc().prctl(ctypes.c_int(option), *map(_register, filled)))


def numbering() -> str:
    """Equal for processes that call a third one by the same number; "" where nobody says."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _register(value: int | bytes | None) -> ctypes.c_long | ctypes.c_char_p:
    if isinstance(value, int):
        return ctypes.c_long(value)
    return ctypes.c_char_p(value)


def _checked(answer: int) -> int:
    if answer == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
