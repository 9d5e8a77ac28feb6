"""What a course keeps beside its gradebook and nobody else may read: the seed, results, answers."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(".autograde")


def private(folder: Path) -> Path:
    """The folder, made where it is missing, with those above it, for the owner alone (mode 700)."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    return folder


def write(path: Path, data: bytes) -> None:
    """Write a private file (mode 600), whole or not at all: who reads it sees the old one or the new one.

    Raises:
        OSError: it can't be written; the old one is as it was.
    """
    private(path.parent)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
