"""The two steps of nbgrader's autograde that are ours: grade in the room, and write scores from verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import Gradebook
from nbgrader.preprocessors import Execute, SaveAutoGrades

from autograde import card
from autograde.gradebook.feedback import disarmed, inert
from autograde.gradebook.results import question_of, results_for
from autograde.handin import content
from autograde.notebook import SubmissionError
from autograde.question import Question
from autograde.submission import grade_id, is_locked, kind_of
from autograde.verdict import Result

RESULT = "autograde_result"  # where the result travels from the one step to the other


class GradeInRoom(Execute):
    """In place of nbgrader's Execute: the submission is graded in the room, and its cells show that.

    A notebook without hidden tests of ours is the course's own, and runs as nbgrader runs it.
    """

    def __call__(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Grade the submission that `resources` names; `--no-execute` is for notebooks that are not ours."""
        names = resources["nbgrader"]
        coursedir = self.parent.parent.coursedir
        question = question_of(names["notebook"], Path(coursedir.root))
        if question is None:
            self.log.warning(
                "notebook '%s' has no hidden tests: nbgrader runs it in a kernel, outside the sandbox",
                names["notebook"],
            )
            return super().__call__(nb, resources)  # type: ignore[no-any-return]
        home = coursedir.format_path(coursedir.submitted_directory, names["student"], names["assignment"])
        result = _result(question, Path(home), Path(coursedir.root))
        names[RESULT] = result
        _show(nb, question, result)
        return nb, resources


class SaveVerdicts(SaveAutoGrades):
    """In place of nbgrader's SaveAutoGrades: scores of all grade cells in the database, from the verdicts.

    No score is read off a cell, except of cells that a person grades: these keep nbgrader's own treatment.
    """

    _automatic: frozenset[str] = frozenset()  # grade cells whose scores come from verdicts

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Save the scores and the automatic comments of one submitted notebook."""
        names = resources["nbgrader"]
        result = names.get(RESULT)
        if result is None:
            return super().preprocess(nb, resources)  # type: ignore[no-any-return]
        self.notebook_id, self.assignment_id = names["notebook"], names["assignment"]
        self.student_id = names["student"]
        with Gradebook(names["db_url"]) as self.gradebook:
            notebook = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
            answers = {cell.name for cell in notebook.solution_cells}
            ours = [c for c in notebook.grade_cells if c.cell_type == "code" and c.name not in answers]
            self._automatic = frozenset(cell.name for cell in ours)
            for index, cell in enumerate(nb.cells):
                self.preprocess_cell(cell, resources, index)
            for cell in ours:
                self._save(cell.name, float(cell.max_score), result)
            self.gradebook.db.commit()
        return nb, resources

    def _add_score(self, cell: Any, resources: Any) -> None:
        if grade_id(cell) not in self._automatic:
            super()._add_score(cell, resources)

    def _save(self, name: str, max_score: float, result: Result) -> None:
        grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
        score, is_open = earned(result, name)
        if score > max_score:
            self.log.warning(
                "cell '%s' of %s is worth %g in the gradebook and %g by its hidden tests: "
                "run `nbgrader generate_assignment` again",
                *(name, self.notebook_id, max_score, score),
            )
            score = max_score
        grade.auto_score = score
        # As nbgrader does: a score that a person gave stays, and is to be looked at again.
        grade.needs_manual_grade = is_open or grade.manual_score is not None


def earned(result: Result, name: str) -> tuple[float, bool]:
    """Points that a result earns for one grade cell, and whether a person still has to decide.

    Args:
        result: what the submission earned.
        name: the cell's grade_id; only check cells earn anything.
    """
    part = part_of(name)
    if result.problem or part == "":
        return 0.0, False
    verdicts = result.of_part(part)
    # No verdict at all for a check cell is our fault, not the learner's.
    return sum((v.earned for v in verdicts), 0.0), not verdicts or any(v.outcome.is_open for v in verdicts)


def part_of(name: str) -> str | None:
    """The part that a check cell stands for: None for the main one, "" for a cell that is no check cell."""
    if name == "check":
        return None
    return name.removeprefix("check_") if name.startswith("check_") else ""


def _result(question: Question, home: Path, working: Path) -> Result:
    try:
        data = content(home / f"{question.slug}.ipynb", home)
    except SubmissionError as error:
        return Result(question.slug, problem=str(error))
    return results_for(question, data, working)


def _show(nb: Any, question: Question, result: Result) -> None:
    for shown in result.outputs:
        if shown.index < len(nb.cells) and nb.cells[shown.index].cell_type == "code":
            nb.cells[shown.index].outputs = inert(map(nbformat.from_dict, shown.outputs))
    for cell in nb.cells:
        if cell.cell_type != "code" and not is_locked(cell):
            cell.source = disarmed(cell.source)
        if kind_of(cell) == "check":
            cell.outputs = [_card(question, result, part_of(grade_id(cell)))]


def _card(question: Question, result: Result, part: str | None) -> Any:
    result = replace(result, verdicts=result.of_part(part))
    if part is not None:  # said once, in the main cell's card
        result = replace(result, recognised=(), stops=(), notes=())
    shown = {"text/html": card.html(result, question.title), "text/plain": card.text(result, question.title)}
    return nbformat.v4.new_output("display_data", shown)
