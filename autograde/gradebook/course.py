"""A working folder through its nbgrader configuration: nbgrader's own converters, run in this process."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import DBAPIError
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograde.gradebook.config import configure
from autograde.gradebook.convert import GradebookError, Solve, convert, hushed, listening, machines
from autograde.gradebook.economy import one_process
from autograde.gradebook.exporter import SubmissionExporter
from autograde.gradebook.results import SEED
from autograde.submission import grade_id

CONFIG = "nbgrader_config.py"


# What nbgrader's own --no-db sets.
NO_DATABASE = {"SaveCells": {"enabled": False}, "GenerateAssignment": {"no_database": True}}
NO_RUN = {"RunSolution": {"enabled": False}}


class Score(NamedTuple):
    """What the gradebook says of one submitted notebook; `late` is the penalty still to be taken off."""

    score: float
    max_score: float
    needs_manual: bool
    late: float


class Course:
    """A working folder: gradebook, submitted/, autograded/.

    Args:
        working: the folder; its `nbgrader_config.py` is read where there is one.
        db_url: a database to use in place of the configured one.
        source: where the source notebooks are, where that is not the working folder.
        submitted: where the submissions are, where that is not the configured folder.
        out: where releases or solutions are written, where that is not the working folder.
    """

    def __init__(
        self,
        working: Path,
        *,
        db_url: str = "",
        source: Path | None = None,
        submitted: Path | None = None,
        out: Path | None = None,
    ) -> None:
        self.working = working.resolve()
        self.config = _settings(self.working)
        folders: dict[str, str] = {"root": str(self.working)}
        if db_url:
            folders["db_url"] = db_url
        if source:
            folders["source_directory"] = str(source.resolve())
        if submitted:
            folders["submitted_directory"] = str(submitted.resolve())
        if out:
            folders["release_directory"] = folders["solution_directory"] = str(out.resolve())
        self.config.CourseDirectory.update(folders)

    @property
    def db_url(self) -> str:
        """Where the gradebook is."""
        return str(self._coursedir(listening()[0]).db_url)

    @contextmanager
    def gradebook(self) -> Iterator[Gradebook]:
        """The Gradebook of nbgrader, closed afterwards.

        Raises:
            autograde.refusal.Refused: it can't be read or written.
        """
        coursedir = self._coursedir(listening()[0])
        try:
            _make(coursedir.db_url, coursedir.course_id)
            with hushed(), Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
                yield gradebook
        except (DBAPIError, OSError) as error:
            found = machines(error, coursedir)
            if found is None:
                raise
            raise found from error

    def release(self, topic: str, *, database: bool = True) -> None:
        """Run nbgrader's generate_assignment; GradebookError where it fails.

        Args:
            topic: the topic.
            database: tell the gradebook of it too.
        """
        self._run(GenerateAssignment, topic, force=True, extra={} if database else NO_DATABASE)

    def solve(self, topic: str, *, execute: bool = True) -> None:
        """Run nbgrader's generate_solution; GradebookError where it fails, or a cell raises.

        Args:
            topic: the topic.
            execute: run the cells.
        """
        self._run(Solve, topic, force=True, extra={} if execute else NO_RUN)

    def register(self, topic: str, notebooks: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
        """Tell the gradebook of a topic's notebooks and grade cells, unless it knows them as they are now.

        Args:
            topic: the topic.
            notebooks: its released notebooks, as plain JSON.
            names: their slugs, in the same order.
        """
        with self.gradebook() as gradebook:
            known = _known(gradebook, topic)
        for name, notebook in zip(names, notebooks, strict=True):
            if known.get(name) != _checksums(notebook):
                # One by one: for a whole topic nbgrader would drop the notebooks that are the course's own.
                self._run(GenerateAssignment, topic, notebook=name, force=True)

    def autograde(
        self, topic: str, student: str, *, force: bool = True, notebook: str | None = None
    ) -> str | None:
        """Run nbgrader's autograde for one student; what went wrong, or None."""
        try:
            self._run(Autograde, topic, student=glob.escape(student), force=force, notebook=notebook or "*")
        except GradebookError as error:
            return str(error)
        return None

    def scores(self, topic: str) -> dict[tuple[str, str], Score]:
        """What the gradebook says of every submitted notebook of a topic, by student and slug."""
        with self.gradebook() as gradebook:
            return {
                (submission.student_id, notebook.name): Score(
                    float(notebook.score),
                    float(notebook.max_score),
                    bool(notebook.needs_manual_grade),
                    float(notebook.late_submission_penalty or 0),
                )
                for submission in gradebook.assignment_submissions(topic)
                for notebook in submission.notebooks
            }

    def _coursedir(self, log: logging.Logger) -> CourseDirectory:
        return CourseDirectory(config=self.config, log=log)

    def _run(
        self,
        converter: Any,
        topic: str,
        *,
        student: str = "*",
        notebook: str = "*",
        force: bool,
        extra: dict[str, Any] | None = None,
    ) -> None:
        config = self.config.copy()
        config.merge(Config(extra or {}))
        log, said = listening()
        coursedir = self._coursedir(log)
        coursedir.assignment_id, coursedir.student_id, coursedir.notebook_id = topic, student, notebook
        running = converter(coursedir=coursedir, config=config, log=log)
        running.force = force
        convert(running, said)


def record(
    working: Path,
    topic: str,
    students: Iterable[str],
    *,
    force: bool = True,
    notebook: str | None = None,
    seed: int | None = None,
    db_url: str = "",
    submitted: Path | None = None,
) -> list[tuple[str, str]]:
    """Run nbgrader's autograde for these students, so that gradebook and autograded/ are nbgrader's own.

    Args:
        working: the folder of the gradebook; results are looked up in its journal.
        topic: nbgrader's assignment.
        students: their ids.
        force: grade again what was graded before.
        notebook: one notebook, or None for all.
        seed: the seed that the results were made with, where that is not the course's secret.
        db_url: a database in place of the configured one.
        submitted: where the submissions are, in place of the configured folder.

    Returns:
        Students that nbgrader could not take, each with its reason.
    """
    course = Course(working, db_url=db_url, submitted=submitted)
    token = SEED.set(seed)
    try:
        done = [(who, course.autograde(topic, who, force=force, notebook=notebook)) for who in students]
    finally:
        SEED.reset(token)
    return [(student, error) for student, error in done if error is not None]


def scores(working: Path, topic: str, *, db_url: str = "") -> dict[tuple[str, str], Score]:
    """What the gradebook of a working folder says of a topic, by student and slug."""
    return Course(working, db_url=db_url).scores(topic)


def is_configured(working: Path) -> bool | None:
    """Whether a folder's own nbgrader_config.py makes stock nbgrader grade with us; None where it has none."""
    config = _written(working)
    return None if config is None else config.Autograde.get("exporter_class") is SubmissionExporter


def _make(db_url: str, course_id: str) -> None:
    """A new gradebook appears whole: nbgrader makes its tables, and a second later the rest."""
    path = Path(db_url.removeprefix("sqlite:///"))
    if not db_url.startswith("sqlite:///") or "?" in db_url or ":memory:" in db_url or path.exists():
        return
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with one_process():
            Gradebook(f"sqlite:///{new}", course_id).close()
        with contextlib.suppress(FileExistsError):  # another command was faster
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)


def _settings(working: Path) -> Config:
    config = _written(working) or Config()
    configure(config)
    return config


def _written(working: Path) -> Config | None:
    if not (working / CONFIG).is_file():
        return None
    return PyFileConfigLoader(CONFIG, path=str(working)).load_config()


def _known(gradebook: Gradebook, topic: str) -> dict[str, dict[str, tuple[str, float]]]:
    try:
        assignment = gradebook.find_assignment(topic)
    except MissingEntry:
        return {}
    return {
        notebook.name: {
            cell.name: (
                cell.checksum,
                next(
                    (float(grade.max_score) for grade in notebook.grade_cells if grade.name == cell.name), 0.0
                ),
            )
            for cell in notebook.source_cells
        }
        for notebook in assignment.notebooks
    }


def _checksums(release: dict[str, Any]) -> dict[str, tuple[str, float]]:
    cells = [(grade_id(cell), cell["metadata"]["nbgrader"]) for cell in release["cells"] if grade_id(cell)]
    return {
        name: (about.get("checksum", ""), float(about.get("points") or 0) if about.get("grade") else 0.0)
        for name, about in cells
    }
