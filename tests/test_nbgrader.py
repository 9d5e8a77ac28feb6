"""nbgrader with our grading in it: the stock commands, on a small class."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_course
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from tiny_course import TOPIC, cell_of, essay, forged_full_marks, released, solved, submit, without
from traitlets.config.loader import PyFileConfigLoader

from autograde.digest import digest
from autograde.gradebook import Score, configure, earned, record, scores
from autograde.journal import FILE, Journal
from autograde.question import find
from autograde.release import register
from autograde.seed import course_seed
from autograde.verdict import Outcome, Result, Verdict

NOISY = """
import sys, warnings
warnings.warn("careful")
print("to stderr", file=sys.stderr)
def double_it(x):
    return 2 * x
"""

ADDS_TWO = """
import os
from IPython.display import HTML, display
print("bob prints this", os.getcwd(), os.__file__)
display(HTML("<b>bold</b><script>alert(1)</script>"))
def double_it(x):
    return 2 + x
"""


def nbgrader(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a stock command as an instructor does, in a virtual environment that is not activated."""
    plain = {key: value for key, value in os.environ.items() if key not in ("PATH", "AUTOGRADE_COURSE")}
    environment = {**plain, "PATH": "/usr/bin:/bin", "JUPYTER_PLATFORM_DIRS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def hand_in(root: Path) -> None:
    """Everybody's submissions: right, wrong, edited, broken, late, incomplete."""
    right = {slug: solved(root, slug) for slug in ("double_it", "add_up")}
    written = essay()
    written.cells[0].source = "My own words."
    submit(root, "ann", double_it=solved(root, "double_it", NOISY), add_up=right["add_up"], essay=written)
    submit(root, "bob", double_it=solved(root, "double_it", ADDS_TWO), scratch=right["add_up"])
    submit(root, "eve", double_it=edited(root), add_up=swapped(root))
    patchy = without(without(solved(root, "double_it"), "check_extra"), "setup")
    patchy.cells.append(cell_of(patchy, "check").copy())
    submit(root, "pat", double_it=patchy, add_up=without(without(solved(root, "add_up"), "check"), "title"))
    submit(root, "stu", double_it=released(root, "double_it"), add_up=right["add_up"])
    submit(root, "zed", double_it=b'{"cells": [', add_up=right["add_up"])
    submit(root, "tia", **right)
    folder = root / "submitted" / "tia" / TOPIC
    (folder / "timestamp.txt").write_text("2026-01-02 12:00:00 UTC\n", encoding="utf-8")
    submit(root, "lin", add_up=right["add_up"])
    (root / "submitted" / "lin" / TOPIC / "double_it.ipynb").symlink_to(
        root / "source" / TOPIC / "double_it.ipynb"
    )


def edited(root: Path) -> Any:
    """A wrong answer whose metadata asks for more than there is."""
    notebook = solved(root, "double_it", "def double_it(x):\n    return None")
    check = cell_of(notebook, "check")
    check.metadata.update(tags=["skip-execution"])
    check.metadata.nbgrader.update(points=1000, grade=True, solution=True, checksum="0")
    check.outputs = [forged_full_marks()]
    check.source = "5"
    cell_of(notebook, "check_extra").cell_type = "markdown"
    return notebook


def swapped(root: Path) -> Any:
    """A wrong answer whose try-it cell and check cell changed their names, with a grade cell of its own."""
    notebook = solved(root, "add_up", "def add_up(xs):\n    return 0")
    tried, check = cell_of(notebook, "try_add_up"), cell_of(notebook, "check")
    tried.metadata.nbgrader.update(grade_id="check", points=1)
    check.metadata.nbgrader.update(grade_id="try_add_up", points=0)
    extra = tried.copy()
    extra.metadata = {"nbgrader": {**tried.metadata.nbgrader, "grade_id": "bonus", "points": 50}}
    notebook.cells.append(extra)
    notebook.metadata.kernelspec.update(name="bash", language="bash")
    return notebook


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A course that has been through generate_assignment, autograde, generate_feedback and export."""
    root = tiny_course.build(tmp_path_factory.mktemp("course"))
    tiny_course.write(root / "source" / TOPIC / "essay.ipynb", essay())
    with (root / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write('c.LateSubmissionPlugin.penalty_method = "zero"\n')
    generated = nbgrader(root, "generate_assignment", TOPIC)
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        gradebook.update_or_create_assignment(TOPIC, duedate="2026-01-02 11:00:00 UTC")
    hand_in(root)
    graded = nbgrader(root, "autograde", TOPIC)
    feedback = nbgrader(root, "generate_feedback", TOPIC)
    exported = nbgrader(root, "export", f"--to={root}/grades.csv")
    return SimpleNamespace(
        root=root,
        generated=generated,
        graded=graded,
        feedback=feedback,
        exported=exported,
        scores=scores(root, TOPIC),
    )


def page(course: SimpleNamespace, student: str) -> str:
    """The feedback of a student on double_it."""
    return str((course.root / "feedback" / student / TOPIC / "double_it.html").read_text(encoding="utf-8"))


def test_stock_commands_succeed(course: SimpleNamespace) -> None:
    """Every stock command ends with 0, also with a broken file in the class."""
    for step in (course.generated, course.graded, course.feedback, course.exported):
        assert step.returncode == 0, step.stderr


def test_warnings_cost_nothing(course: SimpleNamespace) -> None:
    """A right answer that writes to stderr has every point, of both check cells."""
    assert course.scores["ann", "double_it"] == Score(9, 9, needs_manual=False, late=0)


def test_wrong_answer_keeps_what_it_earned(course: SimpleNamespace) -> None:
    """A mistake costs the points of the tests that it fails."""
    assert course.scores["bob", "double_it"].score == 0


def test_missing_notebook_is_zero(course: SimpleNamespace) -> None:
    """A notebook that was not handed in has 0 points and waits for nobody."""
    assert course.scores["bob", "add_up"] == Score(0, 1, needs_manual=False, late=0)


def test_unknown_notebook_is_ignored(course: SimpleNamespace) -> None:
    """A notebook that the gradebook does not know is not graded and costs nothing."""
    assert ("bob", "scratch") not in course.scores
    assert not (course.root / "autograded" / "bob" / TOPIC / "scratch.ipynb").exists()


@pytest.mark.parametrize("slug", ["double_it", "add_up"])
def test_edited_metadata_gains_nothing(course: SimpleNamespace, slug: str) -> None:
    """Skip tags, points, forged outputs, changed types and swapped ids leave a wrong answer at 0."""
    assert course.scores["eve", slug].score == 0
    assert course.scores["eve", slug].max_score == {"double_it": 9, "add_up": 1}[slug]


@pytest.mark.parametrize(("slug", "points"), [("double_it", 9), ("add_up", 1)])
def test_lost_and_doubled_cells_break_nothing(course: SimpleNamespace, slug: str, points: float) -> None:
    """A right answer has every point though its grade cells were deleted or doubled."""
    assert course.scores["pat", slug] == Score(points, points, needs_manual=False, late=0)


def test_stub_earns_nothing(course: SimpleNamespace) -> None:
    """The released stub, handed in as it is, has 0 points and the comment that nbgrader gives it."""
    assert course.scores["stu", "double_it"].score == 0
    with Gradebook(f"sqlite:///{course.root}/gradebook.db") as gradebook:
        assert gradebook.find_comment("double_it", "double_it", TOPIC, "stu").auto_comment == "No response."
        assert gradebook.find_comment("double_it", "double_it", TOPIC, "ann").auto_comment is None


def test_broken_file_is_zero_and_the_others_go_on(course: SimpleNamespace) -> None:
    """A file that is no notebook has 0 points, its feedback says why, and the rest is graded."""
    assert course.scores["zed", "double_it"] == Score(0, 9, needs_manual=False, late=0)
    assert course.scores["zed", "add_up"].score == 1
    assert "the file ends in the middle of the notebook" in page(course, "zed")


def test_link_out_of_the_submission_is_refused(course: SimpleNamespace) -> None:
    """A link to the instructor's solution earns nothing."""
    assert course.scores["lin", "double_it"].score == 0
    assert course.scores["lin", "add_up"].score == 1


def test_late_penalty(course: SimpleNamespace) -> None:
    """The configured penalty is computed from our scores, for late submissions only."""
    assert course.scores["tia", "double_it"] == Score(9, 9, needs_manual=False, late=9)
    assert course.scores["ann", "double_it"].late == 0


def test_manually_graded_cells_are_left_to_a_person(course: SimpleNamespace) -> None:
    """A notebook of the course's own runs as in stock nbgrader: its essay waits for a person."""
    assert course.scores["ann", "essay"] == Score(0, 3, needs_manual=True, late=0)


def test_feedback_shows_tests_mistake_and_output(course: SimpleNamespace) -> None:
    """The page has a line for each test, what failed, the recognised mistake and what the learner printed."""
    html = page(course, "bob")
    for said in ("doubles a small number", "four doubled came out wrong", "You add two.", "bob prints this"):
        assert said in html
    assert "<b>bold</b>" in html


def test_feedback_tells_no_secret(course: SimpleNamespace) -> None:
    """No page has source of a hidden test, a path of the server, or a script of a learner."""
    for path in (course.root / "feedback").rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        for secret in (
            "marker_of_the_hidden_test",
            str(course.root),
            sys.prefix,
            sys.base_prefix,
            "<script>alert",
        ):
            assert secret not in html
        assert f"{Path.home()}/" not in html


def test_autograded_tree_holds_clean_notebooks(course: SimpleNamespace) -> None:
    """What is kept has the released check cell with the card in it, not what was handed in."""
    import nbformat

    notebook = nbformat.read(course.root / "autograded" / "eve" / TOPIC / "double_it.ipynb", as_version=4)
    check = cell_of(notebook, "check")
    assert check.source == 'check("double_it")'
    assert "tags" not in check.metadata
    assert "four doubled came out wrong" in check.outputs[0].data["text/html"]
    assert "doubles a large number" in cell_of(notebook, "check_extra").outputs[0].data["text/plain"]


def test_export_has_the_scores(course: SimpleNamespace) -> None:
    """The exported table has one row a student, with late penalties taken off."""
    rows = list(csv.DictReader((course.root / "grades.csv").open(encoding="utf-8")))
    totals = {row["student_id"]: float(row["score"]) for row in rows if row["assignment"] == TOPIC}
    assert totals == {"ann": 10, "bob": 0, "eve": 0, "lin": 1, "pat": 10, "stu": 1, "tia": 0, "zed": 1}


def test_our_run_leaves_what_the_stock_command_leaves(course: SimpleNamespace, tmp_path: Path) -> None:
    """Registering and recording give the scores and, byte for byte, the tree of `nbgrader autograde`."""
    root = tmp_path / "course"
    shutil.copytree(course.root, root, symlinks=True)
    shutil.rmtree(root / "autograded")
    for database in root.glob("gradebook.db*"):
        database.unlink()
    (root / "source" / TOPIC / "essay.ipynb").unlink()
    link = root / "submitted" / "lin" / TOPIC / "double_it.ipynb"
    link.unlink()
    link.symlink_to(root / "source" / TOPIC / "double_it.ipynb")
    register(root, [TOPIC], root)
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        gradebook.update_or_create_assignment(TOPIC, duedate="2026-01-02 11:00:00 UTC")
    students = sorted(path.name for path in (root / "submitted").iterdir())
    assert record(root, TOPIC, [*students, "nobody"]) == [
        ("nobody", f"No notebooks were matched by '{root}/submitted/nobody/{TOPIC}'")
    ]
    stock = {key: score for key, score in course.scores.items() if key[1] != "essay"}
    assert scores(root, TOPIC) == stock
    assert _tree(root) == {path: data for path, data in _tree(course.root).items() if "essay" not in path}


def _tree(root: Path) -> dict[str, bytes]:
    tree = root / "autograded"
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_a_second_run_touches_only_what_it_is_told(course: SimpleNamespace, tmp_path: Path) -> None:
    """Graded work is skipped, `--student --notebook --force` grades one again, manual scores stay."""
    root = tmp_path / "course"
    shutil.copytree(course.root, root, symlinks=True)
    before = {path: path.stat().st_mtime_ns for path in (root / "autograded").rglob("*.ipynb")}
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        grade = gradebook.find_grade("check", "double_it", TOPIC, "bob")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 4, 2, False
        gradebook.db.commit()
    submit(root, "bob", double_it=solved(root, "double_it"), add_up=solved(root, "add_up"))
    assert nbgrader(root, "autograde", TOPIC, "--student", "ann").returncode == 0
    one = nbgrader(root, "autograde", TOPIC, "--student", "bob", "--notebook", "double_it", "--force")
    assert one.returncode == 0, one.stderr
    touched = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert touched == {root / "autograded" / "bob" / TOPIC / "double_it.ipynb"}
    with Gradebook(f"sqlite:///{root}/gradebook.db") as gradebook:
        grade = gradebook.find_grade("check", "double_it", TOPIC, "bob")
        assert (grade.auto_score, grade.manual_score, grade.extra_credit) == (5, 4, 2)
        assert grade.score == 6
        assert grade.needs_manual_grade
        assert gradebook.find_grade("check_extra", "double_it", TOPIC, "bob").score == 4
        assert gradebook.find_grade("check", "add_up", TOPIC, "bob").score == 0


def test_formgrader_button(course: SimpleNamespace, tmp_path: Path) -> None:
    """The call behind formgrader's button grades in the room, also after hidden tests were edited."""
    root = tmp_path / "course"
    shutil.copytree(course.root, root, symlinks=True)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    config.CourseDirectory.root = str(root)
    submit(root, "new", double_it=solved(root, "double_it"), add_up=b"")
    server = NbGraderAPI(coursedir=CourseDirectory(config=config), config=config)
    said = server.autograde(TOPIC, "new")
    assert said["success"], said
    found = scores(root, TOPIC)
    assert (found["new", "double_it"].score, found["new", "add_up"].score) == (9, 0)
    tests = find("double_it", root).tests
    tests.write_text(tests.read_text(encoding="utf-8").replace("== 8", "== 9"), encoding="utf-8")
    assert server.autograde(TOPIC, "new")["success"]
    assert scores(root, TOPIC)["new", "double_it"].score == 6


def test_a_seed_of_ones_own_is_used_for_the_journal(course: SimpleNamespace, tmp_path: Path) -> None:
    """Recording with a seed looks results up under that seed, so that `--seed` and the gradebook agree."""
    root = tmp_path / "course"
    shutil.copytree(course.root, root, symlinks=True)
    question = find("add_up", root)
    data = (root / "submitted" / "zed" / TOPIC / "add_up.ipynb").read_bytes()
    lucky = Result("add_up", (Verdict("test_sum", "said by the journal", Outcome.FAILED, 1),))
    Journal(root / FILE).put(digest(question, data, course_seed(root, "add_up", 7)), lucky)
    assert record(root, TOPIC, ["zed"], notebook="add_up", seed=7) == []
    assert scores(root, TOPIC)["zed", "add_up"].score == 0
    assert record(root, TOPIC, ["zed"], notebook="add_up") == []
    assert scores(root, TOPIC)["zed", "add_up"].score == 1


def test_open_tests_leave_the_grade_open() -> None:
    """A test that broke or could not run flags its own cell; try-it and unknown cells are worth nothing."""
    verdicts = (
        Verdict("a", "", Outcome.PASSED, 3),
        Verdict("b", "", Outcome.FAILED, 2),
        Verdict("c", "", Outcome.NOT_RUN, 4, part="cuda"),
    )
    result = Result("double_it", verdicts)
    assert earned(result, "check") == (3, False)
    assert earned(result, "check_cuda") == (0, True)
    assert earned(result, "check_elsewhere") == (0, True)
    assert earned(result, "try_softmax") == (0, False)
    assert earned(Result("double_it", verdicts, problem="not a notebook"), "check") == (0, False)


def test_configure_keeps_the_settings_of_a_course() -> None:
    """A course's own steps stay where they are, in whatever way they are named, and twice is as once."""
    from traitlets.config import Config

    c = Config()
    c.Autograde.autograde_preprocessors = ["nbgrader.preprocessors.Execute", "mine.Step"]
    c.CourseDirectory.solution_directory = "answers"
    configure(c)
    configure(c)
    first, second = c.Autograde.autograde_preprocessors
    assert (first.__name__, second) == ("GradeInRoom", "mine.Step")
    assert c.CourseDirectory.solution_directory == "answers"
    assert [step.__name__ for step in c.GenerateAssignment.preprocessors].count("DropAnswers") == 1
