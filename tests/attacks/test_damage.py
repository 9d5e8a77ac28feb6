"""A gradebook, journal or seed that is locked, damaged or gone: one line of what to do, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import calamity
import classroom
import psutil
import pytest
from calamity import keys
from classroom import HALF, TOPIC, WRONG, solved, submit, tree

from autograde.batch import grade_class
from autograde.cli import main
from autograde.gradebook import Course
from autograde.journal import FILE
from autograde.ledger import FILE as LEDGER
from autograde.release import register
from autograde.scratch import sweep
from autograde.seed import FILE as SEED

AGAIN = "then run the same command again: nothing that was graded is lost\n"
OTHER_VERSION = (
    b'{"key": "0f", "result": {"slug": "double_it", "verdicts": [{"outcome": "won"}], "stars": 5}}\n'
)


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A class of three, graded, and what that left."""
    root = classroom.course(tmp_path_factory.mktemp("damage") / "course")
    for name, code in (("ann", None), ("bob", WRONG), ("cora", HALF)):
        submit(root, name, double_it=solved(root, "double_it", code))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("AUTOGRADE_SEED", raising=False)
        patch.delenv("AUTOGRADE_COURSE", raising=False)
        grade_class(root / "submitted", jobs=1)
    return SimpleNamespace(root=root, outcome=outcome(root))


@pytest.fixture
def root(graded: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the graded class to damage, as the working folder."""
    copy = classroom.copied(graded.root, tmp_path / "course")
    monkeypatch.chdir(copy)
    monkeypatch.delenv("AUTOGRADE_SEED", raising=False)
    monkeypatch.delenv("AUTOGRADE_COURSE", raising=False)
    return copy


def outcome(root: Path) -> tuple[list[str], dict[str, bytes], list[str]]:
    """Gradebook, autograded/ and which results there are."""
    return calamity.gradebook(root / "gradebook.db"), tree(root), sorted(set(keys(root)))


def grade(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run `autograde grade` in this process: its exit code and what it said on standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["grade", "--jobs", "1"])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def record_again(root: Path) -> None:
    """Have the next run record everybody once more, from the journal."""
    (root / LEDGER).unlink()


# --- the journal ---


def in_the_middle(garbage: bytes) -> Callable[[list[bytes]], list[bytes]]:
    """What puts this behind the first line."""
    return lambda lines: [*lines[:1], garbage, *lines[1:]]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (in_the_middle(random.Random(1).randbytes(5000) + b"\n"), "damaged lines left out"),
        (in_the_middle(b"\0" * 4096 + b"\n"), "damaged lines left out (1)"),
        (in_the_middle(OTHER_VERSION), "damaged lines left out (1)"),
        (lambda lines: lines * 40, ""),
    ],
    ids=["garbage", "zeros", "another version", "every line forty times"],
)
def test_damaged_journal(
    root: Path,
    graded: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[list[bytes]], list[bytes]],
    says: str,
) -> None:
    """Lines that are none of ours are left out and said once, and superseded ones too; nobody is graded again."""
    lines = [line for line in (root / FILE).read_bytes().splitlines(keepends=True) if line.strip()]
    (root / FILE).write_bytes(b"".join(spoil(lines)))
    record_again(root)
    code, said = grade(capsys)
    assert code == 0
    assert (said.count("\n"), says in said) == (1 if says else 0, True)
    assert sorted(line for line in (root / FILE).read_bytes().splitlines(keepends=True)) == sorted(lines)
    assert outcome(root) == graded.outcome
    assert grade(capsys) == (0, "")


def test_truncated_journal(root: Path, graded: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    """What a journal has lost at its end is graded again, and comes out the same."""
    data = (root / FILE).read_bytes()
    (root / FILE).write_bytes(data[: len(data) - 200])
    record_again(root)
    code, said = grade(capsys)
    assert (code, said.count("\n")) == (0, 1)
    assert "damaged lines left out (1): what they held is graded again" in said
    assert outcome(root) == graded.outcome


# --- the seed ---


def test_lost_seed(root: Path, graded: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the old seed everybody is graded under a new one and that is said; with it the old results are back."""
    seed = (root / SEED).rename(root / "kept")
    code, said = grade(capsys)
    assert code == 0
    assert re.fullmatch(r"note: .*/seed is gone: a new seed is made .* put the old file back .*\n", said)
    assert len(set(keys(root))) == 2 * len(graded.outcome[2])
    seed.replace(root / SEED)
    assert grade(capsys) == (0, "")
    assert outcome(root)[:2] == graded.outcome[:2]


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 65, b"\xff\xfe", None], ids=["empty", "zeros", "no text", "a folder"]
)
def test_damaged_seed(root: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    """A seed that can't be read ends the command with one line, and no other one takes its place."""
    (root / SEED).unlink()
    if content is None:
        (root / SEED).mkdir()
    else:
        (root / SEED).write_bytes(content)
    code, said = grade(capsys)
    assert (code, said.count("\n")) == (2, 1)
    assert re.search(
        r"/seed(: Is a directory: see to it| is empty or damaged: put it back from a backup)", said
    )
    assert content is None or (root / SEED).read_bytes() == content


# --- the gradebook ---


def test_locked_gradebook(root: Path, graded: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    """A gradebook that somebody else writes to for longer than we wait ends the command with one line."""
    config = root / "nbgrader_config.py"
    url = f"sqlite:///{root}/gradebook.db?timeout=0.2"
    config.write_text(f"{config.read_text()}c.CourseDirectory.db_url = {url!r}\n", encoding="utf-8")
    (root / "gradebook.db").unlink()  # with nobody in it: what is in it already is not written again
    register(root, [TOPIC], root)
    with contextlib.closing(sqlite3.connect(root / "gradebook.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        said = f"{root}/gradebook.db: database is locked: another program writes to it: end that, "
        assert grade(capsys) == (2, f"autograde: {said}{AGAIN}")
        other.execute("rollback")
    assert grade(capsys) == (0, "")
    assert outcome(root) == graded.outcome


def test_open_gradebook(root: Path, graded: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    """Who reads in the gradebook meanwhile, as formgrader does, disturbs nothing."""
    record_again(root)
    with Course(root).gradebook() as gradebook:
        assert len(gradebook.assignment_submissions(TOPIC)) == 3
        assert grade(capsys) == (0, "")
    assert outcome(root) == graded.outcome


@pytest.mark.parametrize(
    ("start", "said"), [(0, "file is not a database"), (4096, "database disk image is malformed")]
)
def test_damaged_gradebook(
    root: Path, graded: SimpleNamespace, start: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged gradebook is left as it is, with one line of what to do; moved away, it is written anew."""
    record_again(root)
    path = root / "gradebook.db"
    data = bytearray(path.read_bytes())
    data[start : start + 4096 * 20] = random.Random(2).randbytes(4096 * 20)
    path.write_bytes(data)
    code, line = grade(capsys)
    assert code == 2
    assert line == (
        f"autograde: {path}: {said}: put it back from a backup, or move it away "
        f"(what people gave by hand is in it alone), {AGAIN}"
    )
    path.rename(root / "away.db")
    assert grade(capsys) == (0, "")
    assert outcome(root) == graded.outcome


# --- temporary folders ---


def test_killed_laws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of killed `autograde laws` end, and what they left in scratch is swept by the next command."""
    root, scratch = classroom.complete(tmp_path / "course"), tmp_path / "tmp"
    scratch.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "autograde", "laws", "--jobs", "2"],
        cwd=root, env=classroom.environment(TMPDIR=str(scratch)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + calamity.PATIENCE
    while len(family := psutil.Process(running.pid).children(recursive=True)) < 4:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert psutil.wait_procs(family, timeout=calamity.PATIENCE)[1] == []
    assert [path for path in scratch.iterdir() if path.name.startswith("autograde-")] != []
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    sweep()
    assert [path for path in scratch.iterdir() if path.name.startswith("autograde-")] == []
    shutil.rmtree(root)
