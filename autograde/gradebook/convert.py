"""One run of one of nbgrader's converters in this process: quiet, and with its reason where it fails."""

from __future__ import annotations

import logging
import re
import warnings
from typing import Any

from nbgrader.converters import GenerateSolution
from nbgrader.converters.base import BaseConverter, NbGraderException
from sqlalchemy.exc import SAWarning

from autograde.errors import Explained
from autograde.gradebook.notebooks import SolutionError


class GradebookError(Explained):
    """nbgrader could not do its part; the message is nbgrader's own."""


def convert(converter: Any, said: Said) -> None:
    """Start a converter; GradebookError says why it failed.

    Args:
        converter: a converter of nbgrader, with its course directory set.
        said: the errors that its logger was told.
    """
    try:
        with warnings.catch_warnings():
            # nbgrader's models set these off in newer SQLAlchemy; nothing that a user could do about.
            warnings.simplefilter("ignore", SAWarning)
            converter.start()
    except NbGraderException as error:
        raise GradebookError(_reason(said) or str(error)) from error


class Solve(GenerateSolution):
    """Makes solutions without a gradebook, which nbgrader asks only whether it knows the assignment."""

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        """Copy the files that are no notebooks."""
        BaseConverter.init_assignment(self, assignment_id, student_id)


class Said(logging.Handler):
    """Keeps nbgrader's error messages: its exceptions say only that there was one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.messages.append(record.getMessage())


def listening() -> tuple[logging.Logger, Said]:
    """A logger for a converter, and what errors it was told."""
    # A logger of its own: nothing of nbgrader's chatter reaches the terminal.
    log, said = logging.Logger("autograde.nbgrader", logging.ERROR), Said()
    log.addHandler(said)
    return log, said


# What nbgrader says, and what it comes from.
_PLAIN = (
    ("No notebooks found", "no notebook there has the name of a question of the topic: rename it"),
    (
        r"has no attribute 'fail'|UnicodeDecodeError",
        "timestamp.txt has no time that nbgrader can read: write it as 2026-01-02 12:00:00 UTC, or delete it",
    ),
    ("surrogates not allowed", "a file there has a name that is not UTF-8: rename it"),
)


def _reason(said: Said) -> str:
    told = _told(said)
    return next((plain for theirs, plain in _PLAIN if re.search(theirs, told)), told)


def _told(said: Said) -> str:
    for message in said.messages:
        if "Traceback (most recent call last)" in message:
            return (
                message.strip().splitlines()[-1].removeprefix(f"{SolutionError.__module__}.SolutionError: ")
            )
    return next(iter(said.messages), "")
