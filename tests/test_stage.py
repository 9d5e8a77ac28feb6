"""Our own notebooks run in this process."""

from __future__ import annotations

import sys
from typing import Any

from autograde.stage import staged, staged_in_turn

WRITES = "%%writefile staged_module.py\nvalue = {value}\n"
IMPORTS = "import staged_module\nvalue = staged_module.value"


def notebook(*sources: str) -> dict[str, Any]:
    """A notebook with these code cells."""
    return {"cells": [{"cell_type": "code", "metadata": {}, "source": source} for source in sources]}


def test_a_written_module_is_imported() -> None:
    """A module that a cell writes is found by the next one, and another notebook's module of that name is its own."""
    notebooks = (notebook(WRITES.format(value=value), IMPORTS) for value in (1, 2))
    assert [space["value"] for space in staged_in_turn(notebooks)] == [1, 2]


def test_nothing_is_left_behind() -> None:
    """Afterwards the modules and the place where they were looked for are gone."""
    path = list(sys.path)
    with staged(notebook(WRITES.format(value=1), IMPORTS)):
        assert "staged_module" in sys.modules
    assert "staged_module" not in sys.modules
    assert sys.path == path


def test_an_error_does_not_stop_the_next_cell() -> None:
    """A cell that raises, or is no Python, leaves what the others define."""
    with staged(
        notebook("a = 1\nraise ValueError", "this is no Python", "%matplotlib inline\nb = a + 1")
    ) as space:
        assert (space["a"], space["b"]) == (1, 2)
