"""A course of two tiny questions and an essay: tests of the engine need no real question."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

TOPIC = "warmup"
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"

SYLLABUS = """
[warmup]
title = "Warm-up"

[warmup.questions.double_it]
title = "Double it"
difficulty = 1
minutes = 5

[warmup.questions.add_up]
title = "Add up"
difficulty = 1
minutes = 5
"""

DOUBLE_IT = {
    "source": "def double_it(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION\n",
    "tests": '''
        import pytest


        @pytest.mark.points(3)
        def test_small(student):
            """doubles a small number"""
            assert student.double_it(4) == 8, "four doubled came out wrong"


        @pytest.mark.points(2)
        def test_negative(student):
            """doubles a negative number"""
            marker_of_the_hidden_test = -6
            assert student.double_it(-3) == marker_of_the_hidden_test, "a negative number came out wrong"


        @pytest.mark.points(4)
        @pytest.mark.part("extra")
        def test_large(student):
            """doubles a large number"""
            assert student.double_it(10**6) == 2 * 10**6, "a large number came out wrong"
    ''',
    "mistakes": '[adds_two]\ncell = "double_it"\nold = "2 * x"\nnew = "2 + x"\n'
    'says = "You add two. Think about what doubling does to zero."\n',
    "checks": {"check": 5, "check_extra": 4},
}

ADD_UP = {
    "source": "def add_up(xs):\n    ### BEGIN SOLUTION\n    return sum(xs)\n    ### END SOLUTION\n",
    "tests": '''
        import pytest


        @pytest.mark.points(1)
        def test_sum(student):
            """adds three numbers"""
            assert student.add_up([1, 2, 4]) == 7, "the sum came out wrong"
    ''',
    "mistakes": '[first_only]\ncell = "add_up"\nold = "sum(xs)"\nnew = "xs[0]"\n'
    'says = "You return the first number. Think about the others."\n',
    "checks": {"check": 1},
}

QUESTIONS: dict[str, dict[str, Any]] = {"double_it": DOUBLE_IT, "add_up": ADD_UP}

CONFIG = "from autograde import configure\n\nc = get_config()\nconfigure(c)\n"


def build(root: Path) -> Path:
    """Write the course: syllabus, sources and hidden tests; no release yet."""
    hidden = root / "autograde" / "questions"
    hidden.mkdir(parents=True)
    (hidden / "syllabus.toml").write_text(SYLLABUS, encoding="utf-8")
    (root / "source" / TOPIC).mkdir(parents=True)
    for slug, question in QUESTIONS.items():
        folder = hidden / TOPIC / slug
        folder.mkdir(parents=True)
        (folder / f"test_{slug}.py").write_text(dedent(question["tests"]).lstrip(), encoding="utf-8")
        (folder / "mistakes.toml").write_text(question["mistakes"], encoding="utf-8")
        (folder / "variants.toml").write_text("", encoding="utf-8")
        write(root / "source" / TOPIC / f"{slug}.ipynb", source(slug))
    (root / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    return root


def source(slug: str) -> Any:
    """The source notebook of a question."""
    question = QUESTIONS[slug]
    setup = new_code_cell("from autograde import check", id="setup", metadata=_locked("setup"))
    answer = new_code_cell(question["source"], id="yours", metadata=_meta(slug, solution=True))
    tried = new_code_cell(f"print('tried', {slug}.__name__)", id="try", metadata=_grade(f"try_{slug}", 0))
    checks = [
        new_code_cell(_check(slug, name), id=name.replace("_", "-"), metadata=_grade(name, points))
        for name, points in question["checks"].items()
    ]
    title = new_markdown_cell(f"# {slug}", id="title", metadata=_locked("title"))
    told = new_markdown_cell("ANSWER: why it is so", id="answer-1", metadata={"tags": ["answer"]})
    return _notebook([title, setup, answer, tried, *checks, told])


def essay() -> Any:
    """A notebook of the course's own, which a person grades."""
    fields = _meta("essay", solution=True, grade=True, points=3)
    return _notebook([new_markdown_cell("Write here.", id="essay", metadata=fields)])


def solved(root: Path, slug: str, code: str | None = None) -> Any:
    """A learner's notebook made from the release: with this code, or with the reference solution."""
    notebook = released(root, slug)
    reference = source(slug)
    cell_of(notebook, slug).source = code if code is not None else cell_of(reference, slug).source
    return notebook


def released(root: Path, slug: str) -> Any:
    """The release of a question."""
    return nbformat.read(root / "release" / TOPIC / f"{slug}.ipynb", as_version=4)


def cell_of(notebook: Any, name: str) -> Any:
    """The cell with this grade_id."""
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def without(notebook: Any, name: str) -> Any:
    """The notebook without the cell with this grade_id."""
    notebook.cells.remove(cell_of(notebook, name))
    return notebook


def submit(root: Path, student: str, **notebooks: Any) -> None:
    """Put notebooks (or bytes) where nbgrader collects them."""
    for slug, notebook in notebooks.items():
        path = root / "submitted" / student / TOPIC / f"{slug}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(notebook, bytes):
            path.write_bytes(notebook)
        else:
            write(path, notebook)


def write(path: Path, notebook: Any) -> None:
    """Write a notebook as it is, valid or not."""
    path.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")


def forged_full_marks() -> Any:
    """An output that stock nbgrader takes for a score."""
    return new_output("execute_result", {"text/plain": "5"}, execution_count=1)


def _notebook(cells: list[Any]) -> Any:
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": spec, "language_info": {"name": "python"}})


def _check(slug: str, name: str) -> str:
    part = name.removeprefix("check").removeprefix("_")
    return f'check("{slug}", part="{part}")' if part else f'check("{slug}")'


def _meta(name: str, **fields: Any) -> dict[str, Any]:
    plain = {"grade": False, "locked": False, "solution": False, "task": False, "schema_version": 3}
    return {"nbgrader": {**plain, "grade_id": name, **fields}}


def _locked(name: str) -> dict[str, Any]:
    return _meta(name, locked=True)


def _grade(name: str, points: float) -> dict[str, Any]:
    return _meta(name, locked=True, grade=True, points=points)
