"""A question, and the only place that joins its paths."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from autograde.errors import Explained

SYLLABUS = Path("autograde") / "questions" / "syllabus.toml"


class QuestionError(Explained):
    """There is no such question, or its files are not what they must be."""


@dataclass(frozen=True)
class Topic:
    """A topic of the syllabus: an nbgrader assignment."""

    name: str
    title: str


@dataclass(frozen=True)
class Question:
    """One question: its line of the syllabus, and where its files are.

    Attributes:
        root: the checkout.
        topic: the folder, and nbgrader's assignment.
        slug: the file name, and nbgrader's notebook.
        difficulty: 1 to 5.
        minutes: how long a learner takes.
        prerequisites: slugs to do before.
    """

    root: Path
    topic: str
    slug: str
    title: str
    difficulty: int
    minutes: int
    prerequisites: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The hidden part: tests, mistakes, variants, apparatus."""
        return self.root / "autograde" / "questions" / self.topic / self.slug

    @property
    def tests(self) -> Path:
        """The hidden tests."""
        return self.folder / f"test_{self.slug}.py"

    @property
    def mistakes(self) -> Path:
        """The named mistakes."""
        return self.folder / "mistakes.toml"

    @property
    def variants(self) -> Path:
        """The correct variants."""
        return self.folder / "variants.toml"

    @property
    def rewrites(self) -> Path:
        """The mistakes as they look in the variants; need not exist."""
        return self.folder / "rewrites.toml"

    @property
    def apparatus(self) -> Path:
        """Code that is sent to the room; need not exist."""
        return self.folder / "apparatus.py"

    @property
    def data(self) -> Path:
        """Files that the hidden tests read; need not exist."""
        return self.folder / "data"

    @property
    def source(self) -> Path:
        """The notebook as written by hand, with the solution."""
        return self.root / "source" / self.topic / f"{self.slug}.ipynb"

    @property
    def release(self) -> Path:
        """The notebook as learners get it."""
        return self.root / "release" / self.topic / f"{self.slug}.ipynb"

    @property
    def solution(self) -> Path:
        """The executed notebook with the solution and the answer."""
        return self.root / "solutions" / self.topic / f"{self.slug}.ipynb"

    @cached_property
    def source_notebook(self) -> dict[str, Any]:
        """The source notebook as plain JSON."""
        return _load(self.source)

    @cached_property
    def release_notebook(self) -> dict[str, Any]:
        """The release as plain JSON."""
        return _load(self.release)


def course_root(start: Path | None = None) -> Path | None:
    """The checkout that holds the hidden graders, or None where there is none (a learner's install).

    Looked for in `AUTOGRADE_COURSE`, in the working folder and the folders above it, and beside the package.
    """
    named = os.environ.get("AUTOGRADE_COURSE")
    if named:
        return Path(named).resolve()
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if (folder / SYLLABUS).is_file():
            return folder
    return None


def require_root(start: Path | None = None) -> Path:
    """The checkout, looked for from `start`; QuestionError says what to do where there is none."""
    root = course_root(start)
    if root is None:
        raise QuestionError(
            f"no {SYLLABUS} here or in a folder above: run this inside a checkout, or set AUTOGRADE_COURSE to one"
        )
    return root


def syllabus(root: Path) -> dict[Topic, tuple[Question, ...]]:
    """Topics and their questions, in the order in which they are taught."""
    path = root / SYLLABUS
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            Topic(name, topic["title"]): tuple(
                Question(
                    root=root,
                    topic=name,
                    slug=slug,
                    title=row["title"],
                    difficulty=row["difficulty"],
                    minutes=row["minutes"],
                    prerequisites=tuple(row.get("prerequisites", ())),
                )
                for slug, row in topic["questions"].items()
            )
            for name, topic in listed.items()
        }
    except FileNotFoundError:
        raise QuestionError(f"no syllabus at {path}") from None
    except (ValueError, KeyError, AttributeError, TypeError) as error:  # no TOML and no UTF-8 are ValueErrors
        raise QuestionError(f"{path}: {type(error).__name__}: {error}") from None


def questions(root: Path) -> tuple[Question, ...]:
    """Every question of the syllabus, in order."""
    return tuple(question for rows in syllabus(root).values() for question in rows)


def find(slug: str, root: Path | None = None) -> Question:
    """The question with this slug; QuestionError names the nearest one where there is none."""
    rows = {question.slug: question for question in questions(root or require_root())}
    if slug not in rows:
        near = difflib.get_close_matches(slug, rows, n=1)
        raise QuestionError(f"no question '{slug}'" + (f": did you mean '{near[0]}'?" if near else ""))
    return rows[slug]


def _load(path: Path) -> dict[str, Any]:
    try:
        notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise QuestionError(f"{path} is missing: run `autograde release` and `autograde solutions`") from None
    except ValueError as error:
        raise QuestionError(f"{path} is not a notebook: {error}") from None
    return notebook
