"""Laws 2, 3, 4 and 8, of behaviour: what the reference, variants, stubs and mistakes earn, here and there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autograde import mistakes, recognition, submission, wire
from autograde.checking import examine_here
from autograde.grading import Grader
from autograde.hidden import Examined
from autograde.laws.violation import Violation
from autograde.live import globals_kept, silent
from autograde.mistakes import Change
from autograde.question import Question
from autograde.seed import derived
from autograde.stage import staged_in_turn
from autograde.student import Remote
from autograde.verdict import Outcome

# What a submission that knows nothing could answer, made from the reference's own answers.
PRETENCES: Mapping[str, Callable[[Any, tuple[Any, ...]], Any]] = {
    "zeros": lambda value, _: _zeros(value),
    "echo": lambda _, args: args[0] if args else None,
    "None": lambda *_: None,
    "a text": lambda *_: "text",
    "an empty list": lambda *_: [],
}


@dataclass
class Pretending:
    """A sitting whose answers to calls are replaced."""

    sitting: Any
    pretence: Callable[[Any, tuple[Any, ...]], Any]

    def begin(self, seed: int) -> None:
        """As the sitting does."""
        self.sitting.begin(seed)

    def request(self, message: dict[str, Any], asker: wire.Asker, doing: str) -> dict[str, Any]:
        """As the sitting does, the value of a call replaced."""
        answer: dict[str, Any] = self.sitting.request(message, asker, doing)
        if message["verb"] == "call" and "value" in answer and not isinstance(answer["value"], Remote):
            value, args = answer["value"], message["args"]
            back = message.get("back") is True
            pretended = self.pretence(value[0] if back else value, args)
            answer["value"] = (pretended, *value[1:]) if back else pretended
        return answer


def examine(question: Question, grader: Grader) -> list[Violation]:
    """Everything that running the question shows."""
    seed = derived(0, question.slug)
    right: dict[str, tuple[Change, ...]] = {"the reference": ()}
    right |= {f"the variant [{c.name}]": (c,) for c in mistakes.variants(question)}
    wrong = {f"[{c.name}]": (c,) for c in mistakes.mistakes(question)}
    room = {name: _room(question, grader, seed, change) for name, change in (right | wrong).items()}
    return [
        *_full_marks(question, {name: room[name] for name in right}),
        *_nothing_for_nothing(question, grader, seed),
        *_mistakes(question, room["the reference"], {name: room[name] for name in wrong}),
        *_same_here(question, right | wrong, room),
    ]


def _room(question: Question, grader: Grader, seed: int, changes: tuple[Change, ...]) -> Examined:
    return grader.examined(question, mistakes.solved_bytes(question, *changes), seed)


def _full_marks(question: Question, right: Mapping[str, Examined]) -> Iterator[Violation]:
    """Law 2."""
    for name, examined in right.items():
        for verdict in examined.verdicts:
            if verdict.outcome not in (Outcome.PASSED, Outcome.NOT_RUN):
                why = "; ".join([verdict.message.replace("\n", " "), *examined.flags])
                yield Violation(
                    2,
                    f"{question.slug}: {name}",
                    f"does not pass {verdict.test} ({verdict.outcome}): {why}",
                    "mend the test if the code is right, the code if it is not",
                )


def _nothing_for_nothing(question: Question, grader: Grader, seed: int) -> Iterator[Violation]:
    """Law 3."""
    stub = grader.examined(question, question.release.read_bytes(), seed)
    said = {"the released stub": tuple(stub.verdicts)}
    for name, pretence in PRETENCES.items():
        said[f"an answer of {name}"] = tuple(_pretended(question, grader, seed, pretence).verdicts)
    for name, verdicts in said.items():
        for verdict in verdicts:
            if verdict.outcome is Outcome.PASSED:
                yield Violation(
                    3,
                    f"{question.slug}: {verdict.test}",
                    f"is passed by {name}",
                    "make the test check values too",
                )
            elif verdict.outcome is Outcome.BROKEN:
                yield Violation(
                    3,
                    f"{question.slug}: {verdict.test}",
                    f"breaks on {name}",
                    "use `close`, or check types first",
                )


def _pretended(
    question: Question, grader: Grader, seed: int, pretence: Callable[[Any, tuple[Any, ...]], Any]
) -> Examined:
    submitted = submission.read(mistakes.solved_bytes(question), question.release_notebook)
    with grader.sitting(submitted) as sitting:
        return grader.examine(question, Pretending(sitting, pretence), seed)


def _mistakes(question: Question, reference: Examined, wrong: Mapping[str, Examined]) -> Iterator[Violation]:
    """Law 4."""
    behaviours = {name: recognition.behaviour(examined) for name, examined in wrong.items()}
    for name, behaviour in behaviours.items():
        if not behaviour.failed:
            yield Violation(
                4,
                f"{question.slug}: {name}",
                "loses no point",
                "write the test that it must fail: it is a hole",
            )
        yield from _broken(question, name, wrong[name])
    for (first, a), (second, b) in itertools.combinations(behaviours.items(), 2):
        if a.failed and recognition.same_behaviour(a, b):
            yield Violation(
                4,
                f"{question.slug}: {first} and {second}",
                "behave alike, so that neither can be named",
                "merge them, or add an input that tells them apart",
            )
    ran = {v.test for v in reference.verdicts if not v.outcome.is_open}
    caught = frozenset[str]().union(*(b.failed for b in behaviours.values()))
    for test in sorted(ran - caught):
        yield Violation(
            4,
            f"{question.slug}: {test}",
            "is failed by no mistake",
            "add the mistake it is there for, or drop it",
        )


def _broken(question: Question, name: str, examined: Examined) -> Iterator[Violation]:
    for verdict in examined.verdicts:
        if verdict.outcome is Outcome.BROKEN:
            yield Violation(
                4,
                f"{question.slug}: {name}",
                f"breaks {verdict.test}: {'; '.join(examined.flags)}",
                "mend the test",
            )


def _same_here(
    question: Question, programs: Mapping[str, tuple[Change, ...]], room: Mapping[str, Examined]
) -> Iterator[Violation]:
    """Law 8."""
    with globals_kept(), silent():
        spaces = staged_in_turn(mistakes.solved(question, *change) for change in programs.values())
        live = dict(zip(programs, examine_here(question, spaces), strict=True))
    for name in programs:
        for one, other in zip(live[name].verdicts, room[name].verdicts, strict=True):
            if one.outcome is not other.outcome:
                yield _differs(
                    question,
                    name,
                    f"{one.test} says {one.outcome} in check() and {other.outcome} in the room",
                )
        here, there = _named(question, live, name), _named(question, room, name)
        if here != there:
            yield _differs(question, name, f"is recognised as {here} in check() and {there} in the room")


def _differs(question: Question, name: str, what: str) -> Violation:
    do = "find what differs: global state, printed output, files, threads"
    return Violation(8, f"{question.slug}: {name}", what, do)


def _named(question: Question, examined: Mapping[str, Examined], name: str) -> list[str]:
    changes = mistakes.mistakes(question)
    known = {change.name: recognition.behaviour(examined[f"[{change.name}]"]) for change in changes}
    return [r.mistake for r in recognition.recognise(examined[name], known, changes)]


def _zeros(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        return np.zeros_like(value)[()]
    if type(value) in (int, float, complex, bool):
        return type(value)(0)
    if isinstance(value, list | tuple | set):
        return type(value)(_zeros(item) for item in value)
    if isinstance(value, dict):
        return {key: _zeros(item) for key, item in value.items()}
    return value
