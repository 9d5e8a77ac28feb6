"""Law 3, nothing for nothing: what a submission that knows nothing could answer passes no test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autograde import mistakes, recognition, submission, wire
from autograde.grading import Grader
from autograde.hidden import Examined, HiddenTest
from autograde.laws.violation import Violation
from autograde.question import Question
from autograde.student import Remote
from autograde.verdict import Outcome

Pretence = Callable[[Any, tuple[Any, ...]], Any]

# Made from the reference's own answer and the arguments. A gradient's argument is the cotangent: that is what a
# function that returns its input passes back.
ANSWERS: Mapping[str, Pretence] = {
    "answers of zeros": lambda value, _: _zeros(value),
    "answers that echo the first argument": lambda _, args: args[0] if args else None,
    "answers of None": lambda *_: None,
    "answers of text": lambda *_: "text",
    "answers of empty lists": lambda *_: [],
}
# With the right outputs: a test that compares those must compare the gradients as well.
GRADIENTS: Mapping[str, Pretence] = {
    "gradients of zeros": lambda value, _: _zeros(value),
    "gradients that echo the cotangent": lambda _, args: args[0] if args else None,
    "gradients of None": lambda *_: None,
}
_READS = ("get", "call", "attribute", "item", "items", "length")  # verbs whose answer is the learner's


@dataclass
class Pretending:
    """A sitting whose answers are replaced, as far as they are data.

    Attributes:
        sitting: the reference's.
        pretence: makes the answer, from the true one and the arguments.
        outputs: whether outputs are replaced too, and not gradients alone.
    """

    sitting: Any
    pretence: Pretence
    outputs: bool

    @property
    def patience(self) -> float:
        """As the sitting has."""
        return float(self.sitting.patience)

    def lacks(self, test: HiddenTest) -> str:
        """As the sitting does."""
        return str(self.sitting.lacks(test))

    def begin(self, seed: int) -> None:
        """As the sitting does."""
        self.sitting.begin(seed)

    def request(self, message: dict[str, Any], asker: wire.Asker, doing: str) -> dict[str, Any]:
        """As the sitting does, with another value."""
        answer: dict[str, Any] = self.sitting.request(message, asker, doing)
        value: Any = answer.get("value")
        if message["verb"] == "backward" and "value" in answer:
            answer["value"] = self._gradients(message, *value)
        elif message["verb"] in _READS and "value" in answer and not isinstance(value, Remote):
            answer["value"] = self._answer(message, value)
        return answer

    def _answer(self, message: dict[str, Any], value: Any) -> Any:
        if not self.outputs:
            return value
        args = message.get("args", ())
        if message.get("back"):  # the arguments come back beside it, as the call left them
            return self.pretence(value[0], args), *value[1:]
        return self.pretence(value, args)

    def _gradients(
        self, message: dict[str, Any], output: Any, grads: Mapping[Any, Any], named: Mapping[str, Any]
    ) -> Any:
        cotangent = message["cotangent"]
        back = cotangent if isinstance(cotangent, tuple) else (cotangent,)
        grads = {key: self.pretence(gradient, back) for key, gradient in grads.items()}
        named = {key: self.pretence(gradient, back) for key, gradient in named.items()}
        return self.pretence(output, message["args"]) if self.outputs else output, grads, named


def nothing_for_nothing(
    question: Question, grader: Grader, seed: int, reference: Examined
) -> Iterator[Violation]:
    """Each test that is passed without knowing anything, or that breaks on such an answer.

    Args:
        question: the question.
        grader: a warm grader.
        seed: the question's seed.
        reference: what the tests saw of the reference solution, under the same seed.
    """
    stub = grader.examined(question, question.release.read_bytes(), seed)
    yield from _earned(question, "the released stub", stub)
    for name, pretence in ANSWERS.items():
        yield from _earned(question, name, _pretended(question, grader, seed, pretence, outputs=True))
    if any(seen.gradients for seen in reference.seen.values()):
        right = recognition.behaviour(reference)
        for name, pretence in GRADIENTS.items():
            examined = _pretended(question, grader, seed, pretence, outputs=False)
            yield from _earned(question, name, examined, unlike=right)


def _earned(
    question: Question, name: str, examined: Examined, unlike: recognition.Behaviour | None = None
) -> Iterator[Violation]:
    """What was passed or broke; of tests that saw something else than `unlike` did, where that is given."""
    behaviour = recognition.behaviour(examined)
    for verdict in examined.verdicts:
        where = f"{question.slug}: {verdict.test}"
        if unlike is not None and recognition.alike_in(behaviour, unlike, [verdict.test]):
            continue
        if verdict.outcome is Outcome.PASSED:
            do = "compare the gradients with `close`" if unlike else "make the test check values too"
            yield Violation(3, where, f"is passed by {name}", do)
        elif verdict.outcome is Outcome.BROKEN:
            what = f"breaks on {name}: {examined.why_broken(verdict.test)}"
            yield Violation(
                3, where, what, "use `close` before you compute with an answer, or check its type"
            )


def _pretended(
    question: Question, grader: Grader, seed: int, pretence: Pretence, *, outputs: bool
) -> Examined:
    submitted = submission.read(mistakes.solved_bytes(question), question.release_notebook)
    with grader.sitting(submitted) as sitting:
        return grader.examine(question, Pretending(sitting, pretence, outputs), seed)


def _zeros(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        return np.zeros_like(value)[()]
    if type(value) in (int, float, complex, bool):
        return type(value)(0)
    if isinstance(value, str):
        return ""
    if isinstance(value, Remote):  # inside a container: what it refers to is the reference's own
        return None
    if isinstance(value, list | tuple | set):
        return type(value)(_zeros(item) for item in value)
    if isinstance(value, dict):
        return {key: _zeros(item) for key, item in value.items()}
    return value
