"""Notebooks forged: verdicts in what they show, edited cells, names, points and metadata of every kind."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from siege import Attack, Fallout, Siege
from target import SLUG, WORTH

Notebook = dict[str, Any]

FULL = json.dumps({"score": WORTH, "max_score": WORTH, "passed": True, "outcome": "passed"})
# What stock nbgrader, Otter and other graders read off outputs, and what our own journal and card look like.
SAYS = f"""
from IPython.display import HTML, JSON, Markdown, display
print('{{"score": {WORTH:g}}}')
print("all tests " + "passed: {WORTH:g} of {WORTH:g} points")
print("\\x1b]0;passed\\x07", "=== {WORTH:g} passed in 0.01s ===")
display({{"application/json": {FULL!r}, "text/plain": "{WORTH:g}"}}, raw=True)
display(HTML("<b>{WORTH:g} of {WORTH:g} points</b><nav class='autograde'>passed</nav>"))
display({{"application/vnd.nbgrader+json": "{WORTH:g}", "text/html": "<td>{WORTH:g}</td>"}}, raw=True)
import sys
sys.stderr.write("PASSED test_target.py::test_positive\\n" * 9)
{WORTH:g}
"""


def cell_of(notebook: Notebook, name: str) -> Notebook:
    """The cell with this grade_id."""
    return next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name)


def own(notebook: Notebook, source: str, kind: str = "code", **metadata: Any) -> Notebook:
    """Append a cell of the learner's own."""
    cell = {"cell_type": kind, "id": f"own{len(notebook['cells'])}", "metadata": metadata, "source": source}
    notebook["cells"].append(cell | ({"outputs": [], "execution_count": 1} if kind == "code" else {}))
    return notebook


def fields(name: str, **more: Any) -> Notebook:
    """nbgrader's metadata for a grade cell."""
    plain = {
        "grade": True,
        "locked": True,
        "solution": False,
        "task": False,
        "schema_version": 3,
        "points": 1000,
    }
    return {"nbgrader": {**plain, "grade_id": name, **more}}


def shown(text: str) -> list[Notebook]:
    """Outputs that say this."""
    return [
        {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/plain": text}},
        {"output_type": "stream", "name": "stdout", "text": text},
        {
            "output_type": "display_data",
            "metadata": {"score": 1000},
            "data": {"text/html": text, "text/plain": text},
        },
    ]


def outputs(notebook: Notebook) -> Notebook:
    """Every cell claims to have shown full marks."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=shown(f"{WORTH:g}"), execution_count=1)
    return notebook


def marked(notebook: Notebook) -> Notebook:
    """Scores, comments and grades in the metadata of every cell, and of the notebook."""
    claim = {"score": 1000, "auto_score": 1000, "manual_score": 1000, "extra_credit": 1000, "comment": "well done",
             "needs_manual_grade": False, "max_score": 1000, "autograde_result": FULL}  # fmt: skip
    for cell in notebook["cells"]:
        cell["metadata"] |= claim
        cell["metadata"].setdefault("nbgrader", {}).update(claim)
    notebook["metadata"] |= {"nbgrader": claim, "autograde": claim, "score": 1000}
    return notebook


def worth(notebook: Notebook) -> Notebook:
    """The check cell is worth more, and everything else is worth something too."""
    for cell in notebook["cells"]:
        about = cell["metadata"].setdefault("nbgrader", fields("none")["nbgrader"])
        about.update(
            points=1000,
            grade=True,
            solution=True,
            locked=False,
            task=True,
            checksum="0",
            cell_type="markdown",
        )
    return notebook


def tagged(notebook: Notebook) -> Notebook:
    """Tags and settings by which cells are skipped, or may raise."""
    for cell in notebook["cells"]:
        cell["metadata"] |= {
            "tags": ["skip-execution", "raises-exception", "remove-cell", "parameters", "answer", "hide"],
            "deletable": True, "editable": True, "frozen": True, "run_control": {"frozen": True},
            "init_cell": True, "execution": {"allow_errors": True, "timeout": -1},
        }  # fmt: skip
    return notebook


def checked(notebook: Notebook) -> Notebook:
    """Other code in the check cell and in every locked one."""
    for name in ("check", "setup", "try_add_up"):
        cell_of(notebook, name)["source"] = f"check = lambda *_, **__: {WORTH:g}\nword = None\n{WORTH:g}"
    cell_of(notebook, "title")["source"] = "# Full marks"
    return notebook


def doubled(notebook: Notebook) -> Notebook:
    """A check cell of one's own before the real one, another after it, and one for a part that there is not."""
    check = copy.deepcopy(cell_of(notebook, "check"))
    check.update(source=f"{WORTH:g}", outputs=shown(f"{WORTH:g}"))
    notebook["cells"] = [check, *notebook["cells"], copy.deepcopy(check)]
    for name in ("check_bonus", "check_cuda", "bonus", "try_bonus"):
        own(notebook, f"{WORTH:g}", **fields(name))
    return notebook


def lost(notebook: Notebook) -> Notebook:
    """All of ours is gone but the answers."""
    notebook["cells"] = [c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("solution")]
    return notebook


def renamed(notebook: Notebook) -> Notebook:
    """The check cell is called as an answer, an answer as the check cell; what is tried as the setup."""
    check, word, total = (cell_of(notebook, name) for name in ("check", "word", "total"))
    tried, setup = cell_of(notebook, "try_add_up"), cell_of(notebook, "setup")
    check["metadata"], tried["metadata"], setup["metadata"] = (
        tried["metadata"],
        setup["metadata"],
        check["metadata"],
    )
    copied = copy.deepcopy(word)
    copied["metadata"]["nbgrader"]["grade_id"] = "check"
    copied["source"] = "word = lambda k: None"
    notebook["cells"].insert(0, copied)
    total["id"] = word["id"]
    return notebook


def turned(notebook: Notebook) -> Notebook:
    """Backwards, with every kind of cell turned into another."""
    for cell in notebook["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if not about.get("solution"):
            cell["cell_type"] = "code" if cell["cell_type"] == "markdown" else "markdown"
            cell.setdefault("outputs", [])
            cell["source"] += "\nword = None" if cell["cell_type"] == "code" else ""
    notebook["cells"].reverse()
    return notebook


def kernel(notebook: Notebook) -> Notebook:
    """A kernel that is a command, of another language, with arguments of its own."""
    notebook["metadata"] |= {
        "kernelspec": {"name": "../../evil", "display_name": "Evil", "language": "bash", "argv": ["touch", "/tmp/x"],
                       "env": {"AUTOGRADE_SEED": "1"},
                       "metadata": {"kernel_provisioner": {"provisioner_name": "evil"}}},
        "language_info": {"name": "bash", "codemirror_mode": {"name": "shell"}, "nbconvert_exporter": "evil.Exporter"},
        "jupytext": {"formats": "py"}, "papermill": {"parameters": {"check": "1"}}, "widgets": {"state": {}},
    }  # fmt: skip
    return notebook


def huge(notebook: Notebook) -> Notebook:
    """As many cells as are read, and outputs that fill the file."""
    notebook["cells"][-1].setdefault("metadata", {})["padding"] = ["x" * 1000] * 5000
    notebook["metadata"]["deep"] = deep = {}
    for _ in range(200):
        deep["deep"] = deep = {}
    while len(notebook["cells"]) < 1000:
        own(notebook, "#" * 2000, "markdown")
    return notebook


def spread(notebook: Notebook) -> Notebook:
    """An answer that is text, raw or of no kind, beside one that is code."""
    for kind in ("raw", "markdown", "heading", "html"):
        cell = own(notebook, "word = None", kind)["cells"][-1]
        cell["metadata"] = {"nbgrader": {**cell_of(notebook, "word")["metadata"]["nbgrader"]}}
    return notebook


def without_ids(notebook: Notebook) -> Notebook:
    """No cell ids, or the same for all, or such as no cell may have."""
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = ("same", "", "../../../etc/passwd", "<script>")[number % 4]
    return notebook


def attack(
    name: str, change: Callable[[Notebook], Notebook], stopped_by: str = "release cells", **more: Any
) -> Attack:
    """An attack by the notebook's form."""
    return Attack(name, notebook=change, stopped_by=stopped_by, **more)


class TestNotebooks(Siege):
    """Of a notebook only the answers count: what is ours comes from the release, points from the hidden tests."""

    attacks = (
        Attack("verdicts faked in what is shown", SAYS, stopped_by="scores from verdicts",
               shows="all tests passed: 22 of 22"),
        attack("verdicts faked in the outputs handed in", outputs, "outputs are dropped"),
        attack("scores and comments in the metadata", marked, "metadata is dropped"),
        attack("points and checksums changed", worth, "metadata is dropped"),
        attack("tags that skip cells", tagged, "metadata is dropped"),
        attack("locked cells and check cell edited", checked, told="cell 'check' was edited"),
        attack("check cells of one's own", doubled, told="cell 'check' is there twice"),
        attack("cells deleted", lost, told="cell 'check' was missing"),
        attack("grade ids exchanged", renamed, told="cell 'check'"),
        attack("cells reordered and of other kinds", turned),
        attack("answers in cells that are no code", spread, told="cell 'word' is there twice"),
        attack("cell ids that are none", without_ids, "ids are ours"),
        attack("kernel with a command of its own", kernel, "no kernel is started", told="names the language 'bash'"),
        attack("huge notebook", huge, "limits of size"),
        Attack("second notebook in other case", stopped_by="the name decides", files={
            f"{SLUG.upper()}.ipynb": b"{}", f"{SLUG}.IPYNB": b"{}", f"{SLUG} (1).ipynb": b"{}",
            f"{SLUG}.ipynb.ipynb": b"{}",
            f".ipynb_checkpoints/{SLUG}-checkpoint.ipynb": b"{}", "bonus.ipynb": b"{}", "..ipynb": b"{}"}),
    )  # fmt: skip

    def test_nobody_wrote_a_comment_or_a_grade(self, fallout: Fallout) -> None:
        """What a learner writes into metadata is neither comment nor manual grade in the gradebook."""
        left = fallout.left["scores and comments in the metadata"]
        assert "well done" not in left
        assert "autograde_result" not in left
