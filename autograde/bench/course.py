"""What is graded: the submissions of a class, and a course of one question that they are handed in to."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograde import mistakes, submission
from autograde.errors import Explained
from autograde.mistakes import Change
from autograde.question import SYLLABUS, Question, syllabus
from autograde.seed import VARIABLE
from autograde.submission import kind_of

SEED = "1"
CELLS = "cells.json"
CONFIG = "nbgrader_config.py"
STOCK = "c = get_config()\n"
OURS = "from autograde import configure\n\nc = get_config()\nconfigure(c)\n"

ENTRY = """
[{topic}]
title = {topic_title}

[{topic}.questions.{slug}]
title = {title}
difficulty = {difficulty}
minutes = {minutes}
"""


class BenchError(Explained):
    """A side could not do its work, or can't be measured here."""


@dataclass(frozen=True)
class Student:
    """One submission.

    Attributes:
        name: nbgrader's student.
        about: what was handed in: the reference, a variant or a mistake.
        data: the notebook.
    """

    name: str
    about: str
    data: bytes


def students(question: Question, count: int) -> list[Student]:
    """So many submissions, right and wrong ones in turn: the reference, variants and mistakes, from the first again.

    Args:
        question: what they answer.
        count: how many.
    """
    right = [("the reference", None), *((f"variant {c.name}", c) for c in mistakes.variants(question))]
    wrong = [(f"mistake {c.name}", c) for c in mistakes.mistakes(question)] or right
    turns = itertools.chain.from_iterable(zip(itertools.cycle(right), itertools.cycle(wrong), strict=False))
    return [
        Student(f"s{number:04}", about, _one(question, change, number))
        for number, (about, change) in enumerate(itertools.islice(turns, count))
    ]


def _one(question: Question, change: Change | None, number: int) -> bytes:
    notebook = mistakes.solved(question, *([change] if change else []))
    # A cell of its own makes each file another: nothing may be answered from a journal.
    own = {"cell_type": "markdown", "id": f"own-{number}", "metadata": {}, "source": f"student {number}"}
    notebook["cells"].append(own)
    return json.dumps(notebook).encode()


def build(question: Question, folder: Path, config: str) -> None:
    """A checkout and course with this question alone, known to its gradebook; nobody has handed in.

    Args:
        question: the question.
        folder: made here.
        config: STOCK, whose check cells run the hidden tests in the kernel, or OURS.

    Raises:
        BenchError: nbgrader does not take the question.
    """
    title = next(topic.title for topic in syllabus(question.root) if topic.name == question.topic)
    texts = {"topic_title": json.dumps(title), "title": json.dumps(question.title)}
    numbers = {"difficulty": question.difficulty, "minutes": question.minutes}
    (folder / SYLLABUS).parent.mkdir(parents=True)
    (folder / SYLLABUS).write_text(
        ENTRY.format(topic=question.topic, slug=question.slug, **texts, **numbers), encoding="utf-8"
    )
    hidden = folder / question.folder.relative_to(question.root)
    shutil.copytree(question.folder, hidden, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / CONFIG).write_text(config, encoding="utf-8")
    source = folder / question.source.relative_to(question.root)
    source.parent.mkdir(parents=True)
    source.write_text(
        json.dumps(_stock(question) if config == STOCK else question.source_notebook), encoding="utf-8"
    )
    _nbgrader(folder, "generate_assignment", question.topic)


def _stock(question: Question) -> dict[str, Any]:
    """The question as stock nbgrader can grade it: another `check`, which ends with the points as a float."""
    notebook = mistakes.solved(question)
    for cell in notebook["cells"]:
        if kind_of(cell) == "check":
            cell["source"] = "from autograde.bench.kernel import check\n" + "".join(cell["source"])
    return notebook


def hand_in(question: Question, folder: Path, handed: Iterable[Student]) -> None:
    """Put submissions where nbgrader collects them."""
    for student in handed:
        home = folder / "submitted" / student.name / question.topic
        home.mkdir(parents=True)
        (home / f"{question.slug}.ipynb").write_bytes(student.data)


def lay_out(question: Question, folder: Path, handed: Sequence[Student]) -> None:
    """Write the sources of everybody's cells, for the floor: those that grading runs."""
    read = [submission.read(student.data, question.release_notebook) for student in handed]
    (folder / CELLS).write_text(
        json.dumps([[cell.source for cell in one.cells] for one in read]), encoding="utf-8"
    )


def environment(folder: Path) -> dict[str, str]:
    """The environment of every command: this course and a fixed seed, nothing of the user's own Jupyter."""
    own = {name: text for name, text in os.environ.items() if not name.startswith(("JUPYTER", "NBGRADER"))}
    # nbgrader runs `alembic` by its bare name.
    path = os.pathsep.join((sysconfig.get_path("scripts"), own.get("PATH", os.defpath)))
    return own | {
        VARIABLE: SEED,
        "AUTOGRADE_COURSE": str(folder),
        "PATH": path,
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_CONFIG_DIR": str(folder / ".jupyter"),
        "IPYTHONDIR": str(folder / ".ipython"),
    }


def _nbgrader(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(  # noqa: S603  our own interpreter
        command, cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    if done.returncode:
        raise BenchError(f"nbgrader {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
