"""check() in a learner's notebook: the hidden tests over live objects, the card, and one line raised."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from IPython.core.getipython import get_ipython

from autograde import card, mistakes, recognition
from autograde.grader import examine
from autograde.hidden import Examined, Turn
from autograde.live import Live, globals_kept, silent
from autograde.mistakes import Change
from autograde.question import Question, course_root, find
from autograde.reach import Narrowed, reaches
from autograde.recognition import Behaviour
from autograde.seed import derived
from autograde.stage import staged_in_turn
from autograde.verdict import Outcome, Recognised, Result

HAND_IN = "Only the visible examples ran here. The hidden tests run when you hand in."
STOCK = (
    "this was executed by nbgrader's own autograder, which does not run the hidden tests in the room, "
    "so nothing was earned. Instructor: put `from autograde import configure; configure(c)` into "
    "nbgrader_config.py, see `autograde doctor`."
)


def check(slug: str, *, part: str | None = None, only: str | None = None) -> None:
    """Show the card of this notebook's work, and raise one line unless all passed; see autograde.check."""
    execution = os.environ.get("NBGRADER_EXECUTION", "")
    if execution == "autograde":
        # Graders or not: an honest class scores 0 there, and the instructor notices.
        raise card.NotYet(STOCK)
    root = course_root()
    if root is None:
        print(HAND_IN)  # noqa: T201
        return
    question = find(slug, root)
    result = examined_here(question, _namespace(), only=only)
    result = _of_part(result, part)
    if execution == "validate":
        if not result.passed:
            # Validate shows a traceback and nothing else: the card is the traceback.
            raise card.NotYet(card.summary(result), card.text(result, question.title))
        return
    card.show(result, question.title)
    if not result.passed and any(not verdict.outcome.is_open for verdict in result.verdicts):
        raise card.NotYet(card.summary(result))


def examined_here(
    question: Question, namespace: dict[str, Any], *, only: str | None = None, recognise: bool = True
) -> Result:
    """What live objects earn: the same tests, over the same frames, with a seed that is the same every time.

    Args:
        question: whose tests.
        namespace: the learner's names.
        only: run this one test alone.
        recognise: also look for the known mistakes, which takes running them.
    """
    recognised: tuple[Recognised, ...] = ()
    with globals_kept(), silent():
        (examined,) = examine_here(question, [namespace], only=None if only is None else {only})
        if any(v.outcome is Outcome.BROKEN for v in examined.verdicts):
            reference = examine_here(question, staged_in_turn([mistakes.solved(question)]))
            examined.verdicts = recognition.settled(examined.verdicts, recognition.behaviour(reference[0]))
        if recognise and only is None and recognition.lost(examined):
            changes = mistakes.mistakes(question)
            recognised = recognition.recognise(examined, _near(question, examined, changes), changes)
    return Result(
        question.slug,
        verdicts=tuple(examined.verdicts),
        recognised=recognised,
        notes=tuple(examined.flags),
        signature=recognition.signature(examined),
    )


def examine_here(
    question: Question,
    namespaces: Iterable[dict[str, Any]],
    *,
    only: Collection[str] | None = None,
    known: Iterable[frozenset[str]] | None = None,
) -> list[Examined]:
    """What the tests say of each namespace, in one inner run; it prints, and changes global random states.

    Args:
        question: whose tests.
        namespaces: names of learners; each may go when the next is asked for.
        only: run these tests alone.
        known: for each namespace, the tests that are not run.
    """
    seed = derived(0, question.slug)
    found: list[Examined] = []
    rows = zip(namespaces, known or itertools.repeat(frozenset[str]()), strict=False)
    examine(question, (Turn(Narrowed(Live(space), some), seed, only) for space, some in rows), found.append)
    return found


def _near(question: Question, examined: Examined, changes: Sequence[Change]) -> dict[str, Behaviour]:
    """How those known mistakes behave that can be told; a learner waits, so that most are run on one test only.

    A mistake that is told alone fails the first lost test of its task, with the same answers. Of two that are
    told together one does, and the other passes that test and fails the first one that is left.
    """
    near: dict[str, Behaviour] = {}
    seen = recognition.behaviour(examined)

    def run(some: Sequence[Change], test: str | None = None) -> list[tuple[Change, Behaviour]]:
        if not some:
            return []
        spaces = staged_in_turn(mistakes.solved(question, change) for change in some)
        found = examine_here(question, spaces, only=None if test is None else {test})
        return list(zip(some, map(recognition.behaviour, found), strict=True))

    def explains(change: Change, known: Behaviour, test: str) -> bool:
        return recognition.explains(change, known, seen, frozenset({test}), frozenset({test}))

    for task, lost in recognition.lost_by_task(examined).items():
        names = [v.test for v in examined.verdicts if v.task == task]
        first = next(name for name in names if name in lost)
        used = examined.seen[first].names if first in examined.seen else set()
        tried = run([change for change in changes if reaches(question, change, used)], first)
        near |= {
            change.name: known
            for change, known in run([c for c, known in tried if explains(c, known, first)])
        }
        shares = [
            near[change.name].failed & set(names)
            for change in changes
            if change.name in near
            and recognition.explains(change, near[change.name], seen, frozenset(names), lost)
        ]
        if lost in shares:
            continue
        passing = [change for change, known in tried if first in known.passed]
        for test in {next(name for name in names if name in lost - share) for share in shares}:
            more = [change for change, known in run(passing, test) if explains(change, known, test)]
            near |= {change.name: known for change, known in run(more)}
    return near


def _namespace() -> dict[str, Any]:
    shell = get_ipython()
    if shell is None:
        raise RuntimeError("check() works in a notebook: run this cell in JupyterLab")
    namespace: dict[str, Any] = shell.user_ns
    return namespace


def _of_part(result: Result, part: str | None) -> Result:
    parts = {verdict.part for verdict in result.verdicts}
    if part not in parts and part is not None:
        raise ValueError(f"{result.slug} has no part {part!r}")
    return Result(
        result.slug, verdicts=result.of_part(part), recognised=result.recognised, notes=result.notes
    )
