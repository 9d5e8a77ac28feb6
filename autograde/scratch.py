"""Temporary folders: the owner holds a lock on each, so that what a killed owner left is known as such."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

_OURS = re.compile(r"autograde-(?:room|crew|record|laws|release|measure|probe|stage|bench)-\w{8}")


class Scratch:
    """A new folder under the folder for temporary files. Use it as a context manager.

    Args:
        kind: what for, a part of its name.

    Attributes:
        path: where it is.
    """

    def __init__(self, kind: str) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=f"autograde-{kind}-"))
            with contextlib.suppress(FileNotFoundError):  # swept before it was locked: another one
                fd = _opened(self.path)
                with contextlib.suppress(OSError):  # a file system without locks: nothing is swept there
                    fcntl.flock(fd, fcntl.LOCK_EX)
                if self.path.is_dir():
                    # Also where Ctrl-C came before anybody could close it.
                    self._end = weakref.finalize(self, _ended, self.path, fd)
                    return
                os.close(fd)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        self._end()


@contextlib.contextmanager
def temporaries(kind: str) -> Iterator[None]:
    """Have the temporary files of libraries in a folder of our own while the block runs.

    Args:
        kind: what for, a part of its name.
    """
    before = tempfile.tempdir
    with Scratch(kind) as folder:
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


def _ended(path: Path, fd: int) -> None:
    remove(path)
    os.close(fd)


def sweep() -> None:
    """Remove the folders of this user whose owners were killed: nobody holds their locks any more."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _sweep(Path(entry.path))


def _sweep(folder: Path) -> None:
    fd = _opened(folder)
    try:
        if os.fstat(fd).st_uid == os.geteuid():
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(folder)
    finally:
        os.close(fd)


def remove(top: Path) -> None:
    """Remove a folder, however deep it is.

    `shutil.rmtree` calls itself for each level and uses whole paths: a learner can nest more than both allow.
    """
    with contextlib.suppress(OSError):
        fd, below = _opened(top), list[str]()
        try:
            while True:
                folder = _without_files(fd)
                if folder is not None:
                    os.chmod(folder, 0o700, dir_fd=fd)
                    below.append(folder)
                    fd = _moved(fd, folder)
                elif below:
                    fd = _moved(fd, "..")
                    os.rmdir(below.pop(), dir_fd=fd)
                else:
                    break
        finally:
            os.close(fd)
        top.rmdir()


def _without_files(fd: int) -> str | None:
    """Remove the files of a folder until there is none, or a folder among them: its name."""
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                return entry.name
            os.unlink(entry.name, dir_fd=fd)
    return None


def _moved(fd: int, name: str) -> int:
    """The descriptor of a folder next to this one, which is closed."""
    found = _opened(name, fd)
    os.close(fd)
    return found


def _opened(folder: Path | str, at: int | None = None) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
