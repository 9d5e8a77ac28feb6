"""Whatever is handed in, by accident or not: it is told what is wrong with it, and the class is graded."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import classroom
import nbformat
import pytest
from classroom import HALF, TOPIC, WRONG, solved, submit, tree
from malformed import KINDS, Handed, handed
from malformed_case import NONE, SLUG, Good

from autograde.gradebook import scores
from autograde.handin import shown
from autograde.release import register

SEED = "5"
# The code of those around them; None for a right answer.
HONEST = {"right": None, "wrong": WRONG, "half": HALF}
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
        timeout=900,
        check=False,
    )


def hand_in(root: Path, chosen: list[Handed]) -> None:
    """Hand in for those around, and for the chosen ones."""
    for student, code in HONEST.items():
        submit(root, student, double_it=solved(root, SLUG, code))
    for _, student, case in chosen:
        folder = root / "submitted" / student / TOPIC
        folder.mkdir(parents=True, exist_ok=True)
        case.put(folder)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny course with its release, nobody's submissions."""
    return classroom.course(tmp_path_factory.mktemp("course") / "course")


@pytest.fixture(scope="module")
def everyone(course: Path) -> list[Handed]:
    """Every malformed submission."""
    return list(handed(Good(json.loads(json.dumps(solved(course, SLUG))))))


def graded(course: Path, root: Path, chosen: list[Handed]) -> SimpleNamespace:
    """A class graded by one `autograde grade`: JSON rows, gradebook, autograded/, and what was said."""
    shutil.copytree(course, root)
    hand_in(root, chosen)
    done = command(root, "autograde", "grade", "--json", "class.json")
    data = json.loads((root / "class.json").read_text(encoding="utf-8"))
    rows = {(row["student"], slug): row for slug, table in data.items() for row in table["students"]}
    return SimpleNamespace(done=done, rows=rows, scores=scores(root, TOPIC), tree=tree(root))


@pytest.fixture(scope="module")
def broken(
    course: Path, everyone: list[Handed], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """One class of all malformed submissions and a few honest ones, graded by one command."""
    root = tmp_path_factory.mktemp("broken") / "course"
    yield graded(course, root, everyone)
    for _, student, _ in everyone:  # folders that may not be entered can't be removed either
        (root / "submitted" / student).chmod(0o700)
        (root / "submitted" / student / TOPIC).chmod(0o700)


def lines_about(one: Handed, broken: SimpleNamespace) -> list[str]:
    """What the command said of a submission, or of the folder that it is in, line by line."""
    name = shown(one.student)
    starts = (f"note: {name}/{TOPIC}/{one.case.slug}.ipynb:", f"note: {name}/{TOPIC}:", f"note: '{name}':")
    return [line for line in broken.done.stderr.splitlines() if line.startswith(starts)]


def told(one: Handed, broken: SimpleNamespace) -> str:
    """All that is said of a submission: by the command, and on its card."""
    row: dict[str, Any] | None = broken.rows.get((one.student, one.case.slug))
    messages = [test["message"] for test in row["tests"].values()] if row else []
    on_card = [row["problem"], *row["notes"], *row["stops"], *messages] if row else []
    return "\n".join([*on_card, *lines_about(one, broken)])


def test_there_are_at_least_500(everyone: list[Handed]) -> None:
    """The class has at least 500 malformed submissions, each a file of its own."""
    assert len({(one.student, one.case.slug) for one in everyone}) == len(everyone) >= 500


@pytest.mark.parametrize("kind", KINDS)
def test_each_earns_what_it_is_due(broken: SimpleNamespace, everyone: list[Handed], kind: str) -> None:
    """Work that can be read earns its points and anything else none, in the table and in the gradebook."""
    due, earned, recorded = {}, {}, {}
    for one in everyone:
        if one.kind == kind:
            key = one.student, one.case.slug
            due[one.case.what] = (one.case.earns, one.case.earns if one.case.recorded else 0)
            earned[one.case.what] = broken.rows[key]["score"] if key in broken.rows else None
            recorded[one.case.what] = broken.scores[key].score if key in broken.scores else 0
    assert due
    assert {what: (earned[what], recorded[what]) for what in due} == due


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_told_what_to_do(broken: SimpleNamespace, everyone: list[Handed], kind: str) -> None:
    """What could not be read has a line that names the file, what is wrong with it and what to do."""
    for one in everyone:
        if one.kind != kind:
            continue
        assert one.case.says in told(one, broken), one.case.what
        assert one.case.earns != NONE or told(one, broken), one.case.what
        problem = broken.rows.get((one.student, one.case.slug), {"problem": ""})["problem"]
        lines = lines_about(one, broken)
        if problem not in ("", "not handed in"):
            named = f"note: {one.student}/{TOPIC}/{one.case.slug}.ipynb: {problem}"
            assert named in lines, one.case.what
            assert DO.search(problem), one.case.what
        elif not one.case.recorded and not problem:
            assert any(DO.search(line) for line in lines), one.case.what


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
    assert [alone.rows[student, SLUG]["score"] for student in HONEST] == [9, 0, 7]
    # Who else fails alike is told of each; among so many there is one.
    assert {key: broken.rows[key] | {"fails_like": []} for key in alone.rows} == alone.rows
    assert {key: broken.scores[key] for key in alone.scores} == alone.scores
    assert of(HONEST, broken.tree) == alone.tree


def of(students: Iterable[str], files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of these students, of those in autograded/."""
    return {path: data for path, data in files.items() if path.split("/")[0] in students}


def test_what_is_kept_is_a_notebook(broken: SimpleNamespace) -> None:
    """Every notebook in autograded/ is valid, has the released cells, and says where it could not be graded."""
    kept = {key: broken.tree.get("{}/warmup/{}.ipynb".format(*key)) for key in broken.rows}
    assert len([data for data in kept.values() if data]) > 450
    for (student, slug), data in kept.items():
        if data is None:  # not handed in
            continue
        notebook = nbformat.reads(data.decode("utf-8"), as_version=4)
        nbformat.validate(notebook)
        refused = broken.rows[student, slug]["problem"]
        text = "\n".join(cell.source for cell in notebook.cells)
        assert f"# {slug}" in text
        assert ("could not be graded" in text) == bool(refused)
        assert refused in text


def test_stock_command_agrees(
    broken: SimpleNamespace, course: Path, everyone: list[Handed], tmp_path: Path
) -> None:
    """`nbgrader autograde` on one of each kind leaves the same scores and, byte for byte, the same files."""
    some = {one.kind: one.student for one in reversed(everyone) if one.case.recorded}
    students = {*some.values(), *HONEST}
    assert len(some) >= 30
    root = tmp_path / "course"
    shutil.copytree(course, root)
    hand_in(root, [one for one in everyone if one.student in students])
    register(root, [TOPIC], root)
    done = command(root, "nbgrader", "autograde", TOPIC)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert scores(root, TOPIC) == {key: score for key, score in broken.scores.items() if key[0] in students}
    assert tree(root) == of(students, broken.tree)
