"""A class: found, graded in parallel into the journal, recorded by nbgrader's own autograde, reported."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from autograde.crew import Task, work
from autograde.gradebook import Course, record, submitted
from autograde.journal import FILE, Journal, key
from autograde.ledger import Ledger
from autograde.lock import Limits
from autograde.question import Question, require_root, syllabus
from autograde.release import register
from autograde.report import Row
from autograde.seed import course_seed
from autograde.submission import SubmissionError
from autograde.verdict import Result


class BatchError(Exception):
    """There is nothing to grade, or not where it was looked for."""


@dataclass(frozen=True)
class Handed:
    """One submission as found: whose, of which question, and where it is (or would be)."""

    student: str
    question: Question
    path: Path


@dataclass
class Graded:
    """What one run did.

    Attributes:
        rows: by question, one row a student, in order of names.
        notes: what a person should know.
        fresh: how many were graded now; the others were in the journal.
        troubled: whether a person has to look: a broken test, a submission that could not be recorded.
    """

    rows: dict[Question, list[Row]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fresh: int = 0
    troubled: bool = False


def grade_class(
    folder: Path,
    *,
    topic: str | None = None,
    student: str | None = None,
    jobs: int | None = None,
    keep: bool = True,
    again: bool = False,
    limits: Limits | None = None,
) -> Graded:
    """Grade every submission below a `submitted` folder.

    Args:
        folder: nbgrader's submitted/; the gradebook is beside it.
        topic: one topic only.
        student: one student only.
        jobs: how many submissions at a time; None for one a core.
        keep: write gradebook and autograded/ too.
        again: grade what is in the journal once more.
        limits: what each submission may use.

    Raises:
        BatchError: nothing was found.
    """
    working = folder.resolve().parent
    root = require_root()
    graded = Graded()
    handed = list(_found(folder, root, topic, student, graded.notes))
    if not handed:
        asked = " ".join(
            f"--{name} {value}" for name, value in (("topic", topic), ("student", student)) if value
        )
        raise BatchError(f"no submission in {folder}{' for ' + asked if asked else ''}: nbgrader puts them at "
                         "submitted/<student>/<topic>/<notebook>.ipynb")  # fmt: skip
    tasks, keys = _tasks(handed, working)
    results = _graded(
        tasks, keys, Journal(working / FILE), jobs or os.cpu_count() or 1, again, limits, graded
    )
    for one in handed:
        if one in results:
            graded.rows.setdefault(one.question, []).append(Row(one.student, results[one]))
    if keep:
        _recorded(working, root, {one: keys[one] for one in handed if one in results}, again, graded)
    opened = any(v.outcome == "broken" for result in results.values() for v in result.verdicts)
    graded.troubled = graded.troubled or opened
    return graded


def _found(
    folder: Path, root: Path, topic: str | None, student: str | None, notes: list[str]
) -> Iterator[Handed]:
    topics = {row.name: rows for row, rows in syllabus(root).items()}
    if topic is not None and topic not in topics:
        raise BatchError(f"no topic '{topic}' in the syllabus: it has {', '.join(topics)}")
    if not folder.is_dir():
        raise BatchError(f"no folder {folder}: run this beside submitted/, or name it: autograde grade PATH")
    if (folder / "submitted").is_dir():
        raise BatchError(f"{folder} is not submitted/ but holds it: autograde grade {folder / 'submitted'}")
    for home in sorted(folder.iterdir()):
        if not home.is_dir() or home.name.startswith(".") or (student is not None and home.name != student):
            continue
        for assignment in sorted(home.iterdir()):
            if topic is not None and assignment.name != topic:
                continue
            if assignment.name not in topics:
                notes.append(f"{home.name}/{assignment.name}: no such topic in the syllabus, left alone")
            elif not any(assignment.glob("*.ipynb")):
                notes.append(f"{home.name}/{assignment.name}: no notebook in it, left alone")
            else:
                yield from (
                    Handed(home.name, q, assignment / f"{q.slug}.ipynb") for q in topics[assignment.name]
                )


def _tasks(handed: Sequence[Handed], working: Path) -> tuple[list[Task], dict[Handed, str]]:
    """What there is to grade, and what each result depends on."""
    seeds = {one.question: course_seed(working, one.question.slug) for one in handed}
    tasks: list[Task] = []
    keys: dict[Handed, str] = {}
    for one in handed:
        data, problem = _read(one)
        tasks.append(Task(one, one.question, data, problem, seeds[one.question]))
        # No notebook starts with a zero byte, so a problem has a key of its own.
        keys[one] = key(one.question, b"\0" + problem.encode() if data is None else data, seeds[one.question])
    return tasks, keys


def _graded(
    tasks: Sequence[Task],
    keys: Mapping[Handed, str],
    journal: Journal,
    jobs: int,
    again: bool,
    limits: Limits | None,
    graded: Graded,
) -> dict[Handed, Result]:
    known = {task.name: None if again else journal.get(keys[task.name]) for task in tasks}
    results = {one: result for one, result in known.items() if result is not None}
    todo = [task for task in tasks if task.name not in results]
    graded.fresh = len(todo)
    with _progress("grading", len(todo)) as advance:

        def done(task: Task, result: Result) -> None:
            journal.put(keys[task.name], result)
            results[task.name] = result
            advance()

        for task, why in work(todo, jobs, done, limits):
            graded.notes.append(f"{task.name.student}/{task.question.slug}: not graded, our fault: {why}")
            graded.troubled = True
    return results


def _read(one: Handed) -> tuple[bytes | None, str]:
    if not os.path.lexists(one.path):
        return None, "not handed in"
    try:
        return submitted(one.path, one.path.parent), ""
    except SubmissionError as error:
        return None, str(error)


def _recorded(working: Path, root: Path, keys: Mapping[Handed, str], again: bool, graded: Graded) -> None:
    """Have nbgrader record every student whose results are not those that it was told last."""
    by_student: dict[tuple[str, str], list[str]] = {}
    for one, name in keys.items():
        by_student.setdefault((one.question.topic, one.student), []).append(name)
    topics = list(dict.fromkeys(topic for topic, _ in by_student))
    register(root, topics, working)
    ledger, there = Ledger(working), _in_gradebook(working, topics)
    todo = [
        (topic, student, names)
        for (topic, student), names in by_student.items()
        if again or (topic, student) not in there or not ledger.holds(student, topic, names)
    ]
    try:
        with _progress("recording", len(todo)) as advance:
            for topic, student, names in todo:
                refused = record(working, topic, [student])
                for name, why in refused:
                    graded.notes.append(f"{name}/{topic}: not in the gradebook: {why}")
                    graded.troubled = True
                if not refused:
                    ledger.enter(student, topic, names)
                advance()
    finally:
        ledger.save()


def _in_gradebook(working: Path, topics: Sequence[str]) -> set[tuple[str, str]]:
    with Course(working).gradebook() as gradebook:
        return {
            (topic, one.student_id) for topic in topics for one in gradebook.assignment_submissions(topic)
        }


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar with an ETA on a terminal's standard error; nothing where nobody watches."""
    columns = (TextColumn(f"{what:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("ETA"),
               TimeRemainingColumn())  # fmt: skip
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, disable=not total or not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
