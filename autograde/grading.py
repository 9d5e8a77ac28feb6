"""From a submission's bytes to what it earned: the unit of work, pure, with a warm process kept between."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from autograde import mistakes, recognition, submission, wire
from autograde.grader import Examined, HiddenTest, Sitting, examine
from autograde.lock import Limits
from autograde.question import Question
from autograde.room import Broken, Room, Stopped, Zygote
from autograde.student import GraderError, StudentError, text, texts
from autograde.submission import Cell, Submission, SubmissionError
from autograde.verdict import CellOutput, Outcome, Result

NO_MEMORY = ("MemoryError", "_ArrayMemoryError")


class RoomSitting:
    """One submission in the room: opened when needed, opened again after a stop, until its time is used up."""

    def __init__(self, zygote: Zygote, cells: tuple[Cell, ...], limits: Limits) -> None:
        self.zygote, self.cells, self.limits = zygote, cells, limits
        self.outputs: dict[int, tuple[dict[str, Any], ...]] = {}
        self.stops: list[str] = []
        self._errors: dict[str, str] = {}
        self._skipped: set[int] = set()
        self._room: Room | None = None
        self._began = 0.0
        self.broken: Broken | None = None  # the sandbox failed: whatever the tests said then is worth nothing

    def begin(self, seed: int) -> None:
        """Have a live room with the cells run and its random numbers reset."""
        self._began = self._began or time.monotonic()
        seconds = self._left()
        try:
            self._ready()
            self._ask({"verb": "forget"}, "the notebook")
            self._ask({"verb": "seed", "seed": seed}, "the notebook")
        except Stopped as stop:  # it ended between two tests: a thread, say
            raise StudentError(self._stopped(str(stop), seconds), stopped=True) from None
        except Broken as error:
            self.broken = error
            raise

    def _ready(self) -> None:
        while self._room is None or self._room.cause:
            if self._left() <= 0:
                raise StudentError(
                    f"not reached: the {self.limits.budget_s:.3g} s for the whole notebook were used up",
                    stopped=True,
                )
            self._open()

    def request(
        self,
        message: dict[str, Any],
        export: wire.Export,
        resolve: wire.Resolve,
        callback: Callable[[dict[str, Any]], dict[str, Any]],
        doing: str,
    ) -> dict[str, Any]:
        """Carry out one request of a test in the room; StudentError names the cause of a stop."""
        if self._room is None or self._room.cause:
            raise StudentError(f"the process had stopped before {doing}", stopped=True)
        seconds = self._left()
        try:
            answer = self._room.request(
                message,
                export,
                resolve,
                callback,
                seconds=max(0.01, min(self.limits.call_s, seconds)),
                doing=doing,
            )
        except Broken as error:
            self.broken = error
            raise
        except Stopped as stop:
            cause = self._stopped(str(stop), seconds)
            raise StudentError(cause, stopped=True) from None
        self._name_stop(answer.get("error"), doing)
        if message["verb"] == "get" and "error" in answer:
            self._explain(answer["error"], doing)
        return answer

    def show(self, cells: tuple[Cell, ...]) -> None:
        """Run cells whose outputs the feedback shows and that no point rests on, where the room still lives."""
        for cell in cells:
            if self._room is None or self._room.cause or self.stops or self._left() <= 0:
                self.outputs[cell.index] = (_text_output("not run: the process had stopped"),)
                continue
            try:
                answer = self._ask({"verb": "cell", "source": cell.source}, f"the cell '{cell.name}'")
            except Stopped as stop:
                self.outputs[cell.index] = (_stop_output(str(stop)),)
            else:
                ran = answer.get("value")
                self.outputs[cell.index] = _outputs(ran.get("outputs") if isinstance(ran, dict) else None)

    def close(self) -> None:
        """End the room."""
        if self._room is not None:
            self._room.close()

    def _open(self) -> None:
        """A fresh room with the cells run; a cell that ended a room before is left out."""
        self.close()
        self._room = self.zygote.open()
        for cell in self.cells:
            if cell.index in self._skipped:
                continue
            doing = f"the cell '{cell.name}'"
            seconds = self._left()
            try:
                answer = self._ask({"verb": "cell", "source": cell.source}, doing)
            except Stopped as stop:
                cause = self._stopped(str(stop), seconds)
                self._skipped.add(cell.index)
                self._errors[cell.name] = cause
                self.outputs[cell.index] = (_stop_output(cause),)
                return
            ran = answer.get("value")
            if isinstance(ran, dict):
                self.outputs.setdefault(cell.index, _outputs(ran.get("outputs")))
                if ran.get("error"):
                    self._errors[cell.name] = f"the cell '{cell.name}' raised {text(ran.get('line'))[:300]}"
                    self._name_stop({"kinds": [ran["error"]], "message": ran.get("line")}, doing)

    def _ask(self, message: dict[str, Any], doing: str) -> dict[str, Any]:
        assert self._room is not None
        seconds = max(0.01, min(self.limits.call_s, self._left()))
        return self._room.request(
            message, _no_export, _no_resolve, _no_callback, seconds=seconds, doing=doing
        )

    def _left(self) -> float:
        return self._began + self.limits.budget_s - time.monotonic()

    def _stopped(self, cause: str, seconds: float) -> str:
        if cause.startswith("ran longer") and seconds < self.limits.call_s:
            cause = f"used up the {self.limits.budget_s:.3g} s for the whole notebook in {cause.rpartition(' in ')[2]}"
        if cause not in self.stops:
            self.stops.append(cause)
        return cause

    def _name_stop(self, error: Any, doing: str) -> None:
        """The lock lets the code see an exception where it asks for too much; that is named like a stop."""
        if not isinstance(error, dict):
            return
        message, kinds = text(error.get("message")), texts(error.get("kinds"))
        cause = ""
        if any(kind in NO_MEMORY for kind in kinds) or "can't allocate memory" in message:
            cause = f"asked for more than {self.limits.memory / 2**30:.3g} GiB in {doing}"
        elif "PermissionError" in kinds:
            cause = f"tried what is closed while grading (files, network, processes) in {doing}"
        if cause and cause not in self.stops:
            self.stops.append(cause)

    def _explain(self, error: Any, name: str) -> None:
        """A name that is missing because its cell failed: say so."""
        if isinstance(error, dict):
            why = (
                "; ".join(list(self._errors.values())[:3])
                or "keep its name, and run the cell that defines it"
            )
            error |= {"missing": True, "message": f"{name} is not defined: {why}"}


class Grader:
    """Grades submissions one after another, with one warm process. Use it as a context manager.

    Args:
        limits: what each submission may use.
        without: layers of the lock to leave out, for the tests of the others.
    """

    def __init__(self, limits: Limits | None = None, without: frozenset[str] = frozenset()) -> None:
        self.limits = limits or Limits()
        # Hidden tests are small: on a busy machine a pool of threads waits for itself, 6 ms a call.
        torch.set_num_threads(1)
        self.zygote = Zygote(self.limits, without)
        self._inner: dict[Question, _Inner] = {}
        self._known: dict[tuple[Question, int], dict[str, recognition.Behaviour]] = {}

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
        """
        try:
            return self._graded(question, notebook, seed)
        except Broken:  # somebody killed the warm process: not the learner's doing, so all of it once more
            return self._graded(question, notebook, seed)

    def _graded(self, question: Question, notebook: bytes, seed: int) -> Result:
        inner = self._inner_of(question)
        try:
            submitted = submission.read(notebook, question.release_notebook)
        except SubmissionError as error:
            return self.refused(question, str(error))
        tries = tuple(cell for cell in submitted.cells if cell.kind == "try")
        with self.sitting(submitted) as sitting:
            examined = inner.examine(sitting, seed)
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

    def examine(self, question: Question, sitting: Sitting, seed: int) -> Examined:
        """Run the question's tests on one sitting."""
        return self._inner_of(question).examine(sitting, seed)

    def tests(self, question: Question) -> tuple[HiddenTest, ...]:
        """The question's hidden tests, as collected."""
        return tuple(self._inner_of(question).tests)

    def known(self, question: Question, seed: int) -> dict[str, recognition.Behaviour]:
        """How the reference ("") and every named mistake behave under this seed; computed once."""
        key = (question, seed)
        if key not in self._known:
            programs = {"": mistakes.solved_bytes(question)}
            programs |= {m.name: mistakes.solved_bytes(question, m) for m in mistakes.mistakes(question)}
            self._known[key] = {
                name: recognition.behaviour(self.examined(question, data, seed))
                for name, data in programs.items()
            }
        return self._known[key]

    def _inner_of(self, question: Question) -> _Inner:
        if question not in self._inner or self._inner[question].over:
            self._inner[question] = _Inner(question)
        return self._inner[question]

    def _result(
        self, question: Question, seed: int, submitted: Submission, sitting: RoomSitting, examined: Examined
    ) -> Result:
        recognised: tuple[Any, ...] = ()
        if recognition.lost(examined):
            known = self.known(question, seed)
            examined.verdicts = recognition.settled(examined.verdicts, known[""])
            recognised = recognition.recognise(examined, known, mistakes.mistakes(question))
        return Result(
            question.slug,
            verdicts=tuple(examined.verdicts),
            recognised=recognised,
            stops=tuple(sitting.stops),
            notes=(*submitted.notes, *examined.flags),
            outputs=tuple(CellOutput(index, outputs) for index, outputs in sorted(sitting.outputs.items())),
            signature="" if sitting.stops else recognition.signature(examined),
        )


class _Inner:
    """One question's inner pytest run, in a thread that waits for the next submission."""

    def __init__(self, question: Question) -> None:
        self.tests: list[HiddenTest] = []
        self._jobs: queue.Queue[tuple[Sitting, int] | None] = queue.Queue()
        self._answers: queue.Queue[Examined | BaseException] = queue.Queue()
        self._collected = threading.Event()
        self._failure: BaseException | None = None
        self.over = False  # nothing would answer any more
        self._thread = threading.Thread(target=self._run, args=(question,), daemon=True)
        self._thread.start()
        self._collected.wait()
        if self._failure is not None:
            raise self._failure

    def examine(self, sitting: Sitting, seed: int) -> Examined:
        """Run the tests on one sitting."""
        self._jobs.put((sitting, seed))
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """End the run."""
        self._jobs.put(None)
        self._thread.join(timeout=5)

    def _run(self, question: Question) -> None:
        def collected(tests: list[HiddenTest]) -> None:
            self.tests = tests
            self._collected.set()

        try:
            examine(question, iter(self._jobs.get, None), self._answers.put, collected=collected)
            if not self._collected.is_set():
                self._failure = GraderError(f"{question.tests} holds no test")
        except BaseException as error:  # noqa: BLE001  raised where the result is waited for
            self._failure, self.over = error, True
            self._answers.put(error)
        finally:
            self._collected.set()


def grade(question: Question, notebook: bytes, *, seed: int, limits: Limits | None = None) -> Result:
    """What one submission earns, with a warm process of its own; Grader keeps one for many."""
    with Grader(limits) as grader:
        return grader.grade(question, notebook, seed)


def _outputs(outputs: Any) -> tuple[dict[str, Any], ...]:
    """Outputs from the room, of nbformat's four kinds and nothing else: every field may be forged."""
    return tuple(_clean_outputs(outputs if isinstance(outputs, list) else []))


def _clean_outputs(outputs: list[Any]) -> Iterator[dict[str, Any]]:
    for item in outputs[:500]:
        if not isinstance(item, dict):
            continue
        kind = item.get("output_type")
        if kind == "stream":
            name = "stderr" if item.get("name") == "stderr" else "stdout"
            yield {"output_type": "stream", "name": name, "text": text(item.get("text"))}
        elif kind == "error":
            yield {
                "output_type": "error",
                "ename": text(item.get("ename")),
                "evalue": text(item.get("evalue")),
                "traceback": texts(item.get("traceback")),
            }
        elif kind in ("display_data", "execute_result"):
            data = item.get("data")
            shown = (
                {str(k): v for k, v in data.items() if isinstance(v, str)} if isinstance(data, dict) else {}
            )
            output: dict[str, Any] = {"output_type": kind, "data": shown, "metadata": {}}
            if kind == "execute_result":
                count = item.get("execution_count")
                output["execution_count"] = count if type(count) is int else None
            yield output


def _for_points(submitted: Submission) -> tuple[Cell, ...]:
    """The cells that points rest on: not the try-it cells, which are ours and may take the learner's time."""
    return tuple(cell for cell in submitted.cells if cell.kind != "try")


def _text_output(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text + "\n"}


def _stop_output(cause: str) -> dict[str, Any]:
    return {
        "output_type": "error",
        "ename": "Stopped",
        "evalue": cause,
        "traceback": [f"Stopped: this cell {cause}"],
    }


def _no_export(value: object) -> Any:
    raise wire.WireError(f"a {type(value).__name__}")


def _no_resolve(_: Any) -> Any:
    raise wire.WireError("a reference where none was asked for")


def _no_callback(_: dict[str, Any]) -> dict[str, Any]:
    raise wire.WireError("a call where none was given")
