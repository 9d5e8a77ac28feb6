"""One run of one of nbgrader's converters in this process: quiet, and with its reason where it fails."""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nbgrader.api
from nbgrader.converters import GenerateSolution
from nbgrader.converters.base import BaseConverter, NbGraderException
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import DBAPIError, SAWarning

from autograde.errors import Explained
from autograde.gradebook.notebooks import SolutionError
from autograde.refusal import THEN, Refused, refused


class GradebookError(Explained):
    """nbgrader could not do its part; the message is nbgrader's own."""


# What the machine refuses a database, in SQLite's words.
_ADVICE = {
    "disk is full": "free some space",
    "readonly database": "make it and its folder writable",
    "unable to open database": "make it and its folder writable",
    "is locked": "another program writes to it: end that",
    "disk I/O error": "see to the disk",
    "not a database": "put it back from a backup, or move it away (what people gave by hand is in it alone)",
    "malformed": "put it back from a backup, or move it away (what people gave by hand is in it alone)",
}


def machines(error: BaseException | None, coursedir: CourseDirectory) -> Refused | None:
    """An error as what the machine refuses, a database above all; None where it is none of that."""
    for one in _chain(error):
        # nbgrader and nbconvert write in both.
        somewhere = getattr(one, "filename", None) or f"{coursedir.root} or {tempfile.gettempdir()}"
        if found := refused(one, somewhere):
            return found
        if isinstance(one, DBAPIError):
            said = str(one.orig)
            for words, advice in _ADVICE.items():
                if words in said:
                    where = coursedir.db_url.removeprefix("sqlite:///").partition("?")[0]
                    return Refused(f"{where}: {said}: {advice}, {THEN}")
    return None


@contextmanager
def hushed() -> Iterator[None]:
    """Keep nbgrader's own traceback of a database's error off the terminal: it is raised too."""
    log = nbgrader.api.app_log
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def convert(converter: Any, said: Said) -> None:
    """Start a converter.

    Args:
        converter: a converter of nbgrader, with its course directory set.
        said: the errors that its logger was told.

    Raises:
        GradebookError: it failed, and why.
        autograde.refusal.Refused: it failed, and would for everybody else.
    """
    try:
        with hushed(), warnings.catch_warnings():
            # nbgrader's models set these off in newer SQLAlchemy; nothing that a user could do about.
            warnings.simplefilter("ignore", SAWarning)
            converter.start()
    except (NbGraderException, DBAPIError) as error:
        found = machines(said.error or error, converter.coursedir)
        if found is not None:
            raise found from error
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
        self.error: BaseException | None = None  # that nbgrader caught and told

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.error = self.error or sys.exc_info()[1]
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
    ("surrogates not allowed", "a file there has a name that is not UTF-8: rename it"),
)


def _reason(said: Said) -> str:
    told = _told(said)
    return next((plain for theirs, plain in _PLAIN if theirs in told), told)


def _told(said: Said) -> str:
    for message in said.messages:
        if "Traceback (most recent call last)" in message:
            return (
                message.strip().splitlines()[-1].removeprefix(f"{SolutionError.__module__}.SolutionError: ")
            )
    return next(iter(said.messages), "")
