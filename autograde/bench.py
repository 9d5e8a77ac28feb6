"""Our grading beside stock nbgrader on the same submissions, in one run, interleaved; ratios, not promises."""

from __future__ import annotations

import csv
import itertools
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograde import mistakes, submission
from autograde.checking import examined_here
from autograde.grading import Grader
from autograde.question import Question, find, require_root
from autograde.submission import grade_id

SEED = "1"
CONFIG = "nbgrader_config.py"
STOCK = "c = get_config()\n"
OURS = "from autograde import configure\n\nc = get_config()\nconfigure(c)\n"
# What stock nbgrader can do with the same hidden tests: run them in the kernel, and give points as a float.
CHECK = "from autograde.bench import in_kernel\nin_kernel({slug!r}, get_ipython().user_ns)"


@dataclass
class Side:
    """One way to grade.

    Attributes:
        run: grades one block of submissions in a fresh folder, and returns what it used.
    """

    name: str
    run: Callable[[Path, Sequence[tuple[str, bytes]]], Used]
    used: list[Used] = field(default_factory=list)


@dataclass(frozen=True)
class Used:
    """Seconds of wall time and of processor, MiB at the peak, scores by student (None: not a grading side)."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    scores: dict[str, float] | None


def in_kernel(slug: str, namespace: dict[str, Any]) -> float:
    """The points that the hidden tests give in this kernel: stock nbgrader reads the float as the score."""
    return examined_here(find(slug), namespace, recognise=False).score


def run(slug: str, count: int, rounds: int, out: Path) -> int:
    """Grade `count` submissions each way, in rounds, and print a table.

    Args:
        slug: the question.
        count: submissions in all.
        rounds: blocks that they are graded in, the sides taking turns.
        out: where the figures are written as JSON.

    Returns:
        0, or 1 where two sides disagree about a score.
    """
    question = find(slug, require_root())
    blocks = _blocks(question, count, rounds)
    cores = os.cpu_count() or 1
    sides = [
        Side("stock nbgrader autograde", lambda f, b: _nbgrader(question, f, b, STOCK)),
        Side("nbgrader autograde, ours", lambda f, b: _nbgrader(question, f, b, OURS)),
        Side(f"autograde grade, {cores} jobs", lambda f, b: _grade(question, f, b, cores)),
        Side("autograde grade, 1 job", lambda f, b: _grade(question, f, b, 1)),
        Side("floor: warm fork, cells only", lambda f, b: _floor(question, f, b)),
    ]
    began = time.monotonic()
    for number, block in enumerate(blocks, 1):
        for side in sides:
            with tempfile.TemporaryDirectory(prefix="autograde-bench-") as folder:
                side.used.append(side.run(Path(folder), block))
        spent = time.monotonic() - began
        _say(f"round {number} of {rounds}, {spent:.0f} s, ETA {spent / number * (rounds - number):.0f} s")
    return _report(sides, count, rounds, out)


def _blocks(question: Question, count: int, rounds: int) -> list[list[tuple[str, bytes]]]:
    changes = [None, *mistakes.variants(question), *mistakes.mistakes(question)]
    students = [
        (f"s{number:04}", _one(question, change, number))
        for number, change in zip(range(count), itertools.cycle(changes), strict=False)
    ]
    size = -(-count // rounds)
    return [students[at : at + size] for at in range(0, count, size)]


def _one(question: Question, change: mistakes.Change | None, number: int) -> bytes:
    notebook = mistakes.solved(question, *([change] if change else []))
    # A cell of its own makes each file another: nothing may be answered from a journal.
    own = {"cell_type": "markdown", "id": f"own-{number}", "metadata": {}, "source": f"student {number}"}
    notebook["cells"].append(own)
    return json.dumps(notebook).encode()


def _course(question: Question, folder: Path, block: Sequence[tuple[str, bytes]], config: str) -> None:
    """A course of its own: release in the gradebook, submissions in place."""
    (folder / CONFIG).write_text(config, encoding="utf-8")
    source = json.loads(question.source.read_text(encoding="utf-8"))
    if config == STOCK:
        for cell in source["cells"]:
            if grade_id(cell) == "check":
                cell["source"] = CHECK.format(slug=question.slug)
    place = folder / "source" / question.topic / f"{question.slug}.ipynb"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(source), encoding="utf-8")
    _command(["-m", "nbgrader", "generate_assignment", question.topic], folder)
    for student, data in block:
        home = folder / "submitted" / student / question.topic
        home.mkdir(parents=True)
        (home / f"{question.slug}.ipynb").write_bytes(data)


def _nbgrader(question: Question, folder: Path, block: Sequence[tuple[str, bytes]], config: str) -> Used:
    _course(question, folder, block, config)
    wall, cpu, peak = _command(["-m", "nbgrader", "autograde", question.topic], folder)
    return Used(wall, cpu, peak, _scores(folder))


def _grade(question: Question, folder: Path, block: Sequence[tuple[str, bytes]], jobs: int) -> Used:
    _course(question, folder, block, OURS)
    wall, cpu, peak = _command(["-m", "autograde", "grade", "--jobs", str(jobs)], folder)
    return Used(wall, cpu, peak, _scores(folder))


def _floor(question: Question, folder: Path, block: Sequence[tuple[str, bytes]]) -> Used:
    files = folder / "files"
    files.mkdir()
    for student, data in block:
        (files / f"{student}.ipynb").write_bytes(data)
    code = f"from autograde.bench import floor; from pathlib import Path; floor({question.slug!r}, Path('files'))"
    wall, cpu, peak = _command(["-c", code], folder)
    return Used(wall, cpu, peak, None)


def floor(slug: str, files: Path) -> None:
    """Fork, lock and run the cells of every file, and nothing else: the least that grading could cost."""
    question = find(slug)
    with Grader() as grader:
        for path in sorted(files.iterdir()):
            submitted = submission.read(path.read_bytes(), question.release_notebook)
            with grader.sitting(submitted) as sitting:
                sitting.begin(0)


def _command(arguments: list[str], folder: Path) -> tuple[float, float, float]:
    """Run our interpreter; wall and processor seconds of it and its children, the largest one's MiB."""
    # Stock nbgrader runs `alembic` by its bare name.
    scripts = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
    environment = os.environ | {
        "AUTOGRADE_SEED": SEED,
        "AUTOGRADE_COURSE": str(require_root()),
        "PATH": scripts,
    }
    with (folder / "log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603  our own interpreter
            [sys.executable, *arguments], cwd=folder, env=environment, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = (folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(arguments)} exited with {process.returncode}:\n{tail}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _scores(folder: Path) -> dict[str, float]:
    _command(["-m", "nbgrader", "export"], folder)
    with (folder / "grades.csv").open(encoding="utf-8") as file:
        return {
            row["student_id"]: float(row["raw_score"] or 0)
            for row in csv.DictReader(file)
            if row["student_id"]
        }


def _report(sides: Sequence[Side], count: int, rounds: int, out: Path) -> int:
    size = -(-count // rounds)
    wall = {side.name: statistics.median(u.wall_s for u in side.used) / size for side in sides}
    cpu = {side.name: statistics.median(u.cpu_s for u in side.used) / size for side in sides}
    peak = {side.name: max(u.peak_mb for u in side.used) for side in sides}
    stock, path, grade, one, least = (side.name for side in sides)
    equal = all(len({json.dumps(u.scores, sort_keys=True) for u in row if u.scores is not None}) == 1
                for row in zip(*(side.used for side in sides), strict=True))  # fmt: skip
    _say(f"\n{count} submissions in {rounds} rounds, medians per submission, start-up included")
    _say(f"{'':30}{'wall s':>9}{'cpu s':>9}{'peak MiB':>10}{'stock / it':>12}")
    for side in sides:
        ratio = wall[stock] / wall[side.name]
        _say(
            f"{side.name:30}{wall[side.name]:9.3f}{cpu[side.name]:9.3f}{peak[side.name]:10.0f}{ratio:11.1f}×"
        )
    _say("the scores are equal" if equal else "THE SCORES DIFFER")
    figures = {
        "stock_s": wall[stock], "nbgrader_path_s": wall[path], "grade_s": wall[grade], "grade_one_core_s": wall[one],
        "floor_cpu_s": cpu[least], "grade_cpu_s": cpu[one], "ratio": wall[stock] / wall[grade],
        "cpu_over_floor": cpu[one] / cpu[least], "peak_mb": peak[grade], "scores_equal": equal,
    }  # fmt: skip
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return int(not equal)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
