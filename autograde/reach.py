"""What a change to one cell can reach: tests that rest on other cells alone need not run again.

A test rests on the cells that make the names it takes from the learner, on those that make the names in these, and
so on. What a cell does beside its names (a global setting, a patched library) is not seen: our own changes do no
such thing.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from autograde.hidden import Examined
from autograde.mistakes import Change
from autograde.question import Question
from autograde.student import Observation
from autograde.submission import WRITES, grade_id, kind_of


def unreached(
    question: Question, changes: Iterable[Change], seen: Mapping[str, Observation]
) -> frozenset[str]:
    """The tests that no change can show in.

    Args:
        question: whose.
        changes: what is changed in the reference; with none, every test is run.
        seen: what each test saw of the reference.
    """
    changed = {change.cell for change in changes}
    if not changed:
        return frozenset()
    return frozenset(test for test, one in seen.items() if not changed & cells_behind(question, one.names))


def cells_behind(question: Question, names: Collection[str]) -> frozenset[str]:
    """The grade_ids of the cells that names rest on; of all cells, where one of them can't be read."""
    stat = question.source.stat()
    cells = _cells(question, stat.st_mtime_ns, stat.st_size)
    if any(cell is None for cell in cells):
        return frozenset(grade_id(cell) for cell in question.source_notebook["cells"])
    behind: set[str] = set()
    wanted = set(names)
    while True:
        more = [cell for cell in cells if cell and cell.name not in behind and cell.makes & wanted]
        if not more:
            return frozenset(behind)
        behind |= {cell.name for cell in more}
        wanted = wanted.union(*(cell.uses for cell in more))


@dataclass(frozen=True)
class _Cell:
    """A cell that runs for points: the names it makes, and those it uses."""

    name: str
    makes: frozenset[str]
    uses: frozenset[str]


@functools.lru_cache
def _cells(question: Question, *_: int) -> tuple[_Cell | None, ...]:
    """The cells that run for points, as long as the file stays what it is; None for one that is no plain Python."""
    return tuple(_read(question))


def _read(question: Question) -> Iterator[_Cell | None]:
    for cell in question.source_notebook["cells"]:
        if kind_of(cell) in ("setup", "learner") and "answer" not in cell["metadata"].get("tags", ()):
            source = "".join(cell["source"])
            file = WRITES.match(source)
            try:
                tree = ast.parse(source[file.end() :] if file else source)
            except SyntaxError:
                yield None
                continue
            imported = frozenset(_imported(tree))
            if file:  # a module of its own: it is made by its name, and sees nothing of the notebook's
                yield _Cell(grade_id(cell), frozenset({file[1]}), imported)
            else:
                uses = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
                yield _Cell(grade_id(cell), frozenset(_made(tree)), imported | uses)


def _made(node: ast.AST) -> Iterator[str]:
    """The names that a cell leaves behind; what is local to a function is not among them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child.name
            yield from (name for one in ast.walk(child) if isinstance(one, ast.Global) for name in one.names)
            continue
        if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
            yield child.id
        elif isinstance(child, ast.alias):
            yield (child.asname or child.name).partition(".")[0]
        yield from _made(child)


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def completed(examined: Examined, reference: Examined) -> Examined:
    """What was examined, with the reference's verdicts and answers in the tests that were left out."""
    ran = {verdict.test: verdict for verdict in examined.verdicts}
    left = {test: one for test, one in reference.seen.items() if test not in ran}
    verdicts = [ran.get(verdict.test, verdict) for verdict in reference.verdicts]
    return replace(examined, verdicts=verdicts, seen={**examined.seen, **left})
