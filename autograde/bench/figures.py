"""What the runs come to: medians a submission, and which scores differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from autograde.bench.course import Student
from autograde.bench.meter import Usage
from autograde.bench.sides import Run, Side

NO_SCORE = "no score"


@dataclass(frozen=True)
class Figures:
    """One side, per submission.

    Attributes:
        wall_s: seconds, the median of the rounds.
        fastest_s: the fastest round.
        slowest_s: the slowest round.
        cpu_s: processor seconds, the median of the rounds.
        peak_mb: the most memory of all its processes together, in any round, 10⁶ bytes.
        mark_s: seconds until its mark, the median of the rounds; not per submission.
    """

    wall_s: float
    fastest_s: float
    slowest_s: float
    cpu_s: float
    peak_mb: float
    mark_s: float


def figures(side: Side, count: int) -> Figures:
    """A side's figures, where all sides together are given `count` submissions."""
    wall = [_each(run, count, lambda u: u.wall_s, lambda u: u.mark_s) for run in side.runs]
    cpu = [_each(run, count, lambda u: u.cpu_s, lambda u: u.mark_cpu_s) for run in side.runs]
    return Figures(
        wall_s=median(wall),
        fastest_s=min(wall),
        slowest_s=max(wall),
        cpu_s=median(cpu),
        peak_mb=max(run.usage.peak_mb for run in side.runs),
        mark_s=median(run.usage.mark_s for run in side.runs),
    )


def _each(run: Run, count: int, total: Callable[[Usage], float], start: Callable[[Usage], float]) -> float:
    """Per submission: a run of a share pays for a start-up that all `count` would have paid for once."""
    return (total(run.usage) - start(run.usage)) / run.graded + start(run.usage) / count


def differences(sides: Sequence[Side], students: Sequence[Student]) -> list[str]:
    """One line for each student whose score is not the same in every run of every side, or is missing."""
    grading = [side for side in sides if side.grades]
    lines = []
    for student in students:
        told = {side.name: _scores(side, student.name) for side in grading}
        if len(set().union(*told.values())) > 1 or NO_SCORE in set().union(*told.values()):
            said = "; ".join(f"{name} {' or '.join(sorted(scores))}" for name, scores in told.items())
            lines.append(f"{student.name}, {student.about}: {said}")
    return lines


def _scores(side: Side, student: str) -> set[str]:
    scores = [run.scores[student] for run in side.runs if student in run.scores]
    return {NO_SCORE if score is None else f"{score:.9g}" for score in scores} or {NO_SCORE}
