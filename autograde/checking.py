"""check() in a learner's notebook: the hidden tests over live objects, the card, and one line raised."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

from IPython.core.getipython import get_ipython

from autograde import card, mistakes, recognition
from autograde.grader import examine
from autograde.hidden import Examined, Turn
from autograde.live import Live, globals_kept, silent
from autograde.lock import Limits
from autograde.mistakes import Change
from autograde.near import near
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
        recognise: also look for the known mistakes, which takes running them.
    """
    recognised: tuple[Recognised, ...] = ()
    with globals_kept(), silent():
        (examined,) = examine_here(question, [namespace], only=None if only is None else {only})
        if any(v.outcome is Outcome.BROKEN for v in examined.verdicts):
            reference = examine_here(
                question, staged_in_turn([mistakes.solved(question)]), limit=Limits().call_s
            )
            examined.verdicts = recognition.settled(examined.verdicts, recognition.behaviour(reference[0]))
        if recognise and only is None and recognition.lost(examined):
            changes = mistakes.mistakes(question)
            known = near(question, examined, changes, partial(_behaviours, question))
            recognised = recognition.recognise(examined, known, changes)
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
    seed: int | None = None,
    limit: float | None = None,
) -> list[Examined]:
    """What the tests say of each namespace, in one inner run; it prints, and changes global random states.

    Args:
        question: whose tests.
        namespaces: names of learners; each may go when the next is asked for.
        only: run these tests alone.
        known: for each namespace, the tests that are not run.
        seed: the question's seed; None for that of check().
        limit: seconds for each request to them; None: no limit.
    """
    seed = derived(0, question.slug) if seed is None else seed
    found: list[Examined] = []
    rows = zip(namespaces, known or itertools.repeat(frozenset[str]()), strict=False)
    examine(question, (Turn(Live(space, limit), seed, only, some) for space, some in rows), found.append)
    return found


def _behaviours(question: Question, changes: Sequence[Change], test: str | None) -> list[Behaviour]:
    spaces = staged_in_turn(mistakes.solved(question, change) for change in changes)
    found = examine_here(question, spaces, only=None if test is None else {test}, limit=Limits().call_s)
    return list(map(recognition.behaviour, found))


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
