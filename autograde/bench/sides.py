"""The ways to grade that are compared, and one run of one of them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograde.bench import course
from autograde.bench.course import BenchError, Student
from autograde.bench.meter import Usage, measured
from autograde.gradebook import scores
from autograde.journal import FILE
from autograde.progress import progress
from autograde.question import Question
from autograde.scratch import Scratch


@dataclass(frozen=True)
class Run:
    """What one run of a side used.

    Attributes:
        usage: seconds and memory.
        graded: how many submissions it was given.
        scores: what each of their students has in the gradebook, None where nothing; empty for the floor.
    """

    usage: Usage
    graded: int
    scores: Mapping[str, float | None]


@dataclass
class Side:
    """One way to grade.

    Attributes:
        name: what the table calls it.
        config: the nbgrader configuration of its course.
        arguments: of the interpreter.
        expected_s: seconds a submission, a guess until it was run: the ETA rests on it.
        mark: what appears when its start-up is over, or its first result there.
        shares: whether it grades a share of the submissions in each round, not all of them.
        grades: whether it gives scores.
        extra: settings added to its environment.
        runs: what its runs used.
    """

    name: str
    config: str
    arguments: Sequence[str]
    expected_s: float
    mark: Path | None = None
    shares: bool = False
    grades: bool = True
    extra: Mapping[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    @property
    def scores(self) -> dict[str, float | None]:
        """The scores by student, the last run's where there are several."""
        return {student: score for run in self.runs for student, score in run.scores.items()}

    def run(self, question: Question, template: Path, handed: Sequence[Student]) -> None:
        """Grade these submissions in a course of their own, which is removed afterwards.

        Args:
            question: what they answer.
            template: the course to copy.
            handed: the submissions.

        Raises:
            BenchError: the command failed.
        """
        with Scratch("bench") as place:
            folder = place / "course"
            shutil.copytree(template, folder)
            if self.grades:
                course.hand_in(question, folder, handed)
            else:
                course.lay_out(question, folder, handed)
            usage = self._measured(folder, len(handed))
            if usage.status:
                said = (folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise BenchError(f"{self.name} ended with {usage.status}, and this is what it said:\n{said}")
            self.runs.append(Run(usage, len(handed), self._scores(question, folder, handed)))
            self.expected_s = usage.wall_s / len(handed)

    def _measured(self, folder: Path, total: int) -> Usage:
        with progress(self.name, total) as advance:
            return measured(
                [sys.executable, *self.arguments],
                folder,
                {**course.environment(folder), **self.extra},
                mark=self.mark,
                waiting=_counter(folder / "autograded", advance),
            )

    def _scores(self, question: Question, folder: Path, handed: Sequence[Student]) -> dict[str, float | None]:
        if not self.grades:
            return {}
        told = {student: row.score for (student, _), row in scores(folder, question.topic).items()}
        return {student.name: told.get(student.name) for student in handed}


def all_sides(topic: str) -> list[Side]:
    """Stock nbgrader, our three ways and the floor, in the table's order."""
    nbgrader = ("-m", "nbgrader", "autograde", topic)
    one_job = ("-m", "autograde", "grade", "--jobs", "1")
    # As the zygote has them.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    floor = ("-m", "autograde.bench.floor", course.CELLS)
    return [
        Side("stock nbgrader autograde", course.STOCK, nbgrader, 4.0, mark=Path("autograded"), shares=True),
        Side("nbgrader autograde, ours", course.OURS, nbgrader, 0.5),
        Side("autograde grade", course.OURS, ("-m", "autograde", "grade"), 0.2, mark=FILE),
        Side("autograde grade --jobs 1", course.OURS, one_job, 0.3),
        Side("floor: fork, run the cells", course.OURS, floor, 0.1, grades=False, extra=alone | inline),
    ]


def _counter(folder: Path, advance: Callable[[], None]) -> Callable[[], None]:
    """Moves the bar to the number of students that nbgrader has come to."""
    there = 0

    def count() -> None:
        nonlocal there
        now = len(list(folder.iterdir())) if folder.is_dir() else 0
        for _ in range(now - there):
            advance()
        there = max(now, there)

    return count
