"""A generator of malformed submissions: every way in which a notebook comes broken, and what each is due."""

from __future__ import annotations

from collections.abc import Iterator

from malformed_case import Case, Good, Kind
from malformed_cells import CELLS
from malformed_files import FILES
from malformed_places import PLACES

KINDS: dict[str, Kind] = {**FILES, **CELLS, **PLACES}


def cases(good: Good) -> Iterator[tuple[str, str, Case]]:
    """Every case: its kind, the student who hands it in, and the case.

    Args:
        good: a right solution.
    """
    for number, (kind, make) in enumerate(KINDS.items()):
        for place, case in enumerate(make(good)):
            yield kind, case.student or f"m{number:02}-{place:03}", case
