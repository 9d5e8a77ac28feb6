"""How well mistakes are recognised when they are written differently: a measure, one table a question."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autograde import mistakes
from autograde.grading import Grader
from autograde.mistakes import Change
from autograde.progress import progress
from autograde.question import Question, QuestionError
from autograde.seed import derived
from autograde.verdict import Result


@dataclass(frozen=True)
class Case:
    """One program with mistakes in it.

    Attributes:
        made: the mistakes that were put in.
        data: the submission.
    """

    made: tuple[Change, ...]
    data: bytes

    def told(self, result: Result) -> str:
        """Whether the learner was told right, wrong or nothing."""
        named = {r.mistake for r in result.recognised}
        if not named:
            return "silent" if result.score < result.max_score else "no loss"
        return "right" if named <= {change.name for change in self.made} else "wrong"


def rewritten(question: Question) -> Iterator[Case]:
    """Each mistake put into each variant that still has the lines it changes."""
    for mistake, variant in itertools.product(mistakes.mistakes(question), mistakes.variants(question)):
        yield from _case(question, (mistake,), variant, mistake)


def paired(question: Question) -> Iterator[Case]:
    """Each two mistakes in one program, where both fit."""
    for first, second in itertools.combinations(mistakes.mistakes(question), 2):
        yield from _case(question, (first, second), first, second)


def measure(question: Question, grader: Grader) -> str:
    """The table: for each mistake how often it was told right, wrong or not at all, and the same for pairs.

    Args:
        question: whose mistakes.
        grader: a warm grader.
    """
    told: Counter[tuple[str, str]] = Counter()
    cases, pairs = list(rewritten(question)), list(paired(question))
    seed = derived(0, question.slug)
    with progress(question.slug[:20], len(cases) + len(pairs)) as advance:
        for case in (*cases, *pairs):
            name = case.made[0].name if len(case.made) == 1 else PAIRS
            told[name, case.told(grader.grade(question, case.data, seed))] += 1
            advance()
    names = [change.name for change in mistakes.mistakes(question)]
    return "\n".join(_table(question, names, told))


PAIRS = "two at once"
COLUMNS = ("right", "wrong", "silent", "no loss")


def _table(question: Question, names: Sequence[str], told: Counter[tuple[str, str]]) -> Iterator[str]:
    width = max(len(name) for name in (*names, PAIRS, "all")) + 2
    yield f"{question.topic} / {question.slug}: mistakes put into the variants, and two at once"
    yield f"{'':{width}}" + "".join(f"{column:>9}" for column in COLUMNS)
    for name in (*names, PAIRS):
        counts = [told[name, column] for column in COLUMNS]
        yield f"{name:{width}}" + ("".join(f"{n:9}" for n in counts) if sum(counts) else "   fits no variant")
    sums = [sum(told[name, column] for name in names) for column in COLUMNS]
    lost = sum(sums[:3]) or 1
    yield f"{'all, of those that lose a point':{width}}" + "".join(f"{n / lost:9.0%}" for n in sums[:3])


def _case(question: Question, made: tuple[Change, ...], *changes: Change) -> Iterator[Case]:
    try:
        yield Case(made, mistakes.solved_bytes(question, *changes))
    except QuestionError:
        return  # the text that one changes is not there any more in the other
