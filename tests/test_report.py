"""The class table: what an instructor sees of a class."""

from __future__ import annotations

import json
import re
import statistics

import pytest

from autograde.handin import MISSING
from autograde.report import Row, as_json, class_table
from autograde.verdict import Outcome, Recognised, Result, Verdict

MARKS = dict(
    zip(
        "✓✗!○?", (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.NOT_RUN, Outcome.BROKEN), strict=True
    )
)


def row(
    student: str, marks: str, *mistakes: str, stop: str = "", problem: str = "", signature: str = ""
) -> Row:
    """A student's result: one mark for each test, two points each."""
    verdicts = tuple(Verdict(f"test_{i}", f"Sentence {i}.", MARKS[m], 2) for i, m in enumerate(marks))
    recognised = tuple(Recognised(m, "Think again.") for m in mistakes)
    stops = (stop,) if stop else ()
    return Row(student, Result("softmax", verdicts, recognised, stops, (), problem, (), signature))


CLASS = [
    row("anna", "✓✗✓", signature="a"),
    row("ben", "✓✗✓", signature="a"),
    row("carla", "✓✓✓"),
    row("dan", "✓✗✗", "no_max", signature="b"),
    row("eva", "✗✗!", "no_max", "no_scale", signature="c"),
    row("finn", "✓!!", stop="ran longer than 10 s in forward", signature="d"),
    row("gus", "", problem="not a notebook: line 12"),
    row("hal", "✓○?"),
    row("ida", "✗✓✓", signature="e"),
]


def tasks_row(student: str, **mistakes: list[str]) -> Row:
    """A student who lost one test in each of these tasks, with the mistakes recognised there."""
    verdicts = tuple(
        Verdict(f"test_{task}", "S.", Outcome.FAILED, 1, f"{task} is not written yet", task)
        for task in mistakes
    )
    recognised = tuple(Recognised(name, "T.", task) for task, names in mistakes.items() for name in names)
    return Row(student, Result("softmax", verdicts, recognised, signature="t"))


def section(rows: list[Row], head: str) -> list[str]:
    """The lines of a section of the table, less its heading and two columns of margin."""
    lines = next(part for part in class_table(rows, 100).split("\n\n") if part.startswith(head)).split("\n")
    return [line[2:] for line in lines[1:]]


def line_of(student: str, rows: list[Row] = CLASS) -> str:
    """The table's line of a student."""
    return next(line for line in class_table(rows, 100).split("\n") if line.startswith(student))


@pytest.mark.parametrize(
    ("student", "cells"),
    [
        ("anna", ["4/6", "✓✗✓", "fails like ben (unknown)"]),
        ("ben", ["4/6", "✓✗✓", "fails like anna (unknown)"]),
        ("carla", ["6/6", "✓✓✓"]),
        ("dan", ["2/6", "✓✗✗", "no_max"]),
        ("eva", ["0/6", "✗✗!", "no_max; no_scale"]),
        ("finn", ["2/6", "✓!!", "ran longer than 10 s in forward"]),
        ("gus", ["–", "···", "not a notebook: line 12"]),
        ("hal", ["2/6", "✓○?"]),
        ("ida", ["4/6", "✗✓✓", "unknown"]),
    ],
)
def test_a_student_is_one_line(student: str, cells: list[str]) -> None:
    """Each student has the score, a mark for each test, and what the answers look like."""
    assert re.split(r"\s{2,}", line_of(student)) == [student, *cells]


def test_an_unknown_mistake_is_shown_by_what_was_said() -> None:
    """Where no mistake is recognised, the first line of what the tests said stands in its place, once."""
    said = "softmax is not written yet\nmore"
    verdicts = tuple(Verdict(f"test_{i}", "S.", Outcome.ERROR, 1, said) for i in range(3))
    line = line_of("jo", [Row("jo", Result("softmax", verdicts, signature="z"))])
    assert line.endswith("!!!    softmax is not written yet")


def test_a_large_group_is_counted() -> None:
    """Of many who fail alike, three are named and the rest counted."""
    rows = [row(f"student{i}", "✗", signature="same") for i in range(7)]
    assert "fails like student1, student2, student3 and 3 more (unknown)" in line_of("student0", rows)


def test_mistakes_are_counted_by_students() -> None:
    """Below the table each recognised mistake has its number of students, then those that are not known."""
    assert section(CLASS, "mistakes") == [
        "   2  no_max",
        "   1  no_scale",
        "not known",
        "   2  alike: anna, ben",
        "   1  each in a way of their own",
    ]


def test_mistakes_of_several_tasks_stand_apart() -> None:
    """Mistakes are grouped by task, and those that equally many made share a line."""
    rows = [tasks_row(str(i), first=[("axis", "scale")[i % 2]], second=["tie"]) for i in range(4)]
    assert section(rows, "mistakes") == ["in first", "   2  axis, scale", "in second", "   4  tie"]


def test_those_who_fail_alike_are_told_with_what_was_said() -> None:
    """A group whose mistake is not known shows how its first message begins; of a large one twelve are named."""
    verdicts = (Verdict("test_0", "S.", Outcome.FAILED, 1, "the shape is wrong: (3,)\nmore"),)
    rows = [Row(f"s{i:02}", Result("softmax", verdicts, signature="x")) for i in range(20)]
    names = ", ".join(f"s{i:02}" for i in range(12))
    said = " ".join(section(rows, "mistakes"))
    assert re.sub(r"\s+", " ", said) == f" 20 alike: {names} and 8 more: the shape is wrong: (3,)"
    assert line_of("s00", rows).endswith("fails like s01, s02, s03 and 16 more: the shape is wrong: (3,)")


def test_a_task_that_is_not_known_is_told_beside_one_that_is() -> None:
    """A mistake in one task does not hide that another was lost for a reason that is not known."""
    line = line_of("jo", [tasks_row("jo", first=["axis"], second=[])])
    assert line.endswith("axis; second is not written yet")


def test_the_hardest_tests_come_first() -> None:
    """Tests are listed by the share that passed, of those who could be tested."""
    hard = [line for line in class_table(CLASS, 100).split("\n") if " of 8" in line or " of 7" in line]
    assert [re.sub(r"\s+", " ", line).strip() for line in hard] == [
        "29 % 2 of 7 test 2: Sentence 1.",
        "57 % 4 of 7 test 3: Sentence 2.",
        "75 % 6 of 8 test 1: Sentence 0.",
    ]


def test_mean_and_median_leave_out_what_was_not_graded() -> None:
    """A file that could not be graded does not count as a zero."""
    last = class_table(CLASS, 160).split("\n")[-1]
    assert last.startswith("8 graded, mean 3.00, median 3 of 6 points; 1 could not be graded and left out")


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_table_keeps_to_its_width(width: int) -> None:
    """Long causes and sentences are wrapped."""
    rows = [
        *CLASS,
        row("x" * 60, "✗✗✗", problem="a long story " * 12),
        row("山田" * 20, "✓✓✓", *["mistake"] * 3),
    ]
    assert max(map(len, class_table(rows, width).split("\n"))) <= width


def test_wide_names_stay_aligned() -> None:
    """A name of wide characters takes the columns that a terminal gives it."""
    rows = [row("山田太郎", "✓"), row("abcdefgh", "✓")]
    assert line_of("山田", rows).index("2/2") + 4 == line_of("abc", rows).index("2/2")


def test_names_and_causes_are_cleaned() -> None:
    """A hostile name or file can't colour, reorder or break the table."""
    rows = [row("ev\x1b[31mil\u202e\nanna", "✗", stop="ended \x1b]0;x\x07the\nprocess")]
    assert not re.search("[\x1b\u202e\x07]", class_table(rows, 100))
    assert line_of("evil anna", rows).endswith("ended the process")


def test_an_empty_class_says_so() -> None:
    """Without submissions there is no table."""
    assert class_table([], 100) == "no submissions"


def test_a_notebook_that_nobody_handed_in_is_one_line() -> None:
    """Where a topic has several notebooks, one that is missing everywhere takes no table."""
    rows = [row(name, "", problem=MISSING) for name in ("gus", "ida")]
    assert class_table(rows, 100) == "not handed in by any of 2"
    assert "ida" in class_table([*rows, row("max", "", problem="not a notebook")], 100)


def test_a_class_without_a_readable_file_has_no_mean() -> None:
    """Where nothing could be graded the table says so instead of a mean."""
    rows = [row("gus", "", problem="not a notebook")]
    assert class_table(rows, 100).endswith("none of 1 could be graded")
    assert as_json(rows)["mean"] is None


def test_json_is_plain_and_unrounded() -> None:
    """The data survive JSON, with exact numbers."""
    data = json.loads(json.dumps(as_json(CLASS)))
    assert data["mean"] == statistics.fmean([4, 4, 6, 2, 0, 2, 2, 4])
    assert data["tests"][1] == {
        "test": "test_1",
        "says": "Sentence 1.",
        "passed": 2,
        "ran": 7,
        "share": 2 / 7,
    }
    assert data["mistakes"] == {"no_max": 2, "no_scale": 1}


def test_json_keys_stay() -> None:
    """Scripts can rely on the names."""
    data = as_json(CLASS)
    assert list(data) == ["question", "students", "mistakes", "tests", "graded", "mean", "median"]
    assert list(data["students"][0]) == [
        *("student", "score", "max_score", "tests", "recognised", "stops", "notes", "problem", "signature"),
        "fails_like",
    ]
    assert data["students"][0]["fails_like"] == ["ben"]


def test_json_names_a_mistake_once() -> None:
    """A mistake that shows in two tasks is one mistake of that student."""
    (row,) = as_json([tasks_row("ann", a=["no_max", "no_scale"], b=["no_max"])])["students"]
    assert row["recognised"] == ["no_max", "no_scale"]


def test_json_keeps_text_as_it_was() -> None:
    """Data for programs is not shortened or cleaned."""
    assert as_json([row("ev\x1bil", "✓")])["students"][0]["student"] == "ev\x1bil"
