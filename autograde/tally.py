"""A class counted: how often each test was passed, which mistakes were made, who fails alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autograde.verdict import Outcome, Result, Verdict


@dataclass(frozen=True)
class Row:
    """One student's result for one question."""

    student: str
    result: Result


@dataclass(frozen=True)
class Test:
    """One hidden test over the class; `ran` leaves out who could not be tested."""

    name: str
    says: str
    passed: int
    ran: int
    number: int

    @property
    def share(self) -> float | None:
        """The part of those tested who passed; None where nobody was."""
        return self.passed / self.ran if self.ran else None


def tests_of(rows: Sequence[Row]) -> list[Test]:
    """Every test that any student was given, in the order of the file."""
    verdicts: dict[str, list[Verdict]] = {}
    for row in sorted(rows, key=lambda r: -len(r.result.verdicts)):
        for verdict in row.result.verdicts:
            verdicts.setdefault(verdict.test, []).append(verdict)
    return [
        Test(
            name=name,
            says=next((v.says for v in said if v.says), name),
            passed=sum(v.outcome is Outcome.PASSED for v in said),
            ran=sum(not v.outcome.is_open for v in said),
            number=number,
        )
        for number, (name, said) in enumerate(verdicts.items(), start=1)
    ]


def failing_alike(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Signature to students, of those who fail alike and whose mistake is not known."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row.result.signature and not row.result.recognised:
            groups.setdefault(row.result.signature, []).append(row.student)
    return {signature: students for signature, students in groups.items() if len(students) > 1}


def mistake_counts(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """How many students made each recognised mistake, the most frequent first."""
    counts = Counter(name for row in rows for name in {r.mistake for r in row.result.recognised})
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def mistakes_by_task(rows: Sequence[Row]) -> dict[str | None, list[tuple[str, int]]]:
    """The same by task, in the order of the tests."""
    tasks = {r.mistake: r.task for row in rows for r in row.result.recognised}
    order = dict.fromkeys(v.task for row in rows for v in row.result.verdicts)
    counts = mistake_counts(rows)
    by_task = {
        task: [(name, n) for name, n in counts if tasks[name] == task]
        for task in (*order, *(set(tasks.values()) - set(order)))
    }
    return {task: found for task, found in by_task.items() if found}


def scores_of(rows: Sequence[Row]) -> list[float]:
    """The scores of those who could be graded."""
    return [row.result.score for row in rows if not row.result.problem]
