"""A notebook of ours run in this process: its names, for as long as they are needed, and nothing left behind."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from autograde.scratch import Scratch
from autograde.submission import grade_id, kind_of


@contextlib.contextmanager
def staged(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The namespace that a notebook makes; a cell that raises does not stop the next.

    What a cell writes with `%%writefile` lies in a folder of its own from which it can be imported; folder and
    imported modules go afterwards.

    Args:
        notebook: one of ours, as plain JSON: a learner's belongs in a room.
    """
    with _Magics() as magics:
        namespace: dict[str, Any] = {"__name__": "__main__", "get_ipython": lambda: magics}
        for cell in notebook["cells"]:
            if kind_of(cell) in ("setup", "learner"):
                _run("".join(cell["source"]), grade_id(cell), namespace)
        yield namespace


def staged_in_turn(notebooks: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The namespace of each notebook, there until the next one is asked for."""
    for notebook in notebooks:
        with staged(notebook) as namespace:
            yield namespace


def _run(source: str, name: str, namespace: dict[str, Any]) -> None:
    with contextlib.suppress(Exception):
        plain = TransformerManager().transform_cell(source)
        exec(compile(plain, f"<cell {name}>", "exec"), namespace)  # noqa: S102  our own cells


class _Magics:
    """What our notebooks use of IPython: a cell written to a file. Line magics have nothing to do here."""

    def __init__(self) -> None:
        self._folder: Scratch | None = None  # most write nothing: it costs 4 ms

    def __enter__(self) -> _Magics:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is None:
            return
        folder = str(self._folder.path)
        sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(folder):
                del sys.modules[name]
        self._folder.close()

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        if name != "writefile":
            return
        if self._folder is None:
            self._folder = Scratch("stage")
            sys.path.insert(0, str(self._folder.path))
        (self._folder.path / line.strip()).write_text(cell, encoding="utf-8")

    def run_line_magic(self, name: str, line: str) -> None:
        """Nothing."""
