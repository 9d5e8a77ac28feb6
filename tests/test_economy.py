"""What nbgrader does once in place of again and again."""

from __future__ import annotations

import contextlib
import sqlite3
import sysconfig
from pathlib import Path

import jsonschema
import nbgrader.api
import pytest

from autograde.gradebook import Course, economical

SCHEMA = {
    "type": "object",
    "properties": {"points": {"type": "number", "minimum": 0}},
    "required": ["points"],
}


@pytest.mark.parametrize("data", [{"points": -1}, {}, {"points": "many"}, 3])
def test_what_is_wrong_is_told_as_before(data: object) -> None:
    """Metadata that do not fit are refused with the message that they always had."""
    with pytest.raises(jsonschema.ValidationError) as before:
        jsonschema.validate(data, SCHEMA)
    for _ in range(2):
        with economical(), pytest.raises(jsonschema.ValidationError) as within:
            jsonschema.validate(data, SCHEMA)
        assert within.value.message == before.value.message


def test_what_fits_and_what_is_no_schema() -> None:
    """Right metadata pass, a schema that is none does not, and afterwards all is as it was."""
    before = jsonschema.validate
    with economical():
        jsonschema.validate({"points": 2}, SCHEMA)
        with pytest.raises(jsonschema.SchemaError):
            jsonschema.validate({}, {"type": 7})
    assert jsonschema.validate is before


def test_new_gradebook_without_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new gradebook is of the version that nbgrader's own would be, and nothing else is started for it."""
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"))
    theirs = nbgrader.api.get_alembic_version()
    course = Course(tmp_path)
    monkeypatch.setenv("PATH", "")
    with course.gradebook():
        """It is made."""
    with contextlib.closing(sqlite3.connect(tmp_path / "gradebook.db")) as database:
        assert database.execute("select version_num from alembic_version").fetchall() == [(theirs,)]
