"""What nbgrader does once in place of again and again."""

from __future__ import annotations

import jsonschema
import pytest

from autograde.gradebook import economical

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
