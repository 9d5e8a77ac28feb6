"""Imports that our own processes do without: some libraries build what nobody here uses, and it takes a second."""

from __future__ import annotations

import sys

# jsonschema's check of the format "iri", which nbformat never asks for: 1.3 s of compiling a grammar.
_UNUSED = ("rfc3987_syntax",)


def spare_imports() -> None:
    """Leave out what is not needed; call it first in a process of our own, never in a server or a kernel."""
    for name in _UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
