"""The exported grades: nbgrader's own table, in which no name can become a formula or another column."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins import CsvExportPlugin

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet reads as the beginning of one
COLUMNS = ("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email",
           "raw_score", "late_submission_penalty", "score", "max_score")  # fmt: skip


class SafeCsvExportPlugin(CsvExportPlugin):
    """nbgrader's CSV export, with fields quoted where needed and formulas kept from being any."""

    def export(self, gradebook: Gradebook) -> None:
        """Write the table to `to`, grades.csv where that is not named.

        Args:
            gradebook: nbgrader's.
        """
        path = Path(self.to or "grades.csv")
        self.log.info("Exporting grades to %s", path)
        wanted = {"assignment": set(map(str, self.assignment)), "student": set(map(str, self.student))}
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            # By id where the names are the same, or nobody gave any: not by who happened to be recorded first.
            students = sorted(
                gradebook.students, key=lambda one: (one.last_name or "", one.first_name or "", one.id)
            )
            for assignment in gradebook.assignments:
                for student in students:
                    names = {"assignment": assignment.name, "student": student.id}
                    if all(not some or names[kind] in some for kind, some in wanted.items()):
                        table.writerow(map(_field, _row(gradebook, assignment, student)))


def _row(gradebook: Gradebook, assignment: Any, student: Any) -> list[Any]:
    try:
        submission = gradebook.find_submission(assignment.name, student.id)
    except MissingEntry:
        timestamp, score, penalty = "", 0.0, 0.0
    else:
        timestamp, score, penalty = submission.timestamp, submission.score, submission.late_submission_penalty
    about = [student.id, student.last_name, student.first_name, student.email]
    figures = [score, penalty, max(0.0, score - penalty), assignment.max_score]
    return [assignment.name, assignment.duedate, timestamp, *about, *figures]


def _field(value: Any) -> str:
    text = "" if value is None else str(value)
    # An apostrophe makes text of it in every spreadsheet; a number may begin with a sign.
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
