"""What nbgrader was last told of each student, so that only what has changed since is recorded again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

from autograde.private import FOLDER, write

FILE = FOLDER / "recorded.json"
OFTEN = 2.0  # seconds between two times that it is written: what a killed run loses is recorded once more


class Ledger:
    """One entry a student and topic: which results were recorded, and when nbgrader wrote its tree.

    A damaged file is passed over: everybody is then recorded once more.

    Args:
        working: the folder of the gradebook.
    """

    def __init__(self, working: Path) -> None:
        self.working = working
        self._told: dict[str, str] = {}
        self._saved = time.monotonic()
        with contextlib.suppress(OSError, ValueError):
            told = json.loads((working / FILE).read_text(encoding="utf-8"))
            self._told = told if isinstance(told, dict) else {}

    def holds(self, student: str, topic: str, keys: Iterable[str]) -> bool:
        """Whether these results, and no others since, were recorded.

        Args:
            student: whose.
            topic: nbgrader's assignment.
            keys: what each result depends on, in the order of the questions.
        """
        return self._told.get(f"{student}/{topic}") == self._entry(student, topic, keys)

    def enter(self, student: str, topic: str, keys: Iterable[str]) -> None:
        """Note that these results were recorded just now."""
        self._told[f"{student}/{topic}"] = self._entry(student, topic, keys)
        if time.monotonic() - self._saved > OFTEN:
            self.save()

    def save(self) -> None:
        """Write the file, where that is possible."""
        with contextlib.suppress(OSError):  # without it everybody is recorded once more, that is all
            write(self.working / FILE, json.dumps(self._told, indent=0).encode())
        self._saved = time.monotonic()

    def _entry(self, student: str, topic: str, keys: Iterable[str]) -> str:
        # The time of the folder: nbgrader, run by hand in between, makes it anew.
        folder = self.working / "autograded" / student / topic
        made = folder.stat().st_mtime_ns if folder.is_dir() else 0
        return f"{made}-{hashlib.sha256('/'.join(keys).encode()).hexdigest()}"
