"""Where nbgrader's steps get a result: from the journal of a parallel run, or from a grader of their own."""

from __future__ import annotations

import atexit
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from autograde.digest import digest
from autograde.journal import FILE, Journal
from autograde.question import Question, QuestionError, course_root, questions
from autograde.seed import course_seed
from autograde.verdict import Result

if TYPE_CHECKING:
    from autograde.grading import Grader

SEED: ContextVar[int | None] = ContextVar("SEED", default=None)  # `--seed`, in place of the course's secret
IDLE = 60.0  # seconds after which the warm process of a long-lived server (formgrader) is given back


def question_of(slug: str, working: Path) -> Question | None:
    """The question that a notebook of a gradebook answers; None for a notebook that is the course's own.

    Raises:
        QuestionError: the questions can't be found or read. Taking every notebook for the course's own would
            run learners' code outside the sandbox.
    """
    root = course_root(working)
    if root is None:
        raise QuestionError(
            f"no questions found from {working}: set AUTOGRADE_COURSE to a checkout that has them"
        )
    return next((question for question in questions(root) if question.slug == slug), None)


def results_for(question: Question, data: bytes, working: Path) -> Result:
    """What one submission earned: looked up in the journal of the course, else graded now and written there.

    Args:
        question: the question.
        data: the submitted file.
        working: the folder of the gradebook, where the journal and the seed are.
    """
    seed = course_seed(working, question.slug, SEED.get())
    name = digest(question, data, seed)
    journal = _journal(working)
    result = journal.get(name)
    if result is None:
        result = _warm.grade(question, data, seed, working)
        journal.put(name, result)
    return result


_journals: dict[Path, Journal] = {}


def _journal(working: Path) -> Journal:
    path = working.resolve() / FILE
    journal = _journals.get(path)
    # A journal that was deleted under a long-lived process must not be answered from memory.
    if journal is None or not path.exists():
        journal = _journals[path] = Journal(path)
    return journal


class _Warm:
    """One grader for all notebooks of this process, closed when it has had nothing to do for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._grader: Grader | None = None
        self._timer: threading.Timer | None = None
        self._files: dict[str, str] = {}

    def grade(self, question: Question, data: bytes, seed: int, working: Path) -> Result:
        with self._lock:
            if self._timer:
                self._timer.cancel()
            try:
                return self._fresh(question, working).grade(question, data, seed)
            finally:
                self._timer = threading.Timer(IDLE, self.close)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        with self._lock:
            self._end()

    def _fresh(self, question: Question, working: Path) -> Grader:
        # Here, not above: nbgrader reads its configuration for every command, and this import takes a second.
        from autograde.grading import Grader

        # In a server that lives long the hidden tests may have been edited since they were collected.
        files = digest(question, b"", 0)
        if self._files.setdefault(question.slug, files) != files:
            self._end()
            self._files[question.slug] = files
        if self._grader is None:
            self._grader = Grader(working=working)
        return self._grader

    def _end(self) -> None:
        grader, self._grader = self._grader, None
        self._files.clear()
        if grader is not None:
            grader.close()


_warm = _Warm()
atexit.register(_warm.close)
