"""`autograde new`: the files of a question that is still to be written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from checkout import CHECKOUT

from autograde import laws, scaffold
from autograde.grading import Grader
from autograde.question import QuestionError, find, syllabus
from autograde.release import make_release, make_solutions


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the course with a question made new in it."""
    place = tmp_path_factory.mktemp("course")
    for tree in ("source", "release", "solutions", "autograde/questions"):
        shutil.copytree(CHECKOUT / tree, place / tree)
    scaffold.make(place, "kv_caching", "doubling")
    make_release(place, ["kv_caching"])
    make_solutions(place, ["kv_caching"])
    return place


@pytest.fixture(scope="module")
def said(root: Path, grader: Grader) -> list[laws.Violation]:
    """What the laws say of it."""
    return laws.prove(find("doubling", root), grader)


def test_it_is_listed_at_the_end_of_its_topic(root: Path) -> None:
    """The syllabus holds the new question after those of its topic."""
    rows = next(rows for topic, rows in syllabus(root).items() if topic.name == "kv_caching")
    assert rows[-1].slug == "doubling"


def test_every_cell_to_be_written_is_named(said: list[laws.Violation]) -> None:
    """The laws name each cell that still holds a placeholder, and say what to do."""
    cells = {v.where.rpartition("'")[0].rpartition("'")[2] for v in said if v.law == 7}
    assert cells == {"title", "idea", "task-doubling", "hints", "say", "answer-1"}


def test_the_missing_mistakes_are_asked_for(said: list[laws.Violation]) -> None:
    """Beyond the text only law 4 is broken: no mistake fails the test yet."""
    assert [(v.law, v.do) for v in said if v.law != 7] == [(4, "add the mistake it is there for, or drop it")]


def test_a_new_topic_is_made(tmp_path: Path, root: Path) -> None:
    """A topic that the syllabus does not have is added to it."""
    place = tmp_path / "course"
    shutil.copytree(root, place)
    scaffold.make(place, "astronomy", "orbit_of_mars")
    assert find("orbit_of_mars", place).topic == "astronomy"


@pytest.mark.parametrize(
    ("topic", "slug", "says"),
    [
        ("probability", "softmax_logits", "'softmax_logits' is taken, in probability"),
        ("probability", "two words", "no Python identifier"),
        ("probability", "x" * 33, "at most 32 characters"),
        ("../up", "fine", "no Python identifier"),
    ],
)
def test_a_bad_name_writes_nothing(root: Path, topic: str, slug: str, says: str) -> None:
    """A name that is taken or is none is refused, and the syllabus stays as it was."""
    before = (root / "autograde" / "questions" / "syllabus.toml").read_bytes()
    with pytest.raises(QuestionError, match=says):
        scaffold.make(root, topic, slug)
    assert (root / "autograde" / "questions" / "syllabus.toml").read_bytes() == before
