"""One malformed submission: how it comes about, what it is due, and what is said of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classroom import cell_of_json

SLUG = "double_it"
FULL, NONE = 9.0, 0.0
PUT_BACK = "the released one was put back"
RIGHT = "def double_it(x):\n    return 2 * x\n"

Place = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One submission, of `double_it` unless it says another.

    Attributes:
        what: what is wrong with it, in a few words.
        content: the file; or what puts something into the student's folder of the topic in place of it.
        earns: points that it is due, of 9; None where nothing is graded before a person has renamed its folder.
        says: a part of the line that is told of it, "" where nothing needs to be told.
        student: the name of the student's folder, "" where any name will do.
        recorded: whether nbgrader can take it.
        slug: the question.
    """

    what: str
    content: bytes | Place
    earns: float | None
    says: str = ""
    student: str = ""
    recorded: bool = True
    slug: str = SLUG

    def put(self, folder: Path) -> None:
        """Hand it in."""
        if isinstance(self.content, bytes):
            (folder / f"{self.slug}.ipynb").write_bytes(self.content)
        else:
            self.content(folder)


class Good:
    """A right solution, to be spoiled.

    Args:
        notebook: as plain JSON.
    """

    def __init__(self, notebook: dict[str, Any]) -> None:
        self._notebook = notebook
        self.text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        self.bytes = self.text.encode()

    def copy(self) -> dict[str, Any]:
        """A notebook of one's own."""
        return copy.deepcopy(self._notebook)

    def written(self, source: Any) -> bytes:
        """The file with something else for the source of the learner's cell."""
        return self.changed(lambda notebook: cell_of_json(notebook, SLUG).update(source=source))

    def changed(self, change: Callable[[dict[str, Any]], Any]) -> bytes:
        """The file with this change made."""
        notebook = self.copy()
        change(notebook)
        return json.dumps(notebook, indent=1).encode()

    def with_cells(self, change: Callable[[dict[str, Any]], Any]) -> bytes:
        """The file with this change made to every cell."""
        return self.changed(lambda notebook: [change(cell) for cell in notebook["cells"]])


Kind = Callable[[Good], Iterator[Case]]


def code_cell(source: Any, name: str = "more") -> dict[str, Any]:
    """A code cell of the learner's own."""
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def field(holder: dict[str, Any], name: str, value: Any) -> None:
    """Set one field of the metadata of a notebook or a cell."""
    holder["metadata"][name] = value
