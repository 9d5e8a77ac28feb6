"""What a learner's page of feedback, and the instructor's formgrader, show of an autograded notebook."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbgrader.preprocessors.base import NbGraderPreprocessor

from autograde.gradebook.formula import with_mathml
from autograde.question import course_root
from autograde.submission import grade_id, is_locked

TAGS = """
    a abbr b blockquote br caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img
    ins kbd li mark ol p pre s small span strong sub summary sup table tbody td tfoot th thead tr u ul
"""
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
# What begins an element, and what lets MathJax make a link or an attribute.
_ACTS = re.compile(r"<(?=[A-Za-z/!?])|\\(?=(?:href|style|class|cssId|data|require|unicode)\b)")
_JOINER = "\u2060"  # seen by nobody, and neither an element nor a command goes on after it
ATTRIBUTES = {"*": ["class", "title"], "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan"]}


def inert(outputs: Iterable[Any]) -> list[Any]:
    """A learner's outputs without what a browser would run: the instructor opens these pages too."""
    cleaner = SanitizeHTML(tags=TAGS.split(), attributes=ATTRIBUTES, strip=True)
    kept = cleaner.sanitize_code_outputs(list(outputs))
    for output in kept:
        pictures = {kind for kind in output.get("data", ()) if kind.startswith("image/")}
        for kind in pictures:
            # The pages put this text into an attribute as it is.
            if not BASE64.fullmatch(output.data[kind]):
                del output.data[kind]
    return [output for output in kept if output.get("data", True)]


def disarmed(markdown: str) -> str:
    """A learner's text with its elements shown, not made: Markdown lets every element through, scripts too.

    Nothing is parsed, and what looks like code is treated alike: no two readers agree on where code ends.
    """
    return _ACTS.sub(lambda found: found.group() + _JOINER, markdown)


class CleanFeedback(NbGraderPreprocessor):
    """Takes the paths of this machine out of what cells printed, and shows our formulas without a network."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Clean every output of an autograded notebook, convert the formulas of its locked cells."""
        root = Path(self.parent.parent.coursedir.root)
        paths = _paths(root)
        for cell in nb.cells:
            # A learner's own text is not ours to turn into markup.
            if cell.cell_type == "markdown" and grade_id(cell) and is_locked(cell):
                cell.source = with_mathml(cell.source)
            for output in cell.get("outputs", ()):
                for key, value in output.items():
                    output[key] = _without(value, paths)
        return nb, resources


def _paths(root: Path) -> list[str]:
    checkout = course_root(root)
    folders = {root, Path.home(), Path(sys.prefix), Path(sys.base_prefix), Path(tempfile.gettempdir())}
    folders |= {checkout} if checkout else set()
    named = {str(f) for folder in folders for f in (folder, folder.resolve()) if len(f.parts) > 1}
    return sorted(named, key=len, reverse=True)


def _without(value: Any, paths: list[str]) -> Any:
    if isinstance(value, str):
        for path in paths:
            value = value.replace(f"{path}/", "…/")
        return value
    if isinstance(value, list):
        return [_without(item, paths) for item in value]
    if isinstance(value, dict):
        return {key: _without(item, paths) for key, item in value.items()}
    return value
