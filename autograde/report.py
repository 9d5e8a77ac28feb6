"""The class at a glance: who earned what, which mistakes were made, which tests were hard."""

from __future__ import annotations

import itertools
import shutil
import statistics
import textwrap
from collections.abc import Sequence
from typing import Any

from autograde.card import LOOKS
from autograde.cause import cause, first_said, is_unknown, some_of
from autograde.handin import MISSING
from autograde.plaintext import columns_of, fit, hang, inline, pad
from autograde.tally import (
    Row,
    Test,
    failing_alike,
    mistake_counts,
    mistakes_by_task,
    scores_of,
    tests_of,
)
from autograde.verdict import Result, points

__all__ = ["Row", "as_json", "class_table"]

_NAME = 24  # columns of a student's name
_HARDEST = 5
_ALIKE = 12  # students named of those who fail alike


def class_table(rows: Sequence[Row], width: int | None = None) -> str:
    """The class table of one question, as text.

    Args:
        rows: one for each student, in the order in which they are to be shown.
        width: columns; by default the terminal's, 100 where there is none.
    """
    if not rows:
        return "no submissions"
    if all(row.result.problem == MISSING for row in rows):
        return f"not handed in by any of {len(rows)}"
    width = max(60, width or shutil.get_terminal_size((100, 24)).columns)
    tests = tests_of(rows)
    sections = [
        _students(rows, tests, width),
        _mistakes(rows, width),
        _hardest(tests, width),
        _figures(rows, width),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """The same as plain data for json.dumps: nothing cleaned, nothing rounded, keys that stay.

    Args:
        rows: one for each student.
    """
    scores = scores_of(rows)
    alike = failing_alike(rows)
    return {
        "question": rows[0].result.slug if rows else "",
        "students": [_student_json(row, alike) for row in rows],
        "mistakes": dict(mistake_counts(rows)),
        "tests": [
            {"test": t.name, "says": t.says, "passed": t.passed, "ran": t.ran, "share": t.share}
            for t in tests_of(rows)
        ],
        "graded": len(scores),
        "mean": statistics.fmean(scores) if scores else None,
        "median": statistics.median(scores) if scores else None,
    }


def _student_json(row: Row, alike: dict[str, list[str]]) -> dict[str, Any]:
    result = row.result
    return {
        "student": row.student,
        "score": result.score,
        "max_score": result.max_score,
        "tests": {v.test: {"outcome": v.outcome.value, "message": v.message} for v in result.verdicts},
        "recognised": list(dict.fromkeys(r.mistake for r in result.recognised)),
        "stops": list(result.stops),
        "notes": list(result.notes),
        "problem": result.problem,
        "signature": result.signature,
        "fails_like": [name for name in alike.get(result.signature, []) if name != row.student],
    }


def _students(rows: Sequence[Row], tests: Sequence[Test], width: int) -> list[str]:
    groups = failing_alike(rows)
    names = [fit(inline(row.student), _NAME) for row in rows]
    scores = [_score(row.result) for row in rows]
    columns = max(7, *map(columns_of, names)), max(5, *map(len, scores)), max(5, len(tests))
    head = "  ".join(pad(t, n) for t, n in zip(("student", "score", "tests"), columns, strict=True))
    lines = [f"{head}  looks like", "─" * width]
    for row, name, score in zip(rows, names, scores, strict=True):
        strip = pad(_strip(row.result, tests), columns[2])
        left = f"{pad(name, columns[0])}  {score:>{columns[1]}}  {strip}  "
        lines += hang(left, cause(row, groups), width)
    return [*lines, "─" * width, "  ".join(f"{symbol} {word}" for symbol, word, _ in LOOKS.values())]


def _score(result: Result) -> str:
    return f"{points(result.score)}/{points(result.max_score)}" if result.verdicts else "–"


def _strip(result: Result, tests: Sequence[Test]) -> str:
    marks = {v.test: LOOKS[v.outcome][0] for v in result.verdicts}
    return "".join(marks.get(test.name, "·") for test in tests)


def _mistakes(rows: Sequence[Row], width: int) -> list[str]:
    by_task = mistakes_by_task(rows)
    lines: list[str] = []
    for task, counts in by_task.items():
        lines += [f"  in {inline(task)}"] if task and len(by_task) > 1 else []
        # Mistakes that equally many made share a line: a class of a hundred makes dozens.
        for count, names in itertools.groupby(counts, key=lambda pair: pair[1]):
            lines += hang(f"  {count:>4}  ", ", ".join(inline(name) for name, _ in names), width)
    unknown = _unknown(rows, width)
    lines += ["  not known", *unknown] if lines and unknown else unknown
    return ["mistakes (students)", *lines] if lines else []


def _unknown(rows: Sequence[Row], width: int) -> list[str]:
    """Those whose mistake is not known: who fails alike, and how many fail in a way of their own."""
    groups = failing_alike(rows)
    lines = []
    for signature, students in sorted(groups.items(), key=lambda group: -len(group[1])):
        said = next(first_said(row.result) for row in rows if row.result.signature == signature)
        names = some_of(students, _ALIKE)
        lines += hang(f"  {len(students):>4}  ", f"alike: {names}" + (f": {said}" if said else ""), width)
    alone = sum(is_unknown(row.result) for row in rows) - sum(map(len, groups.values()))
    return lines + ([f"  {alone:>4}  each in a way of their own"] if alone else [])


def _hardest(tests: Sequence[Test], width: int) -> list[str]:
    hard = sorted(
        (t for t in tests if t.ran and t.passed < t.ran), key=lambda t: (t.passed / t.ran, t.number)
    )
    lines = [
        line
        for t in hard[:_HARDEST]
        for line in hang(
            f"  {100 * t.passed / t.ran:>3.0f} %  {t.passed} of {t.ran}  ",
            f"test {t.number}: {inline(t.says)}",
            width,
        )
    ]
    return ["hardest tests (students who passed)", *lines] if lines else []


def _figures(rows: Sequence[Row], width: int) -> list[str]:
    scores = scores_of(rows)
    if not scores:
        return [f"none of {len(rows)} could be graded"]
    line = f"{len(scores)} graded, mean {statistics.fmean(scores):.2f}, median {statistics.median(scores):g}"
    best = max(row.result.max_score for row in rows)
    left_out = len(rows) - len(scores)
    still = sum(any(v.outcome.is_open for v in row.result.verdicts) for row in rows)
    line += f" of {points(best)} points"
    line += f"; {left_out} could not be graded and left out" if left_out else ""
    line += f"; {still} with points still open" if still else ""
    return textwrap.wrap(line, width)
