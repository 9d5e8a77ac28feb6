"""A family of attacks, each a submission of its own, graded through both commands beside the same work without it."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import target
from classroom import bytes_of, environment
from target import Target

from autograde.bench.meter import processes
from autograde.gradebook import scores

HONEST = "honest"
CLUE = "siege-was-here"  # what attacks put in the names of all that they try to leave behind
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Attack:
    """A submission that tries something.

    Attributes:
        name: what it tries.
        code: a cell at the end of the notebook; at its beginning where `first`. `{root}`, `{home}` and `{clue}`
            stand for the course, the instructor's home and what to call files.
        stopped_by: what stops it, for the table.
        first: whether the cell comes before the work and not after it.
        work: answers, by cell, that are not the course's usual ones.
        notebook: changes the notebook at last, or gives the bytes to hand in.
        files: further files of the submission, by name.
        plant: puts there what is no plain file; called with the submission's folder.
        student: who hands it in; a name is made where there is none.
        earns: points, where the attack costs what the work would have earned; None for as much as the work.
        told: a text that the result must hold: a stop by its name, a note.
        shows: a text that its cells must show, and that its code does not hold: an attack that never got to its
            point proves nothing.
    """

    name: str
    code: str = ""
    stopped_by: str = ""
    first: bool = False
    work: Mapping[str, str] = field(default_factory=dict)
    notebook: Callable[[Any], Any] = lambda notebook: notebook
    files: Mapping[str, bytes] = field(default_factory=dict)
    plant: Callable[[Path], None] = lambda _: None
    student: str = ""
    earns: float | None = None
    told: str = ""
    shows: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Fallout:
    """What both commands made of a family.

    Attributes:
        target: the course.
        students: by attack, who handed it in.
        graded: what `autograde grade --json` wrote, by student.
        stock: what `nbgrader autograde` wrote into the gradebook of a copy, by student.
        said: what our own command printed.
        stock_said: what nbgrader's commands printed.
        left: by attack, all that was written about its student: feedback, autograded notebook, rows.
        changed: what is not as it was on the machine.
    """

    target: Target
    students: dict[str, str]
    graded: dict[str, dict[str, Any]]
    stock: dict[str, float]
    said: str
    stock_said: str
    left: dict[str, str]
    changed: list[str]


class Siege:
    """The tests of a family; a subclass names its attacks.

    Attributes:
        attacks: what is handed in.
        budget: seconds for a notebook, a third of it for a call.
    """

    attacks: ClassVar[tuple[Attack, ...]] = ()
    budget: ClassVar[int] = 9

    @staticmethod
    def course(folder: Path) -> Target:
        """Build what is attacked."""
        return target.build(folder)

    # Here, not in a conftest.py: there is one in tests/, and by that name only one can be imported.
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each attack."""
        if "attack" in metafunc.fixturenames:
            metafunc.parametrize("attack", self.attacks, ids=str)

    @pytest.fixture(scope="class")
    @classmethod
    def fallout(cls, tmp_path_factory: pytest.TempPathFactory) -> Fallout:
        """What both commands made of this family."""
        return besieged(cls.course(tmp_path_factory.mktemp("siege")), cls.attacks, cls.budget)

    def test_earns_what_the_same_work_earns(
        self, attack: Attack, fallout: Fallout, record_property: Callable[[str, object], None]
    ) -> None:
        """An attack earns exactly what the same work earns without it, or less where it stops itself."""
        row = fallout.graded[fallout.students[attack.name]]
        honest = fallout.graded[fallout.students[_twin(attack)]]["score"]
        family = type(self).__name__.removeprefix("Test")
        record_property("attack", [family, attack.name, row["score"], honest, attack.stopped_by])
        assert row["score"] == (honest if attack.earns is None else attack.earns), json.dumps(row, indent=1)
        assert attack.told in json.dumps(row)
        assert attack.shows in fallout.left[attack.name], fallout.left[attack.name][-5000:]

    def test_earns_the_same_in_nbgrader(self, attack: Attack, fallout: Fallout) -> None:
        """nbgrader's own command writes the same score into the gradebook."""
        student = fallout.students[attack.name]
        assert fallout.stock[student] == fallout.graded[student]["score"]

    def test_nothing_leaks(self, attack: Attack, fallout: Fallout) -> None:
        """No secret is in the feedback, the autograded notebook, the JSON or the report."""
        found = {where for where, text in fallout.target.secrets.items() if text in fallout.left[attack.name]}
        assert not found

    def test_machine_is_as_it_was(self, fallout: Fallout) -> None:
        """No file, process or shared memory is left, and no file of the course or the home was changed."""
        assert fallout.changed == []

    def test_commands_say_what_they_should(self, fallout: Fallout) -> None:
        """No secret and no traceback of ours is in what the commands printed."""
        said = fallout.said + fallout.stock_said
        assert "Traceback" not in said
        assert not {where for where, text in fallout.target.secrets.items() if text in said}


def besieged(course: Target, attacks: Iterable[Attack], budget: int) -> Fallout:
    """Hand in every attack and its honest twin, and grade them all with both commands.

    Args:
        course: what is attacked.
        attacks: a family.
        budget: seconds for a notebook.
    """
    students = _hand_in(course, tuple(attacks))
    other = course.root.parent / "other"
    shutil.copytree(course.root, other, symlinks=True)
    for root in (course.root, other):
        for attack in attacks:
            attack.plant(root / "submitted" / students[attack.name] / course.topic)
    before = _seen(course)
    with _Watch() as watch:
        said = _run(course, course.root, budget, "autograde", "grade", "--json", "class.json", "--jobs", "2")
        stock_said = _run(course, course.root, budget, "nbgrader", "generate_feedback", course.topic)
        stock_said += _run(course, other, budget, "nbgrader", "autograde", course.topic)
    rows = json.loads((course.root / "class.json").read_text(encoding="utf-8"))[course.slug]["students"]
    graded = {row["student"]: row for row in rows}
    stock = {student: score.score for (student, _), score in scores(other, course.topic).items()}
    left = {name: _written(course, student, graded[student]) for name, student in students.items()}
    return Fallout(
        course, students, graded, stock, said, stock_said, left, watch.left + _changed(course, before)
    )


def _hand_in(course: Target, attacks: tuple[Attack, ...]) -> dict[str, str]:
    students = {}
    for number, attack in enumerate(attacks):
        for name, one in ((attack.name, attack), (_twin(attack), Attack(_twin(attack), work=attack.work))):
            if name not in students:
                students[name] = one.student or f"s{number}-{'twin' if one is not attack else 'attack'}"
                folder = course.root / "submitted" / students[name] / course.topic
                folder.mkdir(parents=True)
                (folder / f"{course.slug}.ipynb").write_bytes(_submission(course, one))
                for file, data in one.files.items():
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    (folder / file).write_bytes(data)
    return students


def _twin(attack: Attack) -> str:
    """What the same work without the attack is called: one for all who hand in the same."""
    return f"{HONEST} {hash(tuple(sorted(attack.work.items()))):x}"


def _submission(course: Target, attack: Attack) -> bytes:
    notebook = json.loads(json.dumps(target.answered(course, attack.work)))
    if attack.code:
        code = attack.code
        facts = {"root": course.root, "home": course.home, "clue": CLUE, **course.facts}
        for name, value in facts.items():
            code = code.replace(f"{{{name}}}", str(value))
        cell = {"cell_type": "code", "id": "attack", "metadata": {}, "outputs": [], "execution_count": None}
        names = [one["metadata"].get("nbgrader", {}).get("grade_id") for one in notebook["cells"]]
        last = max(names.index(name) for name in course.answers)
        at = (names.index("setup") if attack.first else last) + 1
        notebook["cells"].insert(at, {**cell, "source": code})
    made = attack.notebook(notebook)
    return made if isinstance(made, bytes) else bytes_of(made)


def _run(course: Target, folder: Path, budget: int, *command: str) -> str:
    """What a command of the instructor's printed; it must come to an end by itself."""
    ran = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment(
            HOME=str(course.home),
            TMPDIR=str(_temporary(course)),
            AUTOGRADE_BUDGET=str(budget),
            SIEGE_SECRET=course.secrets.get("environment", ""),
        ),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        errors="replace",
    )
    assert ran.returncode in (0, 1), ran.stderr[-3000:]
    return ran.stdout + ran.stderr


def _temporary(course: Target) -> Path:
    folder = course.root.parent / "tmp"
    folder.mkdir(exist_ok=True)
    return folder


def _written(course: Target, student: str, row: dict[str, Any]) -> str:
    """All that a learner may be shown, as one text."""
    texts = [json.dumps(row, ensure_ascii=False)]
    for folder in ("feedback", "autograded"):
        found = (course.root / folder / student).rglob("*")
        texts += [path.read_text("utf-8", "replace") for path in found if path.is_file()]
    return "\n".join(texts)


def _seen(course: Target) -> dict[Path, bytes]:
    """The files that grading has no business with: the course's own, what was handed in, the home."""
    kept = [course.root / name for name in ("autograde", "source", "release", "submitted")]
    found = [path for top in kept for path in top.rglob("*")] + list(course.home.glob("*.txt"))
    files = (path for path in found if path.is_file() and not path.is_symlink() and path.suffix != ".pyc")
    return {path: path.read_bytes() for path in files}


def _changed(course: Target, before: dict[Path, bytes]) -> list[str]:
    """What was changed, and what was left behind anywhere."""
    after = _seen(course)
    found = [str(path) for path in before | after if before.get(path) != after.get(path)]
    found += [str(path) for path in _temporary(course).iterdir()]
    clue = f"*{CLUE}*"
    found += [str(path) for top in (course.root.parent, course.home) for path in top.rglob(clue)]
    for top in ("/", "/tmp", "/dev/shm", "/var/tmp", "/dev/mqueue"):
        found += [str(path) for path in Path(top).glob(clue)]
    return found


class _Watch:
    """Sees processes that outlive the commands: as their nearest ancestor, this one is given them.

    Attributes:
        left: the command lines of those, known at the end. They are ended.
    """

    def __enter__(self) -> _Watch:
        self.left: list[str] = []
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._before = _children()
        return self

    def __exit__(self, *_: object) -> None:
        deadline = time.monotonic() + 30  # what is ending may end, on a busy machine too
        while (new := _children() - self._before) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in new:
            self.left.append(Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").replace("\0", " "))
            os.kill(pid, signal.SIGKILL)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _children() -> set[int]:
    """The processes that this one is the parent of and that still run; those that have ended are reaped."""
    ours = [pid for pid, row in processes().items() if row.parent == os.getpid()]
    return {pid for pid in ours if not os.waitpid(pid, os.WNOHANG)[0]}
