"""How known mistakes behave, found out once and shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from autograde.catalogue import KNOWN, Catalogue
from autograde.mistakes import Change, mistakes
from autograde.question import Question
from autograde.recognition import Behaviour
from autograde.student import Observation


class Run:
    """Counts what is found out, and answers with something of every kind."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, changes: Sequence[Change], test: str | None) -> Behaviour:
        """Note what was asked for."""
        self.asked.append((changes[0].name if changes else "") + (f".{test}" if test else ""))
        answers = [torch.ones(2, dtype=torch.float16), np.arange(3), ("raised", "ValueError"), {"a": [1.5]}]
        seen = {"test_a": Observation(answers, rtol=1e-3, atol=1e-4)}
        return Behaviour(frozenset({"test_a"}), frozenset({"test_b"}), seen, {"test_a": "it differs"})


@pytest.fixture
def changes(question: Question) -> tuple[Change, ...]:
    """The known mistakes of the question."""
    return mistakes(question)


@pytest.fixture
def names(changes: tuple[Change, ...]) -> list[str]:
    """Their names."""
    return [change.name for change in changes]


def test_each_is_found_out_once(
    question: Question, changes: tuple[Change, ...], names: list[str], tmp_path: Path
) -> None:
    """A second catalogue takes what the first has found out, the same in every kind of answer."""
    first, second = Run(), Run()
    found = Catalogue(question, 1, tmp_path, first)
    found.reference()
    kept = Catalogue(question, 1, tmp_path, second)
    assert len(found.behaviours(changes)) == len(kept.behaviours(changes)) == len(names)
    assert sorted(first.asked) == sorted(["", *names])
    assert second.asked == []
    one, other = found.behaviours(changes)[0], kept.behaviours(changes)[0]
    assert (one.failed, one.passed, one.said) == (other.failed, other.passed, other.said)
    mine, theirs = one.seen["test_a"], other.seen["test_a"]
    assert (mine.rtol, mine.atol) == (theirs.rtol, theirs.atol)
    assert torch.equal(mine.answers[0], theirs.answers[0])
    assert theirs.answers[0].dtype == torch.float16
    assert np.array_equal(mine.answers[1], theirs.answers[1])
    assert mine.answers[2:] == theirs.answers[2:]


def test_another_seed_is_another_behaviour(
    question: Question, changes: tuple[Change, ...], names: list[str], tmp_path: Path
) -> None:
    """What was found out under one seed is not taken for another, and does not stay when it is no longer asked for."""
    again = Run()
    Catalogue(question, 1, tmp_path, Run()).behaviours(changes)
    Catalogue(question, 2, tmp_path, again).behaviours(changes)
    assert sorted(again.asked) == sorted(names)
    assert len(list((tmp_path / KNOWN / question.slug).iterdir())) == 1


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], lambda _: b""],
    ids=["torn", "one bit", "empty"],
)
def test_damaged_file_is_found_out_again(
    question: Question,
    changes: tuple[Change, ...],
    names: list[str],
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
) -> None:
    """A damaged file costs its own work and nothing else."""
    again = Run()
    Catalogue(question, 1, tmp_path, Run()).behaviours(changes)
    (damaged,) = (tmp_path / KNOWN / question.slug).glob(f"*/{names[0]}")
    damaged.write_bytes(damage(damaged.read_bytes()))
    Catalogue(question, 1, tmp_path, again).behaviours(changes)
    assert again.asked == [names[0]]


def test_answers_are_private(question: Question, changes: tuple[Change, ...], tmp_path: Path) -> None:
    """What is kept holds answers to the hidden tests: its folders are the owner's alone."""
    Catalogue(question, 1, tmp_path, Run()).behaviours(changes)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / KNOWN).rglob("*") if path.is_dir())


def test_nowhere_to_keep(
    question: Question, changes: tuple[Change, ...], names: list[str], tmp_path: Path
) -> None:
    """Where nothing can be written the work is done all the same."""
    (tmp_path / ".autograde").write_text("a file", encoding="utf-8")
    assert len(Catalogue(question, 1, tmp_path, Run()).behaviours(changes)) == len(names)
    assert len(Catalogue(question, 1, None, Run()).behaviours(changes)) == len(names)


def test_one_test_of_each(
    question: Question, changes: tuple[Change, ...], names: list[str], tmp_path: Path
) -> None:
    """One test is run alone, once; who asks for a second one gets all, and what is kept whole serves for every test."""
    first, second = Run(), Run()
    found = Catalogue(question, 1, tmp_path, first)
    for _ in range(2):
        assert len(found.behaviours(changes, "test_a")) == len(names)
    assert sorted(first.asked) == sorted(f"{name}.test_a" for name in names)
    again = Catalogue(question, 1, tmp_path, second)
    again.behaviours(changes, "test_a")
    assert second.asked == []
    again.behaviours(changes[:1], "test_b")
    assert second.asked == [names[0]]
    found.behaviours(changes[:1], "test_b")
    assert first.asked.count(names[0]) == 0
