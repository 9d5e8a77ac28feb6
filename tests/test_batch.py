"""A class graded: the same as stock nbgrader leaves, once and not again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import classroom
import pytest
from classroom import TOPIC, command, copied, everybody, solved, submit, tree

from autograde.batch import Graded, grade_class
from autograde.cli import main
from autograde.gradebook import Score, scores
from autograde.handin import HandInError
from autograde.journal import FILE, Journal
from autograde.lock import Limits
from autograde.question import Question, find
from autograde.release import register
from autograde.verdict import Result

SEED = "5"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny course with its release, nobody's submissions."""
    return classroom.course(tmp_path_factory.mktemp("course") / "course")


@pytest.fixture(scope="module")
def graded(course: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The small class, graded by `autograde grade`."""
    root = copied(course, tmp_path_factory.mktemp("ours") / "course")
    everybody(root)
    done = command(root, "grade", "--seed", SEED, "--jobs", "2", "--json", "class.json")
    return SimpleNamespace(root=root, done=done, scores=scores(root, TOPIC), tree=tree(root))


@pytest.fixture
def root(graded: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the graded class to go on with, as the working folder, under the same seed."""
    copy = tmp_path / "course"
    shutil.copytree(graded.root, copy, symlinks=True)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("AUTOGRADE_SEED", SEED)
    monkeypatch.delenv("AUTOGRADE_COURSE", raising=False)
    return copy


@pytest.fixture
def empty(course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the course without submissions, as the working folder."""
    copy = copied(course, tmp_path / "course")
    monkeypatch.chdir(copy)
    monkeypatch.setenv("AUTOGRADE_SEED", SEED)
    monkeypatch.delenv("AUTOGRADE_COURSE", raising=False)
    return copy


def autograde(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process: its exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


def points(root: Path) -> dict[tuple[str, str], float]:
    """The gradebook's scores, by student and question."""
    return {key: score.score for key, score in scores(root, TOPIC).items()}


# --- one class ---


def test_everybody_has_a_score(graded: SimpleNamespace) -> None:
    """Right, wrong, empty, broken, missing and odd submissions all have the score they earned."""
    assert graded.done.returncode == 0, graded.done.stderr
    assert {key: score.score for key, score in graded.scores.items()} == {
        ("ann", "double_it"): 9, ("ann", "add_up"): 1,
        ("bob", "double_it"): 0, ("bob", "add_up"): 1,
        ("cara half", "double_it"): 7, ("cara half", "add_up"): 1,
        ("dan", "double_it"): 0, ("dan", "add_up"): 1,
        ("fay", "double_it"): 0, ("fay", "add_up"): 1,
        ("gus", "double_it"): 0, ("gus", "add_up"): 1,
        ("Žofie Øst", "double_it"): 9, ("Žofie Øst", "add_up"): 0,
    }  # fmt: skip


def test_unknown_topic_is_noted(graded: SimpleNamespace) -> None:
    """A folder that is no topic of the syllabus is named and left alone."""
    assert "note: gus/cooking: no such topic in the syllabus, left alone" in graded.done.stderr
    assert "Traceback" not in graded.done.stderr


def test_table_names_students_and_mistakes(graded: SimpleNamespace) -> None:
    """The table on standard output has every student and the recognised mistake."""
    for name in ("ann", "bob", "cara half", "Žofie Øst", "adds_two", "double_it", "add_up"):
        assert name in graded.done.stdout


def test_json_holds_the_class(graded: SimpleNamespace) -> None:
    """The JSON file has each question's students with their scores."""
    data = json.loads((graded.root / "class.json").read_text(encoding="utf-8"))
    assert set(data) == {"double_it", "add_up"}
    students = {row["student"]: row for row in data["double_it"]["students"]}
    assert len(students) == 7
    assert (students["ann"]["score"], students["bob"]["score"], students["cara half"]["score"]) == (9, 0, 7)
    assert data["double_it"]["mistakes"] == {"adds_two": 1}


def test_stock_command_leaves_the_same(graded: SimpleNamespace, course: Path, tmp_path: Path) -> None:
    """`nbgrader autograde` on the same tree with the same seed: equal gradebook, equal files, byte for byte."""
    root = copied(course, tmp_path / "course")
    everybody(root)
    register(root, [TOPIC], root)
    done = command(root, "autograde", TOPIC, module="nbgrader", AUTOGRADE_SEED=SEED)
    assert done.returncode == 0, done.stderr
    assert scores(root, TOPIC) == graded.scores
    assert tree(root) == graded.tree


def test_timestamps_are_kept(graded: SimpleNamespace) -> None:
    """The time of handing in goes along into autograded/."""
    assert graded.tree[f"gus/{TOPIC}/timestamp.txt"] == b"2026-01-02 12:00:00 UTC\n"


def test_secrets_of_the_course_are_private(graded: SimpleNamespace) -> None:
    """What is kept beside the gradebook is not for others to read."""
    folder = graded.root / ".autograde"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "journal.jsonl").stat().st_mode & 0o077 == 0


# --- a second run ---


def test_second_run_grades_nothing(root: Path) -> None:
    """What is in the journal is not graded again, nothing is written, and no score changes."""
    before = {path: path.stat().st_mtime_ns for path in (root / "autograded").rglob("*")}
    scored = scores(root, TOPIC)
    grade_class(root / "submitted")
    first = {path: path.stat().st_mtime_ns for path in (root / "autograded").rglob("*")}
    again = grade_class(root / "submitted")
    assert again.fresh == 0
    assert not again.troubled
    assert {path: path.stat().st_mtime_ns for path in (root / "autograded").rglob("*")} == first
    assert set(first) == set(before)
    assert scores(root, TOPIC) == scored


def test_rows_are_complete_from_the_journal(
    root: Path, graded: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run shows the same table as the first."""
    monkeypatch.setenv("COLUMNS", "100")
    assert autograde(capsys, "grade", "--seed", SEED) == (0, graded.done.stdout, graded.done.stderr)


def test_handing_in_again_is_graded(root: Path) -> None:
    """Of a class that was graded, only the notebook that changed is graded, and its score follows."""
    submit(root, "bob", double_it=solved(root, "double_it"))
    again = grade_class(root / "submitted", student="bob")
    # The same bytes as ann's: what they earn is known.
    assert again.fresh == 0
    assert points(root)["bob", "double_it"] == 9


def test_going_back_to_an_earlier_version_is_recorded(root: Path) -> None:
    """A submission that is again what it was before has again the score it had before."""
    before = (root / "submitted" / "bob" / TOPIC / "double_it.ipynb").read_bytes()
    submit(root, "bob", double_it=solved(root, "double_it"))
    grade_class(root / "submitted", student="bob")
    submit(root, "bob", double_it=before)
    grade_class(root / "submitted", student="bob")
    assert points(root)["bob", "double_it"] == 0


def test_withdrawn_notebook_loses_its_points(root: Path) -> None:
    """A notebook that is no longer there is worth nothing, though it was graded before."""
    (root / "submitted" / "ann" / TOPIC / "double_it.ipynb").unlink()
    grade_class(root / "submitted", student="ann")
    assert points(root)["ann", "double_it"] == 0
    assert points(root)["ann", "add_up"] == 1


def test_lost_gradebook_is_written_again(root: Path, graded: SimpleNamespace) -> None:
    """A gradebook that was deleted has everybody's scores after the next run, without grading."""
    for path in root.glob("gradebook.db*"):
        path.unlink()
    assert grade_class(root / "submitted").fresh == 0
    assert scores(root, TOPIC) == graded.scores


def test_damaged_ledger_costs_nothing(root: Path, graded: SimpleNamespace) -> None:
    """A damaged record of what was recorded has everybody recorded once more."""
    (root / ".autograde" / "recorded.json").write_text("{torn", encoding="utf-8")
    assert grade_class(root / "submitted").fresh == 0
    assert scores(root, TOPIC) == graded.scores


# --- the command line ---


def test_why_shows_the_card_and_records_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--why` prints one student's card, and leaves gradebook and autograded/ alone."""
    shutil.rmtree(root / "autograded")
    before = (root / "gradebook.db").read_bytes()
    code, card, _ = autograde(capsys, "grade", "--why", "bob")
    assert code == 0
    assert "You add two." in card
    assert "ann" not in card
    assert not (root / "autograded").exists()
    assert (root / "gradebook.db").read_bytes() == before


def test_why_names_what_is_missing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook that the student did not hand in takes a line, and no card of failed tests."""
    (root / "submitted" / "bob" / TOPIC / "add_up.ipynb").unlink()
    _, said, _ = autograde(capsys, "grade", "--why", "bob")
    assert "add_up: not handed in\n" in said
    assert said.count(" points\n") == 1


def test_one_student_of_one_topic(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--student` and `--topic` leave everybody else's work alone."""
    shutil.rmtree(root / "autograded")
    (root / "gradebook.db").unlink()
    code, table, _ = autograde(capsys, "grade", "--student", "cara half", "--topic", TOPIC)
    assert code == 0
    assert "ann" not in table
    assert points(root) == {("cara half", "double_it"): 7, ("cara half", "add_up"): 1}
    assert [path.name for path in (root / "autograded").iterdir()] == ["cara half"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "no folder nowhere: run this beside submitted/, or name it: autograde grade PATH"),
        (["--topic", "cooking"], "no topic 'cooking' in the syllabus: it has warmup"),
        (["--student", "nobody"], "no submission in submitted for --student nobody: nbgrader puts them at"),
        (["submitted/ann"], "submitted/<student>/<topic>/<notebook>.ipynb"),
        (["nbgrader_config.py"], "run this beside submitted/"),
        (["autograde"], "submitted/<student>/<topic>/<notebook>.ipynb"),
        (["."], "is not submitted/ but holds it: autograde grade submitted"),
    ],
)
def test_what_is_not_there_is_said(
    root: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong folder, topic or student ends with 2 and one line that says what to do."""
    code, table, said = autograde(capsys, "grade", *arguments)
    assert code == 2
    assert table == ""
    assert says in said
    assert said.count("\n") == 1


def test_empty_folder_of_a_student_is_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A student's topic folder without a notebook is in the table as not handed in."""
    (root / "submitted" / "nobody" / TOPIC).mkdir(parents=True)
    code, table, said = autograde(capsys, "grade")
    assert code == 0
    assert "nobody" not in said
    assert re.search(r"nobody +0/\d+ .* not handed in", table)


@pytest.mark.parametrize("arguments", [["grade", "--jobs", "0"], ["grade", "--jobs", "x"], ["cook"], []])
def test_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command line that can't be meant ends with 2."""
    assert autograde(capsys, *arguments)[0] == 2


@pytest.fixture(scope="module")
def spoiled(course: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A class graded where one question can't be collected and the mistakes of the other have drifted."""
    root = copied(course, tmp_path_factory.mktemp("spoiled") / "course")
    submit(root, "ann", add_up=solved(root, "add_up"), double_it=solved(root, "double_it"))
    submit(root, "bob", add_up=solved(root, "add_up"), double_it=solved(root, "double_it", classroom.WRONG))
    find("add_up", root).tests.write_text("import pytest\n1 / 0\n", encoding="utf-8")
    path = find("double_it", root).mistakes
    path.write_text(path.read_text(encoding="utf-8").replace("2 * x", "3 * x"), encoding="utf-8")
    return SimpleNamespace(root=root, done=command(root, "grade", "--jobs", "1", "--seed", SEED))


def test_our_fault_ends_with_1(spoiled: SimpleNamespace) -> None:
    """A question that can't be graded asks for a person, in a few lines and without a traceback."""
    assert spoiled.done.returncode == 1
    assert "Traceback" not in spoiled.done.stderr
    assert len(spoiled.done.stderr) < 3000


def test_tests_that_can_not_be_collected_are_named(spoiled: SimpleNamespace) -> None:
    """The error in the hidden tests is said for each submission of the question."""
    for student in ("ann", "bob"):
        (said,) = [
            x for x in spoiled.done.stderr.splitlines() if x.startswith(f"note: {student}/add_up: not graded")
        ]
        assert "test_add_up.py" in said
        assert "ZeroDivisionError" in said


def test_mistakes_that_have_drifted_are_named(spoiled: SimpleNamespace) -> None:
    """A mistake that no longer applies is reported in its own words, for those who need it."""
    assert "note: bob/double_it: not graded, our fault" in spoiled.done.stderr
    assert "[adds_two] `old` occurs 0 times" in spoiled.done.stderr
    assert "ann/double_it" not in spoiled.done.stderr


def test_our_fault_costs_the_others_nothing(spoiled: SimpleNamespace) -> None:
    """Where one submission can't be graded, the others of the class are."""
    assert [result.score for result in results(spoiled.root)] == [9]


def results(root: Path) -> list[Result]:
    """Every result in the journal."""
    journal = Journal(root / FILE)
    lines = [line for line in (root / FILE).read_text(encoding="ascii").splitlines() if line]
    return [found for line in lines if (found := journal.get(json.loads(line)["key"])) is not None]


# --- how it is graded ---


def test_one_worker_or_two_give_the_same(graded: SimpleNamespace, root: Path) -> None:
    """The number of workers changes no result."""
    two = grade_class(root / "submitted", keep=False)
    (root / FILE).unlink()
    one = grade_class(root / "submitted", keep=False, jobs=1)
    assert one.fresh == 8  # of 14: who handed in the same file, or none, shares a result
    assert one.rows == two.rows


@pytest.fixture(scope="module")
def troubled(course: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A class graded under short limits: a hang, and a hidden test that breaks."""
    root = copied(course, tmp_path_factory.mktemp("troubled") / "course")
    submit(root, "ann", double_it=solved(root, "double_it", classroom.HANG))
    submit(root, "bob", add_up=solved(root, "add_up"))
    tests = find("add_up", root).tests
    text = tests.read_text(encoding="utf-8").replace(
        "    assert student", "    {}['gone']\n    assert student"
    )
    tests.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("AUTOGRADE_SEED", SEED)
        run = grade_class(root / "submitted", jobs=1, limits=Limits(call_s=1, budget_s=2))
        yield SimpleNamespace(root=root, run=run, scores=scores(root, TOPIC))


def row_of(run: Graded, question: Question, student: str) -> Result:
    """The result of one student."""
    (row,) = [row for row in run.rows[question] if row.student == student]
    return row.result


def test_hang_ends_and_the_next_is_graded(troubled: SimpleNamespace) -> None:
    """A function that never returns is stopped with a named cause, earns nothing, and holds nobody up."""
    result = row_of(troubled.run, find("double_it", troubled.root), "ann")
    assert result.score == 0
    assert result.stops
    assert all("longer than 1 s" in stop or "used up the 2 s" in stop for stop in result.stops)
    assert troubled.scores["ann", "double_it"].score == 0
    assert troubled.scores["ann", "double_it"].max_score == 9


def test_broken_hidden_test_asks_for_a_person(troubled: SimpleNamespace) -> None:
    """A hidden test that breaks costs nobody a point, leaves the grade open, and the run says so."""
    assert troubled.run.troubled
    assert troubled.scores["bob", "add_up"].needs_manual
    assert not troubled.scores["ann", "double_it"].needs_manual


def test_nothing_to_grade_is_an_error(empty: Path) -> None:
    """An empty submitted/ is an error that shows where submissions belong."""
    (empty / "submitted").mkdir()
    with pytest.raises(HandInError, match=r"no submission in .*submitted: nbgrader puts them at"):
        grade_class(empty / "submitted")


def test_score_of_a_right_answer_needs_nobody(graded: SimpleNamespace) -> None:
    """A graded class waits for no person."""
    assert graded.scores["ann", "double_it"] == Score(9, 9, needs_manual=False, late=0)
    assert not any(score.needs_manual for score in graded.scores.values())
