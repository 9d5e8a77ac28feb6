"""One database engine for a run of nbgrader, in place of one for every step of every submission."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import nbgrader.api


@contextmanager
def one_engine() -> Iterator[None]:
    """Have nbgrader's Gradebook use one engine for each database while the block runs.

    nbgrader opens the gradebook anew in every preprocessor, nine times a notebook, and SQLAlchemy compiles every
    statement again for a new engine: nearly half of what recording a student costs. Closing a Gradebook closes
    the engine's connections, and it opens others when it is used again, so that nothing else changes.
    """
    fresh = nbgrader.api.create_engine
    shared = functools.cache(fresh)
    nbgrader.api.create_engine = shared
    try:
        yield
    finally:
        nbgrader.api.create_engine = fresh
