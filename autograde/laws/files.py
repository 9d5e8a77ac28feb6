"""Laws 1 and 5, of files: names, the same in every tree, nothing unexpected, nothing stale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from autograde.laws.violation import Violation
from autograde.question import SYLLABUS, Question, questions
from autograde.submission import WRITES

MAX_SLUG = 32
TREES = ("source", "release", "solutions")
_IGNORED = {"__pycache__", ".ipynb_checkpoints", ".DS_Store"}


def names(root: Path) -> Iterator[Violation]:
    """Law 1: slugs are identifiers, unique, the same in every tree; every file has its place."""
    rows = questions(root)
    counts = Counter(question.slug for question in rows)
    for question in rows:
        if not question.slug.isidentifier() or len(question.slug) > MAX_SLUG:
            yield Violation(
                1,
                f"{SYLLABUS}: {question.slug}",
                f"is no Python identifier of at most {MAX_SLUG} characters",
                "rename it, here and in every tree",
            )
        if counts[question.slug] > 1:
            yield Violation(
                1,
                f"{SYLLABUS}: {question.slug}",
                "is listed more than once",
                "a slug is one question: rename one",
            )
        for path in _required(question):
            if not path.is_file():
                yield Violation(1, str(path.relative_to(root)), "is missing", _how_to_make(path, question))
    optional = {path for question in rows for path in (question.rewrites, question.apparatus)}
    written = {path for question in rows for path in _written(question)}
    expected = optional.union(written, *map(_required, rows))
    yield from _unexpected(root, expected, {question.data for question in rows})


def freshness(root: Path, chosen: Sequence[Question]) -> Iterator[Violation]:
    """Law 5, first half: the release is what the source gives byte for byte, solutions in cells and sources."""
    from autograde.release import ReleaseError, make_release, make_solutions

    topics = sorted({question.topic for question in chosen if question.source.is_file()})
    for command, make in (("release", make_release), ("solutions", make_solutions)):
        try:
            stale = make(root, topics, check=True)
        except ReleaseError as error:
            yield Violation(5, command, str(error), "mend the source notebook")
            continue
        for path in stale:
            yield Violation(
                5,
                str(path.relative_to(root)),
                "is not what source/ gives",
                f"run `autograde {command}` and commit what it writes",
            )


def _required(question: Question) -> tuple[Path, ...]:
    hidden = (question.tests, question.mistakes, question.variants)
    return (question.source, question.release, question.solution, *hidden)


def _written(question: Question) -> Iterator[Path]:
    """What the cells of a notebook write beside it where it is run: git ignores it, and so do we."""
    if question.source.is_file():
        for cell in question.source_notebook["cells"]:
            found = WRITES.match("".join(cell["source"]))
            if found is not None:
                yield from (
                    path.parent / f"{found[1]}.py"
                    for path in (question.source, question.release, question.solution)
                )


def _how_to_make(path: Path, question: Question) -> str:
    if path == question.release:
        return "run `autograde release`"
    if path == question.solution:
        return "run `autograde solutions`"
    return f"write it, or take '{question.slug}' out of the syllabus"


def _unexpected(root: Path, expected: set[Path], data: set[Path]) -> Iterator[Violation]:
    folders = [root / tree for tree in TREES] + [(root / SYLLABUS).parent]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            known = path in expected or path == root / SYLLABUS or any(d in path.parents for d in data)
            if path.is_dir() or known or _IGNORED & set(path.parts):
                continue
            yield Violation(
                1,
                str(path.relative_to(root)),
                "belongs to no question of the syllabus",
                f"list its slug in {SYLLABUS}, or delete the file",
            )
