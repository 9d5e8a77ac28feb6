"""The class at a glance: who earned what, which mistakes were made, which tests were hard."""

from __future__ import annotations

import shutil
import statistics
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autograde.card import LOOKS, clean
from autograde.verdict import Outcome, Result, Verdict, points

_NAME = 24  # columns of a student's name
_HARDEST = 5
_NAMED = 3  # students named in "fails like …"


@dataclass(frozen=True)
class Row:
    """One student's result for one question."""

    student: str
    result: Result


@dataclass(frozen=True)
class _Test:
    """One hidden test over the class; `ran` leaves out who could not be tested."""

    name: str
    says: str
    passed: int
    ran: int
    number: int

    @property
    def share(self) -> float | None:
        return self.passed / self.ran if self.ran else None


def class_table(rows: Sequence[Row], width: int | None = None) -> str:
    """The class table of one question, as text.

    Args:
        rows: one for each student, in the order in which they are to be shown.
        width: columns; by default the terminal's, 100 where there is none.
    """
    if not rows:
        return "no submissions"
    width = max(60, width or shutil.get_terminal_size((100, 24)).columns)
    tests = _tests(rows)
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
    scores = _scores(rows)
    alike = _groups(rows)
    return {
        "question": rows[0].result.slug if rows else "",
        "students": [_student_json(row, alike) for row in rows],
        "mistakes": dict(_mistake_counts(rows)),
        "tests": [
            {"test": t.name, "says": t.says, "passed": t.passed, "ran": t.ran, "share": t.share}
            for t in _tests(rows)
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


# ------------------------------------------------------------------------------------------------ counting


def _tests(rows: Sequence[Row]) -> list[_Test]:
    """Every test that any student was given, in the order of the file."""
    verdicts: dict[str, list[Verdict]] = {}
    for row in sorted(rows, key=lambda r: -len(r.result.verdicts)):
        for verdict in row.result.verdicts:
            verdicts.setdefault(verdict.test, []).append(verdict)
    return [
        _Test(
            name=name,
            says=next((v.says for v in said if v.says), name),
            passed=sum(v.outcome is Outcome.PASSED for v in said),
            ran=sum(not v.outcome.is_open for v in said),
            number=number,
        )
        for number, (name, said) in enumerate(verdicts.items(), start=1)
    ]


def _groups(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Signature to students, of those who fail alike and whose mistake is not known."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row.result.signature and not row.result.recognised:
            groups.setdefault(row.result.signature, []).append(row.student)
    return {signature: students for signature, students in groups.items() if len(students) > 1}


def _mistake_counts(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """How many students made each recognised mistake, the most frequent first."""
    counts = Counter(name for row in rows for name in {r.mistake for r in row.result.recognised})
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _scores(rows: Sequence[Row]) -> list[float]:
    return [row.result.score for row in rows if not row.result.problem]


# ------------------------------------------------------------------------------------------------- showing


def _students(rows: Sequence[Row], tests: Sequence[_Test], width: int) -> list[str]:
    groups = _groups(rows)
    names = [_fit(_inline(row.student), _NAME) for row in rows]
    scores = [_score(row.result) for row in rows]
    columns = max(7, *map(_columns, names)), max(5, *map(len, scores)), max(5, len(tests))
    head = "  ".join(_pad(t, n) for t, n in zip(("student", "score", "tests"), columns, strict=True))
    lines = [f"{head}  looks like", "─" * width]
    for row, name, score in zip(rows, names, scores, strict=True):
        strip = _pad(_strip(row.result, tests), columns[2])
        left = f"{_pad(name, columns[0])}  {score:>{columns[1]}}  {strip}  "
        lines += _hang(left, _cause(row, groups), width)
    return [*lines, "─" * width, "  ".join(f"{symbol} {word}" for symbol, word, _ in LOOKS.values())]


def _score(result: Result) -> str:
    return f"{points(result.score)}/{points(result.max_score)}" if result.verdicts else "–"


def _strip(result: Result, tests: Sequence[_Test]) -> str:
    marks = {v.test: LOOKS[v.outcome][0] for v in result.verdicts}
    return "".join(marks.get(test.name, "·") for test in tests)


def _cause(row: Row, groups: dict[str, list[str]]) -> str:
    """What a submission looks like: not graded, a known mistake, a stop, or the same as others."""
    result = row.result
    if result.problem:
        return _inline(result.problem)
    if result.recognised:
        return ", ".join(dict.fromkeys(_inline(r.mistake) for r in result.recognised))
    if result.stops:
        return "; ".join(dict.fromkeys(_inline(stop) for stop in result.stops))
    others = [_inline(name) for name in groups.get(result.signature, []) if name != row.student]
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        return f"fails like {', '.join(others[:_NAMED])}{more} (unknown)"
    return "unknown" if any(v.outcome in (Outcome.FAILED, Outcome.ERROR) for v in result.verdicts) else ""


def _mistakes(rows: Sequence[Row], width: int) -> list[str]:
    lines = [
        line
        for name, count in _mistake_counts(rows)
        for line in _hang(f"  {count:>4}  ", _inline(name), width)
    ]
    lines += [
        line
        for students in sorted(_groups(rows).values(), key=len, reverse=True)
        for line in _hang(
            f"  {len(students):>4}  ", "unknown, alike: " + ", ".join(map(_inline, students)), width
        )
    ]
    return ["mistakes (students)", *lines] if lines else []


def _hardest(tests: Sequence[_Test], width: int) -> list[str]:
    hard = sorted(
        (t for t in tests if t.ran and t.passed < t.ran), key=lambda t: (t.passed / t.ran, t.number)
    )
    lines = [
        line
        for t in hard[:_HARDEST]
        for line in _hang(
            f"  {100 * t.passed / t.ran:>3.0f} %  {t.passed} of {t.ran}  ",
            f"test {t.number}: {_inline(t.says)}",
            width,
        )
    ]
    return ["hardest tests (students who passed)", *lines] if lines else []


def _figures(rows: Sequence[Row], width: int) -> list[str]:
    scores = _scores(rows)
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


def _hang(left: str, right: str, width: int) -> list[str]:
    """A line, its right part wrapped below itself."""
    indent = " " * _columns(left)
    room = max(20, width - len(indent))
    parts = textwrap.wrap(right, room // (2 if _columns(right) > len(right) else 1)) or [""]
    return [(left + parts[0]).rstrip(), *(indent + part for part in parts[1:])]


def _inline(value: str) -> str:
    """One line of clean text."""
    return " ".join(clean(value, 300).split())


def _columns(value: str) -> int:
    """Columns a terminal needs: wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in value
    )


def _fit(value: str, columns: int) -> str:
    while _columns(value) > columns:
        value = value[:-2] + "…"
    return value


def _pad(value: str, columns: int) -> str:
    return value + " " * (columns - _columns(value))
