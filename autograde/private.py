"""What a course keeps beside its gradebook and nobody else may read: the seed, results, answers."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(".autograde")


def private(folder: Path) -> Path:
    """The folder, made where it is missing, with those above it, for the owner alone (mode 700)."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    return folder
