"""Laws 5 to 7, of notebooks: nothing hidden in a release, points that add up, cells that render."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from autograde.hidden import HiddenTest
from autograde.laws.violation import Violation
from autograde.question import Question, questions
from autograde.submission import grade_id
from autograde.verdict import points as as_points

_SOLUTION = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|href=[\"']([^\"']+)")
_NETWORK = re.compile(r"https?://|urllib\.request|import requests|\bwget\b|\bcurl\b|pip install|torch\.hub")
_REMOTE = re.compile(r"!\[[^\]]*\]\(https?:|<(?:img|script|iframe|link)\b[^>]*https?:", re.IGNORECASE)
_ADDRESS = re.compile(r" at (0x[0-9a-fA-F]+)")  # of an object: another one in every run
PLACEHOLDER = "✎"  # what `autograde new` leaves to be written
MIN_LINE = 20  # characters: shorter lines ("return x") are anybody's


def secrets(question: Question) -> Iterator[Violation]:
    """Law 5, second half: the release holds no solution, no answer and no hidden test; solutions no noise."""
    where = f"release/{question.topic}/{question.slug}.ipynb"
    text = json.dumps(question.release_notebook, ensure_ascii=False)
    shown = {line.strip() for cell in question.release_notebook["cells"] for line in _lines(cell)}
    for line in _hidden_lines(question):
        if line in shown:
            yield Violation(5, where, f"shows a hidden line: {line[:60]!r}", "run `autograde release`")
    for word in ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS"):
        if word in text:
            yield Violation(5, where, f"holds a marker: {word}", "close the region in source/, release again")
    for cell in question.release_notebook["cells"]:
        if "answer" in cell["metadata"].get("tags", ()):
            yield Violation(5, where, f"holds the answer cell {cell.get('id')!r}", "run `autograde release`")
    yield from _noise(question)


def points(question: Question, tests: Sequence[HiddenTest]) -> Iterator[Violation]:
    """Law 6: the points of each check cell are those of its hidden tests."""
    worth: dict[str, float] = {}
    for test in tests:
        name = "check" if test.part is None else f"check_{test.part}"
        worth[name] = worth.get(name, 0.0) + test.points
    cells = {
        grade_id(cell): float(cell["metadata"]["nbgrader"].get("points") or 0)
        for cell in question.source_notebook["cells"]
        if grade_id(cell) and cell["metadata"]["nbgrader"].get("grade")
    }
    for name in sorted(set(worth) | {name for name, value in cells.items() if value}):
        has, needs = cells.get(name, 0.0), worth.get(name, 0.0)
        if has != needs:
            yield Violation(
                6,
                f"{question.slug}: cell '{name}'",
                f"is worth {as_points(has)}, its hidden tests {as_points(needs)}",
                "set the cell's points to the sum, or mark the tests' `part`",
            )


def rendering(question: Question) -> Iterator[Violation]:
    """Law 7: links lead to questions of the syllabus, markup is closed, nothing comes from the network."""
    known = {f"../{row.topic}/{row.slug}.ipynb" for row in questions(question.root)}
    known |= {f"{row.slug}.ipynb" for row in questions(question.root) if row.topic == question.topic}
    for cell in question.source_notebook["cells"]:
        where = f"source/{question.topic}/{question.slug}.ipynb, cell '{cell.get('id')}'"
        text = "".join(cell["source"])
        if PLACEHOLDER in text:
            yield Violation(
                7,
                where,
                f"is still to be written ({PLACEHOLDER})",
                "write it, in place of the sign and the hint",
            )
        if cell["cell_type"] == "code":
            if _NETWORK.search(text):
                yield Violation(7, where, "needs the network", "make the data in the notebook")
            continue
        for link in (a or b for a, b in _LINK.findall(text)):
            if not link.startswith(("http://", "https://", "#", "attachment:")) and link not in known:
                yield Violation(
                    7,
                    where,
                    f"links to {link!r}",
                    "link ../<topic>/<slug>.ipynb of a question in the syllabus",
                )
        if _REMOTE.search(text):
            yield Violation(7, where, "shows something from the network", "attach the picture, or draw it")
        for what in _open_markup(text):
            yield Violation(7, where, what, "close it, and look at the cell in JupyterLab")


def _open_markup(text: str) -> Iterator[str]:
    without_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    if text.count("```") % 2:
        yield "leaves a code fence open"
    if len(re.findall(r"(?<!\\)\$\$", without_code)) % 2:
        yield "leaves a formula open ($$)"
    if len(re.findall(r"(?<!\\)\$", without_code.replace("$$", ""))) % 2:
        yield "leaves a formula open ($)"
    for tag in ("details", "summary", "b", "table", "div", "sub", "sup"):
        if len(re.findall(rf"<{tag}\b", without_code)) != len(re.findall(rf"</{tag}>", without_code)):
            yield f"leaves <{tag}> open"


def _noise(question: Question) -> Iterator[Violation]:
    where = f"solutions/{question.topic}/{question.slug}.ipynb"
    if not question.solution.is_file():  # told by law 1
        return
    notebook: dict[str, Any] = json.loads(question.solution.read_text(encoding="utf-8"))
    if "version" in notebook["metadata"].get("language_info", {}):
        yield Violation(5, where, "names the version of Python", "run `autograde solutions`")
    for cell in notebook["cells"]:
        if "execution" in cell["metadata"]:
            yield Violation(
                5, where, f"records timing in cell '{cell.get('id')}'", "run `autograde solutions`"
            )
        for output in cell.get("outputs", ()):
            if output["output_type"] == "error":
                yield Violation(
                    5,
                    where,
                    f"cell '{cell.get('id')}' raised {output['ename']}",
                    "mend the reference solution",
                )
            address = _ADDRESS.search(json.dumps(output))
            if address:
                yield Violation(
                    5,
                    where,
                    f"cell '{cell.get('id')}' shows a memory address ({address[1]}), another in every run",
                    "end the cell with plt.show(), or print what the object holds; then run `autograde solutions`",
                )


def _hidden_lines(question: Question) -> Iterator[str]:
    """Lines that only the solution or a hidden test holds, long enough to give something away."""
    source = question.source_notebook["cells"]
    open_lines = {
        line.strip() for cell in source for line in _SOLUTION.sub("", "".join(cell["source"])).splitlines()
    }
    answers = [
        line for cell in source if "answer" in cell["metadata"].get("tags", ()) for line in _lines(cell)
    ]
    regions = [r for cell in source for r in _SOLUTION.findall("".join(cell["source"]))]
    tests = question.tests.read_text(encoding="utf-8").splitlines()
    hidden = [line for region in regions for line in region.splitlines()]
    for line in dict.fromkeys(line.strip() for line in hidden + tests):
        if len(line) >= MIN_LINE and (line not in open_lines or line in answers):
            yield line


def _lines(cell: dict[str, Any]) -> list[str]:
    return "".join(cell["source"]).splitlines()
