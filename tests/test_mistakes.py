"""Named mistakes and variants as changes to the solution, and recognising a mistake by its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import classroom
import numpy as np
import pytest
import tiny_course
import torch
from classroom import bytes_of, cell_of, cell_of_json
from tiny_course import released

from autograde.grading import Grader
from autograde.hidden import Examined
from autograde.mistakes import Change, mistakes, solved, solved_bytes, variants
from autograde.question import Question, QuestionError, find
from autograde.recognition import behaviour, recognise, signature
from autograde.student import Observation
from autograde.verdict import Outcome, Result, Verdict

# --- the files ---


@pytest.fixture
def question(tmp_path: Path) -> Question:
    """A question whose mistakes are about to be written."""
    return find("double_it", tiny_course.build(tmp_path / "course"))


def written(question: Question, text: str) -> tuple[Change, ...]:
    """The mistakes of a file with this text."""
    question.mistakes.write_text(text, encoding="utf-8")
    return mistakes(question)


def test_mistake_is_a_change_to_the_solution(question: Question) -> None:
    """A mistake puts its text into the named cell, leaves the others alone, and the answer out."""
    (change,) = mistakes(question)
    wrong, right = solved(question, change), solved(question)
    assert cell_of_json(wrong, "double_it")["source"] == tiny_course.DOUBLE_IT["source"].replace(
        "2 * x", "2 + x"
    )
    for notebook in (wrong, right):
        cell_of_json(notebook, "double_it")["source"] = ""
    assert wrong == right
    assert not any("answer" in cell["metadata"].get("tags", ()) for cell in right["cells"])


def test_solved_leaves_the_question_alone(question: Question) -> None:
    """Making a wrong notebook does not change the question's own."""
    before = json.dumps(question.source_notebook)
    solved(question, *mistakes(question))
    assert json.dumps(question.source_notebook) == before


def test_several_replacements_and_whole_cells(question: Question) -> None:
    """A change may replace several texts, or the whole cell."""
    several, whole = written(
        question,
        '[several]\ncell = "double_it"\nold = ["def double_it", "2 * x"]\nnew = ["def  double_it", "x"]\nsays = "a"\n'
        '[whole]\ncell = "double_it"\nwhole = "double_it = len"\nsays = "b"\n',
    )
    source = cell_of_json(solved(question, several), "double_it")["source"]
    assert "def  double_it" in source
    assert "return x\n" in source
    assert cell_of_json(solved(question, whole), "double_it")["source"] == "double_it = len"


def test_variants_need_no_advice(question: Question) -> None:
    """A variant has no `says`; an `about` line is allowed."""
    question.variants.write_text(
        '[added]\ncell = "double_it"\nold = "2 * x"\nnew = "x + x"\nabout = "a sum"\n', encoding="utf-8"
    )
    (variant,) = variants(question)
    assert variant == Change("added", "double_it", (("2 * x", "x + x"),), None, "")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('old = "3 * x"\nnew = "x"', r"\[it\] `old` occurs 0 times in the cell 'double_it'.*'3 \* x'"),
        ('old = "SOLUTION"\nnew = "x"', r"\[it\] `old` occurs 2 times in the cell 'double_it'.*'SOLUTION'"),
        ('old = ""\nnew = "x"', r"\[it\] `old` occurs \d+ times"),
        ('old = ["2 * x", "2 * x"]\nnew = ["x", "y"]', r"\[it\] `old` occurs 0 times"),
    ],
)
def test_old_must_occur_once(question: Question, body: str, says: str) -> None:
    """Text that is not there, or there twice, is an error that names the mistake, the cell and the text."""
    (change,) = written(question, f'[it]\ncell = "double_it"\n{body}\nsays = "a"\n')
    with pytest.raises(QuestionError, match=says):
        solved_bytes(question, change)


def test_unknown_cell_is_named(question: Question) -> None:
    """A cell that the notebook does not have is an error that names the mistake and the cell."""
    (change,) = written(question, '[it]\ncell = "triple_it"\nold = "a"\nnew = "b"\nsays = "a"\n')
    with pytest.raises(QuestionError, match=r"\[it\] names the cell 'triple_it', which is not there"):
        solved(question, change)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            'cell = "double_it"\nold = "a"\nnew = "b"\nwhole = "c"\nsays = "a"',
            "either `old` and `new`, or `whole`",
        ),
        ('cell = "double_it"\nsays = "a"', "either `old` and `new`, or `whole`"),
        ('old = "a"\nnew = "b"\nsays = "a"', "needs `cell`"),
        ('cell = 3\nold = "a"\nnew = "b"\nsays = "a"', "needs `cell`"),
        ('cell = "double_it"\nold = "a"\nnew = "b"', "needs `says`"),
        ('cell = "double_it"\nold = "a"\nnew = "b"\nsays = ""', "needs `says`"),
        ('cell = "double_it"\nold = ["a", "b"]\nnew = "b"\nsays = "a"', "2 texts in `old` and 1 in `new`"),
        ('cell = "double_it"\nold = "a"\nsays = "a"', "1 texts in `old` and 0 in `new`"),
        ('cell = "double_it"\nwhole = "c"\nnew = "b"\nsays = "a"', "0 texts in `old` and 1 in `new`"),
        ('cell = "double_it"\nold = "a"\nnew = "b"\nsay = "a"', "unknown key 'say'"),
        ('cell = "double_it"\nold = 3\nnew = "b"\nsays = "a"', "text"),
        ('cell = "double_it"\nold = [3]\nnew = ["b"]\nsays = "a"', "text"),
        ('cell = "double_it"\nwhole = 3\nsays = "a"', "text"),
        ('cell = "double_it"\nwhole = "x"\nsays = 3', "text"),
        ('cell = "double_it"\nwhole = "x"\nby = "heart"\nsays = "a"', '`by` that is not "message"'),
    ],
)
def test_malformed_table_is_named(question: Question, body: str, says: str) -> None:
    """A table that is not as it must be is an error with the file, the table and what is wrong."""
    with pytest.raises(QuestionError, match=says) as error:
        written(question, f"[it]\n{body}\n")
    assert f"{question.mistakes}: [it]" in str(error.value)


def test_file_that_is_no_toml_is_named(question: Question) -> None:
    """A file that can't be parsed, and one that is not there, are errors with its path."""
    with pytest.raises(QuestionError, match=r"mistakes\.toml"):
        written(question, "[it")
    with pytest.raises(QuestionError, match=r"mistakes\.toml"):
        written(question, "it = 3")
    question.mistakes.write_bytes(b"# \xff\n")
    with pytest.raises(QuestionError, match=r"mistakes\.toml"):
        mistakes(question)
    question.mistakes.unlink()
    with pytest.raises(QuestionError, match=r"mistakes\.toml is missing"):
        mistakes(question)


# --- recognition ---


def examined(
    answers: dict[str, list[Any]], lost: str, tasks: dict[str, str] | None = None, **tolerance: float
) -> Examined:
    """What tests named a, b, … said and saw: those in `lost` failed."""
    verdicts = [
        Verdict(
            name, name, Outcome.FAILED if name in lost else Outcome.PASSED, 1, task=(tasks or {}).get(name)
        )
        for name in answers
    ]
    return Examined(verdicts, {name: Observation(list(seen), **tolerance) for name, seen in answers.items()})


def change(name: str) -> Change:
    """A mistake of this name."""
    return Change(name, "cell", (), None, f"You did {name}.")


def named(work: Examined, known: dict[str, Examined]) -> list[tuple[str | None, str]]:
    """Task and name of every mistake that is recognised."""
    behaviours = {name: behaviour(one) for name, one in known.items()}
    return [(r.task, r.mistake) for r in recognise(work, behaviours, [change(name) for name in known])]


def test_same_answers_are_recognised() -> None:
    """The same tests lost with the same answers: the mistake is named, with its advice."""
    work = examined({"a": [np.array([1.0, 2.0])], "b": [3]}, "a")
    known = {
        "other": examined({"a": [np.array([1.0, 9.0])], "b": [3]}, "a"),
        "it": examined({"a": [np.array([1.0, 2.0])], "b": [3]}, "a"),
    }
    assert named(work, known) == [(None, "it")]
    (found,) = recognise(work, {"it": behaviour(known["it"])}, [change("it")])
    assert found.says == "You did it."


@pytest.mark.parametrize(
    ("mine", "known", "same"),
    [
        ([np.array([np.nan, 1.0])], [np.array([np.nan, 1.0])], True),
        ([float("nan")], [float("nan")], True),
        ([torch.tensor([float("nan")])], [torch.tensor([float("nan")])], True),
        ([np.array([np.nan, 1.0])], [np.array([1.0, np.nan])], False),
        ([np.array([np.nan, 1.0])], [np.array([0.0, 1.0])], False),
        ([np.array([np.inf])], [np.array([-np.inf])], False),
        ([np.array([1.0, 2.0])], [np.array([1.0 + 1e-7, 2.0])], True),
        ([np.array([1.0, 2.0])], [np.array([1.01, 2.0])], False),
        ([np.array([1.0])], [np.array([[1.0]])], False),
        ([np.array([1.0])], [torch.tensor([1.0])], False),
        ([np.array([1.0])], [np.array([1.0], dtype=np.float32)], False),
        ([[1, 2]], [(1, 2)], True),
        ([[1, 2]], [np.array([1, 2])], False),
        (["a"], ["b"], False),
        ([None], [None], True),
        ([1, 2], [1], False),
        ([1, 2], [1, 2, 3], False),
        ([{"x": np.array([np.nan])}], [{"x": np.array([np.nan])}], True),
        ([{"x": 1}], [{"y": 1}], False),
    ],
)  # fmt: skip
def test_alike_within_tolerance_and_kind(mine: list[Any], known: list[Any], same: bool) -> None:
    """NaN equals NaN, numbers equal within the tolerance; another kind, shape or number of answers does not.

    A list is like a tuple.
    """
    assert bool(named(examined({"a": mine}, "a"), {"it": examined({"a": known}, "a")})) is same


def test_tolerance_is_the_tests() -> None:
    """A test that compares loosely recognises loosely."""
    mine, known = {"a": [1.0]}, {"a": [1.01]}
    assert named(examined(mine, "a"), {"it": examined(known, "a")}) == []
    assert named(examined(mine, "a", rtol=0.1), {"it": examined(known, "a")}) == [(None, "it")]


def test_other_tests_lost_is_another_mistake() -> None:
    """Equal answers in one test name nothing when another test was lost, or won, too."""
    work = examined({"a": [1], "b": [2]}, "ab")
    assert named(work, {"it": examined({"a": [1], "b": [2]}, "a")}) == []
    assert named(examined({"a": [1], "b": [2]}, "a"), {"it": examined({"a": [1], "b": [2]}, "ab")}) == []


def test_tasks_are_recognised_each_for_itself() -> None:
    """Two tasks have two mistakes: each is named by its own tests."""
    tasks = {"a": "first", "b": "second"}
    work = examined({"a": [1], "b": [2]}, "ab", tasks)
    known = {
        "one": examined({"a": [1], "b": [7]}, "a", tasks),
        "two": examined({"a": [8], "b": [2]}, "b", tasks),
    }
    assert named(work, known) == [("first", "one"), ("second", "two")]
    half = examined({"a": [1], "b": [99]}, "ab", tasks)
    assert named(half, known) == [("first", "one")]


def test_the_mistake_of_the_most_tasks_is_named() -> None:
    """Of mistakes that account for a task the one that accounts for the most is named, and of equals the first."""
    tasks = {"a": "first", "b": "second"}
    work = examined({"a": [1], "b": [2]}, "ab", tasks)
    known = {
        "like it in b": examined({"a": [7], "b": [2]}, "b", tasks),
        "it": examined({"a": [1], "b": [2]}, "ab", tasks),
        "like it in a": examined({"a": [1], "b": [8]}, "a", tasks),
        "like it in both": examined({"a": [1], "b": [2]}, "ab", tasks),
    }
    assert named(work, known) == [("first", "it"), ("second", "it")]


def test_the_mistake_that_fails_no_more_is_named() -> None:
    """Of mistakes that account for as many tasks the one is named that fails the fewest tests of the others."""
    tasks = {"a": "first", "b": "second"}
    known = {
        "both": examined({"a": [1], "b": [2]}, "ab", tasks),
        "it": examined({"a": [1], "b": [0]}, "a", tasks),
    }
    assert named(examined({"a": [1], "b": [0]}, "a", tasks), known) == [("first", "it")]


def pair_of(
    lost: dict[str, int], answers: dict[str, list[Any]], **known: str
) -> list[tuple[str | None, str]]:
    """What is recognised of these answers, where each known mistake answers `lost` in the tests it fails."""
    behaviours = {
        name: examined({test: [lost.get(test, 3) if test in tests else 0] for test in answers}, tests)
        for name, tests in known.items()
    }
    return named(examined(answers, "".join(lost)), behaviours)


def test_two_mistakes_that_share_what_was_lost_are_named() -> None:
    """Where two mistakes fail tests of their own, and all lost tests are theirs, both are named."""
    lost, answers = {"a": 1, "b": 2}, {"a": [1], "b": [2], "c": [0]}
    assert pair_of(lost, answers, one="a", two="b", more="c") == [(None, "one"), (None, "two")]


@pytest.mark.parametrize(
    ("answers", "known"),
    [
        ({"a": [1], "b": [9], "c": [0]}, {"one": "a", "two": "b"}),  # two is not to be seen
        ({"a": [1], "b": [2], "c": [0]}, {"one": "a"}),  # the rest is unknown
        ({"a": [1], "b": [2], "c": [0]}, {"one": "a", "two": "bc"}),  # two would fail more
        ({"a": [1], "b": [2], "c": [0]}, {"one": "a", "two": "b", "other": "b"}),  # it may be either
    ],
)
def test_two_mistakes_are_not_guessed(answers: dict[str, list[Any]], known: dict[str, str]) -> None:
    """Where the lost tests are not exactly those of two mistakes, and of no other two, none is named."""
    assert pair_of({"a": 1, "b": 2}, answers, **known) == []


def test_one_mistake_is_named_before_two() -> None:
    """A mistake that accounts for everything is named, also where two others together would."""
    known = {"one": "a", "two": "b", "all": "ab"}
    assert pair_of({"a": 1, "b": 2}, {"a": [1], "b": [2]}, **known) == [(None, "all")]


def told(message: str, answer: int) -> Examined:
    """What a test saw and said that was lost."""
    verdict = Verdict("a", "a", Outcome.FAILED, 1, message)
    return Examined([verdict], {"a": Observation([answer])})


def test_a_mistake_may_be_recognised_by_what_the_test_says() -> None:
    """With by = "message", what the test said decides, whatever was answered."""
    known = {"it": behaviour(told("a tie", 1))}
    by_message = [replace(change("it"), by_message=True)]
    assert [r.mistake for r in recognise(told("a tie", 7), known, by_message)] == ["it"]
    assert recognise(told("no tie", 1), known, by_message) == ()
    assert recognise(told("a tie", 7), known, [change("it")]) == ()


def test_nothing_lost_names_nothing() -> None:
    """A submission that passed everything is recognised as no mistake, nor grouped with any."""
    work = examined({"a": [1]}, "")
    assert named(work, {"it": examined({"a": [1]}, "")}) == []
    assert signature(work) == ""


def test_a_test_that_saw_nothing_names_nothing() -> None:
    """Where a failed test has no answers on record, no mistake is claimed."""
    blind = examined({"a": [1]}, "a")
    blind.seen.clear()
    assert named(blind, {"it": examined({"a": [1]}, "a")}) == []
    assert named(blind, {"it": blind}) == []


def test_signature_is_equal_for_what_fails_alike() -> None:
    """Rounding, NaN and dict order aside, equal failures have one signature, others another."""
    one = examined({"a": [np.array([1.0, np.nan])], "b": [5]}, "a")
    same = examined({"a": [np.array([1.0 + 1e-9, np.nan])], "b": [6]}, "a")
    other = examined({"a": [np.array([1.5, np.nan])], "b": [5]}, "a")
    more = examined({"a": [np.array([1.0, np.nan])], "b": [5]}, "ab")
    assert signature(one) == signature(same)
    assert len({signature(one), signature(other), signature(more)}) == 3


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 1.5, 2j, "x" * 10_000, b"\xff", {1, 2}, [[]], np.array([]), np.array(3), np.float32(1),
     np.array([1 + 2j]), np.array([True]), torch.tensor([1, 2]), torch.tensor([1 + 1j]),
     torch.tensor([1.0], dtype=torch.bfloat16), torch.tensor([1.0], requires_grad=True), torch.tensor(True)],
    ids=lambda value: f"{type(value).__name__} {str(value)[:20]}",
)  # fmt: skip
def test_every_kind_of_answer_has_a_signature(value: Any) -> None:
    """Whatever data a learner returns, the signature is made, and is the same the second time."""
    assert signature(examined({"a": [value]}, "a")) == signature(examined({"a": [value]}, "a")) != ""


# --- recognition, end to end ---


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory, grader: Grader) -> Callable[[str], Result]:
    """A function that grades code for double_it, in the room."""
    root = classroom.course(tmp_path_factory.mktemp("course"))
    question = find("double_it", root)
    with question.mistakes.open("a", encoding="utf-8") as file:
        file.write(
            '[complains]\ncell = "double_it"\nold = "return 2 * x"\nnew = "raise KeyError(x)"\n'
            'says = "You raise a KeyError. Think about what is asked."\n'
        )

    def grade(code: str) -> Result:
        notebook = released(root, "double_it")
        cell_of(notebook, "double_it").source = code
        return grader.grade(question, bytes_of(notebook), 1)

    return grade


def test_another_spelling_of_a_mistake_is_recognised(graded: Callable[[str], Result]) -> None:
    """Code that looks different and answers alike is told of the mistake."""
    result = graded("def double_it(number):\n    number += 1\n    return number + 1")
    assert [r.mistake for r in result.recognised] == ["adds_two"]


def test_another_wrong_answer_is_not_recognised(graded: Callable[[str], Result]) -> None:
    """Code that fails the same tests with other answers is told nothing."""
    result = graded("def double_it(x):\n    return x + 3")
    assert result.score == 0
    assert result.recognised == ()


def test_errors_are_alike_by_type(graded: Callable[[str], Result]) -> None:
    """An error of the same type with another message is the same mistake; of another type it is not."""
    assert [r.mistake for r in graded("def double_it(x):\n    raise KeyError('no')").recognised] == [
        "complains"
    ]
    assert graded("def double_it(x):\n    raise IndexError('no')").recognised == ()


def test_equal_failures_group_in_the_room(graded: Callable[[str], Result]) -> None:
    """Two programs that fail alike have one signature, a third another, a right one none."""
    first = graded("def double_it(x):\n    return x + 3")
    second = graded("def double_it(y):\n    return 3 + y")
    third = graded("def double_it(x):\n    return x + 4")
    assert first.signature == second.signature != third.signature
    assert graded("def double_it(x):\n    return x + x").signature == ""
