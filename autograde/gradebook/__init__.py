"""The gradebook: nbgrader with our grading in it. Only this package imports nbgrader.

`configure` is for a `nbgrader_config.py`; the rest runs nbgrader's own converters in this process, so that
what `autograde grade` and `autograde release` leave behind is what the stock commands leave.
"""

from __future__ import annotations

from autograde.gradebook.config import configure
from autograde.gradebook.convert import GradebookError
from autograde.gradebook.course import Course, Score, is_configured, record, scores
from autograde.gradebook.economy import economical
from autograde.gradebook.grades import earned
from autograde.gradebook.notebooks import raised
from autograde.gradebook.results import question_of, results_for

__all__ = [
    "Course",
    "GradebookError",
    "Score",
    "configure",
    "earned",
    "economical",
    "is_configured",
    "question_of",
    "raised",
    "record",
    "results_for",
    "scores",
]
