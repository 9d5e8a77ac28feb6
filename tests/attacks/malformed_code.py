"""Notebooks whose code is odd: what stands in for a source, other languages, errors, cells merged and split."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from classroom import HALF, cell_of_json
from malformed_case import FULL, NONE, PUT_BACK, RIGHT, SLUG, Case, Good, code_cell, field


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
    yield Case("a megabyte of text", good.written(RIGHT + f"# {'x' * 2**20}"), FULL)
    yield Case("half of the work", good.written(HALF), 7.0)
    yield Case(
        "the source of another kind, not ours",
        good.changed(lambda nb: nb["cells"].append(code_cell(5))),
        FULL,
    )


def kernels(good: Good) -> Iterator[Case]:
    """Another kernel, which is not asked; another language, which is not Python."""
    for name in ("python2", "conda-env-ml-py", "../../bin/sh", "", "x" * 300, "Größe"):
        spec = {"name": name, "display_name": name, "language": "python"}
        yield Case(f"kernel {name[:20]!r}", good.changed(lambda nb, s=spec: field(nb, "kernelspec", s)), FULL)
    for language in ("R", "julia", "bash", "javascript", "C++17", "x" * 500):
        spec = {"name": "ir", "display_name": "R", "language": language}
        spoiled = good.changed(lambda nb, s=spec: field(nb, "kernelspec", s))
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
        "indentation": "def double_it(x):\nreturn 2 * x",
        "tabs and blanks": "def double_it(x):\n\ty = x\n        return 2 * x",
        "quotes of a text processor": "def double_it(x):\n    return 2 * x if x else “0”",
        "blanks that do not break": "def double_it(x):\n\u00a0\u00a0\u00a0\u00a0return 2 * x",
        "invisible blank": "def double_it(x):\n    return 2 * x\u200b",
        "minus of a text processor": "def double_it(x):\n    return x − −x",
        "quotes not closed": 'def double_it(x):\n    """doubles\n    return 2 * x', "walrus": "x := 2\n" + RIGHT,
        "nested 300 deep": "x = " + "(" * 300 + ")" * 300 + "\n" + RIGHT, "digits": "x = 2__0\n" + RIGHT,
        "unknown escape": "x = '\\N{no such name}'\n" + RIGHT, "await": "def f():\n    await x\n" + RIGHT,
        "only a decorator": "@", "return": "return 5\n" + RIGHT, "assigned to a call": "double_it(x) = 2 * x",
    }.items():  # fmt: skip
        yield Case(what, good.written(code), NONE, "Error")
    yield Case("a zero byte", good.written("def double_it(x):\0\n    return 2 * x"), NONE, "null byte")
    conflict = good.written(f"<<<<<<< HEAD\ny = 1\n=======\ny = 2\n>>>>>>> main\n{RIGHT}")
    yield Case("a conflict of git", conflict, NONE, "has git conflict markers: settle")
    for what, code in {"colon": "if True", "a cell magic that is not": "%%nothing\nx", "shell": "!rm -rf ~",
                       "help": "double_it?",
                       "a line magic that is not": "%nothing", "pip": "%pip install torch"}.items():  # fmt: skip
        spoiled = good.changed(lambda nb, c=code: nb["cells"].append(code_cell(c)))
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
        "all code in one cell",
        good.changed(lambda nb: nb.update(cells=[code_cell(everything)])),
        FULL,
        PUT_BACK,
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


CODE = {
    "sources that are numbers": sources,
    "wrong kernel and other languages": kernels,
    "syntax errors": syntax_errors,
    "cells merged or split": cells_moved,
}
