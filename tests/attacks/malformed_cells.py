"""Notebooks that are JSON, and odd: their format, ids, metadata, outputs, kernels, and what is in their cells."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import nbformat
from classroom import cell_of_json
from malformed_case import FULL, NONE, SLUG, Case, Good, code_cell, field

WRONG_KINDS = {
    "null": None,
    "a number": 7,
    "a text": "x",
    "a list": [1],
    "an object": {"a": {"b": []}},
    "true": True,
}


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
        "taken by an extra cell",
        good.changed(lambda nb: nb["cells"].append(code_cell("y = 1", "check"))),
        FULL,
    )


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
        good.changed(lambda nb: nb["cells"].extend([code_cell("")] * 100_000)),
        NONE,
        "delete the empty ones",
    )
    yield Case(
        "2,001",
        good.changed(lambda nb: nb["cells"].extend([code_cell("")] * 2_001)),
        NONE,
        "delete the empty ones",
    )
    yield Case("400 of code", good.changed(lambda nb: nb["cells"].extend([code_cell("y = 1")] * 400)), FULL)
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
            f"nbgrader: {what}", good.with_cells(lambda cell, v=value: field(cell, "nbgrader", v)), FULL
        )
        yield Case(f"grade_id: {what}", good.with_cells(lambda cell, v=value: _grade_id(cell, v)), FULL)
        yield Case(f"tags: {what}", good.with_cells(lambda cell, v=value: field(cell, "tags", v)), FULL)
        yield Case(f"kernelspec: {what}", good.changed(lambda nb, v=value: field(nb, "kernelspec", v)), FULL)
    yield Case("none of the notebook", good.changed(lambda nb: nb.pop("metadata")), FULL)
    yield Case("none of the cells", good.with_cells(lambda cell: cell.pop("metadata")), FULL)
    yield Case("half a character", good.changed(lambda nb: nb["metadata"].update(title="\ud800")), FULL)
    yield Case("a megabyte", good.changed(lambda nb: nb["metadata"].update(title="x" * 2**20)), FULL)


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
        ("cells", "[]", None), ("cells", None, "[]"), ("nbformat",
        "3", None), ("metadata", "{}", None), ("metadata", None, "{}"),
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


CELLS = {
    "nbformat": formats,
    "missing or duplicate ids": ids,
    "huge and odd outputs": outputs,
    "100,000 cells": many_cells,
    "cells that are no dicts": no_cells,
    "odd cell types": cell_types,
    "metadata of wrong kinds": metadata,
    "attachments": attachments,
    "NaN and Infinity": tokens,
    "duplicate JSON keys": duplicate_keys,
}
