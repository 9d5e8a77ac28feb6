"""Recognising a known mistake by how it behaves: the same tests lost, with the same answers."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from autograde.comparison import alike
from autograde.hidden import Examined
from autograde.mistakes import Change
from autograde.student import Observation
from autograde.verdict import Outcome, Recognised, Verdict


@dataclass(frozen=True)
class Behaviour:
    """What a program answered to the hidden tests of a question, and how the messages begin of those that it lost."""

    failed: frozenset[str]
    passed: frozenset[str]
    seen: Mapping[str, Observation] = field(repr=False)
    said: Mapping[str, str] = field(repr=False)

    def completed(self, reference: Behaviour, known: frozenset[str]) -> Behaviour:
        """This behaviour, and in the tests that were not run that of the reference."""
        return Behaviour(
            self.failed | reference.failed & known,
            self.passed | reference.passed & known,
            {**self.seen, **{test: reference.seen[test] for test in known}},
            {**self.said, **{test: text for test, text in reference.said.items() if test in known}},
        )


def recognise(
    examined: Examined, known: Mapping[str, Behaviour], changes: Sequence[Change]
) -> tuple[Recognised, ...]:
    """The known mistakes that each failing task behaves like, where there are any.

    A mistake is recognised when it fails the same tests of the task and, on each of them, answered the same within
    that test's tolerance (or was told the same, where mistakes.toml says so). Of several it is the one that accounts
    for the most tasks, for what a mistake in one does to the next may look like a mistake in the next; then the one
    that fails the fewest tests that were passed here. Two are recognised where each fails a share of the lost tests
    in this way, the shares do not overlap, together they are all that was lost, and no other two do it. One of them
    alone, with an unknown rest, is not named: the rest may be what really went wrong.
    """
    seen, lost = behaviour(examined), lost_by_task(examined)
    shares: dict[str | None, dict[Change, frozenset[str]]] = {}
    for task in lost:
        names = frozenset(v.test for v in examined.verdicts if v.task == task)
        shares[task] = {
            change: known[change.name].failed & names
            for change in changes
            if change.name in known and explains(change, known[change.name], seen, names, lost[task])
        }
    tasks = Counter(change for task in lost for change in _alone(shares[task], lost[task]))

    def likely(change: Change) -> tuple[int, int]:
        return tasks[change], -len(known[change.name].failed & seen.passed)

    return tuple(
        Recognised(change.name, change.says, task)
        for task in lost
        for change in _made(shares[task], lost[task], likely)
    )


def explains(
    change: Change, known: Behaviour, seen: Behaviour, names: frozenset[str], lost: frozenset[str]
) -> bool:
    """Whether every test that a mistake fails was lost, with the mistake's answers.

    Args:
        change: the mistake.
        known: how it behaves.
        seen: how the submission behaves.
        names: the tests to look at.
        lost: those of them that the submission lost.
    """
    share = known.failed & names
    return bool(share) and share <= lost and _matches(change.by_message, seen, known, share)


def _matches(by_message: bool, first: Behaviour, second: Behaviour, tests: frozenset[str]) -> bool:
    if by_message:
        return all(first.said.get(test) == second.said.get(test) for test in tests)
    return alike_in(first, second, tests)


def _alone(shares: Mapping[Change, frozenset[str]], lost: frozenset[str]) -> list[Change]:
    """Those mistakes that each account for every lost test of a task."""
    return [change for change, share in shares.items() if share == lost]


def _made(
    shares: Mapping[Change, frozenset[str]],
    lost: frozenset[str],
    likely: Callable[[Change], tuple[int, int]],
) -> tuple[Change, ...]:
    """The one mistake, of several the likeliest, or else the only two, that account for every lost test."""
    if alone := _alone(shares, lost):
        return (max(alone, key=likely),)  # the first of equals
    pairs = [(a, b) for a, b in itertools.combinations(shares, 2) if shares[a] == lost - shares[b]]
    return pairs[0] if len(pairs) == 1 else ()


def behaviour(examined: Examined) -> Behaviour:
    """What was examined, as a behaviour to compare others with."""
    failed = frozenset(v.test for v in examined.verdicts if _lost(v.outcome))
    passed = frozenset(v.test for v in examined.verdicts if v.outcome is Outcome.PASSED)
    said = {v.test: v.message.partition("\n")[0] for v in examined.verdicts if v.test in failed}
    return Behaviour(failed, passed, examined.seen, said)


def alike_in(first: Behaviour, second: Behaviour, tests: Iterable[str]) -> bool:
    """Whether two programs answered alike in each of these tests."""
    return all(_same_answers(first.seen.get(test), second.seen.get(test)) for test in tests)


def signature(examined: Examined) -> str:
    """Equal for submissions that fail alike, "" where nothing failed: answers rounded to three digits, hashed."""
    failed = sorted(v.test for v in examined.verdicts if _lost(v.outcome))
    if not failed:
        return ""
    digest = hashlib.sha256()
    for test in failed:
        answers = examined.seen[test].answers if test in examined.seen else []
        digest.update(f"{test}:{_rounded(answers)};".encode())
    return digest.hexdigest()[:16]


def lost_by_task(examined: Examined) -> dict[str | None, frozenset[str]]:
    """The tests that were lost, by task; tasks that lost none are left out."""
    tasks = dict.fromkeys(v.task for v in examined.verdicts)
    failed = {
        t: frozenset(v.test for v in examined.verdicts if v.task == t and _lost(v.outcome)) for t in tasks
    }
    return {task: names for task, names in failed.items() if names}


def settled(verdicts: Iterable[Verdict], reference: Behaviour) -> list[Verdict]:
    """The verdicts, where a test that broke here and not on the reference broke on what was returned here."""
    return [
        replace(verdict, outcome=Outcome.ERROR, message="the test could not use what was returned")
        if verdict.outcome is Outcome.BROKEN and verdict.test in reference.passed
        else verdict
        for verdict in verdicts
    ]


def lost(examined: Examined) -> bool:
    """Whether any test that ran was not passed."""
    return any(v.outcome not in (Outcome.PASSED, Outcome.NOT_RUN) for v in examined.verdicts)


def _lost(outcome: Outcome) -> bool:
    return outcome in (Outcome.FAILED, Outcome.ERROR)


def _same_answers(first: Observation | None, second: Observation | None) -> bool:
    if first is None or second is None or len(first.answers) != len(second.answers):
        return False
    rtol, atol = max(first.rtol, second.rtol), max(first.atol, second.atol)
    return all(alike(a, b, rtol, atol) for a, b in zip(first.answers, second.answers, strict=True))


def _rounded(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        value = value.detach().to(torch.float64).numpy() if not value.is_complex() else value.numpy()
    if isinstance(value, np.ndarray | np.generic):
        plain = np.asarray(value)
        flat = plain.ravel()[:1000]
        entries = [f"{x:.3g}" for x in flat] if plain.dtype.kind in "fc" else flat.tolist()
        return f"{plain.shape}{entries}"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}[{','.join(map(_rounded, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_rounded(k)}:{_rounded(v)}" for k, v in value.items()) + "}"
    return repr(value)[:200]
