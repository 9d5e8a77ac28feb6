"""Programs with known mistakes in them, not as the mistakes are listed: to measure how well they are recognised."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autograde import mistakes
from autograde.mistakes import Change
from autograde.question import Question, QuestionError
from autograde.submission import grade_id

LISTED = "as listed"
REWRITTEN = "written differently"
HALF = "half done"
TOGETHER = "two in one task"
APART = "one in each of two tasks"
KINDS = (LISTED, REWRITTEN, HALF, TOGETHER, APART)

Texts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Case:
    """One program with mistakes in it.

    Attributes:
        kind: one of KINDS.
        made: the names of the mistakes.
        where: the variant they were put into, "" for the reference.
        data: the submission.
    """

    kind: str
    made: tuple[str, ...]
    where: str
    data: bytes


def listed(question: Question) -> Iterator[Case]:
    """Each mistake in the reference, as mistakes.toml has it."""
    for mistake in mistakes.mistakes(question):
        yield Case(LISTED, (mistake.name,), "", mistakes.solved_bytes(question, mistake))


def rewritten(question: Question) -> Iterator[Case]:
    """Each mistake in the variants of its cell.

    What is changed there says rewrites.toml; where that says nothing, the mistake's own texts are, in each variant
    that holds them.

    Raises:
        QuestionError: rewrites.toml does not fit the mistakes and the variants.
    """
    named = {change.name: change for change in mistakes.mistakes(question)}
    correct = {change.name: change for change in mistakes.variants(question)}
    texts = _texts(question)
    for pair in texts:
        if pair[0] not in named or pair[1] not in correct or named[pair[0]].cell != correct[pair[1]].cell:
            raise QuestionError(
                f"{question.rewrites}: [{pair[0]}] {pair[1]}: no mistake and variant of one cell"
            )
    for mistake, variant in itertools.product(named.values(), correct.values()):
        if mistake.cell == variant.cell:
            yield from _put_into(question, mistake, variant, texts.get((mistake.name, variant.name)))


def half_done(question: Question) -> Iterator[Case]:
    """Each mistake where every other solution cell is still the stub; none where a question has one cell."""
    stubs = {
        grade_id(cell): Change("stub", grade_id(cell), (), "".join(cell["source"]), "")
        for cell in question.release_notebook["cells"]
        if cell["metadata"].get("nbgrader", {}).get("solution")
    }
    for mistake in mistakes.mistakes(question) if len(stubs) > 1 else ():
        others = [stub for name, stub in stubs.items() if name != mistake.cell]
        yield Case(HALF, (mistake.name,), "", mistakes.solved_bytes(question, mistake, *others))


def paired(question: Question) -> Iterator[Case]:
    """Each two mistakes in one program, where the second's text is still there after the first, or the other way."""
    for first, second in itertools.combinations(mistakes.mistakes(question), 2):
        kind = TOGETHER if first.cell == second.cell else APART
        for order in ((first, second), (second, first)):
            try:
                data = mistakes.solved_bytes(question, *order)
            except QuestionError:
                continue
            yield Case(kind, (first.name, second.name), "", data)
            break


def sample(cases: Sequence[Case], count: int) -> list[Case]:
    """At most so many of the cases, the same ones each time: those whose names have the smallest hashes."""
    chosen = sorted(cases, key=lambda case: hashlib.sha256(" ".join(case.made).encode()).digest())[:count]
    return sorted(chosen, key=cases.index)


def _put_into(question: Question, mistake: Change, variant: Change, texts: Texts | None) -> Iterator[Case]:
    name = f"{mistake.name} in {variant.name}"
    change = replace(mistake, name=name, replacements=texts or mistake.replacements)
    try:
        data = mistakes.solved_bytes(question, variant, change)
    except QuestionError:
        if texts is not None:
            raise
        return  # the mistake's own text is not in this variant
    yield Case(REWRITTEN, (mistake.name,), variant.name, data)


def _texts(question: Question) -> dict[tuple[str, str], Texts]:
    """What rewrites.toml holds, by mistake and variant; nothing where there is none."""
    if not question.rewrites.is_file():
        return {}
    return {
        (mistake, variant): _pairs(question, f"[{mistake}] {variant}", value)
        for mistake, table in mistakes.tables(question.rewrites).items()
        for variant, value in (table.items() if isinstance(table, dict) else [("", table)])
    }


def _pairs(question: Question, where: str, value: Any) -> Texts:
    is_list = isinstance(value, list) and bool(value)
    if not is_list or not all(isinstance(p, list) and [type(t) for t in p] == [str, str] for p in value):
        raise QuestionError(f"{question.rewrites}: {where} is no list of pairs [old, new]")
    return tuple((old, new) for old, new in value)
