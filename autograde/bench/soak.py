"""Many submissions in one run of `autograde grade`: whether memory, descriptors, processes or files grow."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from autograde.bench import course
from autograde.bench.course import BenchError, Student
from autograde.bench.meter import below, processes
from autograde.journal import FILE
from autograde.question import find, questions, require_root
from autograde.scratch import Scratch

SAMPLES = 100  # in a run, while results come
RECORDING = 2.0  # seconds between two samples when all are there, and nbgrader goes on
WARM = 0.1  # part of a run in which what is needed once is read in
PATIENCE = 40.0  # seconds in which everything has ended: a submission may take 30
SHARED = Path("/dev/shm")  # noqa: S108  nothing is written there

# What every fifth submission does in place of its functions, besides being right or wrong.
MISBEHAVIOUR = ("1 / 0", "os._exit(0)", "bytearray(8 * 2**30)", "print('x' * 2_000_000)", "os.abort()")
_REBIND = """
import os, types
for name, value in list(globals().items()):
    if isinstance(value, types.FunctionType) and value.__module__ == "__main__":
        globals()[name] = lambda *args, **options: {body}
"""


class Sample(NamedTuple):
    """What there is at one moment; memory in bytes that no file backs, rooms left out, which come and go."""

    done: int
    command: int
    others: int
    descriptors: int
    processes: int
    scratch: int
    shared: int


class Bound(NamedTuple):
    """What may be more at the end than at the start: so much in any case, and so much for each 1,000 gradings."""

    what: str
    base: float
    each: float
    unit: float = 1


# The command keeps every result for the table at the end, and nbgrader's database layer keeps its statements.
BOUNDS = {
    "command": Bound("memory of the command, MB", 40e6, 30e6, 1e6),
    "others": Bound("memory of its processes, MB", 40e6, 2e6, 1e6),
    "descriptors": Bound("open descriptors", 8, 0),
    "processes": Bound("processes", 4, 0),
    "scratch": Bound("files and folders in scratch", 8, 0),
    "shared": Bound("entries in /dev/shm", 0, 0),
}


@dataclass(frozen=True)
class Soak:
    """One run.

    Attributes:
        samples: what there was, in the order of time.
        seconds: how long the command took.
        status: its exit status.
        left: what it left behind: processes, scratch, shared memory.
    """

    samples: tuple[Sample, ...]
    seconds: float
    status: int
    left: tuple[str, ...]

    def level(self, name: str, part: float) -> float:
        """The median of a figure in the tenth of the run (without its beginning) that starts there, 0 to 0.9."""
        warm = self.samples[int(len(self.samples) * WARM) :]
        first = int(len(warm) * part)
        values = [float(getattr(one, name)) for one in warm[first : first + max(1, len(warm) // 10)]]
        return statistics.median(values)

    def growth(self, name: str) -> float:
        """How much more of it there is at the end than at the start."""
        return self.level(name, 0.9) - self.level(name, 0)

    @property
    def broken(self) -> list[str]:
        """Which bounds do not hold."""
        count = self.samples[-1].done / 1000
        return [name for name, bound in BOUNDS.items() if self.growth(name) > bound.base + bound.each * count]


def run(slug: str | None, count: int, jobs: int) -> int:
    """Grade so many submissions in one run, and print what grew.

    Args:
        slug: the question; None for the first of the syllabus.
        count: how many.
        jobs: how many at a time.

    Returns:
        0 where every bound holds and nothing was left behind, else 1.

    Raises:
        BenchError: grading failed, or can't be watched here.
    """
    if sys.platform != "linux":
        raise BenchError("only Linux tells what a command and everything it started used")
    question = find(slug) if slug else questions(require_root())[0]
    with Scratch("bench") as place:
        folder = place / "course"
        course.build(question, folder, course.OURS)
        course.hand_in(question, folder, map(_some_misbehaving, course.students(question, count)))
        command = [sys.executable, "-m", "autograde", "grade", "--jobs", str(jobs)]
        soak = watch(command, folder, course.environment(folder), count, _say)
        if soak.status:
            said = (folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise BenchError(f"autograde grade ended with {soak.status}, and this is what it said:\n{said}")
    _say(f"{count:,} gradings of {question.slug}, {jobs} at a time, in {soak.seconds:.0f} s")
    print("\n".join(table(soak)))  # noqa: T201
    return int(bool(soak.broken or soak.left))


def watch(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    count: int,
    say: Callable[[str], None] = lambda _: None,
) -> Soak:
    """Run a command that grades a class, and look at it as results come; what it prints goes to `log`.

    Args:
        command: the program and its arguments.
        folder: where it runs: the folder of the gradebook, whose journal counts.
        environment: its environment; temporary files go to a folder of its own.
        count: how many results there will be.
        say: called with a line now and then.
    """
    scratch = folder / "tmp"
    scratch.mkdir()
    before, began, samples = _shared(), time.monotonic(), list[Sample]()
    looked = began
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  our own interpreter
            command, cwd=folder, env={**environment, "TMPDIR": str(scratch)}, stdout=log, stderr=log
        )
    try:
        results, done, family = _results(folder / FILE), 0, set[int]()
        while process.poll() is None:
            time.sleep(0.02)
            now = done + next(results)
            recording = now == count and time.monotonic() - looked > RECORDING
            if now * SAMPLES // count > done * SAMPLES // count or recording:
                looked = time.monotonic()
                samples.append(_sample(now, process.pid, scratch, before, family))
                if now * 20 // count > done * 20 // count:
                    say(_line(samples[-1], count, time.monotonic() - began))
            done = now
    finally:
        process.kill()
        process.wait()
    seconds = time.monotonic() - began
    return Soak(tuple(samples), seconds, process.returncode, tuple(_left(family, scratch, before)))


def table(soak: Soak) -> Iterator[str]:
    """The figures at start, middle and end, and the bounds, a line each."""
    count = soak.samples[-1].done / 1000
    yield f"{'':32}{'start':>10}{'middle':>10}{'end':>10}{'per 1,000':>12}   bound (whole run)"
    for name, bound in BOUNDS.items():
        levels = (soak.level(name, part) / bound.unit for part in (0, 0.45, 0.9))
        each = soak.growth(name) / count / bound.unit
        most = (bound.base + bound.each * count) / bound.unit
        broken = "  BROKEN" if name in soak.broken else ""
        yield (
            f"{bound.what:32}"
            + "".join(f"{level:>10.1f}" for level in levels)
            + (
                f"{each:>12.2f}   {bound.base / bound.unit:g}"
                + (f" + {bound.each / bound.unit:g} per 1,000 = {most:g}" if bound.each else "")
                + broken
            )
        )
    yield f"left behind: {', '.join(soak.left) or 'nothing'}"


def _some_misbehaving(student: Student) -> Student:
    """The student; every fifth with functions that raise, exit, take memory, print or crash."""
    number = int(student.name.removeprefix("s"))
    if number % 5:
        return student
    body = MISBEHAVIOUR[number // 5 % len(MISBEHAVIOUR)]
    notebook = json.loads(student.data)
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "rebind",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    notebook["cells"].append({**cell, "source": _REBIND.format(body=body)})
    return Student(student.name, f"{student.about}, {body}", json.dumps(notebook).encode())


def _results(journal: Path) -> Iterator[int]:
    """How many results came since the last time."""
    while not journal.is_file():
        yield 0
    with journal.open("rb") as file:
        while True:
            yield file.read().count(b'{"key": ')


def _sample(done: int, command: int, scratch: Path, before: set[str], family: set[int]) -> Sample:
    found = below(processes(), command)
    family.update(found)
    # The command, the nursery, and what that forks: workers and the zygote. Below these are rooms.
    nurseries = [pid for pid, row in found.items() if row.parent == command]
    lasting = [*nurseries, *(pid for pid, row in found.items() if row.parent in nurseries)]
    return Sample(
        done,
        _memory(command),
        sum(map(_memory, lasting)),
        sum(map(_descriptors, [command, *lasting])),
        len(found) + 1,
        sum(1 for _ in itertools.chain(scratch.iterdir(), scratch.glob("*/*"))),
        len(_shared() - before),
    )


def _memory(pid: int) -> int:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return sum(int(fields.get(name, "0 kB").split()[0]) for name in ("RssAnon", "RssShmem")) * 1024
    return 0


def _descriptors(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  plain names are all that is needed
    return 0


def _shared() -> set[str]:
    return set(os.listdir(SHARED))  # noqa: PTH208  as above


def _left(family: set[int], scratch: Path, before: set[str]) -> Iterator[str]:
    deadline = time.monotonic() + PATIENCE
    while (still := family & set(processes())) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield from (f"process {pid}" for pid in sorted(still))
    yield from (str(path) for path in sorted(scratch.iterdir()))
    yield from (str(SHARED / name) for name in sorted(_shared() - before))


def _line(sample: Sample, count: int, seconds: float) -> str:
    return (
        f"{sample.done:,} of {count:,} in {seconds:.0f} s, ETA {seconds / sample.done * (count - sample.done):.0f} s: "
        f"{sample.command / 1e6:.0f} + {sample.others / 1e6:.0f} MB, {sample.descriptors} descriptors, "
        f"{sample.processes} processes, {sample.scratch} in scratch"
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
