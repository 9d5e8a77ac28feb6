"""The whole run: rounds in which the sides take turns, then the table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

from autograde import mistakes
from autograde.bench import course
from autograde.bench.course import BenchError, Student
from autograde.bench.figures import differences, figures
from autograde.bench.sides import Side, all_sides
from autograde.bench.table import as_json, machine, table
from autograde.question import Question, find, questions, require_root
from autograde.scratch import Scratch


def run(slug: str | None, count: int, rounds: int, out: Path) -> int:
    """Grade `count` submissions each way, in rounds, and print a table.

    Args:
        slug: the question; None for the one with the most known mistakes.
        count: submissions.
        rounds: how often; stock nbgrader takes a share of the submissions in each.
        out: where the figures are written as JSON.

    Returns:
        0, or 1 where two sides disagree about a score.

    Raises:
        BenchError: a side failed, or this can't be measured.
        QuestionError: there is no such question.
    """
    if sys.platform != "linux":
        raise BenchError("only Linux tells what a command and everything it started used")
    if count < rounds:
        raise BenchError(
            f"{count} submissions are too few for {rounds} rounds: in each round stock nbgrader grades a share of "
            f"them, at least one: --rounds {count}, or a larger --count"
        )
    root = require_root()
    question = find(slug, root) if slug else max(questions(root), key=lambda q: len(mistakes.mistakes(q)))
    students, sides, on = course.students(question, count), all_sides(question.topic), machine()
    _say(f"{count} submissions of {question.slug}, {rounds} rounds; {on}")
    with Scratch("bench") as folder:
        _take_turns(question, folder, sides, students, rounds)
    about = {"slug": question.slug, "count": count, "rounds": rounds, "machine": on}
    return _report(sides, students, about, out)


def _take_turns(
    question: Question, folder: Path, sides: Sequence[Side], students: Sequence[Student], rounds: int
) -> None:
    templates = {config: folder / str(number) for number, config in enumerate((course.STOCK, course.OURS))}
    for config, template in templates.items():
        course.build(question, template, config)
    planned = list(turns(sides, students, rounds))
    for done, (number, side, handed) in enumerate(planned, 1):
        side.run(question, templates[side.config], handed)
        left = sum(later.expected_s * len(some) for _, later, some in planned[done:])
        _say(
            f"round {number} of {rounds}: {side.name:28}{len(handed):5} submissions "
            f"{side.runs[-1].usage.wall_s:7.1f} s, ETA {_clock(left)}"
        )


def turns(
    sides: Sequence[Side], students: Sequence[Student], rounds: int
) -> Iterator[tuple[int, Side, Sequence[Student]]]:
    """The round, the side and what it grades, one run after another: each round in the other direction.

    Args:
        sides: who takes turns.
        students: all submissions.
        rounds: how many rounds.
    """
    for number in range(rounds):
        share = students[number * len(students) // rounds : (number + 1) * len(students) // rounds]
        for side in sides if number % 2 == 0 else reversed(sides):
            yield number + 1, side, share if side.shares else students


def _report(sides: Sequence[Side], students: Sequence[Student], about: dict[str, object], out: Path) -> int:
    rows = {side.name: figures(side, len(students)) for side in sides}
    different = differences(sides, students)
    earned = [score or 0.0 for score in sides[0].scores.values()]
    told = as_json(rows, {**about, "mean_score": mean(earned)}, different)
    _say("\nper submission, start-up included; medians of the rounds")
    for line in table(rows):
        _say(line)
    _say(
        f"autograde grade: first result after {told['first_result_s']:.1f} s, "
        f"{told['cpu_over_floor']:.1f} times the floor's CPU"
    )
    for line in different:
        _say(f"DIFFERENT SCORES  {line}")
    if not different:
        _say(f"equal scores on every side, {told['mean_score']:.2f} points on average")
    out.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(bool(different))


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
