"""What was handed in: found as nbgrader lays it out, and read as bytes."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograde.errors import Explained
from autograde.notebook import MAX_BYTES, SubmissionError, too_large
from autograde.question import Question, syllabus

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MISSING = "not handed in"


class HandInError(Explained):
    """There is nothing to grade, or not where it was looked for."""


@dataclass(frozen=True)
class HandedIn:
    """One submission as found: whose, of which question, and where it is (or would be)."""

    student: str
    question: Question
    path: Path

    @property
    def exists(self) -> bool:
        """Whether there is a notebook in its folder; a folder without any is nothing that nbgrader takes."""
        return any(self.path.parent.glob("*.ipynb"))

    def read(self) -> tuple[bytes | None, str]:
        """Its bytes, or None and why there are none."""
        if not os.path.lexists(self.path):
            return None, self._missing()
        try:
            return content(self.path, self.path.parent), ""
        except SubmissionError as error:
            return None, str(error)

    def _missing(self) -> str:
        """That it was not handed in; and under which name it may have been."""
        alike = _alike(self.question.slug)
        for name in sorted(entry.name for entry in self.path.parent.iterdir()):
            if alike.fullmatch(_letters(name)):
                rename = "rename it to" if ".ipynb" in name.casefold() else "what is graded is"
                return f"not handed in under its name: there is '{shown(name)}': {rename} {self.path.name}"
        return MISSING


def handed_in(
    folder: Path, root: Path, topic: str | None, student: str | None, notes: list[str], closed: list[str]
) -> Iterator[HandedIn]:
    """What is below nbgrader's submitted/, in order of names: one for each question of a handed-in topic.

    Args:
        folder: nbgrader's submitted/.
        root: the checkout, whose syllabus counts.
        topic: one topic only.
        student: one student only.
        notes: what was left alone is noted here.
        closed: and here, what can't be graded before a person has done something about its folder.

    Raises:
        HandInError: there is no such topic, or this is not where submissions are.
    """
    topics = {row.name: rows for row, rows in syllabus(root).items()}
    if topic is not None and topic not in topics:
        raise HandInError(f"no topic '{topic}' in the syllabus: it has {', '.join(topics)}")
    if not folder.is_dir():
        raise HandInError(f"no folder {folder}: run this beside submitted/, or name it: autograde grade PATH")
    if (folder / "submitted").is_dir() and folder.resolve().name != "submitted":
        raise HandInError(f"{folder} is not submitted/ but holds it: autograde grade {folder / 'submitted'}")
    for home in sorted(folder.iterdir()):
        if not home.is_dir() or home.name.startswith(".") or (student is not None and home.name != student):
            continue
        if why := _unfit(home):
            closed.append(f"'{shown(home.name)}': left alone: {why}")
            continue
        for assignment in sorted(home.iterdir()):
            if topic is not None and assignment.name != topic:
                continue
            if assignment.name not in topics:
                notes.append(
                    f"{home.name}/{shown(assignment.name)}: no such topic in the syllabus, left alone"
                )
            elif assignment.is_dir() and (why := _closed(assignment)):
                closed.append(f"{home.name}/{assignment.name}: left alone: {why}")
            elif assignment.is_dir():
                yield from (
                    HandedIn(home.name, q, assignment / f"{q.slug}.ipynb") for q in topics[assignment.name]
                )


def home_of(folder: Path) -> Path:
    """Where a submission really is, whose folder lies two below submitted/: a link in its place leads elsewhere."""
    return folder.parents[1].resolve() / folder.parent.name / folder.name


def _unfit(home: Path) -> str:
    """Why a student's folder can't be graded, "" where it can: what nbgrader makes of its name."""
    name = home.name
    if name.strip() != name or _CONTROL.search(name):
        return "the name of the folder begins or ends with a blank, or has a control character: rename it"
    if shown(name) != name:
        return "the name of the folder is not UTF-8: rename it"
    if found := re.search(r"[*?\[]", name):
        return f"nbgrader takes the {found[0]} in the name of the folder for a pattern: rename it"
    return _closed(home)


def _closed(folder: Path) -> str:
    return "" if os.access(folder, os.R_OK | os.X_OK) else "the folder can't be read: change its permissions"


def shown(name: str) -> str:
    """The name of a file on one line, also where it is not UTF-8."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name).casefold())


def _alike(slug: str) -> re.Pattern[str]:
    """What is left of the names that browsers, systems and people make of a notebook's."""
    ends = "ipynb|copy|copie|kopie|final|new|old|txt|json|zip|html|py|pdf|v|[0-9]"
    return re.compile(f"(copyof|kopievon|copiede)?{re.escape(_letters(slug))}({ends})+")


def content(path: Path, home: Path) -> bytes:
    """The bytes of a submitted file.

    Args:
        path: the file.
        home: the folder of the submission; a link that leads out of it, or that it is itself, is refused.

    Raises:
        SubmissionError: it can't be read, or is too large.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise SubmissionError(
                "not a notebook: a folder or a device has its name: hand in the .ipynb file"
            )
        if home_of(home) not in path.resolve().parents:
            raise SubmissionError("a link to a file outside the submission: hand in the .ipynb file itself")
        if state.st_size > MAX_BYTES:
            raise too_large(state.st_size)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SubmissionError(f"the file can't be read: {error.strerror}: hand in again") from None
