"""Hidden tests as collected, and what they said of one submission."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import pytest

from autograde.errors import GraderError
from autograde.student import Link, Observation
from autograde.verdict import Outcome, Verdict


class Sitting(Link, Protocol):
    """One submission under examination: a link to it that can be made ready for each test."""

    @property
    def patience(self) -> float:
        """Seconds that the tests of a task may take before those of another go first."""

    def begin(self, seed: int) -> None:
        """Have a live process with the cells run and its random numbers reset; StudentError where not."""

    def lacks(self, test: HiddenTest) -> str:
        """Why this test can't run here, for the learner; "" where it can."""


class Turn(NamedTuple):
    """What is examined next.

    Attributes:
        sitting: the submission.
        seed: the question's.
        only: names of tests to run alone; None for all.
        known: names of tests that are left out, because what they would say is known.
    """

    sitting: Sitting
    seed: int
    only: Collection[str] | None = None
    known: Collection[str] = ()


@dataclass
class Examined:
    """What the tests said of one submission, and what they saw."""

    verdicts: list[Verdict] = field(default_factory=list)
    seen: dict[str, Observation] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)

    def why_broken(self, test: str) -> str:
        """What a test broke with, for the instructor; "" where it did not."""
        found = (flag.removeprefix(f"{test}: ") for flag in self.flags if flag.startswith(f"{test}: "))
        return next(found, "")


@dataclass(frozen=True)
class HiddenTest:
    """A hidden test as collected.

    Attributes are those of Verdict, without what a run adds.
    """

    name: str
    says: str
    points: float
    task: str | None
    part: str | None
    method: bool

    def verdict(self, outcome: Outcome, message: str = "") -> Verdict:
        """The verdict of this test with this outcome."""
        return Verdict(self.name, self.says, outcome, self.points, message, self.task, self.part, self.method)


def described(item: pytest.Item) -> HiddenTest:
    """The hidden test that pytest collected; GraderError where it has no points or no docstring."""

    def argument(name: str) -> Any:
        mark = item.get_closest_marker(name)
        return mark.args[0] if mark is not None and mark.args else None

    says = inspect.getdoc(getattr(item, "function", None)) or ""
    points = argument("points")
    if points is None or not says:
        raise GraderError(f"{item.nodeid}: a hidden test needs @pytest.mark.points(n) and a docstring")
    method = item.get_closest_marker("method") is not None
    return HiddenTest(
        item.name, says.splitlines()[0], float(points), argument("task"), argument("part"), method
    )
