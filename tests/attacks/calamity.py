"""A class that is graded while its processes are killed, and all that grading leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import classroom
from classroom import HALF, WRONG, command, solved, submit, tree

from autograde.bench.meter import below, processes
from autograde.journal import FILE

SEED = "5"
PATIENCE = 120.0  # seconds within which a thing that must happen has happened, on a busy machine too
GRADE = (sys.executable, "-m", "autograde", "grade", "--jobs", "2", "--json", "class.json")
WORK = (
    "def double_it(x):\n    return 2 * x", WRONG, HALF, "def double_it(x):\n    raise ValueError(x)",
    "def double_it(x:\n", "import os\ndef double_it(x):\n    os._exit(3)",
    "def double_it(x):\n    return bytearray(8 * 2**30)",
)  # fmt: skip


def hand_in(root: Path, students: int) -> None:
    """A class whose notebooks all differ, two of each student: right, wrong, raising, exiting, taking memory."""
    for number in range(students):
        double_it = solved(root, "double_it", f"{WORK[number % len(WORK)]}\n# {number}")
        add_up = solved(root, "add_up", f"def add_up(xs):\n    return sum(xs)  # {number}")
        submit(root, f"s{number:03}", double_it=double_it, add_up=add_up)


def environment(root: Path, **extra: str) -> dict[str, str]:
    """The environment of a command with temporary files of its own."""
    (root / "tmp").mkdir(exist_ok=True)
    return classroom.environment(AUTOGRADE_SEED=SEED, TMPDIR=str(root / "tmp"), **extra)


def outcome(root: Path) -> dict[str, Any]:
    """All that a graded class is: gradebook, exported grades, autograded/, report, and which results there are."""
    exported = command(root, "export", module="nbgrader")
    assert exported.returncode == 0, exported.stderr
    return {
        "gradebook": gradebook(root / "gradebook.db"),
        "export": (root / "grades.csv").read_bytes(),
        "autograded": tree(root),
        "report": (root / "class.json").read_bytes(),
        "journal": sorted(keys(root)),
    }


def gradebook(file: Path) -> list[str]:
    """Every row of the gradebook, what it belongs to written out in place of an id drawn at random."""
    rows: dict[str, dict[str, Any]] = {}
    plain: list[str] = []
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.row_factory = sqlite3.Row
        names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for name in names:
            for row in map(dict, database.execute(f"select * from {name}")):
                identity = row.pop("id", None)
                if identity is None:
                    plain.append(f"{name} {sorted(row.items())}")
                else:
                    rows.setdefault(identity, {}).update(
                        {f"{name}.{column}": value for column, value in row.items()}
                    )

    def written(identity: str) -> str:
        return str({
            column: written(value) if value in rows and value != identity else value
            for column, value in sorted(rows[identity].items())
        })  # fmt: skip

    return sorted([*plain, *map(written, rows)])


def keys(root: Path) -> list[str]:
    """The key of every line of the journal."""
    lines = (root / FILE).read_bytes().splitlines() if (root / FILE).is_file() else []
    return [json.loads(line)["key"] for line in lines if line.strip()]


def _results(root: Path) -> int:
    return (root / FILE).read_bytes().count(b'{"key": ') if (root / FILE).is_file() else 0


@dataclass
class Calamity:
    """A class graded to its end, whatever happens in between.

    Attributes:
        done: what was killed, and how often.
        family: every process of it that was seen.
        ended: of each run that a signal ended in order: the signals, its exit code, what it said, what it left.
        last: the exit code of the last run, which nothing disturbed any more, and what it said.
    """

    root: Path
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    family: set[int] = field(default_factory=set)
    ended: list[tuple[str, int, str, list[str]]] = field(default_factory=list)
    last: tuple[int, str] = (-1, "")
    _running: subprocess.Popen[str] | None = None

    def strike(self, what: str, after: int) -> None:
        """Kill one of these, or end the command by these signals, a moment after there are so many results."""
        running = self._running or self._start()
        # With a process of its own: before that it is Python that starts, and who is killed last may still be ending.
        self._until(
            lambda: _results(self.root) >= after and self._parts() and below(processes(), running.pid),
            running,
        )
        time.sleep(self.chance.uniform(0, 0.2))
        self.done[what] += 1
        if what == "command":
            running.kill()
            self._end()
        elif what.isupper():
            for name in what.split():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(running.pid, getattr(signal, name))
                time.sleep(0.05)
            code, said = self._end()
            self.ended.append((what, code, said, [path.name for path in (self.root / "tmp").iterdir()]))
        else:
            while True:
                parts = self._until(lambda: self._parts().get(what), running)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.chance.choice(sorted(parts)), signal.SIGKILL)
                    return

    def finish(self) -> None:
        """Let it come to its end."""
        if self._running is None:
            self._start()
        self._parts()
        self.last = self._end()

    def left(self) -> list[str]:
        """The processes and temporary files that are still there, after a while to end in."""
        deadline = time.monotonic() + PATIENCE
        while (still := self.family & set(processes())) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [*map(str, still), *map(str, (self.root / "tmp").iterdir())]

    def _start(self) -> subprocess.Popen[str]:
        # Who started the tests in the background, or by nohup, had these ignored, and the command would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self._running = subprocess.Popen(
            GRADE, cwd=self.root, env=environment(self.root), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        return self._running

    def _end(self) -> tuple[int, str]:
        running, self._running = self._running, None
        assert running is not None
        _, said = running.communicate(timeout=PATIENCE)
        return running.returncode, said

    def _parts(self) -> dict[str, set[int]]:
        """What belongs to the run, by kind; what outlived a killed nursery too."""
        assert self._running is not None
        table, found = processes(), dict[str, set[int]]()
        top = {self._running.pid, *(self.family & set(table))}
        everybody = {pid: row.parent for one in top for pid, row in below(table, one).items()}
        everybody |= {pid: table[pid].parent for pid in self.family & set(table)}
        self.family |= set(everybody)
        for pid in everybody:
            found.setdefault(_kind(pid), set()).add(pid)
        zygotes = found.get("zygote", set())
        rooms = {pid for pid in zygotes if everybody[pid] in zygotes}
        found |= {"zygote": zygotes - rooms, "room": rooms}
        return found

    def _until(self, what: Callable[[], Any], running: subprocess.Popen[str]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := what():
                return found
            assert running.poll() is None, running.communicate()
            time.sleep(0.005)
        raise AssertionError("it did not happen")


def _kind(pid: int) -> str:
    with contextlib.suppress(OSError):
        if "Z" in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]:
            return "dead"
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        if name.startswith("grade-"):
            return name.removeprefix("grade-")
        return next(
            (kind for kind in ("nursery", "zygote") if f"from autograde.{kind} import".encode() in words), ""
        )
    return "dead"


def shared() -> set[str]:
    """What is in shared memory now."""
    return set(os.listdir("/dev/shm"))  # noqa: PTH208  plain names, nothing is written
