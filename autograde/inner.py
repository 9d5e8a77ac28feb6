"""One question's inner pytest run, kept: collected once, in a thread that waits for the next submission."""

from __future__ import annotations

import queue
import threading

from autograde.errors import GraderError
from autograde.grader import examine
from autograde.hidden import Examined, HiddenTest, Turn
from autograde.question import Question


class Inner:
    """One question's inner pytest run, in a thread that waits for the next submission."""

    def __init__(self, question: Question) -> None:
        self.tests: list[HiddenTest] = []
        self._jobs: queue.Queue[Turn | None] = queue.Queue()
        self._answers: queue.Queue[Examined | BaseException] = queue.Queue()
        self._collected = threading.Event()
        self._failure: BaseException | None = None
        self.over = False  # nothing would answer any more
        self._thread = threading.Thread(target=self._run, args=(question,), daemon=True)
        self._thread.start()
        self._collected.wait()
        if self._failure is not None:
            raise self._failure

    def examine(self, turn: Turn) -> Examined:
        """Run the tests on one submission."""
        self._jobs.put(turn)
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
