"""Every question of the course, before the laws."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from checkout import CHECKOUT

from autograde import laws, mistakes
from autograde.grading import Grader
from autograde.laws import files
from autograde.question import Question, questions

QUESTIONS = questions(CHECKOUT)


@pytest.fixture(scope="module")
def patient() -> Iterator[Grader]:
    """A grader with the limits that courses have."""
    with Grader() as grader:
        yield grader


def test_every_file_has_its_place_and_is_fresh() -> None:
    """Names agree in every tree, nothing is unexpected, release and solutions are what the source gives."""
    assert [str(v) for v in (*files.names(CHECKOUT), *files.freshness(CHECKOUT, QUESTIONS))] == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.slug)
def test_enough_mistakes_and_variants(question: Question) -> None:
    """Every question is proven by at least 5 mistakes, 3 at difficulty 1, and by 2 variants."""
    assert len(mistakes.mistakes(question)) >= (3 if question.difficulty == 1 else 5)
    assert len(mistakes.variants(question)) >= 2


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.slug)
def test_every_law_holds(question: Question, patient: Grader) -> None:
    """Reference and variants earn everything, stubs and pretences nothing, and every mistake is caught."""
    assert [str(v) for v in laws.prove(question, patient)] == []
