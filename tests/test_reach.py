"""What a change to one cell can reach, and tests that need not run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import two_tasks

from autograde import mistakes, recognition, submission
from autograde.grading import Grader
from autograde.question import Question, find
from autograde.reach import cells_behind, completed, unreached

SEED = 11


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Question:
    """A question with two tasks that share nothing."""
    return find(two_tasks.SLUG, two_tasks.course(tmp_path_factory.mktemp("course")))


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[[dict[str, str]], Question]:
    """Makes a question whose notebook has these cells, by grade_id."""

    def made(cells: dict[str, str]) -> Question:
        question = Question(tmp_path, "topic", "tiny", "Tiny", 1, 1)
        rows: list[dict[str, Any]] = [
            {"cell_type": "code", "source": source, "metadata": {"nbgrader": {"grade_id": name}}}
            for name, source in cells.items()
        ]
        question.source.parent.mkdir(parents=True)
        question.source.write_text(json.dumps({"cells": rows}), encoding="utf-8")
        return question

    return made


CELLS = {
    "setup": "import math\nlimit = 3",
    "helper": "def helped(x):\n    local = x\n    return local",
    "first": "class First:\n    def call(self, x):\n        return helped(x) + limit",
    "second": "def second(local):\n    return local",
    "third": "%%writefile third_module.py\nimport math\n\ndef third(limit):\n    return helped",
    "load": "import third_module\nthird = third_module.third",
    "check": "first = second",
}


@pytest.mark.parametrize(
    ("names", "behind"),
    [
        ({"First"}, {"first", "helper", "setup"}),
        ({"second"}, {"second"}),
        ({"third"}, {"load", "third", "setup"}),
        ({"helped", "second"}, {"helper", "second"}),
        ({"nowhere"}, set()),
    ],
)
def test_cells_behind(
    notebook: Callable[[dict[str, str]], Question], names: set[str], behind: set[str]
) -> None:
    """A name rests on the cell that makes it and on those whose names are used there; a file sees its imports alone."""
    assert cells_behind(notebook(CELLS), names) == behind


def test_a_cell_that_cannot_be_read(notebook: Callable[[dict[str, str]], Question]) -> None:
    """Where a cell is no plain Python, every name may rest on every cell."""
    assert cells_behind(notebook(CELLS | {"odd": "%matplotlib inline"}), {"second"}) == {*CELLS, "odd"}


def test_known_tests_are_not_run(two: Question, grader: Grader) -> None:
    """A mistake is told the same where only the tests of its own task ran, and the others did not run at all."""
    reference = grader.examined(two, mistakes.solved_bytes(two), SEED)
    for mistake in mistakes.mistakes(two):
        known = unreached(two, [mistake], reference.seen)
        assert known == {v.test for v in reference.verdicts if v.task != mistake.cell}
        submitted = submission.read(mistakes.solved_bytes(two, mistake), two.release_notebook)
        with grader.sitting(submitted) as sitting:
            narrow = grader.examine(two, sitting, SEED, known)
        assert {v.test for v in reference.verdicts} - {v.test for v in narrow.verdicts} == known
        whole = grader.examined(two, mistakes.solved_bytes(two, mistake), SEED)
        assert completed(narrow, reference).verdicts == whole.verdicts
        one, other = map(recognition.behaviour, (completed(narrow, reference), whole))
        assert one.failed == other.failed
        assert recognition.alike_in(one, other, [v.test for v in whole.verdicts])
        part, right = map(recognition.behaviour, (narrow, reference))
        assert part.completed(right, known).passed == other.passed


def test_without_a_change_every_test_runs(two: Question, grader: Grader) -> None:
    """The reference itself is examined by all tests."""
    reference = grader.examined(two, mistakes.solved_bytes(two), SEED)
    changes: Sequence[mistakes.Change] = ()
    assert unreached(two, changes, reference.seen) == frozenset()
    behind = cells_behind(two, {"spread"})
    assert [c.cell in behind for c in mistakes.mistakes(two)] == [False, False, False, True]
