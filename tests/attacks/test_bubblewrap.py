"""Bubblewrap as one more wall around the rooms."""

from __future__ import annotations

from pathlib import Path

import pytest
import target
from classroom import bytes_of
from nbformat.v4 import new_code_cell

from autograde.grading import Grader
from autograde.lock import LAYERS
from autograde.question import find
from autograde.room import Broken

WALL = "bwrap --ro-bind / / --dev /dev --bind /tmp /tmp --tmpfs {hidden} --unshare-net --unshare-ipc --die-with-parent"


def test_it_hides_what_landlock_hides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every layer of ours but the first left out, the hidden tests are still out of sight, and the network."""
    course = target.build(tmp_path)
    tests = find(target.SLUG, course.root).tests
    monkeypatch.setenv("AUTOGRADE_WRAPPER", WALL.format(hidden=course.root))
    notebook = target.answered(course, {})
    look = f"import os, socket\nprint(os.path.exists({str(tests)!r}), socket.if_nameindex())"
    notebook.cells.append(new_code_cell(look))
    with Grader(without=frozenset(LAYERS)) as grader:
        result = grader.grade(find(target.SLUG, course.root), bytes_of(notebook), 1)
    shown = [output["text"] for cell in result.outputs for output in cell.outputs if "text" in output]
    assert (result.score, shown[-1:]) == (8, ["False [(1, 'lo')]\n"])


def test_processes_of_their_own_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall behind which processes have other numbers is refused: what we watch and end would be another's."""
    course = target.build(tmp_path)
    monkeypatch.setenv(
        "AUTOGRADE_WRAPPER", WALL.format(hidden=course.root / "source") + " --unshare-pid --proc /proc"
    )
    with Grader() as grader, pytest.raises(Broken, match="no --unshare-pid"):
        grader.grade(find(target.SLUG, course.root), bytes_of(target.answered(course, {})), 1)
