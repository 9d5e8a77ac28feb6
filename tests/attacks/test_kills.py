"""A class of two hundred gradings that is struck thirty times ends like one that nothing disturbs."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from types import SimpleNamespace

import calamity
import classroom
import pytest
from calamity import GRADE, Calamity, keys, outcome, shared
from checkout import SEED

from autograde.bench.soak import BOUNDS, Soak, table, watch

STUDENTS = 100  # of two notebooks each
STOPPED = "\nstopped: what was graded is kept; run it again to go on\n"
KILLS = {"command": 5, "nursery": 2, "worker": 7, "zygote": 4, "room": 12}
# A killed nursery is missed only when a worker is needed: one is killed next.
PLAN = [
    *[("nursery", "worker")] * 2,
    *[("worker",)] * 5,
    *[("zygote",)] * 4,
    *[("room",)] * 12,
    *[("command",)] * 5,
]
SIGNALS = ("SIGINT SIGINT", "SIGINT", "SIGTERM SIGINT SIGTERM", "SIGHUP")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The class, nothing of it graded."""
    root = classroom.course(tmp_path_factory.mktemp("kills") / "course")
    calamity.hand_in(root, STUDENTS)
    return root


@pytest.fixture(scope="module")
def undisturbed(course: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The class graded in one run, watched."""
    root = classroom.copied(course, tmp_path_factory.mktemp("undisturbed") / "course")
    environment = calamity.environment(root)
    (root / "tmp").rmdir()
    soak = watch(GRADE, root, environment, 2 * STUDENTS)
    return SimpleNamespace(soak=soak, outcome=outcome(root))


@pytest.fixture(scope="module")
def struck(course: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The class graded while everything is killed, one after the other, and the command started again each time."""
    chance, before = random.Random(SEED), shared()
    root = classroom.copied(course, tmp_path_factory.mktemp("struck") / "course")
    struck = Calamity(root, chance)
    units = [*PLAN, *((signals,) for signals in SIGNALS[1:])]
    chance.shuffle(units)
    strikes = [(SIGNALS[0],), *units]  # the first at the start, before there is any result
    moments = sorted(chance.sample(range(0, 2 * STUDENTS - 10, 4), len(units)))  # not all on one submission
    for unit, after in zip(strikes, [0, *moments], strict=True):
        for what in unit:
            struck.strike(what, after)
    struck.finish()
    return SimpleNamespace(
        calamity=struck, left=struck.left(), shared=shared() - before, keys=keys(root), outcome=outcome(root)
    )


def test_thirty_kills(struck: SimpleNamespace) -> None:
    """Command, nursery, workers, zygotes and rooms were killed as often as planned; the last run came to its end."""
    assert {what: struck.calamity.done[what] for what in KILLS} == KILLS
    assert sum(KILLS.values()) == 30
    assert struck.calamity.last == (0, "")


@pytest.mark.parametrize("what", ["gradebook", "export", "autograded", "report", "journal"])
def test_nothing_is_lost(struck: SimpleNamespace, undisturbed: SimpleNamespace, what: str) -> None:
    """Gradebook, exported grades, autograded/, report and journal are those of a run that nothing disturbed."""
    assert len(undisturbed.outcome[what]) >= STUDENTS
    assert struck.outcome[what] == undisturbed.outcome[what]


def test_nothing_is_there_twice(struck: SimpleNamespace) -> None:
    """However often a run was resumed, the journal has one line a notebook."""
    assert len(struck.keys) == len(set(struck.keys)) == 2 * STUDENTS


def test_nothing_is_left_behind(struck: SimpleNamespace) -> None:
    """No process, temporary folder or shared memory is left of all that was killed."""
    assert (struck.left, struck.shared) == ([], set())


@pytest.mark.parametrize("signals", SIGNALS)
def test_signal_ends_in_order(struck: SimpleNamespace, signals: str) -> None:
    """Ctrl-C once or more, `kill` and a closed terminal end the command with one line, and scratch is empty."""
    ((_, code, said, left),) = [row for row in struck.calamity.ended if row[0] == signals]
    # Of several that come while Python is elsewhere, in a library's C, it sees that with the lowest number first.
    assert code in {128 + getattr(signal, name) for name in signals.split()}
    assert (said, left) == (STOPPED, [])


# --- the run that nothing disturbed, looked at ---


def test_nothing_grows(undisturbed: SimpleNamespace) -> None:
    """Memory, descriptors, processes, scratch and shared memory stay within their bounds while a class is graded."""
    assert undisturbed.soak.status == 0
    assert undisturbed.soak.broken == []
    assert undisturbed.soak.left == ()


def test_figures_are_of_the_whole_run(undisturbed: SimpleNamespace) -> None:
    """What is watched is there: the command, its processes, their descriptors, their rooms."""
    soak: Soak = undisturbed.soak
    assert soak.samples[-1].done == 2 * STUDENTS
    assert soak.level("command", 0.9) > 50e6
    assert soak.level("others", 0.9) > 100e6
    assert soak.level("processes", 0.45) >= 5  # command, nursery, zygote, two workers
    assert soak.level("descriptors", 0.45) > 20
    assert max(one.scratch for one in soak.samples) >= 1
    assert [line.split("  ")[0] for line in list(table(soak))[1:-1]] == [
        bound.what for bound in BOUNDS.values()
    ]
