"""A learner's notebook, read without trusting it: which cells run, and a clean notebook to grade."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from autograde.impostor import CONFLICT
from autograde.notebook import parsed

# A cell that writes a module beside the notebook, to import it: its name, and what follows is the module.
WRITES = re.compile(r"%%writefile (\w+)\.py\n")

Kind = Literal["setup", "try", "check", "learner", "text"]


@dataclass(frozen=True)
class Cell:
    """One code cell of the clean notebook.

    Attributes:
        index: its place in `Submission.notebook.cells`.
        name: the grade_id, or "cell 7" for a cell of the learner's own.
        kind: setup, try and check come from the release; learner is theirs.
        source: the code.
    """

    index: int
    name: str
    kind: Kind
    source: str


@dataclass(frozen=True)
class Submission:
    """A learner's work on one question.

    Attributes:
        cells: the code cells to run, the setup first; check cells are not among them.
        notebook: the clean notebook: locked cells from the release, nothing of the learner's metadata.
        notes: what was put right, for the instructor.
    """

    cells: tuple[Cell, ...]
    notebook: Any
    notes: tuple[str, ...]


def read(data: bytes, release: dict[str, Any]) -> Submission:
    """The submission in these bytes, matched by grade_id against the release.

    Args:
        data: the submitted file.
        release: the released notebook as plain JSON; locked cells are taken from it.

    Raises:
        autograde.notebook.SubmissionError: no notebook, or one too large to be meant.
    """
    import nbformat  # here, not above: check() needs this module and not nbformat, which takes a second

    notebook = parsed(data)
    cells, notes = _rebuild(notebook, release)
    clean = nbformat.from_dict(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": deepcopy(release["metadata"]), "cells": cells}
    )
    return Submission(tuple(_to_run(clean.cells)), clean, tuple(notes))


def _rebuild(notebook: Any, release: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    ours = {grade_id(cell): cell for cell in release["cells"] if grade_id(cell)}
    notes: list[str] = list(_foreign(notebook))
    cells: list[dict[str, Any]] = []
    seen: set[str] = set()
    for index, cell in enumerate(notebook.cells):
        name = grade_id(cell)
        if name in ours and name not in seen:
            seen.add(name)
            cells.append(_restored(ours[name], _source(cell), notes))
        else:
            if name in seen:
                notes.append(f"cell '{name}' is there twice: the second is run as an ordinary cell")
            cells.append(_extra(cell, index))
    _put_back(cells, ours, seen, notes)
    return cells, notes


def _foreign(notebook: Any) -> Iterator[str]:
    for place, key in (("kernelspec", "language"), ("language_info", "name")):
        try:
            language = notebook.metadata[place].get(key, "python")
        except (AttributeError, KeyError, TypeError):
            continue
        if isinstance(language, str) and language.lower() not in ("python", "ipython"):
            yield f"the notebook names the language {language[:40]!r}: it was run as Python"
            return


def _restored(ours: dict[str, Any], source: str, notes: list[str]) -> dict[str, Any]:
    cell = deepcopy(ours)
    if is_locked(ours):
        if _plain(source) != _plain(_source(ours)):
            notes.append(f"cell '{grade_id(ours)}' was edited: the released text was used")
    else:
        cell["source"] = source
        if CONFLICT.search(source):
            notes.append(
                f"cell '{grade_id(ours)}' has git conflict markers: settle the conflict and hand in again"
            )
    if cell["cell_type"] == "code":
        cell.update(outputs=[], execution_count=None)
    cell["source"] = _source(cell)
    return cell


def _extra(cell: Any, index: int) -> dict[str, Any]:
    kind = cell.get("cell_type")
    extra: dict[str, Any] = {
        "cell_type": kind if kind in ("code", "markdown", "raw") else "raw",
        "id": f"extra-{index}",
        "metadata": {},
        "source": _source(cell),
    }
    if kind == "code":
        extra.update(outputs=[], execution_count=None)
    return extra


def _put_back(
    cells: list[dict[str, Any]], ours: dict[str, dict[str, Any]], seen: set[str], notes: list[str]
) -> None:
    previous = None
    for name, cell in ours.items():
        if name not in seen:
            places = [i for i, there in enumerate(cells) if previous and grade_id(there) == previous]
            stub = deepcopy(cell)
            stub["source"] = _source(cell)
            if cell["cell_type"] == "code":
                stub.update(outputs=[], execution_count=None)
            cells.insert(places[0] + 1 if places else 0, stub)
            notes.append(f"cell '{name}' was missing: the released one was put back")
        previous = name


def _to_run(cells: list[Any]) -> Iterator[Cell]:
    runnable = [
        Cell(index, grade_id(cell) or f"cell {index + 1}", kind_of(cell), _source(cell))
        for index, cell in enumerate(cells)
        if cell["cell_type"] == "code" and kind_of(cell) != "check"
    ]
    yield from (cell for cell in runnable if cell.kind == "setup")
    yield from (cell for cell in runnable if cell.kind != "setup")


def grade_id(cell: Any) -> str:
    """The cell's grade_id, "" where it has none that could be meant."""
    metadata = cell.get("metadata")
    fields = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = fields.get("grade_id") if isinstance(fields, dict) else None
    return name if isinstance(name, str) else ""


def is_locked(cell: Any) -> bool:
    """Whether a cell of the release is locked: its text is ours."""
    fields = cell["metadata"].get("nbgrader", {})
    return bool(fields.get("locked")) and not fields.get("solution")


def kind_of(cell: Any) -> Kind:
    """What a cell of a clean notebook is for."""
    name = grade_id(cell)
    if cell["cell_type"] != "code":
        return "text"
    if name == "check" or name.startswith("check_"):
        return "check"
    if name.startswith("try_"):
        return "try"
    return "setup" if name == "setup" else "learner"


def _source(cell: Any) -> str:
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    # A lone surrogate can't be written to any file or sent anywhere.
    return source.encode("utf-8", "replace").decode("utf-8") if isinstance(source, str) else ""


def _plain(source: str) -> str:
    return "\n".join(line.rstrip() for line in source.replace("\r\n", "\n").strip().splitlines())
