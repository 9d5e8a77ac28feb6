"""What our grading changes in nbgrader's configuration, and nothing else."""

from __future__ import annotations

import os
import sysconfig
from typing import Any

from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback, GenerateSolution
from nbgrader.preprocessors import Execute, SaveAutoGrades

from autograde.gradebook.export import SafeCsvExportPlugin
from autograde.gradebook.exporter import SubmissionExporter
from autograde.gradebook.feedback import CleanFeedback
from autograde.gradebook.grades import GradeInRoom, SaveVerdicts
from autograde.gradebook.notebooks import DropAnswers, RunSolution


def configure(c: Any) -> None:
    """Make nbgrader grade in the room.

    Settings that are already there are kept: of a list of preprocessors only nbgrader's own two steps are
    exchanged. Calling it twice changes nothing.

    Args:
        c: the config object of a `nbgrader_config.py`.
    """
    _find_alembic()
    c.Autograde.exporter_class = SubmissionExporter
    exchanged = {Execute: GradeInRoom, SaveAutoGrades: SaveVerdicts}
    c.Autograde.autograde_preprocessors = _exchanged(
        _listed(c, Autograde, "autograde_preprocessors"), exchanged
    )
    c.GenerateSolution.preprocessors = _exchanged(
        _listed(c, GenerateSolution, "preprocessors"), {Execute: RunSolution}
    )
    c.GenerateAssignment.preprocessors = _first(DropAnswers, _listed(c, GenerateAssignment, "preprocessors"))
    c.GenerateFeedback.preprocessors = _first(CleanFeedback, _listed(c, GenerateFeedback, "preprocessors"))
    if "plugin_class" not in c.ExportApp:
        c.ExportApp.plugin_class = SafeCsvExportPlugin
    if "solution_directory" not in c.CourseDirectory:
        c.CourseDirectory.solution_directory = "solutions"


def _find_alembic() -> None:
    # To make a new gradebook nbgrader runs `alembic` by its bare name, which fails in a virtual environment
    # that was not activated.
    scripts = sysconfig.get_path("scripts")
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if scripts not in places:
        os.environ["PATH"] = os.pathsep.join([*places, scripts])


def _listed(c: Any, converter: Any, name: str) -> list[Any]:
    section = c[converter.__name__]
    return list(section[name] if name in section else converter.class_traits()[name].default())


def _dotted(item: Any) -> str:
    return item if isinstance(item, str) else f"{item.__module__}.{item.__qualname__}"


def _exchanged(listed: list[Any], exchange: dict[Any, Any]) -> list[Any]:
    # A list may name a class, its module's path, or the short path that nbgrader documents.
    by_name = {path: ours for theirs, ours in exchange.items() for path in _paths(theirs)}
    return [by_name.get(_dotted(item), item) for item in listed]


def _paths(item: Any) -> tuple[str, str]:
    return _dotted(item), f"nbgrader.preprocessors.{item.__qualname__}"


def _first(item: Any, listed: list[Any]) -> list[Any]:
    return listed if any(_dotted(there) == _dotted(item) for there in listed) else [item, *listed]
