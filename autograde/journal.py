"""Results as they come, one line each: a killed run resumes and nothing is graded twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

from autograde.private import FOLDER, private
from autograde.verdict import Result

FILE = FOLDER / "journal.jsonl"


class Journal:
    """The results of a course, kept in one file of JSON lines; a torn or damaged line is passed over.

    Args:
        path: the file; made on first use, mode 600 (it holds learners' outputs).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: dict[str, Result] = {}
        self._read = 0
        self.damaged = 0

    def get(self, key: str) -> Result | None:
        """The result with this key, also when another process has written it since."""
        if key not in self._results:
            self._catch_up()
        return self._results.get(key)

    def put(self, key: str, result: Result) -> None:
        """Add one result; it is on the disk when this returns."""
        self._results[key] = result
        line = json.dumps({"key": key, "result": result.to_json()}, ensure_ascii=True) + "\n"
        private(self.path.parent)
        # One write in append mode: lines of several processes do not mix. The leading newline closes a
        # line that a killed run left torn.
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, ("\n" + line).encode("ascii"))
            os.fsync(handle)
        finally:
            os.close(handle)

    def _catch_up(self) -> None:
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            if line.strip():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            self._results[entry["key"]] = Result.from_json(entry["result"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self.damaged += 1
