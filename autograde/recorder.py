"""Results into nbgrader's gradebook and autograded/, by nbgrader's own autograde: whoever is not up to date."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autograde.gradebook import Course, economical, record
from autograde.ledger import Ledger
from autograde.release import register


class Recorder:
    """Records a class, one student after another. Use it as a context manager.

    Args:
        folder: nbgrader's submitted/; the gradebook is beside it.
        root: the checkout.
        topics: those that will be recorded; the gradebook is told of them.
        seed: what the results were made with, where that is not the course's secret.
        again: record everybody, also who is up to date.
    """

    def __init__(
        self, folder: Path, root: Path, topics: Sequence[str], *, seed: int | None, again: bool
    ) -> None:
        self._folder, self._seed, self._again = folder, seed, again
        self._working = folder.resolve().parent
        register(root, topics, self._working)
        self._ledger, self._there = Ledger(self._working), _in_gradebook(self._working, topics)
        self._economy = economical()

    def __enter__(self) -> Recorder:
        self._economy.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._economy.__exit__(None, None, None)
        self._ledger.save()  # also of a run that was stopped

    def record(self, topic: str, student: str, keys: Sequence[str]) -> str | None:
        """Have nbgrader record one student, unless it was told these results before.

        Args:
            topic: nbgrader's assignment.
            student: whose.
            keys: the journal's keys of the results, in the order of the questions.

        Returns:
            Why that was not possible, or None.
        """
        known = (topic, student) in self._there and self._ledger.holds(student, topic, keys)
        if known and not self._again:
            return None
        for _, why in record(self._working, topic, [student], seed=self._seed, submitted=self._folder):
            return f"{student}/{topic}: not in the gradebook: {why}"
        self._ledger.enter(student, topic, keys)
        return None


def _in_gradebook(working: Path, topics: Sequence[str]) -> set[tuple[str, str]]:
    with Course(working).gradebook() as gradebook:
        return {
            (topic, one.student_id) for topic in topics for one in gradebook.assignment_submissions(topic)
        }
