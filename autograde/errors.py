"""What goes wrong, told apart: the learner's fault, or ours."""

from __future__ import annotations

from typing import Any


class Explained(Exception):
    """Its message says what, where and what to do: a command prints it as one line, without a traceback."""


class StudentError(Exception):
    """The learner's code raised, stopped or answered with what is no data; the message is for them.

    Attributes:
        kinds: names of the builtin types of what was raised, most specific first; () after a stop.
        stopped: whether the process has ended.
    """

    def __init__(self, message: str, kinds: tuple[str, ...] = (), *, stopped: bool = False) -> None:
        super().__init__(message)
        self.kinds = kinds
        self.stopped = stopped


class NoLength(StudentError, TypeError):
    """What has no len(); list() asks for one first, and takes a TypeError alone for "it has none"."""


class GraderError(Explained):
    """A hidden test asked for what can't be done: our fault."""


def student_error(error: Any, doing: str) -> StudentError:
    """The error that an answer describes; every field may be forged, so every one is checked."""
    fields = error if isinstance(error, dict) else {}
    kinds = tuple(texts(fields.get("kinds")))[:10]
    name, message = text(fields.get("type"))[:100], text(fields.get("message"))[:2000]
    if fields.get("unsendable") is True:
        return StudentError(f"{doing} returned what can't be graded: {message}", ())
    told = f"{doing} raised {name}: {message}" if message else f"{doing} raised {name}"
    if name == "NotImplementedError" and not message:
        return StudentError(f"{doing} is not written yet", kinds)
    if fields.get("missing") is True:
        return StudentError(message, kinds)
    lines = [line[:300] for line in texts(fields.get("lines"))][:5]
    return StudentError("\n".join((told, *(f"  {line}" for line in lines))), kinds or ("Exception",))


def text(value: object) -> str:
    """What should be text, "" where it is not: str() of what was forged may be huge, or fail."""
    return value if isinstance(value, str) else ""


def texts(value: object) -> list[str]:
    """What should be a list of texts, without what is none."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
