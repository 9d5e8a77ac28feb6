"""What one hidden test said, and what one submission earned: frozen records that travel as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How one hidden test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"  # the learner's code raised, ended or ran out of time
    BROKEN = "broken"  # our test broke: costs nothing, a person looks
    NOT_RUN = "not_run"  # this machine can't run it: the grade stays open

    @property
    def is_open(self) -> bool:
        """Whether a person, or another machine, still has to decide."""
        return self in (Outcome.BROKEN, Outcome.NOT_RUN)


@dataclass(frozen=True)
class Verdict:
    """What one hidden test said.

    Attributes:
        test: the test function's name.
        says: its docstring, the line the learner reads.
        outcome: how it ended.
        points: what it is worth.
        message: what the learner is told when it did not pass; may have several lines.
        task: the task of the notebook it belongs to, where there are several.
        part: the part of the grade ("cuda"), None for the main check cell.
        method: whether it rests on evidence from inside the learner's process.
    """

    test: str
    says: str
    outcome: Outcome
    points: float
    message: str = ""
    task: str | None = None
    part: str | None = None
    method: bool = False

    @property
    def earned(self) -> float:
        """Points earned: all of them or none."""
        return self.points if self.outcome is Outcome.PASSED else 0.0


@dataclass(frozen=True)
class Recognised:
    """A known mistake that a submission's answers match."""

    mistake: str
    says: str
    task: str | None = None


@dataclass(frozen=True)
class CellOutput:
    """What one cell of the submission printed and showed, as nbformat outputs (dicts)."""

    index: int
    outputs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Result:
    """What one submission of one question earned.

    Attributes:
        slug: the question.
        verdicts: one for each hidden test, in the order of the file.
        recognised: known mistakes, at most two a task.
        stops: named causes of every stop ("ran longer than 10 s in softmax"), in order.
        notes: what the instructor should know about the file ("cell 'try_softmax' was edited").
        problem: why nothing could be graded ("not a notebook: …"), or "".
        outputs: what the cells showed, for the feedback.
        signature: equal for submissions that fail alike, "" when nothing failed.
    """

    slug: str
    verdicts: tuple[Verdict, ...] = ()
    recognised: tuple[Recognised, ...] = ()
    stops: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    outputs: tuple[CellOutput, ...] = field(default=(), repr=False)
    signature: str = ""

    def of_part(self, part: str | None) -> tuple[Verdict, ...]:
        """The verdicts that one check cell stands for."""
        return tuple(v for v in self.verdicts if v.part == part)

    @property
    def score(self) -> float:
        """Points earned over all parts."""
        return sum(v.earned for v in self.verdicts)

    @property
    def max_score(self) -> float:
        """Points that could be earned over all parts."""
        return sum(v.points for v in self.verdicts)

    @property
    def passed(self) -> bool:
        """Whether every test that could run passed, and at least one ran."""
        ran = [v for v in self.verdicts if not v.outcome.is_open]
        return bool(ran) and all(v.outcome is Outcome.PASSED for v in ran)

    def to_json(self) -> dict[str, Any]:
        """A plain dict for json.dumps; from_json reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Result:
        """The Result that to_json wrote."""
        return cls(
            slug=data["slug"],
            verdicts=tuple(Verdict(**{**v, "outcome": Outcome(v["outcome"])}) for v in data["verdicts"]),
            recognised=tuple(Recognised(**r) for r in data["recognised"]),
            stops=tuple(data["stops"]),
            notes=tuple(data["notes"]),
            problem=data["problem"],
            outputs=tuple(CellOutput(o["index"], tuple(o["outputs"])) for o in data["outputs"]),
            signature=data["signature"],
        )


def points(value: float) -> str:
    """Points as people write them: 2, 2.5."""
    return f"{value:g}"
