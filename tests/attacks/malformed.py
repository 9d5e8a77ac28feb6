"""A generator of malformed submissions: every way in which a notebook comes broken, and what each is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from malformed_case import NONE, Case, Good, Kind
from malformed_cells import CELLS
from malformed_code import CODE
from malformed_files import FILES
from malformed_places import PLACES
from malformed_platforms import PLATFORMS

KINDS: dict[str, Kind] = {**CELLS, **CODE, **PLATFORMS, **PLACES, **FILES}


class Handed(NamedTuple):
    """A case, its kind, and the student who hands it in."""

    kind: str
    student: str
    case: Case


def handed(good: Good) -> Iterator[Handed]:
    """Every case, with whose it is.

    A file that is no notebook is none for any question: such are handed in for `add_up`, by those who hand in
    something else for `double_it`. nbgrader takes its time by the student.

    Args:
        good: a right solution of `double_it`.
    """
    hosts = []
    for number, (kind, make) in enumerate(KINDS.items()):
        for place, case in enumerate(make(good)):
            student = case.student or f"m{number:02}-{place:03}"
            if kind in FILES and case.earns == NONE and hosts:
                yield Handed(kind, hosts.pop(), replace(case, slug="add_up"))
                continue
            if kind not in FILES and case.recorded and not case.student:
                hosts.append(student)
            yield Handed(kind, student, case)
