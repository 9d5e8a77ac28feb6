"""How far a change of a notebook reaches: the names that may mean something else after it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from autograde.submission import kind_of


def reached(before: dict[str, Any], after: dict[str, Any]) -> frozenset[str] | None:
    """The names whose meaning differs between two versions of a notebook, by what its cells define and use.

    Args:
        before: one version, as plain JSON.
        after: the other, with the same cells.

    Returns:
        Names of functions, classes and variables; None where any name may be meant: a cell that does more than
        name things was changed, or is no plain Python (`%%writefile`).
    """
    names: set[str] = set()
    rest: list[ast.Module] = []
    try:
        for old, new in zip(_sources(before), _sources(after), strict=True):
            if old == new:
                rest.append(ast.parse(new))
                continue
            for module in (ast.parse(old), ast.parse(new)):
                if not all(map(_only_names, module.body)):
                    return None
                names |= _defined(module)
    except (SyntaxError, ValueError):
        return None
    further = True
    while further:  # a cell that uses one of them defines others
        further = False
        for module in rest:
            if _used(module) & names and not _defined(module) <= names:
                names |= _defined(module)
                further = True
    return frozenset(names)


def _sources(notebook: dict[str, Any]) -> Iterable[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"] if kind_of(cell) == "learner"]


def _only_names(statement: ast.stmt) -> bool:
    """Whether a statement does nothing but name things."""
    if isinstance(statement, ast.Assign):
        return all(isinstance(target, ast.Name) for target in statement.targets)
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)


def _defined(module: ast.Module) -> set[str]:
    """What a cell names, for others to use."""
    found: set[str] = set()
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(statement.name)
            continue  # what is named inside is its own
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
    return found | {name for node in ast.walk(module) if isinstance(node, ast.Global) for name in node.names}


def _used(module: ast.Module) -> set[str]:
    return {
        node.id for node in ast.walk(module) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
