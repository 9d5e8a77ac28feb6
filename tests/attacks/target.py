"""A course that is worth attacking: a question of four tasks, and secrets wherever a submission might look."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import nbformat
import tiny_course
from tiny_course import TOPIC

from autograde.gradebook import Course
from autograde.question import find
from autograde.submission import grade_id, kind_of

SLUG = "target"

CELLS = {
    "scale": "def scale(x, by):\n    ### BEGIN SOLUTION\n    return x * by\n    ### END SOLUTION\n",
    "affine": """\
class Affine(torch.nn.Module):
    ### BEGIN SOLUTION
    def __init__(self, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.weight
    ### END SOLUTION
""",
    "total": """\
def total(step, n):
    ### BEGIN SOLUTION
    return sum(step(i) for i in range(n))
    ### END SOLUTION
""",
    "word": """\
def word(k):
    ### BEGIN SOLUTION
    if k < 0:
        raise ValueError("k is negative")
    return "ab" * k
    ### END SOLUTION
""",
}

TESTS = '''
    """{secret}"""
    import numpy as np
    import pytest
    import torch

    SECRET = "{secret}"


    @pytest.mark.points(2)
    @pytest.mark.task("scale")
    def test_positive(student, rng, close):
        """scales positive numbers"""
        x = rng.random((3, 4)) + 0.5
        close(student.scale(x, 3.0), x * 3.0)


    @pytest.mark.points(3)
    @pytest.mark.task("scale")
    def test_negative(student, rng, close):
        """scales negative numbers"""
        x = -rng.random((3, 4)) - 0.5
        close(student.scale(x, 3.0), x * 3.0)


    @pytest.mark.points(2)
    @pytest.mark.task("affine")
    def test_forward(student, rng, close):
        """multiplies by the weight"""
        layer, weight = student.Affine(4), torch.tensor(rng.standard_normal(4), dtype=torch.float32)
        layer.load_state_dict({{"weight": weight}})
        x = torch.tensor(rng.standard_normal((2, 4)), dtype=torch.float32)
        close(layer(x), x * weight)


    @pytest.mark.points(3)
    @pytest.mark.task("affine")
    def test_gradient(student, rng, close, backward):
        """passes the gradient on"""
        layer, weight = student.Affine(4), torch.tensor(rng.standard_normal(4), dtype=torch.float32)
        layer.load_state_dict({{"weight": weight}})
        x = torch.tensor(rng.standard_normal((2, 4)), dtype=torch.float32)
        g = torch.tensor(rng.standard_normal((2, 4)), dtype=torch.float32)
        _, grads, of_parameters = backward(layer, x, cotangent=g, wrt=(0,), module=layer)
        close(grads[0], g * weight)
        close(of_parameters["weight"], (g * x).sum(0))


    @pytest.mark.points(2)
    @pytest.mark.task("total")
    def test_total(student, rng, close):
        """adds up what it is told"""
        told = rng.standard_normal(5).tolist()
        close(student.total(lambda i: told[i], 5), sum(told))


    @pytest.mark.points(3)
    @pytest.mark.task("total")
    def test_once_each(student, rng):
        """asks for each number once"""
        told, asked = rng.standard_normal(5).tolist(), []
        student.total(lambda i: (asked.append(i), told[i])[1], 5)
        assert sorted(asked) == list(range(5)), "asked for another set of numbers"
        assert abs(student.total(lambda i: told[i], 3) - sum(told[:3])) < 1e-9, "the sum came out wrong"


    @pytest.mark.points(2)
    @pytest.mark.task("word")
    def test_word(student, rng):
        """repeats a word"""
        k = int(rng.integers(3, 9))
        assert student.word(k) == "ab" * k, "the word came out wrong"


    @pytest.mark.points(3)
    @pytest.mark.task("word")
    def test_no_word(student):
        """repeats a word zero times"""
        assert student.word(0) == "" and student.word(1) == "ab", "the shortest words came out wrong"


    @pytest.mark.points(2)
    @pytest.mark.task("word")
    def test_refusal(student, raises):
        """refuses to repeat less often than never"""
        assert student.word(2) == "abab", "the word came out wrong"
        with raises(ValueError):
            student.word(-1)
'''

MISTAKES = """
# {secret}
[always_double]
cell = "scale"
old = "x * by"
new = "x * 2"
says = "You always double. What is the second argument for?"
"""

# Half of the points of every task but one: an attack can gain, and it can lose.
HALF = {
    "scale": "def scale(x, by):\n    return np.sqrt(x * x) * by",
    "affine": """\
class Affine(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x.detach() * self.weight.detach() + 0 * self.weight""",
    "total": "def total(step, n):\n    return sum([step(i) for i in range(n)] + [0 * step(0)])",
    "word": "def word(k):\n    return 'ab' * max(k, 2)",
}
WORTH = 22.0

PLACES = ("tests", "mistakes", "source", "fellow", "home", "environment")


@dataclass(frozen=True)
class Target:
    """A course on the disk and what must not come out of it.

    Attributes:
        root: the folder in which the commands are run.
        home: the instructor's home.
        secrets: texts that no learner may see, by where they are.
        topic, slug: the question.
        answers: what a learner hands in who does not attack, by cell.
        facts: what else an attack's code may name in braces.
    """

    root: Path
    home: Path
    secrets: dict[str, str]
    topic: str = TOPIC
    slug: str = SLUG
    answers: Mapping[str, str] = field(default_factory=lambda: HALF)
    facts: Mapping[str, str] = field(default_factory=dict)


def build(folder: Path) -> Target:
    """Write the course, its release, a fellow student's work and the instructor's home.

    Args:
        folder: where; made here.
    """
    kept = {where: f"kept-{where}-{secrets.token_hex(8)}" for where in PLACES}
    root, home = folder / "course", folder / "home"
    questions = root / "autograde" / "questions" / TOPIC / SLUG
    questions.mkdir(parents=True)
    _list_in_syllabus(root, TOPIC, SLUG)
    (questions / f"test_{SLUG}.py").write_text(
        dedent(TESTS).lstrip().format(secret=kept["tests"]), encoding="utf-8"
    )
    (questions / "mistakes.toml").write_text(MISTAKES.format(secret=kept["mistakes"]), encoding="utf-8")
    (questions / "variants.toml").write_text("", encoding="utf-8")
    (root / "source" / TOPIC).mkdir(parents=True)
    tiny_course.write(root / "source" / TOPIC / f"{SLUG}.ipynb", _source(kept["source"]))
    (root / "nbgrader_config.py").write_text(tiny_course.CONFIG, encoding="utf-8")
    Course(root).release(TOPIC)
    home.mkdir()
    (home / "diary.txt").write_text(kept["home"], encoding="utf-8")
    target = Target(root, home, kept)
    fellow = answered(target, {"word": f"def word(k):\n    return {kept['fellow']!r}"})
    tiny_course.submit(root, "fellow", **{SLUG: fellow})
    return target


def borrowed(folder: Path, slug: str) -> Target:
    """A course of one real question, answered right; it has no secrets.

    Args:
        folder: where; made here.
        slug: the question.
    """
    question = find(slug)
    root, home = folder / "course", folder / "home"
    shutil.copytree(question.tests.parent, root / "autograde" / "questions" / question.topic / slug)
    _list_in_syllabus(root, question.topic, slug)
    (root / "source" / question.topic).mkdir(parents=True)
    shutil.copy(question.source, root / "source" / question.topic)
    (root / "nbgrader_config.py").write_text(tiny_course.CONFIG, encoding="utf-8")
    Course(root).release(question.topic)
    home.mkdir()
    right = {
        grade_id(cell): "".join(cell["source"])
        for cell in question.source_notebook["cells"]
        if kind_of(cell) == "learner" and grade_id(cell)
    }
    return Target(root, home, {}, question.topic, slug, right)


def _list_in_syllabus(root: Path, topic: str, slug: str) -> None:
    told = (
        f'[{topic}]\ntitle = "T"\n[{topic}.questions.{slug}]\ntitle = "Target"\ndifficulty = 1\nminutes = 5\n'
    )
    (root / "autograde" / "questions" / "syllabus.toml").write_text(told, encoding="utf-8")


def answered(target: Target, cells: Mapping[str, str]) -> Any:
    """A learner's notebook: the release with the course's answers, or these in their place."""
    notebook = nbformat.read(target.root / "release" / target.topic / f"{target.slug}.ipynb", as_version=4)
    for name, source in {**target.answers, **cells}.items():
        tiny_course.cell_of(notebook, name).source = source
    return notebook


def _source(secret: str) -> Any:
    """The tiny course's notebook, with these cells in place of its one."""
    notebook = tiny_course.source("add_up")
    setup, cell, tried, check = (
        tiny_course.cell_of(notebook, name) for name in ("setup", "add_up", "try_add_up", "check")
    )
    setup["source"] = "import numpy as np\nimport torch\nfrom autograde import check"
    tried["source"] = "print('tried')"
    check["source"] = f'check("{SLUG}")'
    check["metadata"]["nbgrader"]["points"] = WORTH
    at = notebook["cells"].index(cell)
    notebook["cells"][at : at + 1] = [_answer(cell, name, source) for name, source in CELLS.items()]
    told = notebook["cells"][-1]
    told["source"] = f"ANSWER: {secret}"
    return notebook


def _answer(model: Any, name: str, source: str) -> Any:
    one = deepcopy(model)
    one["source"], one["id"] = source, name
    one["metadata"]["nbgrader"]["grade_id"] = name
    return one
