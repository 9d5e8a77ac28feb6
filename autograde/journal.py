"""Results as they come, one line each: a killed run resumes and nothing is graded twice."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from autograde.private import FOLDER, private, write
from autograde.refusal import unusable
from autograde.verdict import Result

FILE = FOLDER / "journal.jsonl"


class Journal:
    """The results of a course, kept in one file of JSON lines; a torn or damaged line is passed over.

    Args:
        path: the file; made on first use, mode 600 (it holds learners' outputs).

    Attributes:
        damaged: lines that were passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: dict[str, Result] = {}
        # The file that was read, and how far. It stays open: a number of a closed file is given to another.
        self._handle, self._read = -1, 0
        self.damaged = 0

    def __del__(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)

    def get(self, key: str) -> Result | None:
        """The result with this key, also when another process has written it since.

        Raises:
            autograde.refusal.Refused: the file can't be read.
        """
        if key not in self._results:
            try:
                self._catch_up()
            except FileNotFoundError:
                return None
            except OSError as error:
                raise unusable(error, self.path) from error
        return self._results.get(key)

    def put(self, key: str, result: Result) -> None:
        """Add one result; it is on the disk when this returns.

        Raises:
            autograde.refusal.Refused: it can't be written.
        """
        line = json.dumps({"key": key, "result": result.to_json()}, ensure_ascii=True) + "\n"
        try:
            private(self.path.parent)
            with self._appending() as handle:
                # One write in append mode: lines of several processes do not mix. The leading newline closes a
                # line that a killed run, or a disk that was full, left torn.
                data = ("\n" + line).encode("ascii")
                if os.write(handle, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle)
        except OSError as error:
            raise unusable(error, self.path) from error
        self._results[key] = result

    def compact(self) -> int:
        """Leave out damaged lines, and where they are more than half of all, those that newer ones replace.

        Nothing is done while another process writes, or where the file can't be locked or written.

        Returns:
            How many lines were damaged.
        """
        with contextlib.suppress(OSError), self.path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(file.fileno(), self.path):
                return 0
            lines = [(_entry(line)[0], line) for line in file.read().splitlines() if line.strip()]
            last = {key: line for key, line in lines if key}
            damaged = sum(not key for key, _ in lines)
            if damaged or len(last) * 2 < len(lines):
                write(self.path, b"".join(line + b"\n" for line in last.values()))
            return damaged
        return 0

    @contextlib.contextmanager
    def _appending(self) -> Iterator[int]:
        """The file, and nobody puts another in its place meanwhile."""
        while True:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                with contextlib.suppress(OSError):  # a file system without locks: nobody compacts there
                    fcntl.flock(handle, fcntl.LOCK_SH)
                if _is_at(handle, self.path):
                    yield handle
                    return
            finally:
                os.close(handle)

    def _catch_up(self) -> None:
        if self._handle < 0 or not _is_at(self._handle, self.path):  # another one: from its beginning
            handle, before = os.open(self.path, os.O_RDONLY), self._handle
            self._handle, self._read, self.damaged = handle, 0, 0
            if before >= 0:
                os.close(before)
        with os.fdopen(self._handle, "rb", closefd=False) as file:
            if os.fstat(self._handle).st_size < self._read:  # somebody cut it
                self._read, self.damaged = 0, 0
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            key, result = _entry(line)
            if result is not None:
                self._results[key] = result
            elif line.strip():
                self.damaged += 1


def _entry(line: bytes) -> tuple[str, Result | None]:
    """The key and the result of one line; ("", None) where it is damaged."""
    try:
        entry = json.loads(line)
        return str(entry["key"]), Result.from_json(entry["result"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", None


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is the one at this path."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
