"""What a source notebook becomes: a release without the answer, and an executed solution."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from nbgrader.preprocessors import Execute
from nbgrader.preprocessors.base import NbGraderPreprocessor
from traitlets import Bool, Integer, List

from autograde.submission import grade_id

ANSWER = "answer"


class SolutionError(Exception):
    """A cell of a reference solution raised."""


class DropAnswers(NbGraderPreprocessor):
    """Leaves the cells tagged `answer` out of the release; source and solution keep them."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Remove the answer cells, before anything is saved in the gradebook."""
        nb.cells = [cell for cell in nb.cells if ANSWER not in cell.metadata.get("tags", ())]
        return nb, resources


class RunSolution(Execute):
    """In place of Execute when a solution is made: an error is an error, and two runs give the same file."""

    timeout = Integer(300, allow_none=True, help="Seconds for one cell.").tag(config=True)
    # Without this, newer kernels warn on the terminal about their transport.
    extra_arguments = List(["--log-level=ERROR"], help="Arguments for the kernel.").tag(config=True)
    record_timing = Bool(False, help="Whether to keep the time of every cell.").tag(config=True)

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Execute the notebook; SolutionError names the cells that raised."""
        metadata = deepcopy(nb.metadata)
        nb, resources = super().preprocess(nb, resources)
        # The kernel writes its own version here.
        nb.metadata = metadata
        errors = list(raised(nb))
        if errors:
            name, topic = resources["nbgrader"]["notebook"], resources["nbgrader"]["assignment"]
            if any(" raised NotYet: " in error for error in errors):
                errors.append(f"`autograde check source/{topic}/{name}.ipynb` shows the card")
            raise SolutionError(f"the solution of {name} does not run: {'; '.join(errors)}")
        return nb, resources


def raised(nb: Any) -> list[str]:
    """The errors among a notebook's outputs, one line each: the cell and what it raised."""
    return [
        f"cell {grade_id(cell) or index + 1} raised {output['ename']}: " + output["evalue"].partition("\n")[0]
        for index, cell in enumerate(nb["cells"])
        for output in cell.get("outputs", ())
        if output["output_type"] == "error"
    ]
