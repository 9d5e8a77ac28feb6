"""Notebooks that are JSON, and odd: their format, ids, metadata, outputs, kernels, and what is in their cells."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator
from typing import Any

import nbformat
from classroom import HALF, cell_of_json
from malformed_case import FULL, NONE, RIGHT, SLUG, Case, Good

WRONG_KINDS = {
    "null": None,
    "a number": 7,
    "a text": "x",
    "a list": [1],
    "an object": {"a": {"b": []}},
    "true": True,
}
PUT_BACK = "the released one was put back"


def formats(good: Good) -> Iterator[Case]:
    """Every format that nbformat can upgrade, and those that it can't."""
    for minor in (0, 1, 2, 3, 4, 5, 6, 99):
        keep = minor >= 5
        yield Case(f"4.{minor}", good.changed(lambda nb, m=minor, k=keep: _minor(nb, m, ids=k)), FULL)
    yield Case("3", json.dumps(_older(good, 3)).encode(), FULL)
    yield Case("2", json.dumps(_older(good, 2)).encode(), FULL)
    yield Case("1", json.dumps(_first(good)).encode(), FULL)
    for number in (5, 99, 10**30):
        yield Case(str(number), good.changed(lambda nb, n=number: nb.update(nbformat=n)), NONE, "newer than")
    for number in (0, -4):
        yield Case(str(number), good.changed(lambda nb, n=number: nb.update(nbformat=n)), NONE, "never was")
    for what, other in {
        "4.0 as a float": 4.0,
        "true": True,
        "a text": "4",
        "null": None,
        "a list": [4],
    }.items():
        yield Case(
            f"nbformat is {what}",
            good.changed(lambda nb, o=other: nb.update(nbformat=o)),
            NONE,
            "no notebook",
        )
    yield Case("no nbformat", good.changed(lambda nb: nb.pop("nbformat")), NONE, "no notebook")
    yield Case(
        "4, with the cells of 3", json.dumps({**_older(good, 3), "nbformat": 4}).encode(), NONE, "its cells"
    )
    yield Case("3, with the cells of 4", good.changed(lambda nb: nb.update(nbformat=3)), NONE, "its cells")
    for what, value in WRONG_KINDS.items():
        yield Case(f"minor is {what}", good.changed(lambda nb, v=value: nb.update(nbformat_minor=v)), FULL)


def _minor(notebook: dict[str, Any], minor: int, *, ids: bool) -> None:
    notebook["nbformat_minor"] = minor
    for cell in notebook["cells"]:
        cell if ids else cell.pop("id", None)


def _older(good: Good, version: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = nbformat.convert(nbformat.from_dict(good.copy()), 3)
    if version == 2:
        # nbformat does not go back as far: 2 is 3 without metadata of cells.
        old.update(nbformat=2, nbformat_minor=0)
        for cell in old.worksheets[0]["cells"]:
            cell.pop("metadata")
    return old


def _first(good: Good) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "code": "".join(cell["source"]), "prompt_number": None}
        if cell["cell_type"] == "code"
        else {"cell_type": "text", "text": "".join(cell["source"])}
        for cell in good.copy()["cells"]
    ]
    return {"nbformat": 1, "cells": cells}


def ids(good: Good) -> Iterator[Case]:
    """Cell ids that are missing, doubled or malformed."""
    yield Case("missing", good.with_cells(lambda cell: cell.pop("id")), FULL)
    for what, value in {**WRONG_KINDS, "one for all": "same", "empty": "", "blank": "a b", "long": "x" * 200,
                        "umlaut": "ü", "half a character": "\ud800"}.items():  # fmt: skip
        yield Case(what, good.with_cells(lambda cell, v=value: cell.update(id=v)), FULL)
    yield Case("one is missing", good.changed(lambda nb: nb["cells"][2].pop("id")), FULL)
    yield Case("two are equal", good.changed(lambda nb: nb["cells"][2].update(id=nb["cells"][3]["id"])), FULL)
    yield Case(
        "taken by an extra cell", good.changed(lambda nb: nb["cells"].append(_code("y = 1", "check"))), FULL
    )


def _code(source: Any, name: str = "more") -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def outputs(good: Good) -> Iterator[Case]:
    """Outputs that are huge, forged or of wrong kinds."""
    stream = {"output_type": "stream", "name": "stdout"}
    picture = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * 2**21}}
    for what, value in {
        "a line of 15 MiB": [{**stream, "text": "x" * 15 * 2**20}],
        "50,000 lines": [{**stream, "text": ["line\n"] * 50_000}],
        "10,000 outputs": [{**stream, "text": "x"}] * 10_000,
        "pictures of 6 MiB": [picture] * 3,
        "a forged score": [{"output_type": "execute_result", "data": {"text/plain": "9"}, "execution_count": 1}],
        "an unknown type": [{"output_type": "hologram"}], "no type": [{}], "no object": ["text", 3, None],
        **{f"of a wrong kind: {what}": value for what, value in WRONG_KINDS.items()},
    }.items():  # fmt: skip
        yield Case(what, good.changed(lambda nb, v=value: _put_outputs(nb, v)), FULL)
    yield Case("no outputs at all", good.with_cells(lambda cell: cell.pop("outputs", None)), FULL)
    huge = good.changed(lambda nb: _put_outputs(nb, [picture] * 8))
    yield Case("pictures of 16 MiB", huge, NONE, "clear the outputs")
    for what, value in {"a text": "x", "a float": 1.5, "negative": -1}.items():
        yield Case(
            f"execution_count is {what}",
            good.with_cells(lambda c, v=value: c.update(execution_count=v)),
            FULL,
        )


def _put_outputs(notebook: dict[str, Any], value: Any) -> None:
    cell_of_json(notebook, SLUG)["outputs"] = value


def many_cells(good: Good) -> Iterator[Case]:
    """More cells than anybody writes."""
    yield Case(
        "100,000",
        good.changed(lambda nb: nb["cells"].extend([_code("")] * 100_000)),
        NONE,
        "delete the empty ones",
    )
    yield Case(
        "2,001",
        good.changed(lambda nb: nb["cells"].extend([_code("")] * 2_001)),
        NONE,
        "delete the empty ones",
    )
    yield Case("400 of code", good.changed(lambda nb: nb["cells"].extend([_code("y = 1")] * 400)), FULL)
    text = {"cell_type": "markdown", "metadata": {}, "source": "*"}
    yield Case("1,900 of text", good.changed(lambda nb: nb["cells"].extend([text] * 1900)), FULL)
    yield Case("none", good.changed(lambda nb: nb.update(cells=[])), NONE, "is not written yet")


def no_cells(good: Good) -> Iterator[Case]:
    """Something else in place of the cells."""
    for what, value in WRONG_KINDS.items():
        yield Case(
            f"the cells are {what}", good.changed(lambda nb, v=value: nb.update(cells=v)), NONE, "its cells"
        )
        if what != "an object":
            spoiled = good.changed(lambda nb, v=value: nb["cells"].insert(2, v))
            yield Case(f"one cell is {what}", spoiled, NONE, "its cells")
    yield Case("one cell is empty", good.changed(lambda nb: nb["cells"].insert(2, {})), FULL)
    yield Case("no cells", good.changed(lambda nb: nb.pop("cells")), NONE, "its cells")


def sources(good: Good) -> Iterator[Case]:
    """Something else in place of the code, and code in odd pieces."""
    for what, value in {"null": None, "a number": 7, "true": True, "an object": {"code": RIGHT}, "NaN": float("nan"),
                        "a list of numbers": [1, 2], "a list of lists": [[RIGHT]], "empty": "", "an empty list": [],
                        }.items():  # fmt: skip
        yield Case(what, good.written(value), NONE, "")
    yield Case("missing", good.changed(lambda nb: cell_of_json(nb, SLUG).pop("source")), NONE, "")
    yield Case("lines", good.written(RIGHT.splitlines(keepends=True)), FULL)
    yield Case("characters", good.written(list(RIGHT)), FULL)
    yield Case("lines, and a number among them", good.written([*RIGHT.splitlines(keepends=True), 5]), FULL)
    for what, end in {"Windows": "\r\n", "old Mac": "\r"}.items():
        yield Case(f"{what} line ends", good.written(RIGHT.replace("\n", end)), FULL)
    yield Case("half a character in a text", good.written(RIGHT + "sign = '\ud83d'"), FULL)
    yield Case("half a character in a comment", good.written(RIGHT + "# \udc00"), FULL)
    yield Case("a byte-order mark first", good.written("\ufeff" + RIGHT), NONE, "U+FEFF")
    yield Case("a megabyte of comment", good.written(RIGHT + "# x\n" * 250_000), FULL)
    yield Case("half of the work", good.written(HALF), 7.0)
    yield Case(
        "the source of another kind, not ours", good.changed(lambda nb: nb["cells"].append(_code(5))), FULL
    )


def cell_types(good: Good) -> Iterator[Case]:
    """Cells of a type that they did not have."""
    for what, value in {
        **WRONG_KINDS,
        "heading": "heading",
        "raw": "raw",
        "markdown": "markdown",
        "sql": "sql",
    }.items():
        yield Case(what, good.with_cells(lambda cell, v=value: cell.update(cell_type=v)), FULL)
    yield Case("missing", good.with_cells(lambda cell: cell.pop("cell_type")), FULL)


def metadata(good: Good) -> Iterator[Case]:
    """Metadata of a wrong kind, or lost."""
    for what, value in WRONG_KINDS.items():
        yield Case(f"of the notebook: {what}", good.changed(lambda nb, v=value: nb.update(metadata=v)), FULL)
        # Without its name a cell is one of the learner's own, and the released one is put back before it.
        yield Case(
            f"of all cells: {what}", good.with_cells(lambda cell, v=value: cell.update(metadata=v)), FULL
        )
        yield Case(
            f"nbgrader: {what}", good.with_cells(lambda cell, v=value: _field(cell, "nbgrader", v)), FULL
        )
        yield Case(f"grade_id: {what}", good.with_cells(lambda cell, v=value: _grade_id(cell, v)), FULL)
        yield Case(f"tags: {what}", good.with_cells(lambda cell, v=value: _field(cell, "tags", v)), FULL)
        yield Case(f"kernelspec: {what}", good.changed(lambda nb, v=value: _field(nb, "kernelspec", v)), FULL)
    yield Case("none of the notebook", good.changed(lambda nb: nb.pop("metadata")), FULL)
    yield Case("none of the cells", good.with_cells(lambda cell: cell.pop("metadata")), FULL)
    yield Case("half a character", good.changed(lambda nb: nb["metadata"].update(title="\ud800")), FULL)
    yield Case("a megabyte", good.changed(lambda nb: nb["metadata"].update(title="x" * 2**20)), FULL)


def _field(holder: dict[str, Any], name: str, value: Any) -> None:
    holder["metadata"][name] = value


def _grade_id(cell: dict[str, Any], value: Any) -> None:
    cell["metadata"].get("nbgrader", {}).update(grade_id=value)


def attachments(good: Good) -> Iterator[Case]:
    """Pictures within text cells, whole or not."""
    for what, value in {
        **WRONG_KINDS,
        "a picture": {"a.png": {"image/png": "AAAA"}},
        "2 MiB": {"a": {"b": "A" * 2**21}},
    }.items():
        yield Case(what, good.with_cells(lambda cell, v=value: cell.update(attachments=v)), FULL)


def tokens(good: Good) -> Iterator[Case]:
    """NaN and Infinity, which are no JSON and which Python writes."""
    for token in ("NaN", "Infinity", "-Infinity", "1e999", "-0", "1" * 400):
        spoiled = good.text.replace('"metadata": {', f'"metadata": {{"x": {token}, ')
        yield Case(f"{token[:20]} in all metadata", spoiled.encode(), FULL)
    yield Case("NaN as points", good.text.replace('"points": 5', '"points": NaN').encode(), FULL)
    yield Case(
        "NaN as format", good.text.replace('"nbformat": 4,', '"nbformat": NaN,').encode(), NONE, "no notebook"
    )


def duplicate_keys(good: Good) -> Iterator[Case]:
    """A key twice in one object: the last one counts, as everywhere."""
    for name, first, last in (
        ("cells", "[]", None), ("cells", None, "[]"), ("nbformat", "3", None), ("metadata", "{}", None), ("metadata", None, "{}"),
    ):  # fmt: skip
        spoiled = good.text
        if first is not None:
            spoiled = spoiled.replace("{", f'{{"{name}": {first}, ', 1)
        if last is not None:
            spoiled = spoiled.rstrip().removesuffix("}") + f', "{name}": {last}}}'
        emptied = (name, last) == ("cells", "[]")
        yield Case(
            f"{name}: {first or 'ours'} and {last or 'ours'}", spoiled.encode(), NONE if emptied else FULL
        )
    source = good.text.replace('"source": "def', '"source": "def double_it(x): return 0", "source": "def')
    yield Case("the source", source.encode(), FULL)


def kernels(good: Good) -> Iterator[Case]:
    """Another kernel, which is not asked; another language, which is not Python."""
    for name in ("python2", "conda-env-ml-py", "../../bin/sh", "", "x" * 300, "Größe"):
        spec = {"name": name, "display_name": name, "language": "python"}
        yield Case(
            f"kernel {name[:20]!r}", good.changed(lambda nb, s=spec: _field(nb, "kernelspec", s)), FULL
        )
    for language in ("R", "julia", "bash", "javascript", "C++17", "x" * 500):
        spec = {"name": "ir", "display_name": "R", "language": language}
        spoiled = good.changed(lambda nb, s=spec: _field(nb, "kernelspec", s))
        yield Case(f"names {language[:20]}", spoiled, FULL, "it was run as Python")
    spec = {"name": "ir", "display_name": "R"}
    spoiled = good.changed(
        lambda nb: nb.update(metadata={"kernelspec": spec, "language_info": {"name": "R"}})
    )
    yield Case("names R in language_info", spoiled, FULL, "it was run as Python")
    yield Case("no kernel", good.changed(lambda nb: nb["metadata"].pop("kernelspec")), FULL)
    for what, code in {
        "R": "double_it <- function(x) {\n  2 * x\n}", "Julia": "double_it(x) = 2x\nend",
        "JavaScript": "const double_it = x => 2 * x;", "C++": "int double_it(int x) { return 2 * x; }",
        "bash": "double_it() { echo $((2 * $1)); }", "%%R": "%%R\ndouble_it <- 1", "%%bash": "%%bash\nexit 3",
        "Python 2": "def double_it(x):\n    print x\n    return 2 * x",
    }.items():  # fmt: skip
        yield Case(f"written in {what}", good.written(code), NONE, "double_it")


def syntax_errors(good: Good) -> Iterator[Case]:
    """Code that does not compile: it costs its own cell."""
    for what, code in {
        "colon": "def double_it(x)\n    return 2 * x", "bracket": "def double_it(x):\n    return (2 * x",
        "indentation": "def double_it(x):\nreturn 2 * x", "tabs and blanks": "def double_it(x):\n\ty = x\n        return 2 * x",
        "quotes of a text processor": "def double_it(x):\n    return 2 * x if x else “0”",
        "blanks that do not break": "def double_it(x):\n\u00a0\u00a0\u00a0\u00a0return 2 * x",
        "invisible blank": "def double_it(x):\n    return 2 * x\u200b", "minus of a text processor": "def double_it(x):\n    return x − −x",
        "quotes not closed": 'def double_it(x):\n    """doubles\n    return 2 * x', "walrus": "x := 2\n" + RIGHT,
        "nested 300 deep": "x = " + "(" * 300 + ")" * 300 + "\n" + RIGHT, "digits": "x = 2__0\n" + RIGHT,
        "unknown escape": "x = '\\N{no such name}'\n" + RIGHT, "await": "def f():\n    await x\n" + RIGHT,
        "only a decorator": "@", "return": "return 5\n" + RIGHT, "assigned to a call": "double_it(x) = 2 * x",
    }.items():  # fmt: skip
        yield Case(what, good.written(code), NONE, "Error")
    for what, code in {"colon": "if True", "a cell magic that is not": "%%nothing\nx", "shell": "!rm -rf ~", "help": "double_it?",
                       "a line magic that is not": "%nothing", "pip": "%pip install torch"}.items():  # fmt: skip
        spoiled = good.changed(lambda nb, c=code: nb["cells"].append(_code(c)))
        yield Case(f"in a cell of their own: {what}", spoiled, FULL)


def cells_moved(good: Good) -> Iterator[Case]:
    """Cells merged, split, doubled, moved or deleted."""
    cut = RIGHT.index("return")
    yield Case(
        "split in the middle of the function", good.changed(lambda nb: _split(nb, RIGHT, cut)), NONE, "Error"
    )
    helped = f"def two():\n    return 2\n{RIGHT.replace('2', 'two()')}"
    at = helped.index("def double_it")
    yield Case("split between two functions", good.changed(lambda nb: _split(nb, helped, at)), FULL)
    yield Case(
        "split, both with the name",
        good.changed(lambda nb: _split(nb, helped, at, named=True)),
        FULL,
        "there twice",
    )
    yield Case(
        "merged with the next", good.changed(lambda nb: _merge(nb, SLUG, "try_double_it")), FULL, PUT_BACK
    )
    yield Case(
        "merged into the locked one", good.changed(lambda nb: _merge(nb, "setup", SLUG)), NONE, PUT_BACK
    )
    everything = "\n".join("".join(c["source"]) for c in good.copy()["cells"] if c["cell_type"] == "code")
    yield Case(
        "all code in one cell", good.changed(lambda nb: nb.update(cells=[_code(everything)])), FULL, PUT_BACK
    )
    yield Case(
        "only the answer", good.changed(lambda nb: nb.update(cells=[cell_of_json(nb, SLUG)])), FULL, PUT_BACK
    )
    yield Case("reversed", good.changed(lambda nb: nb["cells"].reverse()), FULL)
    yield Case(
        "doubled",
        good.changed(lambda nb: nb["cells"].extend(copy.deepcopy(nb["cells"]))),
        FULL,
        "there twice",
    )
    yield Case("deleted", good.changed(lambda nb: nb["cells"].remove(cell_of_json(nb, SLUG))), NONE, PUT_BACK)
    yield Case(
        "setup edited",
        good.changed(lambda nb: cell_of_json(nb, "setup").update(source="1/0")),
        FULL,
        "was edited",
    )


def _split(notebook: dict[str, Any], source: str, at: int, *, named: bool = False) -> None:
    cell = cell_of_json(notebook, SLUG)
    second = {**copy.deepcopy(cell), "id": "second", "source": source[at:]}
    cell["source"] = source[:at]
    if not named:
        second["metadata"] = {}
    notebook["cells"].insert(notebook["cells"].index(cell) + 1, second)


def _merge(notebook: dict[str, Any], first: str, second: str) -> None:
    one, other = cell_of_json(notebook, first), cell_of_json(notebook, second)
    one["source"] = "".join(one["source"]) + "\n\n" + "".join(other["source"])
    notebook["cells"].remove(other)


def platforms(good: Good) -> Iterator[Case]:
    """Saved by what learners use in place of JupyterLab."""
    for what, change in {
        "Colab": _colab, "VS Code": _vscode, "Kaggle": _kaggle, "Deepnote": _deepnote, "jupytext": _jupytext,
        "Databricks": _databricks, "nbdime": _nbdime, "RISE": _rise,
    }.items():  # fmt: skip
        yield Case(what, good.changed(change), FULL)
        yield Case(
            f"{what}, without the metadata of cells",
            good.changed(lambda nb, c=change: _bare(nb, c)),
            FULL,
            PUT_BACK,
        )


def _bare(notebook: dict[str, Any], change: Any) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    change(notebook)


def _colab(notebook: dict[str, Any]) -> None:
    notebook["nbformat_minor"] = 0
    notebook["metadata"] = {
        "colab": {"provenance": [{"file_id": "1a", "timestamp": 1}], "gpuType": "T4", "collapsed_sections": []},
        "kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"},
        "accelerator": "GPU", "widgets": {"application/vnd.jupyter.widget-state+json": {}},
    }  # fmt: skip
    for number, cell in enumerate(notebook["cells"]):
        cell.pop("id")
        cell["metadata"].update(
            id=f"a{number}B-_x", colab={"base_uri": "https://localhost:8080/"}, outputId="1a2b-3c"
        )


def _vscode(notebook: dict[str, Any]) -> None:
    notebook["nbformat_minor"] = 2
    notebook["metadata"]["vscode"] = {"interpreter": {"hash": "31f2aee4"}}
    notebook["metadata"]["orig_nbformat"] = 4
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"#VSC-{number}"
        cell["metadata"]["vscode"] = {"languageId": "python"}


def _kaggle(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["kaggle"] = {"accelerator": "none", "dataSources": [], "isInternetEnabled": True}
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"].update(
            _uuid="8f2839f2", _cell_guid="b1076dfc", trusted=True, execution={"iopub.status.busy": "1"}
        )


def _deepnote(notebook: dict[str, Any]) -> None:
    notebook["nbformat_minor"] = 0
    notebook["metadata"] = {"orig_nbformat": 2, "deepnote": {}, "deepnote_notebook_id": "1a-2b"}
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"].update(
            cell_id="00000-1a-2b", deepnote_cell_type="code", deepnote_to_be_reexecuted=False, tags=[]
        )


def _jupytext(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["jupytext"] = {
        "formats": "ipynb,py:percent",
        "text_representation": {"format_version": "1.3"},
    }
    for cell in notebook["cells"]:
        cell["metadata"]["lines_to_next_cell"] = 2


def _databricks(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["application/vnd.databricks.v1+notebook"] = {"language": "python", "dashboards": []}
    for cell in notebook["cells"]:
        cell["metadata"]["application/vnd.databricks.v1+cell"] = {
            "title": "",
            "inputWidgets": {},
            "nuid": "1a",
        }


def _nbdime(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["nbdime-conflicts"] = {"local_diff": [], "remote_diff": []}
    notebook["cells"].insert(
        1, {"cell_type": "markdown", "metadata": {}, "id": "c", "source": "<<<<<<< local"}
    )


def _rise(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["celltoolbar"] = "Slideshow"
    for cell in notebook["cells"]:
        cell["metadata"]["slideshow"] = {"slide_type": "skip"}


CELLS = {
    "nbformat": formats,
    "missing or duplicate ids": ids,
    "huge and odd outputs": outputs,
    "100,000 cells": many_cells,
    "cells that are no dicts": no_cells,
    "sources that are numbers": sources,
    "odd cell types": cell_types,
    "metadata of wrong kinds": metadata,
    "attachments": attachments,
    "NaN and Infinity": tokens,
    "duplicate JSON keys": duplicate_keys,
    "wrong kernel and other languages": kernels,
    "syntax errors": syntax_errors,
    "cells merged or split": cells_moved,
    "saved by Colab, VS Code, Kaggle, Deepnote, jupytext": platforms,
}
