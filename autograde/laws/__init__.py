"""The laws: what must be true of every question, proven; each message says what, where and what to do next."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from autograde.errors import GraderError
from autograde.grading import Grader
from autograde.laws import behaviour, files, notebooks
from autograde.laws.violation import Violation
from autograde.question import Question, QuestionError, find, questions
from autograde.submission import SubmissionError

__all__ = ["Violation", "examine_all", "violations"]


def violations(
    root: Path, chosen: Sequence[Question], grader: Grader
) -> Iterator[tuple[str, list[Violation]]]:
    """Each question's slug ("" for the whole course first) with what it breaks.

    Args:
        root: the checkout.
        chosen: the questions to prove.
        grader: a warm grader.
    """
    yield "", [*files.names(root), *files.freshness(root, chosen)]
    for question in chosen:
        yield question.slug, of_question(question, grader)


def of_question(question: Question, grader: Grader) -> list[Violation]:
    """What one question breaks, its files read and its programs run."""
    try:
        found = [*notebooks.secrets(question), *notebooks.rendering(question)]
        tests = grader.tests(question)
        found += notebooks.points(question, tests)
        return found + behaviour.examine(question, grader)
    except (QuestionError, GraderError, SubmissionError) as error:
        return [Violation(0, question.slug, str(error), "mend the file, then run the laws again")]


def examine_all(root: Path, slugs: Sequence[str], say: Callable[[str], None] | None = None) -> int:
    """Prove the questions and say what is broken.

    Args:
        root: the checkout.
        slugs: which questions, none for all.
        say: where the lines go; standard output by default.

    Returns:
        0 where every law holds, else 1.
    """
    say = say or _print
    chosen = [find(slug, root) for slug in slugs] or list(questions(root))
    began, total, broken = time.monotonic(), len(chosen), 0
    with Grader() as grader:
        grader.zygote.start()
        for done, (slug, found) in enumerate(violations(root, chosen, grader)):
            broken += len(found)
            spent = time.monotonic() - began
            eta = f", ETA {spent / done * (total - done):.0f} s" if done else ""
            say(
                f"{'✗' if found else '✓'} {slug or 'files'}  ({done} of {total} questions, {spent:.0f} s{eta})"
            )
            for violation in found:
                say(str(violation))
    say("every law holds" if not broken else f"{broken} violation{'s' * (broken > 1)}")
    return int(broken > 0)


def _print(line: str) -> None:
    print(line)  # noqa: T201  this is a command's output
    sys.stdout.flush()
