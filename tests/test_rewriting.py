"""The measure of recognition: mistakes put into variants, and two at once."""

from __future__ import annotations

import pytest
import tiny_course

from autograde import mistakes, rewriting
from autograde.grading import Grader
from autograde.question import Question, find
from autograde.release import make_release
from autograde.verdict import Outcome, Recognised, Result, Verdict


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Question:
    """A question with one mistake, one variant that keeps the mistaken line, and one that has not got it."""
    root = tiny_course.build(tmp_path_factory.mktemp("course"))
    make_release(root)
    question = find("double_it", root)
    question.variants.write_text(
        '[annotated]\ncell = "double_it"\nold = "(x):"\nnew = "(x: int):"\n\n'
        '[sum]\ncell = "double_it"\nold = "2 * x"\nnew = "x + x"\n',
        encoding="utf-8",
    )
    return question


def test_only_variants_that_hold_the_line_are_used(tiny: Question) -> None:
    """A mistake is put into each variant that still has the text it changes, once."""
    made = [case.made for case in rewriting.rewritten(tiny)]
    assert made == [(change,) for change in mistakes.mistakes(tiny) if "2 * x" in change.replacements[0][0]]


def test_the_table_counts_what_was_told(tiny: Question, grader: Grader) -> None:
    """A mistake that is recognised in the variant counts as right."""
    table = rewriting.measure(tiny, grader)
    name = mistakes.mistakes(tiny)[0].name
    assert next(line for line in table.split("\n") if line.startswith(name)).split()[1:] == [
        "1",
        "0",
        "0",
        "0",
    ]


@pytest.mark.parametrize(
    ("named", "passed", "told"),
    [(["a"], False, "right"), (["b"], False, "wrong"), ([], False, "silent"), ([], True, "no loss")],
)
def test_what_a_learner_was_told(named: list[str], passed: bool, told: str) -> None:
    """Naming another mistake is wrong, naming none is silent, and losing nothing is neither."""
    verdict = Verdict("test_x", "S.", Outcome.PASSED if passed else Outcome.FAILED, 1)
    result = Result("q", (verdict,), tuple(Recognised(name, "Think.") for name in named))
    case = rewriting.Case((mistakes.Change("a", "cell", (), None, "Think."),), b"")
    assert case.told(result) == told
