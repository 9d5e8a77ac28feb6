"""From a submission's bytes to what it earned: the unit of work, pure, with a warm process kept between."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from autograde import mistakes, recognition, submission
from autograde.catalogue import Catalogue
from autograde.hidden import Examined, HiddenTest, Sitting, Turn
from autograde.inner import Inner
from autograde.live import Live, globals_kept, silent
from autograde.lock import Limits
from autograde.mistakes import Change
from autograde.near import near
from autograde.notebook import SubmissionError
from autograde.question import Question
from autograde.reach import unreached
from autograde.recognition import Behaviour
from autograde.refusal import require_space
from autograde.room import Broken, Zygote
from autograde.sitting import RoomSitting
from autograde.stage import staged
from autograde.submission import Cell, Submission
from autograde.verdict import CellOutput, Outcome, Result

# What a library imports when it is first used, where that takes long: an optimizer 1.2 s, in every room.
LATE = {"torch.optim": "torch._dynamo"}
TRIES = 3  # of a submission whose room, or what it is made from, is killed


class Grader:
    """Grades submissions one after another, with one warm process. Use it as a context manager.

    Args:
        limits: what each submission may use; None for those of the course.
        without: layers of the lock to leave out, for the tests of the others.
        working: the folder of the gradebook, beside which behaviours of known mistakes are kept; None for nowhere.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        without: frozenset[str] = frozenset(),
        working: Path | None = None,
    ) -> None:
        self.limits = limits or Limits.chosen()
        # Hidden tests are small: on a busy machine a pool of threads waits for itself, 6 ms a call.
        torch.set_num_threads(1)
        # Known mistakes run in this process and are compared with what runs in the room, which has no GPU.
        os.environ["TRITON_INTERPRET"] = "1"
        self.zygote = Zygote(self.limits, without)
        self._inner: dict[Question, Inner] = {}
        self._working = working
        self._catalogues: dict[tuple[Question, int], Catalogue] = {}

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the warm process and the inner runs."""
        for inner in self._inner.values():
            inner.close()
        self._inner.clear()
        self.zygote.close()

    def grade(self, question: Question, notebook: bytes, seed: int) -> Result:
        """What these bytes earn.

        Args:
            question: which question.
            notebook: the submitted file.
            seed: the question's secret seed; the same seed gives the same result.

        Raises:
            GraderError: the question's own files are at fault.
            autograde.room.Broken: the sandbox can't be started.
            autograde.refusal.Refused: the machine has no space for what a submission may write.
        """
        place = Path(tempfile.gettempdir())
        require_space(place, self.limits.disk)
        for left in reversed(range(TRIES)):
            killed = self.zygote.killed
            try:
                result = self._graded(question, notebook, seed)
            except Broken:  # somebody killed the warm process
                if not left:
                    raise
            else:
                # A room was killed: by a person or for want of memory, which is not the learner's doing, so that
                # all of it is run once more. Their own doing has the same end each time.
                if self.zygote.killed == killed:
                    break
        # Where there is none now there may have been none for the learner's files, which would cost them points.
        require_space(place, self.limits.disk)
        return result

    def _graded(self, question: Question, notebook: bytes, seed: int) -> Result:
        inner = self._inner_of(question)
        try:
            submitted = submission.read(notebook, question.release_notebook)
        except SubmissionError as error:
            return self.refused(question, str(error))
        tries = tuple(cell for cell in submitted.cells if cell.kind == "try")
        with self.sitting(submitted) as sitting:
            examined = inner.examine(Turn(sitting, seed))
            sitting.show(tries)
        return self._result(question, seed, submitted, sitting, examined)

    def refused(self, question: Question, problem: str) -> Result:
        """The result of a file that is no notebook: nothing earned, and why."""
        tests = self._inner_of(question).tests
        lost = tuple(test.verdict(Outcome.ERROR, "nothing could be run") for test in tests)
        return Result(question.slug, verdicts=lost, problem=problem)

    def examined(self, question: Question, notebook: bytes, seed: int) -> Examined:
        """What the tests said and saw of a notebook that can be read, for the laws."""
        with self.sitting(submission.read(notebook, question.release_notebook)) as sitting:
            return self.examine(question, sitting, seed)

    @contextmanager
    def sitting(self, submitted: Submission) -> Iterator[RoomSitting]:
        """A submission in the room, ended afterwards."""
        sitting = RoomSitting(self.zygote, _for_points(submitted), self.limits)
        try:
            yield sitting
        finally:
            sitting.close()
        if sitting.broken is not None:
            raise sitting.broken

    def examine(
        self, question: Question, sitting: Sitting, seed: int, known: Collection[str] = ()
    ) -> Examined:
        """Run the question's tests on one sitting, without those of which is known what they say."""
        return self._inner_of(question).examine(Turn(sitting, seed, known=known))

    def tests(self, question: Question) -> tuple[HiddenTest, ...]:
        """The question's hidden tests, as collected."""
        return tuple(self._inner_of(question).tests)

    def _catalogue(self, question: Question, seed: int) -> Catalogue:
        key = (question, seed)
        if key not in self._catalogues:
            self._catalogues[key] = Catalogue(
                question, seed, self._working, partial(self._behaviour, question, seed)
            )
        return self._catalogues[key]

    def _behaviour(
        self, question: Question, seed: int, changes: Sequence[Change], test: str | None
    ) -> Behaviour:
        """How the reference, changed by this much, behaves. It is our own code and needs no room."""
        reference = self._catalogue(question, seed).reference() if changes else None
        known = unreached(question, changes, reference.seen) if reference else frozenset[str]()
        with globals_kept(), silent(), staged(mistakes.solved(question, *changes)) as namespace:
            turn = Turn(Live(namespace, self.limits.call_s), seed, None if test is None else {test}, known)
            found = recognition.behaviour(self._inner_of(question).examine(turn))
        return found.completed(reference, known) if reference else found

    def _inner_of(self, question: Question) -> Inner:
        if question not in self._inner or self._inner[question].over:
            self._inner[question] = Inner(question)
            self.zygote.imports |= _late_imports(question)
        return self._inner[question]

    def _result(
        self, question: Question, seed: int, submitted: Submission, sitting: RoomSitting, examined: Examined
    ) -> Result:
        recognised: tuple[Any, ...] = ()
        if recognition.lost(examined):
            catalogue = self._catalogue(question, seed)
            examined.verdicts = recognition.settled(examined.verdicts, catalogue.reference())
            changes = mistakes.mistakes(question)
            known = near(question, examined, changes, catalogue.behaviours)
            recognised = recognition.recognise(examined, known, changes)
        return Result(
            question.slug,
            verdicts=tuple(examined.verdicts),
            recognised=recognised,
            stops=tuple(sitting.stops),
            notes=(*submitted.notes, *examined.flags),
            outputs=tuple(CellOutput(index, outputs) for index, outputs in sorted(sitting.outputs.items())),
            signature="" if sitting.stops else recognition.signature(examined),
        )


def grade(question: Question, notebook: bytes, *, seed: int, limits: Limits | None = None) -> Result:
    """What one submission earns, with a warm process of its own; Grader keeps one for many."""
    with Grader(limits) as grader:
        return grader.grade(question, notebook, seed)


def _late_imports(question: Question) -> frozenset[str]:
    """What the question's code makes libraries import only when it runs."""
    files = [path for path in (question.source, question.tests, question.apparatus) if path.is_file()]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return frozenset(module for use, module in LATE.items() if use in code)


def _for_points(submitted: Submission) -> tuple[Cell, ...]:
    """The cells that points rest on: not the try-it cells, which are ours and may take the learner's time."""
    return tuple(cell for cell in submitted.cells if cell.kind != "try")
