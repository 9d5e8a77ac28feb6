"""Fixtures shared by the tests of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autograde import mistakes
from autograde.grading import Grader
from autograde.lock import Limits
from autograde.mistakes import Change
from autograde.question import Question, find

CHECKOUT = Path(__file__).resolve().parent.parent
SEED = 20261121


@pytest.fixture(scope="session")
def limits() -> Limits:
    """Short limits, so that what never ends is ended soon."""
    return Limits(call_s=2, budget_s=8, disk=8 * 2**20)


@pytest.fixture(scope="session")
def grader(limits: Limits) -> Iterator[Grader]:
    """One grader with one warm process for all tests."""
    with Grader(limits) as grader:
        yield grader


@pytest.fixture(scope="session")
def question() -> Question:
    """A question of the course."""
    return find("softmax_logits", CHECKOUT)


@pytest.fixture(scope="session")
def with_cell(question: Question) -> Callable[[str, str], bytes]:
    """Builds a submission: the reference solution with the whole of one cell replaced."""

    def with_cell(cell: str, source: str) -> bytes:
        return mistakes.solved_bytes(question, Change("changed", cell, (), source, ""))

    return with_cell
