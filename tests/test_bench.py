"""`autograde bench`: stock nbgrader, our ways and the floor on the same submissions; what a command used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import classroom
import psutil
import pytest
from tiny_course import TOPIC

from autograde.bench.course import Student, students
from autograde.bench.figures import differences, figures
from autograde.bench.meter import Usage, measured
from autograde.bench.rounds import turns
from autograde.bench.sides import Run, Side
from autograde.cli import main
from autograde.question import find

PATIENCE = 900.0  # seconds for a whole run, on a busy machine too
KEYS = (
    "stock_s", "nbgrader_path_s", "grade_s", "grade_one_core_s", "floor_cpu_s", "grade_cpu_s", "ratio",
    "cpu_over_floor", "peak_mb", "first_result_s",
)  # fmt: skip
PARTIAL = (
    '[positive_only]\ncell = "double_it"\nold = "2 * x"\nnew = "2 * x if x > 0 else 0"\nsays = "Below 0."\n'
)
# What stock nbgrader sets for its kernel, and a room does not have.
TWO_FACED = """
[two_faced]
cell = "double_it"
whole = '''
import os
def double_it(x):
    return 2 * x if "NBGRADER_EXECUTION" in os.environ else x
'''
"""


def course(root: Path) -> Path:
    """The tiny course with a mistake that keeps some points."""
    classroom.course(root)
    file = root / "autograde" / "questions" / TOPIC / "double_it" / "mistakes.toml"
    file.write_text(PARTIAL + file.read_text(encoding="utf-8"), encoding="utf-8")
    return root


def bench(root: Path, *options: str) -> SimpleNamespace:
    """Run the command in a checkout: its exit code, what it said, and the figures."""
    done = subprocess.run(
        [sys.executable, "-m", "autograde", "bench", "--slug", "double_it", *options],
        cwd=root, env=classroom.environment(), capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    written = root / "bench.json"
    figures = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
    return SimpleNamespace(code=done.returncode, said=done.stdout, erred=done.stderr, figures=figures)


def files(root: Path) -> set[Path]:
    """Every file of a checkout but what Python keeps beside its modules."""
    return {path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A right and a half right submission."""
    root = course(tmp_path_factory.mktemp("honest") / "course")
    before = files(root)
    done = bench(root, "--count", "2", "--rounds", "1")
    done.made = {path.name for path in files(root) - before}
    return done


def test_equal_scores_are_a_success(honest: SimpleNamespace) -> None:
    """Stock nbgrader and our ways give the reference 9 points and a half right answer 7."""
    assert honest.code == 0, honest.erred + honest.said
    assert honest.figures["scores_equal"] is True
    assert honest.figures["mean_score"] == 8


def test_every_figure_is_written(honest: SimpleNamespace) -> None:
    """bench.json has every figure, each a positive number, and the ratios are those of the seconds."""
    told = honest.figures
    assert all(told[key] > 0 for key in KEYS)
    assert told["ratio"] == pytest.approx(told["stock_s"] / told["grade_s"])
    assert told["cpu_over_floor"] == pytest.approx(told["grade_cpu_s"] / told["floor_cpu_s"])


def test_nothing_but_the_figures_is_left(honest: SimpleNamespace) -> None:
    """The checkout has one new file, the one that git ignores."""
    assert honest.made == {"bench.json"}


def test_a_different_score_fails(tmp_path: Path) -> None:
    """A submission that stock nbgrader scores otherwise is named, and the command fails."""
    root = course(tmp_path / "course")
    (root / "autograde" / "questions" / TOPIC / "double_it" / "variants.toml").write_text(
        TWO_FACED, encoding="utf-8"
    )
    done = bench(root, "--count", "3", "--rounds", "1")
    assert done.code == 1
    assert done.figures["scores_equal"] is False
    (line,) = done.figures["differences"]
    assert line == (
        "s0002, variant two_faced: stock nbgrader autograde 9; nbgrader autograde, ours 0; "
        "autograde grade 0; autograde grade --jobs 1 0"
    )
    assert f"DIFFERENT SCORES  {line}" in done.said


def test_more_rounds_than_submissions_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A round without a submission for stock nbgrader is refused, with what to ask for instead."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--count", "2", "--rounds", "3"])
    assert ended.value.code == 2
    assert "--rounds 2, or a larger --count" in capsys.readouterr().err


# --- the class ---


def test_right_and_wrong_in_turn(tmp_path: Path) -> None:
    """Submissions are right and wrong in turn, and no two files are the same."""
    handed = students(find("double_it", course(tmp_path / "course")), 6)
    assert [student.about for student in handed] == [
        "the reference", "mistake positive_only", "the reference", "mistake adds_two",
        "the reference", "mistake positive_only",
    ]  # fmt: skip
    assert len({student.data for student in handed}) == 6


# --- turns ---


def side(name: str, *runs: Run, shares: bool = False) -> Side:
    """A side that was run."""
    return Side(name, "", (), 1.0, shares=shares, runs=list(runs))


def test_the_sides_take_turns() -> None:
    """Every second round goes the other way round; a side that shares grades everybody once in all rounds."""
    stock, ours = side("stock", shares=True), side("ours")
    everybody = [Student(f"s{number}", "", b"") for number in range(5)]
    planned = list(turns([stock, ours], everybody, 3))
    assert [(number, one.name) for number, one, _ in planned] == [
        (1, "stock"), (1, "ours"), (2, "ours"), (2, "stock"), (3, "stock"), (3, "ours"),
    ]  # fmt: skip
    assert all(handed == everybody for _, one, handed in planned if one is ours)
    shares = [handed for _, one, handed in planned if one is stock]
    assert [student for share in shares for student in share] == everybody
    assert sorted(len(share) for share in shares) == [1, 2, 2]


# --- figures ---


def used(wall_s: float, mark_s: float = 0.0) -> Usage:
    """What a run used, as many processor seconds as seconds."""
    return Usage(0, wall_s, wall_s, 100.0, mark_s, mark_s)


def test_a_start_up_counts_once() -> None:
    """A side that grades 4 in two runs of 2 pays its start-up of 4 s for 4 submissions, not for 2."""
    told = figures(side("stock", Run(used(10, 4), 2, {}), Run(used(14, 4), 2, {})), 4)
    assert (told.fastest_s, told.wall_s, told.slowest_s) == (4, 5, 6)
    assert told.cpu_s == 5


def test_a_mark_changes_nothing_for_a_whole_class() -> None:
    """A side that grades all of 4 in one run is charged a quarter of it, whenever its mark came."""
    assert figures(side("ours", Run(used(10, 4), 4, {})), 4).wall_s == 2.5


def test_a_missing_score_is_a_difference() -> None:
    """A student whom one side has no score for is named, in whichever round that was."""
    both = [Student("s0", "the reference", b""), Student("s1", "mistake no_scale", b"")]
    ours = side("ours", Run(used(1), 2, {"s0": 5, "s1": 3}), Run(used(1), 2, {"s0": 5, "s1": None}))
    stock = side("stock", Run(used(1), 1, {"s0": 5}), Run(used(1), 1, {"s1": 3}))
    assert differences([stock, ours], both) == ["s1, mistake no_scale: stock 3; ours 3 or no score"]


# --- one command measured ---

BURN = "import time\nwhile time.process_time() < 0.5: pass\n"


def measure(folder: Path, code: str, **options: object) -> Usage:
    """What `python -c code` used."""
    return measured([sys.executable, "-c", code], folder, dict(os.environ), **options)


def test_what_nobody_waited_for_counts(tmp_path: Path) -> None:
    """Processor time of a process that outlives its parent counts, and so does that of a killed parent's."""
    left = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {BURN!r}], start_new_session=True)\n"
    assert measure(tmp_path, left).cpu_s > 0.5
    assert measure(tmp_path, left + "import os\nos.kill(os.getpid(), 9)").cpu_s > 0.5


def test_waited_children_count_once(tmp_path: Path) -> None:
    """Processor time of a child that was waited for is in its parent's, and is not added again."""
    waited = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\n"
    assert 0.5 < measure(tmp_path, waited).cpu_s < 1.0


def test_memory_of_all_processes_is_added(tmp_path: Path) -> None:
    """Two processes that hold 60 MB each at the same time are 120 MB."""
    hold = "import time; held = bytearray(b'x') * 60_000_000; time.sleep(2)"
    two = f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {hold!r}])\n{hold}\nchild.wait()"
    assert 120 < measure(tmp_path, two).peak_mb < 180


def test_shared_memory_counts_once(tmp_path: Path) -> None:
    """What a process shares with four forks of it is not counted five times."""
    forks = (
        "import os, time; held = bytearray(b'x') * 60_000_000\n"
        "pids = [os.fork() or time.sleep(2) or os._exit(0) for _ in range(4)]\n"
        "[os.waitpid(pid, 0) for pid in pids]"
    )
    assert 60 < measure(tmp_path, forks).peak_mb < 120


def test_the_mark_is_timed(tmp_path: Path) -> None:
    """The mark's time is when a file got its content, before the end; an empty file is no mark."""
    code = (
        "import time\nfile = open('mark', 'w')\ntime.sleep(1)\nfile.write('x')\nfile.flush()\ntime.sleep(2)"
    )
    usage = measure(tmp_path, code, mark=Path("mark"))
    assert 1 < usage.mark_s < usage.wall_s


def test_exit_status_and_log(tmp_path: Path) -> None:
    """The command's own exit status comes back, and what it printed is in the log."""
    assert measure(tmp_path, "import sys; print('so far'); sys.exit('no further')").status == 1
    assert (tmp_path / "log").read_text(encoding="utf-8") in ("so far\nno further\n", "no further\nso far\n")


def test_an_interrupt_ends_everything(tmp_path: Path) -> None:
    """Who stops waiting leaves no process behind, not even one in a session of its own."""
    sleep = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    code = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {sleep!r}], start_new_session=True)"
    )
    pid = tmp_path / "pid"

    def stop() -> None:
        if pid.exists() and pid.read_text(encoding="ascii"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, code, waiting=stop)
    number = int(pid.read_text(encoding="ascii"))
    until = time.monotonic() + 60
    while psutil.pid_exists(number) and psutil.Process(number).status() != "zombie":
        assert time.monotonic() < until
        time.sleep(0.05)
