"""The known mistakes that a submission may have made: those few of which all tests are worth running."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from autograde import recognition
from autograde.hidden import Examined
from autograde.mistakes import Change
from autograde.question import Question
from autograde.reach import cells_behind
from autograde.recognition import Behaviour


class Run(Protocol):
    """Finds out how the reference behaves with a mistake in it."""

    def __call__(self, changes: Sequence[Change], test: str | None) -> list[Behaviour]:
        """One behaviour for each mistake: in every test, or at least in this one."""


def near(question: Question, examined: Examined, changes: Sequence[Change], run: Run) -> dict[str, Behaviour]:
    """How those known mistakes behave that can be told; most are run on one test only, for somebody waits.

    A mistake that is told alone fails the first lost test of its task, with the same answers. Of two that are
    told together one does, and the other passes that test and fails the first one that is left.

    Args:
        question: what was answered.
        examined: the submission.
        changes: the question's known mistakes.
        run: runs some of them.
    """
    found: dict[str, Behaviour] = {}
    seen = recognition.behaviour(examined)

    def ran(some: Sequence[Change], test: str | None = None) -> list[tuple[Change, Behaviour]]:
        return list(zip(some, run(some, test), strict=True)) if some else []

    def explains(change: Change, known: Behaviour, test: str) -> bool:
        return recognition.explains(change, known, seen, frozenset({test}), frozenset({test}))

    for task, lost in recognition.lost_by_task(examined).items():
        names = [v.test for v in examined.verdicts if v.task == task]
        first = next(name for name in names if name in lost)
        used = examined.seen[first].names if first in examined.seen else set()
        behind = cells_behind(question, used)
        tried = ran([change for change in changes if change.cell in behind], first)
        close = [change for change, known in tried if explains(change, known, first)]
        found |= {change.name: known for change, known in ran(close)}
        shares = [
            found[change.name].failed & set(names)
            for change in changes
            if change.name in found
            and recognition.explains(change, found[change.name], seen, frozenset(names), lost)
        ]
        if lost in shares:
            continue
        passing = [change for change, known in tried if first in known.passed]
        for test in {next(name for name in names if name in lost - share) for share in shares}:
            more = [change for change, known in ran(passing, test) if explains(change, known, test)]
            found |= {change.name: known for change, known in ran(more)}
    return found
