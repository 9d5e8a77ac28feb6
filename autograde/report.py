"""The class at a glance: who earned what, which mistakes were made, which tests were hard."""

from __future__ import annotations

import shutil
import statistics
import textwrap
from collections.abc import Sequence
from typing import Any

from autograde.card import LOOKS
from autograde.plaintext import columns_of, fit, hang, inline, pad
from autograde.tally import Row, Test, failing_alike, mistake_counts, scores_of, tests_of
from autograde.verdict import Outcome, Result, points

__all__ = ["Row", "as_json", "class_table"]

_NAME = 24  # columns of a student's name
_HARDEST = 5
_NAMED = 3  # students named in "fails like …"
_SAID = 2  # messages shown of one whose mistake is not known


def class_table(rows: Sequence[Row], width: int | None = None) -> str:
    """The class table of one question, as text.

    Args:
        rows: one for each student, in the order in which they are to be shown.
        width: columns; by default the terminal's, 100 where there is none.
    """
    if not rows:
        return "no submissions"
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
        "recognised": [r.mistake for r in result.recognised],
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
        lines += hang(left, _cause(row, groups), width)
    return [*lines, "─" * width, "  ".join(f"{symbol} {word}" for symbol, word, _ in LOOKS.values())]


def _score(result: Result) -> str:
    return f"{points(result.score)}/{points(result.max_score)}" if result.verdicts else "–"


def _strip(result: Result, tests: Sequence[Test]) -> str:
    marks = {v.test: LOOKS[v.outcome][0] for v in result.verdicts}
    return "".join(marks.get(test.name, "·") for test in tests)


def _cause(row: Row, groups: dict[str, list[str]]) -> str:
    """What a submission looks like: not graded, known mistakes, stops, the same as others, or what it said."""
    result = row.result
    if result.problem:
        return inline(result.problem)
    named = dict.fromkeys(inline(text) for text in (*(r.mistake for r in result.recognised), *result.stops))
    if named:
        return "; ".join(named)
    others = [inline(name) for name in groups.get(result.signature, []) if name != row.student]
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        return f"fails like {', '.join(others[:_NAMED])}{more} (unknown)"
    lost = any(v.outcome in (Outcome.FAILED, Outcome.ERROR) for v in result.verdicts)
    return "; ".join(_said(result)[:_SAID]) or ("unknown" if lost else "")


def _said(result: Result) -> list[str]:
    """How the messages of tests that were not passed begin, each once."""
    lost = [v for v in result.verdicts if v.outcome in (Outcome.FAILED, Outcome.ERROR)]
    return list(dict.fromkeys(inline(v.message.splitlines()[0]) for v in lost if v.message))


def _mistakes(rows: Sequence[Row], width: int) -> list[str]:
    lines = [
        line for name, count in mistake_counts(rows) for line in hang(f"  {count:>4}  ", inline(name), width)
    ]
    lines += [
        line
        for students in sorted(failing_alike(rows).values(), key=len, reverse=True)
        for line in hang(
            f"  {len(students):>4}  ", "unknown, alike: " + ", ".join(map(inline, students)), width
        )
    ]
    return ["mistakes (students)", *lines] if lines else []


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
