"""A learner's notebook, read without trusting it: which cells run, and a clean notebook to grade."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from autograde.errors import Explained

MAX_BYTES = 16 * 2**20
MAX_CELLS = 2000
# A cell that writes a module beside the notebook, to import it: its name, and what follows is the module.
WRITES = re.compile(r"%%writefile (\w+)\.py\n")

Kind = Literal["setup", "try", "check", "learner", "text"]


class SubmissionError(Explained):
    """The file is no notebook that can be graded; the message says why and what to do."""


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
        SubmissionError: no notebook, or one too large to be meant.
    """
    import nbformat  # here, not above: check() needs this module and not nbformat, which takes a second

    notebook = _parse(data)
    cells, notes = _rebuild(notebook, release)
    clean = nbformat.from_dict(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": deepcopy(release["metadata"]), "cells": cells}
    )
    return Submission(tuple(_to_run(clean.cells)), clean, tuple(notes))


def _parse(data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise SubmissionError(
            f"the file has {len(data) / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20}: "
            "clear the outputs (Edit → Clear Outputs of All Cells), save and hand in again"
        )
    if not data.strip():
        raise SubmissionError("the file is empty: save the notebook and hand in again")
    try:
        raw = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SubmissionError(
            f"not a notebook: byte {error.start} is not UTF-8: open it in JupyterLab and save it again"
        ) from None
    except (ValueError, RecursionError) as error:
        raise SubmissionError(
            f"not a notebook: not valid JSON ({error}): open it in JupyterLab and save it again"
        ) from None
    if not isinstance(raw, dict) or type(raw.get("nbformat")) is not int:
        raise SubmissionError(
            "not a notebook: JSON, but without a notebook's fields: hand in the .ipynb file"
        )
    return _upgrade(raw)


def _upgrade(raw: dict[str, Any]) -> Any:
    import nbformat

    try:
        with warnings.catch_warnings():
            # Missing and duplicate cell ids are put right below; their warnings would be noise.
            warnings.simplefilter("ignore")
            notebook = nbformat.convert(nbformat.from_dict(raw), 4)
        cells = notebook.cells
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise TypeError("cells are a list of objects")
    except Exception as error:  # noqa: BLE001  nbformat's upgraders raise anything on a malformed notebook
        raise SubmissionError(
            f"not a notebook of a known format (nbformat {raw.get('nbformat')}): {type(error).__name__}: "
            "open it in JupyterLab and save it again"
        ) from None
    if len(cells) > MAX_CELLS:
        raise SubmissionError(f"the notebook has {len(cells)} cells, more than {MAX_CELLS}: delete some")
    return notebook


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
    try:
        language = notebook.metadata.kernelspec.get("language", "python")
    except (AttributeError, TypeError):
        return
    if isinstance(language, str) and language.lower() != "python":
        yield f"the notebook names the language {language[:40]!r}: it was run as Python"


def _restored(ours: dict[str, Any], source: str, notes: list[str]) -> dict[str, Any]:
    cell = deepcopy(ours)
    if is_locked(ours):
        if _plain(source) != _plain(_source(ours)):
            notes.append(f"cell '{grade_id(ours)}' was edited: the released text was used")
    else:
        cell["source"] = source
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
