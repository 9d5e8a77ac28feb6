"""check() in a learner's notebook: the hidden tests over live objects, the card, and one line raised."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.core.inputtransformer2 import TransformerManager

from autograde import card, mistakes, recognition
from autograde.grader import Examined, derived, examine
from autograde.live import Live, globals_kept
from autograde.question import Question, course_root, find
from autograde.recognition import Behaviour
from autograde.submission import grade_id, kind_of
from autograde.verdict import Recognised, Result

HAND_IN = "Only the visible examples ran here. The hidden tests run when you hand in."
STOCK = (
    "this was executed by nbgrader's own autograder, which does not run the hidden tests in the room, "
    "so nothing was earned. Instructor: put `from autograde import configure; configure(c)` into "
    "nbgrader_config.py, see `autograde doctor`."
)

_known: dict[tuple[Path, tuple[int, ...]], dict[str, Behaviour]] = {}


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
        (examined,) = examine_here(question, [namespace], only=only)
        if recognition.lost(examined):
            known = known_here(question)
            examined.verdicts = recognition.settled(examined.verdicts, known[""])
            if recognise and only is None:
                recognised = recognition.recognise(examined, known, mistakes.mistakes(question))
    return Result(
        question.slug,
        verdicts=tuple(examined.verdicts),
        recognised=recognised,
        notes=tuple(examined.flags),
        signature=recognition.signature(examined),
    )


def examine_here(
    question: Question, namespaces: Iterable[dict[str, Any]], *, only: str | None = None
) -> list[Examined]:
    """What the tests say of each namespace, in one inner run; it prints, and changes global random states."""
    seed = derived(0, question.slug)
    found: list[Examined] = []
    examine(question, ((Live(space), seed) for space in namespaces), found.append, only=only)
    return found


def known_here(question: Question) -> dict[str, Behaviour]:
    """How the reference ("") and every named mistake behave over live objects; kept until a file changes."""
    files = (question.tests, question.mistakes, question.source)
    key = (question.folder, tuple(path.stat().st_mtime_ns for path in files))
    if key not in _known:
        changes = mistakes.mistakes(question)
        programs = [mistakes.solved(question), *(mistakes.solved(question, change) for change in changes)]
        found = examine_here(question, map(run_here, programs))
        names = ["", *(change.name for change in changes)]
        _known[key] = dict(zip(names, map(recognition.behaviour, found), strict=True))
    return _known[key]


def run_here(notebook: dict[str, Any]) -> dict[str, Any]:
    """The namespace that a notebook of ours makes in this process; a cell that raises does not stop the next."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if kind_of(cell) in ("setup", "learner"):
            source = TransformerManager().transform_cell("".join(cell["source"]))
            with contextlib.suppress(Exception):
                exec(compile(source, f"<cell {grade_id(cell)}>", "exec"), namespace)  # noqa: S102  our own cells
    return namespace


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


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """What the learner's functions print while they are tested would bury the card."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
