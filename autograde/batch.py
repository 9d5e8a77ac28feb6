"""A class: found, graded in parallel into the journal, recorded by nbgrader's own autograde as results come."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autograde.crew import Crew
from autograde.handin import HandInError, handed_in
from autograde.journal import FILE, Journal
from autograde.lock import Limits
from autograde.progress import progress
from autograde.question import Question, require_root
from autograde.report import Row
from autograde.roll import Roll, Who
from autograde.scratch import temporaries
from autograde.seed import FILE as SEED
from autograde.seed import is_lost
from autograde.verdict import Result

if TYPE_CHECKING:
    from autograde.recorder import Recorder

PER_WORKER = 4  # submissions below which another worker does not pay


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
        HandInError: nothing was found.
    """
    working = folder.resolve().parent
    root = require_root(working)
    graded = Graded()
    closed: list[str] = []
    handed = list(handed_in(folder, root, topic, student, graded.notes, closed))
    graded.notes += closed
    graded.troubled = bool(closed)
    if not any(one.exists for one in handed):
        asked = " ".join(
            f"--{name} {value}" for name, value in (("topic", topic), ("student", student)) if value
        )
        raise HandInError(f"no submission in {folder}{' for ' + asked if asked else ''}: nbgrader puts them at "
                          "submitted/<student>/<topic>/<notebook>.ipynb")  # fmt: skip
    journal = Journal(working / FILE)
    if seed is None and journal.path.exists() and is_lost(working):
        graded.notes.append(f"{working / SEED} is gone: a new seed is made and everybody is graded again; to have the "
                            "old results back, put the old file back and run the same command again")  # fmt: skip
    roll = Roll(handed, working, seed)
    damaged = journal.compact()
    if damaged:
        graded.notes.append(
            f"{journal.path}: damaged lines left out ({damaged}): what they held is graded again"
        )
    if not again:
        roll.results |= {key: result for key in roll.tasks if (result := journal.get(key)) is not None}
    todo = [task for key, task in roll.tasks.items() if key not in roll.results]
    graded.fresh = len(todo)
    # A worker costs some seconds to warm up: for a few submissions one is the fastest.
    count = jobs or min(os.cpu_count() or 1, -(-len(todo) // PER_WORKER))
    with (
        # First: nbgrader is read in while it warms up. The journal does not wait for that.
        Crew(
            todo,
            count,
            working,
            limits,
            lambda task, result: journal.put(task.name, result),
        ) as crew,
        temporaries("record"),
        _recorder(folder, root, roll, seed, again) if keep else nullcontext() as recorder,
    ):
        _work(crew, roll, recorder, graded)
    graded.rows = roll.rows()
    graded.notes += roll.problems()
    opened = any(v.outcome == "broken" for result in roll.results.values() for v in result.verdicts)
    graded.troubled = graded.troubled or opened
    return graded


def _recorder(folder: Path, root: Path, roll: Roll, seed: int | None, again: bool) -> Recorder:
    # Here, not above: it imports nbgrader, for which the workers need not wait.
    from autograde.recorder import Recorder

    return Recorder(folder, root, roll.topics, seed=seed, again=again)


def _work(crew: Crew, roll: Roll, recorder: Recorder | None, graded: Graded) -> None:
    """Grade what is to be graded, and record everybody: each as soon as all of theirs is there."""

    def record(who: Who) -> None:
        keys = roll.keys(who)
        if recorder is not None and keys and (why := recorder.record(*who, keys)):
            graded.notes.append(why)
            graded.troubled = True

    before = roll.settled()
    with progress("grading", len(crew)) as advance:
        for key, answer in crew:
            if isinstance(answer, Result):
                roll.results[key] = answer
            else:
                roll.failed.add(key)
                graded.notes += [f"{name}: not graded, our fault: {answer}" for name in roll.names(key)]
                graded.troubled = True
            for who in roll.settled(key):
                record(who)
            advance()
    with progress("recording", len(before) if recorder is not None else 0) as advance:
        for who in before:
            record(who)
            advance()
    if crew.missing:
        named = ", ".join(f"{name} ({why})" for name, why in crew.missing.items())
        graded.notes.append(f"graded WITHOUT {named}: see `autograde doctor`")
