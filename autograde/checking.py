"""check() in a learner's notebook: the hidden tests over live objects, the card, and one line raised."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from IPython.core.getipython import get_ipython

from autograde import card, mistakes, recognition
from autograde.grader import examine
from autograde.hidden import Examined
from autograde.live import Live, globals_kept, silent
from autograde.mistakes import Change
from autograde.question import Question, course_root, find
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
        recognise: also look for the known mistake, which takes running them all.
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
    question: Question, namespaces: Iterable[dict[str, Any]], *, only: Collection[str] | None = None
) -> list[Examined]:
    """What the tests say of each namespace, in one inner run; it prints, and changes global random states."""
    seed = derived(0, question.slug)
    found: list[Examined] = []
    examine(question, ((Live(space), seed) for space in namespaces), found.append, only=only)
    return found


def _near(question: Question, examined: Examined, changes: Sequence[Change]) -> dict[str, Behaviour]:
    """How those known mistakes behave that explain some of what was lost: a learner waits, so not all are run."""
    lost = recognition.lost_by_task(examined)
    if not lost:
        return {}

    def behaviours(some: Sequence[Change], only: Collection[str] | None) -> list[Behaviour]:
        spaces = staged_in_turn(mistakes.solved(question, change) for change in some)
        return [recognition.behaviour(one) for one in examine_here(question, spaces, only=only)]

    first = behaviours(changes, frozenset().union(*lost.values()))
    seen = recognition.behaviour(examined)
    near = [
        change
        for change, known in zip(changes, first, strict=True)
        if any(recognition.explains(change, known, seen, tests, tests) for tests in lost.values())
    ]
    names = [change.name for change in near]
    return dict(zip(names, behaviours(near, None), strict=True)) if near else {}


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
