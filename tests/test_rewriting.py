"""Programs with known mistakes in them, and the measure of how they are recognised."""

from __future__ import annotations

import json
from pathlib import Path

import classroom
import pytest
import two_tasks

from autograde import measure, mistakes, rewriting
from autograde.question import Question, QuestionError, find
from autograde.rewriting import APART, HALF, LISTED, REWRITTEN, TOGETHER, Case
from autograde.verdict import Outcome, Recognised, Result, Verdict


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Question:
    """The question with two tasks."""
    return find("mean_and_spread", two_tasks.course(tmp_path_factory.mktemp("course")))


@pytest.fixture
def spoilt(question: Question, tmp_path: Path) -> Question:
    """A copy of it, to be changed."""
    return find(question.slug, classroom.copied(question.root, tmp_path / "course"))


def made(cases: list[Case]) -> set[tuple[tuple[str, ...], str]]:
    """Mistakes and variants of the cases."""
    return {(case.made, case.where) for case in cases}


def code(case: Case, cell: str) -> str:
    """What a cell of a case holds."""
    source = classroom.cell_of_json(json.loads(case.data), cell)["source"]
    return source if isinstance(source, str) else "".join(source)


def test_a_mistake_is_put_into_the_variants_of_its_cell(question: Question) -> None:
    """rewrites.toml says how; where it says nothing, the mistake's own text is used in the variants that hold it."""
    cases = list(rewriting.rewritten(question))
    assert made(cases) == {
        (("no_division",), "loop"),
        (("off_by_one",), "loop"),
        (("off_by_one",), "named"),
        (("no_division",), "named"),
        (("zero_when_empty",), "named"),
        (("no_root",), "power"),
    }
    (looped,) = (case for case in cases if (case.made, case.where) == (("no_division",), "loop"))
    assert "return total\n" in code(looped, "mean")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[nothing]\nloop = [["a", "b"]]', r"\[nothing\] loop: no mistake and variant of one cell"),
        ('[no_root]\nloop = [["a", "b"]]', r"\[no_root\] loop: no mistake and variant of one cell"),
        ('[no_division]\nloop = [["absent", "b"]]', r"\[no_division in loop\] `old` occurs 0 times"),
        ('[no_division]\nloop = ["a", "b"]', r"\[no_division\] loop is no list of pairs"),
        ('[no_division]\nloop = [["a", 3]]', r"\[no_division\] loop is no list of pairs"),
        ("no_division = 3", r"\[no_division\]  is no list of pairs"),
    ],
)
def test_a_rewrite_that_fits_nothing_is_named(spoilt: Question, text: str, says: str) -> None:
    """A rewrite without its mistake, variant or text, or of another form, is an error that names it."""
    spoilt.rewrites.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(QuestionError, match=says):
        list(rewriting.rewritten(spoilt))


def test_half_done_work_has_one_mistake_and_stubs(question: Question) -> None:
    """Each mistake appears once with the other task as released."""
    cases = list(rewriting.half_done(question))
    assert [case.made[0] for case in cases] == [change.name for change in mistakes.mistakes(question)]
    (case,) = (case for case in cases if case.made == ("no_root",))
    assert "raise NotImplementedError" in code(case, "mean")
    assert "NotImplementedError" not in code(case, "spread")


def test_a_question_with_one_task_has_no_half_done_work(question: Question) -> None:
    """Where there is one solution cell, nothing can be half done."""
    assert list(rewriting.half_done(find("double_it", question.root))) == []


def test_pairs_are_of_one_task_or_of_two(question: Question) -> None:
    """Two mistakes meet in one program wherever the text of one survives the other."""
    kinds = {case.made: case.kind for case in rewriting.paired(question)}
    assert kinds["no_division", "zero_when_empty"] == TOGETHER
    assert kinds["no_division", "no_root"] == APART
    assert ("no_division", "off_by_one") not in kinds  # both change the same text


def test_a_sample_is_the_same_each_time() -> None:
    """A sample depends on the names alone, keeps the order, and is no larger than asked for."""
    cases = [Case(TOGETHER, (f"a{i}", f"b{i}"), "", b"") for i in range(30)]
    chosen = rewriting.sample(cases, 7)
    assert len(chosen) == 7
    assert chosen == [case for case in cases if case in chosen]
    assert set(chosen) == set(rewriting.sample(cases[::-1], 7))
    assert rewriting.sample(cases, 99) == cases


@pytest.mark.parametrize(
    ("named", "passed", "told"),
    [
        (["a"], False, "right"),
        (["a", "c"], False, "right"),
        (["a", "b"], False, "wrong"),
        (["b"], False, "wrong"),
        ([], False, "silent"),
        ([], True, "no loss"),
    ],
)
def test_what_a_learner_was_told(named: list[str], passed: bool, told: str) -> None:
    """Naming another mistake is wrong, naming none is silent, and losing nothing is neither."""
    verdict = Verdict("test_x", "S.", Outcome.PASSED if passed else Outcome.FAILED, 1)
    result = Result("q", (verdict,), tuple(Recognised(name, "Think.") for name in named))
    assert measure.told(Case(TOGETHER, ("a", "c"), "", b""), result) == told


@pytest.fixture(scope="module")
def table(question: Question) -> list[str]:
    """The lines of the measure, with one pair of each kind where there are more."""
    return measure.measure(question, jobs=2, pairs=1).split("\n")


def counts(table: list[str], start: str) -> list[str]:
    """What the line that starts so holds behind its name."""
    return (
        next(line for line in table if line.startswith(start)).removeprefix(start).replace("│", " ").split()
    )


def test_the_table_counts_what_was_told(table: list[str]) -> None:
    """Each mistake has its numbers of right, wrong and silent, written differently and half done."""
    assert counts(table, "no_division")[:6] == ["2", "·", "·", "1", "·", "·"]
    assert counts(table, "off_by_one")[:6] == ["1", "·", "1", "1", "·", "·"]


def test_the_table_ends_with_the_shares(table: list[str]) -> None:
    """Each kind of program has its shares, and a sample says that it is one."""
    assert counts(table, LISTED) == ["4", "100.0", "%", "0.0", "%", "0.0", "%"]
    assert counts(table, REWRITTEN) == ["6", "83.3", "%", "0.0", "%", "16.7", "%"]
    assert counts(table, HALF) == ["4", "100.0", "%", "0.0", "%", "0.0", "%"]
    assert " ".join(counts(table, APART)) == (
        "1 100.0 % 0.0 % 0.0 % both named: 1; 1 of 3, chosen by the hashes of their names"
    )


def test_what_was_not_recognised_is_listed(table: list[str]) -> None:
    """A mistake that was told nothing is listed with the variant that it was put into."""
    assert [line.strip() for line in table if line.startswith(" silent  ")] == ["silent  off_by_one in loop"]
