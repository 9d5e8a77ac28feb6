"""Laws 2, 3, 4 and 8, of behaviour: what the reference, variants, stubs and mistakes earn, here and there."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from autograde import mistakes, recognition, submission
from autograde.checking import examine_here
from autograde.grading import Grader
from autograde.hidden import Examined
from autograde.laws.pretence import nothing_for_nothing
from autograde.laws.violation import Violation
from autograde.live import globals_kept, silent
from autograde.mistakes import Change
from autograde.question import Question
from autograde.reach import completed, unreached
from autograde.recognition import Behaviour
from autograde.rewriting import rewritten
from autograde.seed import derived
from autograde.stage import staged_in_turn
from autograde.submission import WRITES, grade_id
from autograde.verdict import Outcome

REFERENCE = "the reference"


def examine(question: Question, grader: Grader, course: int = 0) -> list[Violation]:
    """Everything that running the question shows, under the seed of a course."""
    for _ in rewritten(question):
        pass  # reading rewrites.toml raises where it does not fit the variants any more
    seed = derived(course, question.slug)
    reference = _room(question, grader, seed, ())
    wrong_reference = list(_full_marks(question, REFERENCE, reference))
    if wrong_reference:
        return wrong_reference  # whatever else there is to say rests on it
    right: dict[str, tuple[Change, ...]] = {
        f"the variant [{c.name}]": (c,) for c in mistakes.variants(question)
    }
    wrong = {f"[{c.name}]": (c,) for c in mistakes.mistakes(question)}
    stopped: dict[str, str] = {}
    room = {
        name: _room(question, grader, seed, change, reference, stopped)
        for name, change in (right | wrong).items()
    }
    if stopped:
        return list(_endless(question, stopped))  # it would hang again and again in what follows
    return [
        *(v for name in right for v in _full_marks(question, name, room[name])),
        *nothing_for_nothing(question, grader, seed, reference),
        *_mistakes(question, reference, {change[0]: room[name] for name, change in wrong.items()}),
        *_same_here(
            question,
            {REFERENCE: (), **right, **wrong},
            {REFERENCE: reference, **room},
            seed,
            grader.limits.call_s,
        ),
        *_reach_no_further(question, grader, seed, room),
    ]


def _room(
    question: Question,
    grader: Grader,
    seed: int,
    changes: tuple[Change, ...],
    reference: Examined | None = None,
    stopped: dict[str, str] | None = None,
) -> Examined:
    """What the room says of the reference, changed; tests that the changes can't reach are the reference's.

    Args:
        stopped: gets why the room was stopped, by the name of the first change.
    """
    known = frozenset[str]() if reference is None else unreached(question, changes, reference.seen)
    submitted = submission.read(mistakes.solved_bytes(question, *changes), question.release_notebook)
    with grader.sitting(submitted) as sitting:
        examined = grader.examine(question, sitting, seed, known)
    if sitting.stops and stopped is not None:
        stopped[changes[0].name] = sitting.stops[0]
    return examined if reference is None else completed(examined, reference)


def _full_marks(question: Question, name: str, examined: Examined) -> Iterator[Violation]:
    """Law 2; tests that a program does not pass for one reason are named together."""
    lost: dict[tuple[Outcome, str], list[str]] = {}
    for verdict in examined.verdicts:
        if verdict.outcome not in (Outcome.PASSED, Outcome.NOT_RUN):
            why = examined.why_broken(verdict.test) or verdict.message.replace("\n", " ")
            lost.setdefault((verdict.outcome, why), []).append(verdict.test)
    for (outcome, why), tests in lost.items():
        what = f"does not pass {', '.join(tests)} ({outcome}): {why}"
        do = "mend the test" + ("" if outcome is Outcome.BROKEN else " if the code is right, else the code")
        yield Violation(2, f"{question.slug}: {name}", what, do)


def _endless(question: Question, stopped: Mapping[str, str]) -> Iterator[Violation]:
    """Law 4, of what the room had to stop."""
    for name, why in stopped.items():
        do = "let it end by itself: what is stopped is told to nobody"
        yield Violation(4, f"{question.slug}: [{name}]", why, do)


def _mistakes(
    question: Question, reference: Examined, wrong: Mapping[Change, Examined]
) -> Iterator[Violation]:
    """Law 4."""
    known = _known(wrong)
    for change, examined in wrong.items():
        if error := _unreadable(question, change):
            what = f"is no Python: {error}"
            yield Violation(4, f"{question.slug}: [{change.name}]", what, "mend its texts")
        if not known[change.name].failed:
            yield Violation(
                4,
                f"{question.slug}: [{change.name}]",
                "loses no point",
                "write the test that it must fail: it is a hole, or the change changes nothing",
            )
        elif set(told := _told(examined, known, wrong)) != {change.name}:
            names = " and ".join(f"[{name}]" for name in dict.fromkeys(told)) or "nothing"
            do = 'merge them, or put an input first that tells them apart; where only calls differ, by = "message"'
            yield Violation(4, f"{question.slug}: [{change.name}]", f"is told as {names}", do)
        yield from _broken(question, change.name, examined)
    ran = {v.test for v in reference.verdicts if not v.outcome.is_open}
    caught = frozenset[str]().union(*(one.failed for one in known.values()))
    for test in sorted(ran - caught):
        yield Violation(
            4,
            f"{question.slug}: {test}",
            "is failed by no mistake",
            "add the mistake it is there for, or drop it",
        )


def _unreadable(question: Question, change: Change) -> str:
    """Why nobody could make this mistake: what Python says of its cell, "" where it can be read."""
    cells = mistakes.solved(question, change)["cells"]
    source = next("".join(cell["source"]) for cell in cells if grade_id(cell) == change.cell)
    try:
        ast.parse(WRITES.sub("\n", source, count=1))
    except SyntaxError as error:
        return str(error)
    return ""


def _broken(question: Question, name: str, examined: Examined) -> Iterator[Violation]:
    for verdict in examined.verdicts:
        if verdict.outcome is Outcome.BROKEN:
            yield Violation(
                4,
                f"{question.slug}: [{name}]",
                f"breaks {verdict.test}: {examined.why_broken(verdict.test)}",
                "mend the test",
            )


def _same_here(
    question: Question,
    programs: Mapping[str, tuple[Change, ...]],
    room: Mapping[str, Examined],
    seed: int,
    limit: float,
) -> Iterator[Violation]:
    """Law 8; a request to one of the programs may take so many seconds."""
    known = [unreached(question, changes, room[REFERENCE].seen) for changes in programs.values()]
    with globals_kept(), silent():
        spaces = staged_in_turn(mistakes.solved(question, *change) for change in programs.values())
        found = examine_here(question, spaces, known=known, seed=seed, limit=limit)
    live = {name: completed(examined, found[0]) for name, examined in zip(programs, found, strict=True)}
    changes = mistakes.mistakes(question)
    known_live, known_room = (
        _known({change: on[f"[{change.name}]"] for change in changes}) for on in (live, room)
    )
    for name in programs:
        for one, other in zip(live[name].verdicts, room[name].verdicts, strict=True):
            if one.outcome is not other.outcome:
                yield _differs(
                    question,
                    name,
                    f"{one.test} says {one.outcome} in check() and {other.outcome} in the room",
                )
        here, there = _told(live[name], known_live, changes), _told(room[name], known_room, changes)
        if here != there:
            yield _differs(question, name, f"is recognised as {here} in check() and {there} in the room")


def _reach_no_further(
    question: Question, grader: Grader, seed: int, room: Mapping[str, Examined]
) -> Iterator[Violation]:
    """Also law 8: of each cell the first mistake is run on every test, those that it should not reach among them."""
    first = {change.cell: change for change in reversed(mistakes.mistakes(question))}
    for change in first.values():
        whole = _room(question, grader, seed, (change,))
        for one, other in zip(whole.verdicts, room[f"[{change.name}]"].verdicts, strict=True):
            if one.outcome is not other.outcome:
                what = (
                    f"{one.test} says {one.outcome}, and takes no name that rests on the cell '{change.cell}'"
                )
                do = "keep what a cell does to the names that it makes: no settings, no patches"
                yield Violation(8, f"{question.slug}: [{change.name}]", what, do)


def _differs(question: Question, name: str, what: str) -> Violation:
    do = "find what differs: global state, printed output, files, threads"
    return Violation(8, f"{question.slug}: {name}", what, do)


def _known(wrong: Mapping[Change, Examined]) -> dict[str, Behaviour]:
    return {change.name: recognition.behaviour(examined) for change, examined in wrong.items()}


def _told(examined: Examined, known: Mapping[str, Behaviour], changes: Iterable[Change]) -> list[str]:
    return [told.mistake for told in recognition.recognise(examined, known, tuple(changes))]
