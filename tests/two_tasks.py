"""A question with two tasks, in the tiny course: for half-done work and for mistakes in both."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from textwrap import dedent
from typing import Any

import tiny_course

from autograde.release import make_release

SLUG = "mean_and_spread"

MEAN = """\
def mean(xs):
    ### BEGIN SOLUTION
    if not xs:
        raise ValueError("nothing to take the mean of")
    return sum(xs) / len(xs)
    ### END SOLUTION
"""

SPREAD = """\
def spread(xs):
    ### BEGIN SOLUTION
    centre = sum(xs) / len(xs)
    return (sum((x - centre) ** 2 for x in xs) / len(xs)) ** 0.5
    ### END SOLUTION
"""

TESTS = '''
    import statistics

    import pytest


    @pytest.mark.points(2)
    @pytest.mark.task("mean")
    def test_mean(student, rng, close):
        """takes the mean"""
        xs = rng.standard_normal(5).tolist()
        close(student.mean(xs), statistics.fmean(xs))


    @pytest.mark.points(1)
    @pytest.mark.task("mean")
    def test_empty(student, raises):
        """refuses an empty list"""
        with raises(ValueError):
            student.mean([])


    @pytest.mark.points(2)
    @pytest.mark.task("spread")
    def test_spread(student, rng, close):
        """takes the standard deviation"""
        xs = rng.standard_normal(5).tolist()
        close(student.spread(xs), statistics.pstdev(xs))
'''

MISTAKES = """
[no_division]
cell = "mean"
old = "return sum(xs) / len(xs)"
new = "return sum(xs)"
says = "You return the sum. Over how many numbers is the mean taken?"

[off_by_one]
cell = "mean"
old = "return sum(xs) / len(xs)"
new = "return sum(xs) / (len(xs) + 1)"
says = "You divide by one too many. How many numbers are there?"

[zero_when_empty]
cell = "mean"
old = 'raise ValueError("nothing to take the mean of")'
new = "return 0.0"
says = "The mean of nothing is 0 for you. What would a caller do with it?"

[no_root]
cell = "spread"
old = " ** 0.5"
new = ""
says = "You return the variance. In which unit is a standard deviation?"
"""

VARIANTS = """
[loop]
cell = "mean"
whole = '''
def mean(xs):
    if len(xs) == 0:
        raise ValueError("empty")
    total = 0.0
    for x in xs:
        total += x
    return total / len(xs)
'''

[named]
cell = "mean"
old = "mean(xs):"
new = "mean(xs: list[float]) -> float:"

[power]
cell = "spread"
whole = '''
def spread(xs):
    centre = sum(xs) / len(xs)
    return pow(sum((x - centre) ** 2 for x in xs) / len(xs), 0.5)
'''
"""

REWRITES = """
[no_division]
loop = [["return total / len(xs)", "return total"]]

[off_by_one]
loop = [["return total / len(xs)", "return total / (len(xs) - 1)"]]

[no_root]
power = [["pow(", "("], [", 0.5", ""]]
"""


def course(root: Path) -> Path:
    """The tiny course with this question too, released."""
    tiny_course.build(root)
    with (root / "autograde" / "questions" / "syllabus.toml").open("a", encoding="utf-8") as syllabus:
        syllabus.write(
            f'\n[warmup.questions.{SLUG}]\ntitle = "Mean and spread"\ndifficulty = 1\nminutes = 5\n'
        )
    folder = root / "autograde" / "questions" / tiny_course.TOPIC / SLUG
    folder.mkdir()
    (folder / f"test_{SLUG}.py").write_text(dedent(TESTS).lstrip(), encoding="utf-8")
    for name, text in (("mistakes", MISTAKES), ("variants", VARIANTS), ("rewrites", REWRITES)):
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    tiny_course.write(root / "source" / tiny_course.TOPIC / f"{SLUG}.ipynb", _source())
    make_release(root)
    return root


def _source() -> Any:
    """The notebook: the tiny course's own, with these two cells in place of one."""
    notebook = tiny_course.source("add_up")
    cell, tried = (tiny_course.cell_of(notebook, name) for name in ("add_up", "try_add_up"))
    second = deepcopy(cell)
    for one, name, source in ((cell, "mean", MEAN), (second, "spread", SPREAD)):
        one["source"], one["id"] = source, name
        one["metadata"]["nbgrader"]["grade_id"] = name
    tried["source"] = "print('tried')"
    check = tiny_course.cell_of(notebook, "check")
    check["source"] = f'check("{SLUG}")'
    check["metadata"]["nbgrader"]["points"] = 5
    notebook["cells"].insert(notebook["cells"].index(cell) + 1, second)
    return notebook
