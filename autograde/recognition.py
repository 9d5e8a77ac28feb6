"""Recognising a known mistake by how it behaves: the same tests lost, with the same answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
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
    """What a program answered to the hidden tests of a question."""

    failed: frozenset[str]
    passed: frozenset[str]
    seen: Mapping[str, Observation] = field(repr=False)


def recognise(
    examined: Examined, known: Mapping[str, Behaviour], changes: Iterable[Change]
) -> tuple[Recognised, ...]:
    """The known mistake that each failing task behaves like, where there is one.

    A mistake is recognised when it fails the same tests of the task and, on each of them, returned the same
    within that test's tolerance.
    """
    found, seen = [], behaviour(examined)
    for task, failed in lost_by_task(examined).items():
        names = frozenset(v.test for v in examined.verdicts if v.task == task)
        for change in changes:
            other = known.get(change.name)
            if other is not None and other.failed & names == failed and alike_in(seen, other, failed):
                found.append(Recognised(change.name, change.says, task))
                break
    return tuple(found)


def behaviour(examined: Examined) -> Behaviour:
    """What was examined, as a behaviour to compare others with."""
    failed = frozenset(v.test for v in examined.verdicts if _lost(v.outcome))
    passed = frozenset(v.test for v in examined.verdicts if v.outcome is Outcome.PASSED)
    return Behaviour(failed, passed, examined.seen)


def same_behaviour(first: Behaviour, second: Behaviour) -> bool:
    """Whether two programs lose the same tests and answered alike in every one of them."""
    return first.failed == second.failed and alike_in(first, second, first.failed)


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
