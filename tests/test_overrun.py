"""Known mistakes that never end, run in this process: given up after a while."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import classroom
import pytest

from autograde.errors import GraderError
from autograde.grading import Grader
from autograde.live import Live, globals_kept
from autograde.lock import Limits
from autograde.mistakes import mistakes, solved_bytes
from autograde.overrun import limited
from autograde.question import find
from autograde.student import Student

ENDLESS = """
def endless(x):
    while True:
        try:
            x = x + 1
        except Exception:
            pass

def quick(x):
    return x + 1
"""


def test_request_that_never_ends() -> None:
    """A request to a known mistake that never ends is given up, and the next one is answered."""
    space: dict[str, object] = {"__name__": "__main__"}
    exec(compile(ENDLESS, "<cell all>", "exec"), space)
    with globals_kept():
        live = Live(space, 0.2)
        live.begin(7)
        with pytest.raises(GraderError, match=r"a known mistake ran longer than 0.2 s in endless"):
            Student(live).endless(1)
        assert Student(live).quick(1) == 2


def test_work_that_ends_in_time() -> None:
    """What was done in time is not disturbed after its limit."""
    for _ in range(3):
        with limited(0.05):
            pass
    began = time.monotonic()
    while time.monotonic() - began < 1.2:  # longer than the limit and two looks at what is running
        pass


def test_class_with_an_endless_mistake(tmp_path: Path, limits: Limits) -> None:
    """A known mistake that never ends costs time, and nobody the mistake that is theirs."""
    question = find("double_it", classroom.complete(tmp_path / "course"))
    (adds_two,) = mistakes(question)
    endless = (
        '[endless]\ncell = "double_it"\nold = "return 2 * x"\nnew = "while x: pass"\nsays = "You wait."\n'
    )
    question.mistakes.write_text(endless + question.mistakes.read_text(encoding="utf-8"), encoding="utf-8")
    with Grader(replace(limits, call_s=1)) as grader:
        wrong = grader.grade(question, solved_bytes(question, adds_two), seed=1)
    assert [one.mistake for one in wrong.recognised] == ["adds_two"]
