"""Whatever is handed in, by accident or not: it is told what is wrong with it, and the class is graded."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import classroom
import nbformat
import pytest
from classroom import HALF, TOPIC, WRONG, solved, submit, tree
from malformed import KINDS, cases
from malformed_case import NONE, SLUG, Case, Good

from autograde.gradebook import scores
from autograde.handin import shown
from autograde.release import register

SEED = "5"
HONEST = {
    "right": None,
    "wrong": WRONG,
    "half": HALF,
}  # the code of those around them; None for a right answer
DO = re.compile(
    r"hand in|hand that in|rename it|delete|save it|settle|unpack|download|change its permissions|what is graded is"
)


def without_privileges() -> None:
    """Have permissions bind this process, also where it is root: give up what overrides them."""
    prctl = ctypes.CDLL(None).prctl
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: gone with the next exec


def command(root: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody who may not read everything."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=root,
        env=classroom.environment(AUTOGRADE_SEED=SEED),
        preexec_fn=without_privileges,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def hand_in(root: Path, chosen: list[tuple[str, str, Case]]) -> None:
    """Hand in for those around, and for the chosen ones."""
    for student, code in HONEST.items():
        submit(root, student, double_it=solved(root, SLUG, code))
    for _, student, case in chosen:
        folder = root / "submitted" / student / TOPIC
        folder.mkdir(parents=True)
        case.put(folder)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny course with its release, nobody's submissions."""
    return classroom.course(tmp_path_factory.mktemp("course") / "course")


@pytest.fixture(scope="module")
def everyone(course: Path) -> list[tuple[str, str, Case]]:
    """Every malformed submission: its kind, whose it is, and the case."""
    return list(cases(Good(json.loads(json.dumps(solved(course, SLUG))))))


def graded(course: Path, root: Path, chosen: list[tuple[str, str, Case]]) -> SimpleNamespace:
    """A class graded by one `autograde grade`: JSON rows, gradebook, autograded/, and what was said."""
    shutil.copytree(course, root)
    hand_in(root, chosen)
    done = command(root, "autograde", "grade", "--json", "class.json", "--jobs", "2")
    data = json.loads((root / "class.json").read_text(encoding="utf-8"))
    rows = {row["student"]: row for row in data[SLUG]["students"]}
    return SimpleNamespace(root=root, done=done, rows=rows, scores=scores(root, TOPIC), tree=tree(root))


@pytest.fixture(scope="module")
def broken(
    course: Path, everyone: list[tuple[str, str, Case]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """One class of all malformed submissions and a few honest ones, graded by one command."""
    root = tmp_path_factory.mktemp("broken") / "course"
    yield graded(course, root, everyone)
    for _, student, _ in everyone:  # folders that may not be entered can't be removed either
        (root / "submitted" / student).chmod(0o700)
        (root / "submitted" / student / TOPIC).chmod(0o700)


def of_kind(kind: str, everyone: list[tuple[str, str, Case]]) -> list[tuple[str, Case]]:
    """The cases of a kind, with whose they are."""
    found = [(student, case) for its, student, case in everyone if its == kind]
    assert found
    return found


def lines_about(student: str, broken: SimpleNamespace) -> list[str]:
    """What the command said of a student, line by line."""
    starts = (f"note: {shown(student)}/", f"note: '{shown(student)}':")
    return [line for line in broken.done.stderr.splitlines() if line.startswith(starts)]


def told(student: str, broken: SimpleNamespace) -> str:
    """All that is said of a submission: by the command, and on its card."""
    row: dict[str, Any] = broken.rows.get(student, {"problem": "", "notes": [], "stops": [], "tests": {}})
    on_card = [
        row["problem"],
        *row["notes"],
        *row["stops"],
        *(test["message"] for test in row["tests"].values()),
    ]
    return "\n".join([*on_card, *lines_about(student, broken)])


def test_there_are_at_least_500(everyone: list[tuple[str, str, Case]]) -> None:
    """The class has at least 500 malformed submissions, each of a student of its own."""
    assert len({student for _, student, _ in everyone}) == len(everyone) >= 500


@pytest.mark.parametrize("kind", KINDS)
def test_each_earns_what_it_is_due(
    broken: SimpleNamespace, everyone: list[tuple[str, str, Case]], kind: str
) -> None:
    """Work that can be read earns its points and anything else none, in the table and in the gradebook."""
    found = of_kind(kind, everyone)
    due = {(student, case.what): case.earns for student, case in found}
    earned = {(s, case.what): broken.rows[s]["score"] if s in broken.rows else None for s, case in found}
    assert earned == due
    recorded = {(s, case.what): broken.scores[s, SLUG].score for s, case in found if case.recorded}
    assert recorded == {(s, case.what): case.earns for s, case in found if case.recorded}
    assert not any(
        (s, SLUG) in broken.scores and broken.scores[s, SLUG].score for s, case in found if not case.recorded
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_told_what_to_do(
    broken: SimpleNamespace, everyone: list[tuple[str, str, Case]], kind: str
) -> None:
    """What could not be read has a line that names the file, what is wrong with it and what to do."""
    for student, case in of_kind(kind, everyone):
        assert case.says in told(student, broken), case.what
        if case.earns is None or broken.rows[student]["problem"] not in ("", "not handed in"):
            assert any(DO.search(line) for line in lines_about(student, broken)), case.what
        if case.earns is not None and broken.rows[student]["problem"] not in ("", "not handed in"):
            named = f"note: {student}/{TOPIC}/{SLUG}.ipynb: {broken.rows[student]['problem']}"
            assert named in lines_about(student, broken), case.what
        if case.earns == NONE:
            assert told(student, broken).strip(), case.what


def test_nothing_of_ours_breaks(broken: SimpleNamespace) -> None:
    """The command says line by line what a person should look at, and shows no traceback."""
    assert broken.done.returncode == 1
    lines = broken.done.stderr.splitlines()
    assert [line for line in lines if not line.startswith("note: ")] == []
    assert "Traceback" not in broken.done.stdout
    assert not any("our fault" in line or re.search(r"not in the gradebook: .*Error", line) for line in lines)


def test_class_around_them_is_graded_alike(broken: SimpleNamespace, course: Path, tmp_path: Path) -> None:
    """Those around malformed submissions have the results, scores and files that they have alone."""
    alone = graded(course, tmp_path / "course", [])
    assert set(alone.rows) == set(HONEST)
    assert [alone.rows[student]["score"] for student in HONEST] == [9, 0, 7]
    for student in HONEST:
        # Who else fails alike is told of each; among so many there is one.
        assert broken.rows[student] | {"fails_like": []} == alone.rows[student]
        assert broken.scores[student, SLUG] == alone.scores[student, SLUG]
    assert {path: data for path, data in broken.tree.items() if path.split("/")[0] in HONEST} == alone.tree


def test_what_is_kept_is_a_notebook(broken: SimpleNamespace) -> None:
    """Every notebook in autograded/ is valid, has the released cells, and says where it could not be graded."""
    kept = {path: data for path, data in broken.tree.items() if path.endswith(f"/{SLUG}.ipynb")}
    assert len(kept) > 450
    for path, data in kept.items():
        notebook = nbformat.reads(data.decode("utf-8"), as_version=4)
        nbformat.validate(notebook)
        refused = broken.rows[path.split("/")[0]]["problem"]
        assert ("could not be graded" in notebook.cells[0].source) == bool(refused)
        assert (refused or "# double_it") in "\n".join(cell.source for cell in notebook.cells)


def test_stock_command_agrees(
    broken: SimpleNamespace, course: Path, everyone: list[tuple[str, str, Case]], tmp_path: Path
) -> None:
    """`nbgrader autograde` on one submission of each kind leaves the same scores and, byte for byte, the same files."""
    some = {kind: (kind, student, case) for kind, student, case in reversed(everyone) if case.recorded}
    root = tmp_path / "course"
    shutil.copytree(course, root)
    hand_in(root, list(some.values()))
    register(root, [TOPIC], root)
    done = command(root, "nbgrader", "autograde", TOPIC)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    students = {student for _, student, _ in some.values()}
    assert len(students) >= 30
    ours = {key: score for key, score in broken.scores.items() if key[0] in students | set(HONEST)}
    assert scores(root, TOPIC) == ours
    assert tree(root) == {
        path: data for path, data in broken.tree.items() if path.split("/")[0] in students | set(HONEST)
    }
