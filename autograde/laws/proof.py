"""A question proven: its files read, its programs run; many of them in processes side by side."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process

from autograde.errors import GraderError
from autograde.grading import Grader
from autograde.laws import behaviour, notebooks
from autograde.laws.violation import Violation
from autograde.notebook import SubmissionError
from autograde.question import Question, QuestionError
from autograde.scratch import Scratch, sweep


@dataclass(frozen=True)
class Proof:
    """What one question breaks.

    Attributes:
        question: the question.
        found: what it breaks.
        done: how many questions are proven by now, this one among them.
    """

    question: Question
    found: list[Violation]
    done: int


def prove(question: Question, grader: Grader, seed: int = 0) -> list[Violation]:
    """What one question breaks.

    Args:
        question: the question.
        grader: a warm grader.
        seed: the seed of a course.
    """
    try:
        found = [*notebooks.secrets(question), *notebooks.rendering(question)]
        tests = grader.tests(question)
        found += notebooks.points(question, tests)
        return found + behaviour.examine(question, grader, seed)
    except (QuestionError, GraderError, SubmissionError) as error:
        return [Violation(0, question.slug, str(error), "mend the file, then run the laws again")]


@contextmanager
def proving(questions: Sequence[Question], jobs: int, seed: int = 0) -> Iterator[Iterator[Proof]]:
    """Begin to prove all questions; what it gives are the proofs, in the order of the questions.

    Args:
        questions: what to prove.
        jobs: how many processes; with 1 it is this one.
        seed: the seed of a course.
    """
    if jobs == 1:
        with Grader() as grader:
            grader.zygote.start()
            yield (Proof(q, prove(q, grader, seed), done) for done, q in enumerate(questions, 1))
        return
    with _pool(jobs) as pool:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is the parent's to handle
        try:
            futures = [pool.submit(_prove, question, seed) for question in questions]
        finally:
            signal.signal(signal.SIGINT, before)
        yield (
            Proof(question, future.result(), sum(f.done() for f in futures))
            for question, future in zip(questions, futures, strict=True)
        )


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the block, also in the middle of a question."""
    # Temporary files of the pool's own: a process that is ended can't remove its rooms' folders.
    sweep()
    with Scratch("laws") as scratch:
        # Spawned, not forked: torch has threads here, and a fork would inherit their locks.
        pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_begin, initargs=(str(scratch),))
        try:
            yield pool
        except BrokenProcessPool as error:
            raise GraderError("a process was killed (out of memory?): run it again with --jobs 1") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            pool.shutdown()


_grader: Grader  # of a process of the pool


def _begin(scratch: str) -> None:
    global _grader
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tempfile.tempdir = scratch
    _grader = Grader()
    _grader.zygote.start()


def _end_with_parent() -> None:
    """End this process where the command was killed: it would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prove(question: Question, seed: int) -> list[Violation]:
    return prove(question, _grader, seed)
