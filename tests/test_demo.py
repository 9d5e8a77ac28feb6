"""The demo: the whole path on a class of right, wrong, hostile and broken submissions."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from checkout import CHECKOUT

from autograde import demo
from autograde.batch import grade_class
from autograde.demo import DemoError
from autograde.lock import Limits
from autograde.question import questions
from autograde.report import Row

QUESTION = questions(CHECKOUT)[0]
LIMITS = Limits(call_s=2.0, budget_s=5.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's class, graded with short limits."""
    place = tmp_path_factory.mktemp("demo") / "class"
    assert demo.run(place, LIMITS) == 0
    return place


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, Row]:
    """The rows again, from the journal: nothing is graded anew."""
    graded = grade_class(folder / "submitted", keep=False, limits=LIMITS)
    assert graded.fresh == 0
    return {row.student: row for row in graded.rows[QUESTION]}


@pytest.fixture(scope="module")
def recorded(folder: Path) -> dict[str, float]:
    """Students' scores in nbgrader's own export."""
    with (folder / "grades.csv").open(encoding="utf-8") as file:
        return {row["student_id"]: float(row["raw_score"] or 0) for row in csv.DictReader(file)}


@pytest.mark.parametrize("student", ["ada", "bela", "carl", "dora"])
def test_right_work_earns_everything(rows: dict[str, Row], student: str) -> None:
    """The reference and correct variants earn full marks."""
    assert rows[student].result.score == rows[student].result.max_score


@pytest.mark.parametrize("student", ["emil", "fay", "gus", "hana", "ida", "emma_as_emil"])
def test_a_mistake_is_named(rows: dict[str, Row], student: str) -> None:
    """A submission with a known mistake loses points and is told which mistake it looks like."""
    result = rows[student].result
    assert result.score < result.max_score
    assert len(result.recognised) == 1


@pytest.mark.parametrize(
    ("student", "cause"),
    [
        ("hugo_hangs", "ran longer than 2 s in dot"),
        ("mia_memory", "asked for more than 2 GiB in dot"),
        ("pia_prints", "printed more than 1,000,000 characters in dot"),
        ("egon_exits", "ended the process in dot"),
        (
            "fritz_forks",
            "tried what is closed while grading (files, network, processes, shared memory) in dot",
        ),
        (
            "rita_reads",
            "tried what is closed while grading (files, network, processes, shared memory) in dot",
        ),
    ],
)
def test_a_stop_has_a_named_cause(rows: dict[str, Row], student: str, cause: str) -> None:
    """Whatever ends a submission's process is named."""
    assert rows[student].result.stops[0] == cause


def test_a_stop_costs_only_its_own_task(rows: dict[str, Row]) -> None:
    """The tasks that do not end the process keep their points."""
    assert rows["egon_exits"].result.score == rows["fritz_forks"].result.score == 5


def test_tricks_earn_nothing(rows: dict[str, Row]) -> None:
    """Patched graders, an always-equal answer and tagged cells earn what the same work earns without them."""
    honest = rows["sara_syntax"].result  # the same notebook, its first task worth nothing either
    assert rows["chad_cheats"].result.score == honest.score


def test_no_work_earns_nothing(rows: dict[str, Row]) -> None:
    """The stub, a truncated file and a missing one earn 0, each with its reason."""
    assert rows["nina_no_idea"].result.score == 0
    assert rows["bert_broken"].result.problem.startswith("the file ends in the middle")
    assert rows["max_missing"].result.problem == "not handed in"


def test_the_gradebook_has_the_same_scores(rows: dict[str, Row], recorded: dict[str, float]) -> None:
    """nbgrader's own export holds for every student what the class table shows."""
    expected = {student: row.result.score for student, row in rows.items() if student != "max_missing"}
    assert recorded == expected


def test_feedback_names_the_mistake_and_hides_the_test(folder: Path) -> None:
    """A feedback page shows the advice of the recognised mistake, and no line of the hidden tests."""
    page = (folder / "feedback" / "emil" / QUESTION.topic / f"{QUESTION.slug}.html").read_text(
        encoding="utf-8"
    )
    assert "This looks like" in page
    assert "def test_" not in page
    assert str(Path(demo.__file__).parent) not in page


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """The demo does not empty a folder that it did not make."""
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DemoError, match="name another folder"):
        demo.run(tmp_path)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"
