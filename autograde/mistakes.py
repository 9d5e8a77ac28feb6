"""Named mistakes and correct variants: changes to the reference solution, so that they can't drift."""

from __future__ import annotations

import json
import tomllib
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograde.question import Question, QuestionError


@dataclass(frozen=True)
class Change:
    """A change to one cell of the reference solution: a mistake, or a correct variant.

    Attributes:
        name: its table's name.
        cell: the grade_id of the cell.
        replacements: pairs of text that occurs exactly once, and what takes its place.
        whole: the complete cell, in place of replacements.
        says: what a learner is told, "" for a variant.
        by_message: whether it is recognised by what the failing tests say, and not by what they were answered: for
            tasks with many right answers, and so with many wrong ones of a kind.
    """

    name: str
    cell: str
    replacements: tuple[tuple[str, str], ...]
    whole: str | None
    says: str
    by_message: bool = False


def mistakes(question: Question) -> tuple[Change, ...]:
    """The question's named mistakes, in the order of the file."""
    return _load(question.mistakes, says=True)


def variants(question: Question) -> tuple[Change, ...]:
    """The question's correct variants, in the order of the file."""
    return _load(question.variants, says=False)


def solved(question: Question, *changes: Change) -> dict[str, Any]:
    """The source notebook as a learner would hand it in: solutions in place, changed, without the answer."""
    notebook = deepcopy(question.source_notebook)
    notebook["cells"] = [c for c in notebook["cells"] if "answer" not in c["metadata"].get("tags", ())]
    for change in changes:
        _apply(question, notebook, change)
    return notebook


def solved_bytes(question: Question, *changes: Change) -> bytes:
    """`solved` as a file."""
    return json.dumps(solved(question, *changes)).encode()


def _load(path: Path, *, says: bool) -> tuple[Change, ...]:
    return tuple(_change(path, name, table, says) for name, table in tables(path).items())


def tables(path: Path) -> dict[str, Any]:
    """The tables of a file of a question; QuestionError where it is missing or no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise QuestionError(f"{path} is missing") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise QuestionError(f"{path}: {error}") from None


def _change(path: Path, name: str, table: Any, says: bool) -> Change:
    def bad(why: str) -> QuestionError:
        return QuestionError(f"{path}: [{name}] {why}")

    if not isinstance(table, dict) or not isinstance(table.get("cell"), str):
        raise bad("needs `cell`, the grade_id of a solution cell")
    unknown = set(table) - {"cell", "old", "new", "whole", "says", "about", "by"}
    if unknown:
        raise bad(f"has an unknown key '{unknown.pop()}'")
    if says and not table.get("says"):
        raise bad("needs `says`, the advice a learner reads")
    if table.get("by", "message") != "message":
        raise bad('has a `by` that is not "message"')
    whole = table.get("whole")
    if (whole is None) == ("old" not in table):
        raise bad("needs either `old` and `new`, or `whole`")
    old, new = (t if isinstance(t, list) else [t] for t in (table.get("old", []), table.get("new", [])))
    if not all(isinstance(text, str) for text in (*old, *new, whole or "", table.get("says", ""))):
        raise bad("holds something that is not text")
    if len(old) != len(new):
        raise bad(f"has {len(old)} texts in `old` and {len(new)} in `new`")
    replacements = tuple(zip(old, new, strict=True))
    return Change(name, table["cell"], replacements, whole, table.get("says", ""), "by" in table)


def _apply(question: Question, notebook: dict[str, Any], change: Change) -> None:
    file = question.mistakes if change.says else question.variants
    cells = [c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == change.cell]
    if len(cells) != 1:
        raise QuestionError(f"{file}: [{change.name}] names the cell '{change.cell}', which is not there")
    source = "".join(cells[0]["source"])
    if change.whole is not None:
        source = change.whole
    for old, new in change.replacements:
        if source.count(old) != 1:
            raise QuestionError(
                f"{file}: [{change.name}] `old` occurs {source.count(old)} times in the cell "
                f"'{change.cell}', and must occur once: {old[:60]!r}"
            )
        source = source.replace(old, new)
    cells[0]["source"] = source
