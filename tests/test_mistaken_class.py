"""A class in which everybody has made a mistake, or two, or half of the work: its table says which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import two_tasks
from classroom import TOPIC, command, submit

from autograde import mistakes, rewriting
from autograde.checking import examined_here
from autograde.question import Question, find
from autograde.rewriting import APART, HALF, LISTED, REWRITTEN, TOGETHER, Case
from autograde.stage import staged

UNKNOWN = mistakes.Change("unknown", "spread", (("** 0.5", "** 0.25"),), None, "")


def everyone(question: Question) -> Iterator[Case]:
    """Every program that a class with these mistakes could hand in."""
    yield from rewriting.listed(question)
    yield from rewriting.rewritten(question)
    yield from rewriting.half_done(question)
    yield from rewriting.paired(question)


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The class, graded by `autograde grade`: the line of each student, and the whole table."""
    root = two_tasks.course(tmp_path_factory.mktemp("course"))
    question = find(two_tasks.SLUG, root)
    cases = {f"student{number:02}": case for number, case in enumerate(everyone(question))}
    handed = {name: case.data for name, case in cases.items()}
    handed |= {f"right{number}": data for number, data in enumerate(right(question))}
    handed |= {name: mistakes.solved_bytes(question, UNKNOWN) for name in ("twin1", "twin2")}
    handed["stub"] = question.release.read_bytes()
    for name, data in handed.items():
        submit(root, name, **{question.slug: data})
    done = command(root, "grade", "--seed", "3", COLUMNS="160")
    table = done.stdout.partition(f"{TOPIC} / {question.slug}\n")[2]
    parts = [
        re.split(r"\s{2,}", line, maxsplit=3) for line in table.split("\n") if line.startswith(tuple(handed))
    ]
    causes = {part[0]: part[3] if len(part) == 4 else "" for part in parts}
    return SimpleNamespace(question=question, cases=cases, causes=causes, table=table, errors=done.stderr)


def right(question: Question) -> list[bytes]:
    """Each correct variant."""
    return [mistakes.solved_bytes(question, variant) for variant in mistakes.variants(question)]


@pytest.mark.parametrize("kind", [LISTED, REWRITTEN, TOGETHER, APART])
def test_every_mistake_is_named(graded: SimpleNamespace, kind: str) -> None:
    """As listed, in a variant, or with another one: each student's line names the mistakes, and nothing else."""
    expected = {name: "; ".join(case.made) for name, case in graded.cases.items() if case.kind == kind}
    unlike = {
        name for name, case in graded.cases.items() if (case.made, case.where) == (("off_by_one",), "loop")
    }
    for name in unlike & set(expected):  # it divides by one too few there, not too many
        expected[name] = "result: not the right value; yours is"
    assert expected
    assert {name: graded.causes[name][: len(cause)] for name, cause in expected.items()} == expected


def test_a_notebook_is_told_the_same(graded: SimpleNamespace) -> None:
    """What the class table names, `check()` names: also two mistakes in one task."""
    (case,) = (case for case in graded.cases.values() if case.made == ("no_division", "zero_when_empty"))
    with staged(json.loads(case.data)) as namespace:
        result = examined_here(graded.question, namespace)
    assert tuple(recognised.mistake for recognised in result.recognised) == case.made


def test_half_done_work_names_the_mistake_and_what_is_missing(graded: SimpleNamespace) -> None:
    """Where one task is a stub, the other one's mistake is named, and the stub too."""
    for name, case in graded.cases.items():
        if case.kind == HALF:
            other = "mean" if case.made == ("no_root",) else "spread"
            assert graded.causes[name] == f"{case.made[0]}; {other} is not written yet"


def test_right_and_empty_work_names_no_mistake(graded: SimpleNamespace) -> None:
    """A correct variant has an empty line, and the stub says that it is one."""
    assert [graded.causes[f"right{number}"] for number in range(3)] == [""] * 3
    assert graded.causes["stub"] == "mean is not written yet; spread is not written yet"


def test_those_with_the_same_unknown_mistake_find_each_other(graded: SimpleNamespace) -> None:
    """Who makes the same mistake that nobody knows is told apart from the others."""
    assert graded.causes["twin1"].startswith("fails like twin2: ")
    assert "     2  alike: twin1, twin2: " in graded.table


def test_mistakes_are_counted(graded: SimpleNamespace) -> None:
    """Below the table each mistake has the number of students who made it, in its task."""
    made = [name for case in graded.cases.values() for name in case.made]
    in_mean, in_spread = (graded.table.index(f"\n  in {task}\n") for task in ("mean", "spread"))
    assert in_mean < graded.table.index(f"{made.count('no_division'):>6}  no_division") < in_spread
    assert in_spread < graded.table.index(f"{made.count('no_root'):>6}  no_root")
