"""How nbgrader reads a submission: rebuilt on the release, whatever a learner did to the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.exporters.exporter import ResourcesDict

from autograde.gradebook.collected import keep_to_plain_files
from autograde.gradebook.results import question_of
from autograde.handin import content
from autograde.notebook import SubmissionError
from autograde.question import Question
from autograde.submission import read


class SubmissionExporter(NotebookExporter):
    """The notebook exporter for nbgrader's `autograde`.

    A submitted notebook of one of our questions is parsed by `autograde.submission` and by nothing else:
    locked cells come from the release, its metadata is gone. A file that is no notebook becomes the release
    with a note, so that it gets a grade (of 0) and does not stop the batch.
    """

    export_from_notebook = None  # not for the menu of JupyterLab

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        keep_to_plain_files(self.parent)

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> tuple[str, Any]:
        """The notebook in this file, after the preprocessors."""
        question = self._submitted(Path(filename), resources)
        if question is None:
            exported: tuple[str, Any] = super().from_filename(filename, resources, **kw)
            return exported
        path = Path(filename)
        resources["metadata"] = ResourcesDict(name=path.stem, path=str(path.parent))
        return self.from_notebook_node(self._rebuilt(question, path), resources, **kw)

    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> tuple[str, Any]:
        """The notebook after the preprocessors, as text that can be written."""
        output, resources = super().from_notebook_node(nb, resources, **kw)
        # A lone surrogate in an output would fail the writer, and with it the whole submission.
        return output.encode("utf-8", "replace").decode("utf-8"), resources

    def _submitted(self, path: Path, resources: Any) -> Question | None:
        names = resources["nbgrader"]
        coursedir = self.parent.coursedir
        home = coursedir.format_path(coursedir.submitted_directory, names["student"], names["assignment"])
        if path.parent.absolute() != Path(home).absolute():
            return None
        return question_of(names["notebook"], Path(coursedir.root))

    def _rebuilt(self, question: Question, path: Path) -> Any:
        release = question.release_notebook
        try:
            submission = read(content(path, path.parent), release)
        except SubmissionError as error:
            self.log.warning("%s: %s", path, error)
            notebook = read(json.dumps(release).encode(), release).notebook
            notebook.cells.insert(0, _note(str(error)))
            return notebook
        for note in submission.notes:
            self.log.warning("%s: %s", path, note)
        return submission.notebook


def _note(problem: str) -> Any:
    return nbformat.v4.new_markdown_cell(
        f"**This submission could not be graded**: {problem}\n\nThe notebook below is the released one.",
        id="problem",
    )
