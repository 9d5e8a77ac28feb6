"""Releases and solutions: made from source/ by nbgrader's own converters, written only where they changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from autograde.errors import Explained
from autograde.gradebook import Course, GradebookError, raised
from autograde.question import Question, QuestionError, questions
from autograde.scratch import Scratch


class ReleaseError(Explained):
    """A release or a solution could not be made; the message says of which topic, and why."""


def make_release(root: Path, topics: Sequence[str] | None = None, *, check: bool = False) -> list[Path]:
    """Make release/ from source/, as `nbgrader generate_assignment` does.

    Args:
        root: the checkout.
        topics: topics to make; None for all.
        check: write nothing.

    Returns:
        The files that were written, or with `check` those that are not fresh.

    Raises:
        ReleaseError: nbgrader refused a source notebook.
        QuestionError: there is no such topic.
    """

    def release(course: Course, topic: str) -> None:
        course.release(topic, database=False)

    return _make(root, topics, release, lambda q: q.release, _same_bytes, check=check)


def make_solutions(root: Path, topics: Sequence[str] | None = None, *, check: bool = False) -> list[Path]:
    """Make solutions/ from source/, as `nbgrader generate_solution` does, each executed in a fresh kernel.

    Args:
        root: the checkout.
        topics: topics to make; None for all.
        check: write and execute nothing; compare cells and sources only, since outputs are nbval's business.

    Returns:
        The files that were written, or with `check` those that are not fresh or show an error.

    Raises:
        ReleaseError: a cell of a solution raised.
        QuestionError: there is no such topic.
    """
    same = _same_cells if check else _same_bytes

    def solve(course: Course, topic: str) -> None:
        course.solve(topic, execute=not check)

    return _make(root, topics, solve, lambda q: q.solution, same, check=check)


def register(root: Path, topics: Iterable[str], working: Path, *, db_url: str = "") -> None:
    """Tell the gradebook of a working folder what there is to grade, as `nbgrader generate_assignment` does.

    A topic that it knows as it is now is left alone.

    Args:
        root: the checkout.
        topics: the topics.
        working: the folder of the gradebook.
        db_url: a database in place of the configured one.

    Raises:
        ReleaseError: nbgrader refused, for example because cells were added after submissions were graded.
    """
    for topic, rows in _by_topic(root, topics).items():
        with Scratch("release") as out:
            course = Course(working, db_url=db_url, source=root / "source", out=out)
            try:
                course.register(topic, [q.release_notebook for q in rows], [q.slug for q in rows])
            except GradebookError as error:
                raise ReleaseError(f"{topic}: the gradebook does not take it: {error}") from error


def _make(
    root: Path,
    topics: Sequence[str] | None,
    run: Callable[[Course, str], None],
    place: Callable[[Question], Path],
    same: Callable[[Path, Path], bool],
    *,
    check: bool,
) -> list[Path]:
    changed: list[Path] = []
    for topic, rows in _by_topic(root, topics).items():
        with Scratch("release") as scratch:
            out = scratch / "out"
            course = Course(root, out=out)
            try:
                run(course, topic)
            except GradebookError as error:
                raise ReleaseError(f"source/{topic}: {error}") from error
            stale = [(out / topic / f"{q.slug}.ipynb", place(q)) for q in rows]
            changed += [_updated(made, kept, check=check) for made, kept in stale if not same(made, kept)]
    return changed


def _by_topic(root: Path, topics: Iterable[str] | None) -> dict[str, list[Question]]:
    rows = questions(root)
    wanted = list(topics) if topics is not None else list(dict.fromkeys(q.topic for q in rows))
    unknown = set(wanted) - {q.topic for q in rows}
    if unknown:
        raise QuestionError(
            f"no topic '{min(unknown)}': topics are {', '.join(sorted({q.topic for q in rows}))}"
        )
    return {topic: [q for q in rows if q.topic == topic] for topic in wanted}


def _updated(made: Path, kept: Path, *, check: bool) -> Path:
    if not check:
        if not made.is_file():
            raise QuestionError(
                f"{kept.stem} is in the syllabus and source/{kept.parent.name} has no such notebook"
            )
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, kept)
    return kept


def _same_bytes(made: Path, kept: Path) -> bool:
    return made.is_file() and kept.is_file() and made.read_bytes() == kept.read_bytes()


def _same_cells(made: Path, kept: Path) -> bool:
    if not made.is_file() or not kept.is_file():
        return False
    new, old = (json.loads(path.read_text(encoding="utf-8")) for path in (made, kept))
    return _bare(new) == _bare(old) and not raised(old)


def _bare(notebook: dict[str, Any]) -> dict[str, Any]:
    cells = [
        {key: value for key, value in cell.items() if key not in ("outputs", "execution_count")}
        for cell in notebook["cells"]
    ]
    return {**notebook, "cells": cells}
