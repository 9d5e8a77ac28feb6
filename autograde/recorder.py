"""Results into nbgrader's gradebook and autograded/, by nbgrader's own autograde: whoever is not up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograde.gradebook import Course, record
from autograde.ledger import Ledger
from autograde.progress import progress
from autograde.release import register


@dataclass(frozen=True)
class Recorder:
    """Records a class.

    Attributes:
        folder: nbgrader's submitted/; the gradebook is beside it.
        root: the checkout.
        seed: what the results were made with, where that is not the course's secret.
    """

    folder: Path
    root: Path
    seed: int | None = None

    def record(
        self, students: Mapping[tuple[str, str], Sequence[str]], again: bool, notes: list[str]
    ) -> bool:
        """Have nbgrader record every student whose results are not those that it was told last.

        Args:
            students: topic and student, to the journal's keys of the results.
            again: record everybody.
            notes: what a person should know is added here.

        Returns:
            Whether somebody could not be recorded.
        """
        working = self.folder.resolve().parent
        topics = list(dict.fromkeys(topic for topic, _ in students))
        register(self.root, topics, working)
        ledger, there = Ledger(working), _in_gradebook(working, topics)
        todo = [
            (topic, student, names)
            for (topic, student), names in students.items()
            if again or (topic, student) not in there or not ledger.holds(student, topic, names)
        ]
        refused: list[str] = []
        try:
            with progress("recording", len(todo)) as advance:
                for topic, student, names in todo:
                    errors = record(working, topic, [student], seed=self.seed, submitted=self.folder)
                    refused += [f"{name}/{topic}: not in the gradebook: {why}" for name, why in errors]
                    if not errors:
                        ledger.enter(student, topic, names)
                    advance()
        finally:
            ledger.save()
        notes += refused
        return bool(refused)


def _in_gradebook(working: Path, topics: Sequence[str]) -> set[tuple[str, str]]:
    with Course(working).gradebook() as gradebook:
        return {
            (topic, one.student_id) for topic in topics for one in gradebook.assignment_submissions(topic)
        }
