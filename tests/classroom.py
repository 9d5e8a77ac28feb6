"""A class that hands in: learners' notebooks of the tiny course, right, wrong, odd and broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import tiny_course
from tiny_course import TOPIC, cell_of, solved, submit

from autograde.gradebook import Course
from autograde.release import make_release

WRONG = "def double_it(x):\n    return 2 + x"
HALF = "def double_it(x):\n    return 2 * x if x > 0 else 0"
HANG = "def double_it(x):\n    while True:\n        pass"


def course(root: Path) -> Path:
    """The tiny course with its release."""
    tiny_course.build(root)
    make_release(root)
    return root


def complete(root: Path) -> Path:
    """The tiny course with its release and its solutions, these not executed: a kernel takes seconds."""
    Course(course(root)).solve(TOPIC, execute=False)
    return root


def everybody(root: Path) -> None:
    """Hand in for a small class: every odd submission that a real class has."""
    right = {slug: solved(root, slug) for slug in tiny_course.QUESTIONS}
    submit(root, "ann", **right)
    submit(root, "bob", double_it=solved(root, "double_it", WRONG), add_up=right["add_up"])
    submit(root, "cara half", double_it=solved(root, "double_it", HALF), add_up=right["add_up"])
    submit(root, "Žofie Øst", double_it=right["double_it"], add_up=b"")
    submit(root, "dan", double_it=b'{"cells": [', add_up=right["add_up"])
    submit(root, "fay", add_up=right["add_up"])
    (root / "submitted" / "fay" / TOPIC / "double_it.ipynb").mkdir()
    submit(root, "gus", add_up=right["add_up"])
    (root / "submitted" / "gus" / TOPIC / "timestamp.txt").write_text(
        "2026-01-02 12:00:00 UTC\n", encoding="utf-8"
    )
    (root / "submitted" / "gus" / "cooking").mkdir()


def environment(**extra: str) -> dict[str, str]:
    """The environment of a command: nothing of the test run's own settings for the course."""
    plain = {k: v for k, v in os.environ.items() if k not in ("AUTOGRADE_COURSE", "AUTOGRADE_SEED")}
    return {**plain, "JUPYTER_PLATFORM_DIRS": "1", "COLUMNS": "100", **extra}


def command(
    root: Path, *arguments: str, module: str = "autograde", **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m autograde …` (or another module) in a folder and wait for it."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=root,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def copied(root: Path, to: Path) -> Path:
    """A copy of a course to spoil."""
    shutil.copytree(root, to, symlinks=True)
    return to


def tree(root: Path) -> dict[str, bytes]:
    """Every file in autograded/, with its bytes."""
    folder = root / "autograded"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def bytes_of(notebook: Any) -> bytes:
    """A notebook as a file."""
    return json.dumps(notebook).encode()


def write_source(path: Path, name: str, source: str) -> None:
    """Put other code or text into one cell of a notebook on the disk."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = cell_of_json(notebook, name)
    cell["source"] = source
    path.write_text(json.dumps(notebook, indent=1), encoding="utf-8")


def cell_of_json(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """The cell with this grade_id, in plain JSON."""
    found: dict[str, Any] = next(
        cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == name
    )
    return found


__all__ = [
    "HALF", "HANG", "TOPIC", "WRONG", "bytes_of", "cell_of", "cell_of_json", "command", "copied", "course",
    "environment", "everybody", "solved", "submit", "tree", "write_source",
]  # fmt: skip
