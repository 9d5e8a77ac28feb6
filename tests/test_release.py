"""Releases and solutions made from sources."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import tiny_course
from nbgrader.api import Gradebook
from tiny_course import TOPIC, cell_of, write

from autograde.question import QuestionError, find
from autograde.release import ReleaseError, make_release, make_solutions, register


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with its release and its solutions."""
    root = tiny_course.build(tmp_path_factory.mktemp("course"))
    assert len(make_release(root)) == 2
    assert len(make_solutions(root)) == 2
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of that course to spoil."""
    copy = tmp_path / "course"
    shutil.copytree(made, copy)
    return copy


def test_release_is_what_the_stock_command_makes(made: Path, root: Path) -> None:
    """`nbgrader generate_assignment` gives the same files, byte for byte."""
    shutil.rmtree(root / "release")
    run = [sys.executable, "-m", "nbgrader", "generate_assignment", TOPIC]
    done = subprocess.run(run, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for slug in tiny_course.QUESTIONS:
        stock = root / "release" / TOPIC / f"{slug}.ipynb"
        assert stock.read_bytes() == (made / "release" / TOPIC / f"{slug}.ipynb").read_bytes()
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        cells = {
            cell.name: cell.max_score for cell in gradebook.find_notebook("double_it", TOPIC).grade_cells
        }
    assert cells == {"check": 5, "check_extra": 4, "try_double_it": 0}


def test_release_holds_no_solution_and_no_answer(made: Path) -> None:
    """The learner's file has the stub in place of the solution, and no answer cell."""
    text = find("double_it", made).release.read_text(encoding="utf-8")
    assert "raise NotImplementedError()" in text
    for secret in ("2 * x", "SOLUTION", "ANSWER", "answer-1", "marker_of_the_hidden_test"):
        assert secret not in text


def test_solution_is_executed_and_keeps_the_answer(made: Path) -> None:
    """The solution shows its outputs and the answer, and nothing that differs from run to run."""
    question = find("double_it", made)
    notebook = nbformat.read(question.solution, as_version=4)
    assert cell_of(notebook, "try_double_it").outputs[0].text == "tried double_it\n"
    assert notebook.cells[-1].source.startswith("ANSWER")
    assert notebook.metadata == nbformat.read(question.source, as_version=4).metadata
    assert not any("execution" in cell.metadata for cell in notebook.cells)


def test_nothing_changes_when_nothing_changed(root: Path) -> None:
    """Making everything again writes no file, and the check finds all fresh."""
    assert make_release(root, check=True) == []
    assert make_release(root) == []
    assert make_solutions(root, check=True) == []
    assert make_solutions(root) == []


def test_a_changed_source_is_stale_until_made(root: Path) -> None:
    """The check names the files that an edited source makes stale, and making them cures it."""
    question = find("add_up", root)
    notebook = nbformat.read(question.source, as_version=4)
    cell_of(notebook, "title").source = "# Add up, in words"
    write(question.source, notebook)
    assert make_release(root, [TOPIC], check=True) == [question.release]
    assert make_solutions(root, [TOPIC], check=True) == [question.solution]
    assert make_release(root, [TOPIC]) == [question.release]
    assert make_release(root, [TOPIC], check=True) == []


def test_check_compares_cells_and_not_outputs(root: Path) -> None:
    """Another output leaves a solution fresh; an error shown in it does not."""
    question = find("add_up", root)
    notebook = nbformat.read(question.solution, as_version=4)
    cell_of(notebook, "try_add_up").outputs[0].text = "something else\n"
    nbformat.write(notebook, question.solution)
    assert make_solutions(root, check=True) == []
    error = nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])
    cell_of(notebook, "try_add_up").outputs = [error]
    nbformat.write(notebook, question.solution)
    assert make_solutions(root, check=True) == [question.solution]


def test_a_solution_that_raises_is_refused(root: Path) -> None:
    """The error names the notebook, the cell and what it raised, and the old file stays."""
    question = find("add_up", root)
    before = question.solution.read_bytes()
    notebook = nbformat.read(question.source, as_version=4)
    cell_of(notebook, "try_add_up").source = "raise ValueError('first line\\nsecond line')"
    write(question.source, notebook)
    with pytest.raises(
        ReleaseError, match=r"solution of add_up .* cell try_add_up raised ValueError: first line$"
    ):
        make_solutions(root)
    assert question.solution.read_bytes() == before


def test_a_solution_that_fails_its_check_is_refused(root: Path) -> None:
    """A reference solution that loses a point stops the making of solutions; the error says how to see its card."""
    question = find("add_up", root)
    notebook = nbformat.read(question.source, as_version=4)
    cell = cell_of(notebook, "add_up")
    cell.source = cell.source.replace("sum(xs)", "sum(xs) - 1")
    write(question.source, notebook)
    with pytest.raises(
        ReleaseError, match=r"cell check raised .*`autograde check source/warmup/add_up\.ipynb`"
    ):
        make_solutions(root)


def test_bad_sources_are_named(root: Path) -> None:
    """A topic that does not exist, a notebook that is missing and one that is none are told apart."""
    with pytest.raises(QuestionError, match="no topic 'cooking': topics are warmup"):
        make_release(root, ["cooking"])
    source = find("add_up", root).source
    source.write_text("{", encoding="utf-8")
    with pytest.raises(ReleaseError, match="source/warmup"):
        make_release(root)
    source.unlink()
    with pytest.raises(QuestionError, match="source/warmup has no such notebook"):
        make_release(root)


def test_register_tells_the_gradebook_once(root: Path, tmp_path: Path) -> None:
    """A gradebook learns of cells and points once, follows a change, and keeps notebooks of its own."""
    working = tmp_path / "working"
    working.mkdir()
    url = f"sqlite:///{working}/gradebook.db"
    register(root, [TOPIC], working)
    with Gradebook(url) as gradebook:
        first = gradebook.find_notebook("add_up", TOPIC).id
        gradebook.add_notebook("essay", TOPIC)
    register(root, [TOPIC], working)
    with Gradebook(url) as gradebook:
        assert gradebook.find_notebook("add_up", TOPIC).id == first
    question = find("add_up", root)
    notebook = nbformat.read(question.source, as_version=4)
    cell_of(notebook, "check").metadata.nbgrader.points = 2
    write(question.source, notebook)
    make_release(root)
    register(root, [TOPIC], working)
    with Gradebook(url) as gradebook:
        assert gradebook.find_grade_cell("check", "add_up", TOPIC).max_score == 2
        assert gradebook.find_notebook("essay", TOPIC).name == "essay"
    assert [path.name for path in working.iterdir()] == ["gradebook.db"]
