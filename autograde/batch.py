"""A class: found, graded in parallel into the journal, recorded by nbgrader's own autograde, reported."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograde.crew import Task, work
from autograde.errors import Explained
from autograde.gradebook import submitted
from autograde.journal import FILE, Journal, key
from autograde.lock import Limits
from autograde.progress import progress
from autograde.question import Question, require_root, syllabus
from autograde.recorder import Recorder
from autograde.report import Row
from autograde.seed import course_seed
from autograde.submission import SubmissionError
from autograde.verdict import Result

PER_WORKER = 4  # submissions below which another worker does not pay


class BatchError(Explained):
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
    seed: int | None = None,
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
        seed: in place of the course's own secret.
        limits: what each submission may use.

    Raises:
        BatchError: nothing was found.
    """
    working = folder.resolve().parent
    root = require_root(working)
    graded = Graded()
    handed = list(_found(folder, root, topic, student, graded.notes))
    if not any(_has_notebook(one) for one in handed):
        asked = " ".join(
            f"--{name} {value}" for name, value in (("topic", topic), ("student", student)) if value
        )
        raise BatchError(f"no submission in {folder}{' for ' + asked if asked else ''}: nbgrader puts them at "
                         "submitted/<student>/<topic>/<notebook>.ipynb")  # fmt: skip
    tasks, keys = _tasks(handed, working, seed)
    results = _graded(tasks, keys, Journal(working / FILE), jobs, again, limits, graded)
    for one in handed:
        if one in results:
            graded.rows.setdefault(one.question, []).append(Row(one.student, results[one]))
    if keep:
        students = _students(handed, results, keys)
        graded.troubled |= Recorder(folder, root, seed).record(students, again, graded.notes)
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
            elif assignment.is_dir():
                yield from (
                    Handed(home.name, q, assignment / f"{q.slug}.ipynb") for q in topics[assignment.name]
                )


def _has_notebook(one: Handed) -> bool:
    return any(one.path.parent.glob("*.ipynb"))


def _students(
    handed: Sequence[Handed], results: Mapping[Handed, Result], keys: Mapping[Handed, str]
) -> dict[tuple[str, str], list[str]]:
    """The keys of each student's results; a folder without any notebook is nothing that nbgrader takes."""
    students: dict[tuple[str, str], list[str]] = {}
    for one in handed:
        if one in results and _has_notebook(one):
            students.setdefault((one.question.topic, one.student), []).append(keys[one])
    return students


def _tasks(handed: Sequence[Handed], working: Path, seed: int | None) -> tuple[list[Task], dict[Handed, str]]:
    """What there is to grade, and what each result depends on."""
    seeds = {one.question: course_seed(working, one.question.slug, seed) for one in handed}
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
    jobs: int | None,
    again: bool,
    limits: Limits | None,
    graded: Graded,
) -> dict[Handed, Result]:
    known = {task.name: None if again else journal.get(keys[task.name]) for task in tasks}
    results = {one: result for one, result in known.items() if result is not None}
    todo = [task for task in tasks if task.name not in results]
    graded.fresh = len(todo)
    # A worker costs some seconds to warm up: for a few submissions one is the fastest.
    count = jobs or min(os.cpu_count() or 1, -(-len(todo) // PER_WORKER))

    def missing(layers: dict[str, str]) -> None:
        named = ", ".join(f"{name} ({why})" for name, why in layers.items())
        note = f"graded WITHOUT {named}: see `autograde doctor`"
        if note not in graded.notes:
            graded.notes.append(note)

    with progress("grading", len(todo)) as advance:

        def done(task: Task, result: Result) -> None:
            journal.put(keys[task.name], result)
            results[task.name] = result
            advance()

        for task, why in work(todo, count, done, limits, missing=missing):
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
