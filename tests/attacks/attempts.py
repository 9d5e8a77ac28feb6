"""Code that attacks begin with: it tries one way after another, and counts those that were refused."""

from __future__ import annotations

from textwrap import indent

from autograde.kernel import MACHINE
from autograde.syscalls import numbers

# Only what the lock answers counts: an argument that the kernel finds wrong would mean that it looked at it.
TRIED = """
import errno, os

def tried(*ways, also=()):
    refused = 0
    for way in ways:
        try:
            got = way()
        except (OSError, MemoryError, ImportError) as error:
            number = getattr(error, "errno", None)
            if not isinstance(error, OSError) or number in (errno.EPERM, errno.EACCES, errno.ENOSYS, *also):
                refused += 1
            print(type(error).__name__, errno.errorcode.get(number, number))
        except Exception as error:
            print("odd:", type(error).__name__, error)
        else:
            print("got", got)
    print(refused, "of", len(ways), "ways refused")
    return refused
"""

# The kernel asked without Python in between.
KERNEL = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NUMBERS = {numbers}

def kernel(name, *arguments):
    if name not in NUMBERS:
        raise OSError(errno.ENOSYS, "this machine has no such call")
    ctypes.set_errno(0)
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    got = libc.syscall(ctypes.c_long(NUMBERS[name]), *wide, *[ctypes.c_long(0)] * (6 - len(wide)))
    if got == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return got
""".replace("{numbers}", repr(numbers(MACHINE)))

# What an attack prints while tests run is shown nowhere: the last cell of the release prints it afterwards.
_INSIDE = """
import builtins, contextlib, io
_shown = []

def _attack():
{code}

def _while_tested(real):
    def word(k):
        if not _shown:
            with contextlib.redirect_stdout(io.StringIO()) as shown:
                try:
                    _attack()
                except Exception as error:
                    print("odd:", repr(error))
            _shown.append(shown.getvalue())
        return real(k)
    return word

word = _while_tested(word)

def print(*given, **options):
    builtins.print(*given, *_shown, **options)
"""

# The function goes wrong where the honest one loses its points anyhow: in the second test of its task.
_LATE = """
_real_word = word
def word(k):
    if k == 0:
        {code}
    return _real_word(k)
"""


def inside(code: str) -> str:
    """A cell that runs this code once while a hidden test runs, and shows what came of it when they are over."""
    return _INSIDE.replace("{code}", indent(code, "    "))


def late(code: str) -> str:
    """A cell whose function does this in the second test of its task."""
    return _LATE.replace("{code}", indent(code, "        ").lstrip())


def refused(ways: int) -> str:
    """What an attack shows where so many ways were refused, and none worked."""
    return f"{ways} of {ways} ways refused"
