"""What the machine refuses, in one line: a full disk, a file system that only reads, too many open files."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from autograde.errors import Explained

# Nobody's work is to blame for these: the run ends, before it takes them for a learner's.
ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "make it writable",
    errno.EIO: "see to the disk",
    errno.EMFILE: "raise `ulimit -n`",
    errno.ENFILE: "close other programs",
    errno.ENOMEM: "close other programs",
}
THEN = "then run the same command again: nothing that was graded is lost"


class Refused(Explained):
    """The machine refuses; the message says what, where and what to do."""


def refused(error: BaseException | None, where: object = "") -> Refused | None:
    """An error as what the machine refuses; None where it may be somebody's work that is at fault.

    Args:
        error: what was raised.
        where: what could not be used, where the error does not say.
    """
    if isinstance(error, Refused):
        return error
    if isinstance(error, OSError) and error.errno in ADVICE:
        return _line(error, where, ADVICE[error.errno])
    return None


def unusable(error: OSError, where: object) -> Refused:
    """An error about a file of our own, whatever it is."""
    return _line(error, where, ADVICE.get(error.errno or 0, "see to it"))


def require_space(folder: Path, size: int) -> None:
    """Refuse where a folder is gone, or its file system has less than so many bytes to give."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise unusable(error, folder) from None
    if free < size:
        raise Refused(f"{folder}: less than {size // 2**20} MiB are free: {ADVICE[errno.ENOSPC]}, {THEN}")


def _line(error: OSError, where: object, advice: str) -> Refused:
    what = os.strerror(error.errno) if error.errno else str(error)
    return Refused(f"{where or error.filename or 'a file'}: {what}: {advice}, {THEN}")
