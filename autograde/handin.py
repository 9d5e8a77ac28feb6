"""What was handed in: found as nbgrader lays it out, and read as bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograde.errors import Explained
from autograde.question import Question, syllabus
from autograde.submission import MAX_BYTES, SubmissionError


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
            return None, "not handed in"
        try:
            return content(self.path, self.path.parent), ""
        except SubmissionError as error:
            return None, str(error)


def handed_in(
    folder: Path, root: Path, topic: str | None, student: str | None, notes: list[str]
) -> Iterator[HandedIn]:
    """What is below nbgrader's submitted/, in order of names: one for each question of a handed-in topic.

    Args:
        folder: nbgrader's submitted/.
        root: the checkout, whose syllabus counts.
        topic: one topic only.
        student: one student only.
        notes: what was left alone is noted here.

    Raises:
        HandInError: there is no such topic, or this is not where submissions are.
    """
    topics = {row.name: rows for row, rows in syllabus(root).items()}
    if topic is not None and topic not in topics:
        raise HandInError(f"no topic '{topic}' in the syllabus: it has {', '.join(topics)}")
    if not folder.is_dir():
        raise HandInError(f"no folder {folder}: run this beside submitted/, or name it: autograde grade PATH")
    if (folder / "submitted").is_dir():
        raise HandInError(f"{folder} is not submitted/ but holds it: autograde grade {folder / 'submitted'}")
    for home in sorted(folder.iterdir()):
        if not home.is_dir() or home.name.startswith(".") or (student is not None and home.name != student):
            continue
        for assignment in sorted(home.iterdir()):
            if topic is not None and assignment.name != topic:
                continue
            if assignment.name not in topics:
                notes.append(f"{home.name}/{assignment.name}: no such topic in the syllabus, left alone")
            elif assignment.is_dir():
                yield from (
                    HandedIn(home.name, q, assignment / f"{q.slug}.ipynb") for q in topics[assignment.name]
                )


def home_of(folder: Path) -> Path:
    """Where a submission really is, whose folder lies two below submitted/: a link in its place leads elsewhere."""
    return folder.parents[1].resolve() / folder.parent.name / folder.name


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
            raise SubmissionError(
                f"the file has {state.st_size / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20}: "
                "clear the outputs (Edit → Clear Outputs of All Cells), save and hand in again"
            )
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SubmissionError(f"the file can't be read: {error.strerror}: hand in again") from None
