"""How far a change of a notebook reaches."""

from __future__ import annotations

from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograde.reach import reached

MODULE = "import math\n\nclass Layer:\n    'A layer.'\n\n    def forward(self, x):\n        return x * 2\n"
NUMPY = "RATE = 3\n\ndef attention(x):\n    y = x + RATE\n    return y\n"
MODEL = "def model(x):\n    return Layer().forward(x)\n"
ABOVE = "def train(x):\n    return model(x)\n"


def notebook(*sources: str) -> dict[str, Any]:
    """A notebook with these cells, written by a learner."""
    cells = [
        new_code_cell(source, metadata={"nbgrader": {"grade_id": f"c{number}"}})
        for number, source in enumerate(sources)
    ]
    return dict(new_notebook(cells=cells))


def test_only_what_uses_it() -> None:
    """What a changed cell names is reached, and what is defined by way of it, in any order of the cells."""
    before = notebook(ABOVE, MODULE, NUMPY, MODEL)
    after = notebook(ABOVE, MODULE.replace("x * 2", "x * 3"), NUMPY, MODEL)
    assert reached(before, after) == {"math", "Layer", "model", "train"}
    assert reached(before, notebook(ABOVE, MODULE, NUMPY.replace("3", "4"), MODEL)) == {"RATE", "attention"}
    assert reached(before, before) == frozenset()


def test_names_of_both_versions() -> None:
    """A name that a change takes away or brings along is reached too."""
    after = notebook(MODULE, NUMPY.replace("RATE", "SPEED"))
    assert reached(notebook(MODULE, NUMPY), after) == {"RATE", "SPEED", "attention"}


def test_global_names() -> None:
    """A name that a function declares global is as much the cell's as one that is assigned outside."""
    counting = "def count():\n    global calls\n    calls = 1\n"
    reader = "def read():\n    return calls\n"
    before, after = notebook(counting, reader), notebook(counting.replace("= 1", "= 2"), reader)
    assert reached(before, after) == {"count", "calls", "read"}


@pytest.mark.parametrize(
    "source",
    [
        "torch.set_default_dtype(torch.float64)",
        "np.sum = max",
        "%%writefile kernel.py\nx = 1",
        "def broken(:",
        "x: int = f()",
    ],
)
def test_anything_may_be_meant(source: str) -> None:
    """A cell that does more than name things, or is no plain Python, may change what any name means."""
    assert reached(notebook(NUMPY, MODEL), notebook(NUMPY, MODEL + source)) is None
