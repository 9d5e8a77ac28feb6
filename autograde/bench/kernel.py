"""What a check cell of stock nbgrader runs here: the same hidden tests in the kernel, their points as a float.

A kernel starts anew for each submission, so this imports what the tests need and no more: above all not the
reading of notebooks, which costs more than a second.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from IPython.core.getipython import get_ipython

from autograde.grader import examine
from autograde.hidden import Examined, Turn
from autograde.live import Live, globals_kept, silent
from autograde.question import find
from autograde.seed import course_seed


def check(slug: str, *, part: str | None = None) -> float:
    """The points of one check cell, under the seed that the other sides use.

    Stock nbgrader takes a float that a cell ends with for the cell's score.
    """
    return float(sum(verdict.earned for verdict in _examined(slug).verdicts if verdict.part == part))


@cache  # a question with parts has several check cells, and one kernel is one submission
def _examined(slug: str) -> Examined:
    found: list[Examined] = []
    with globals_kept(), silent():
        examine(find(slug), [Turn(Live(get_ipython().user_ns), course_seed(Path(), slug))], found.append)
    return found[0]
