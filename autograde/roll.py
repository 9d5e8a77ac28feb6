"""The roll of a class: who handed in what, what each result depends on, and the results as they come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autograde.crew import Task
from autograde.digest import digest
from autograde.handin import MISSING, HandedIn
from autograde.question import Question
from autograde.report import Row
from autograde.seed import course_seed
from autograde.verdict import Result

Who = tuple[str, str]  # topic and student: what nbgrader records at once


class Roll:
    """The roll of a class.

    Args:
        handed: what was handed in.
        working: the folder of the gradebook.
        seed: in place of the course's own secret.

    Attributes:
        tasks: what there is to grade, by the journal's keys; the same file handed in twice is one task.
        results: by the journal's keys, filled as they come.
        failed: keys of what could not be graded.
    """

    def __init__(self, handed: Sequence[HandedIn], working: Path, seed: int | None) -> None:
        self.tasks: dict[str, Task] = {}
        self.results: dict[str, Result] = {}
        self.failed: set[str] = set()
        self._handed: list[tuple[HandedIn, str]] = []
        self._keys: dict[Who, list[str]] = {}
        self._who: dict[str, list[Who]] = {}
        seeds = {one.question: course_seed(working, one.question.slug, seed) for one in handed}
        for one in handed:
            data, problem = one.read()
            # No notebook starts with a zero byte, so a problem has a key of its own.
            depends = b"\0" + problem.encode() if data is None else data
            key = digest(one.question, depends, seeds[one.question])
            self._handed.append((one, key))
            self.tasks.setdefault(key, Task(key, one.question, data, problem, seeds[one.question]))
            if one.exists:
                who = (one.question.topic, one.student)
                self._keys.setdefault(who, []).append(key)
                self._who.setdefault(key, []).append(who)

    @property
    def topics(self) -> list[str]:
        """The topics that anything was handed in for."""
        return list(dict.fromkeys(topic for topic, _ in self._keys))

    def names(self, key: str) -> list[str]:
        """Who handed this in, and what it is: "anna/softmax_logits"."""
        return [f"{one.student}/{one.question.slug}" for one, name in self._handed if name == key]

    def settled(self, key: str | None = None) -> list[Who]:
        """Of those who handed in this (or anything), whose work has been graded as far as it could be."""
        some = self._keys if key is None else dict.fromkeys(self._who.get(key, ()))
        return [
            who
            for who in some
            if all(name in self.results or name in self.failed for name in self._keys[who])
        ]

    def keys(self, who: Who) -> list[str]:
        """The keys of a student's results in a topic, in the order of the questions."""
        return [key for key in self._keys[who] if key in self.results]

    def problems(self) -> list[str]:
        """What could not be read, in order of names: the file, and what to do about it."""
        return [
            f"{one.student}/{one.question.topic}/{one.path.name}: {problem}"
            for one, key in self._handed
            if key in self.results and (problem := self.results[key].problem) not in ("", MISSING)
        ]

    def rows(self) -> dict[Question, list[Row]]:
        """By question, one row a student, in order of names."""
        rows: dict[Question, list[Row]] = {}
        for one, key in self._handed:
            if key in self.results:
                rows.setdefault(one.question, []).append(Row(one.student, self.results[key]))
        return rows
