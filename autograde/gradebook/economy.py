"""What nbgrader does again for every step of every submission, done once for a run."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema
import nbgrader.api
from alembic.script import ScriptDirectory
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from nbgrader.dbutil import ALEMBIC_DIR


@contextmanager
def economical() -> Iterator[None]:
    """Have nbgrader use one database engine, and check its own schemas once, while the block runs.

    nbgrader opens the gradebook anew in every preprocessor, nine times a notebook, and SQLAlchemy compiles every
    statement again for a new engine: nearly half of what recording a student costs. Closing a Gradebook closes
    the engine's connections, and it opens others when it is used again, so that nothing else changes.

    For every cell it has jsonschema check that its constant schema is a schema, which takes ten times as long as
    the check of the cell: a fifth of what is left.
    """
    fresh, validate = nbgrader.api.create_engine, jsonschema.validate
    nbgrader.api.create_engine = functools.cache(fresh)
    jsonschema.validate = _validate
    try:
        yield
    finally:
        nbgrader.api.create_engine, jsonschema.validate = fresh, validate


@contextmanager
def one_process() -> Iterator[None]:
    """Have nbgrader make a new gradebook in this process while the block runs.

    It starts `alembic` for one word of it, which takes a second, and which Ctrl-C at a terminal ends too: with a
    traceback.
    """
    theirs = nbgrader.api.get_alembic_version
    nbgrader.api.get_alembic_version = lambda: ScriptDirectory(ALEMBIC_DIR).get_current_head()
    try:
        yield
    finally:
        nbgrader.api.get_alembic_version = theirs


def _validate(instance: Any, schema: dict[str, Any]) -> None:
    """jsonschema.validate, for schemas that come again."""
    error = best_match(_validator(json.dumps(schema)).iter_errors(instance))
    if error is not None:
        raise error


@functools.cache
def _validator(schema: str) -> Any:
    loaded = json.loads(schema)
    kind = validator_for(loaded)
    kind.check_schema(loaded)
    return kind(loaded)
