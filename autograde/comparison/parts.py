"""The values that a learner's function returns together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograde.comparison.kinds import kind_of
from autograde.comparison.place import count


def parts(given: Any, *names: str, what: str) -> Sequence[Any]:
    """The values of a tuple that the learner returned; a list will do.

    Args:
        given: what the learner's code returned, whatever it is.
        names: what the task calls the values, in their order.
        what: the learner's function.

    Raises:
        AssertionError: it is no tuple, or one of another length.
    """
    wanted = f"{what} must return a tuple ({', '.join(names)})"
    if type(given) not in (tuple, list):
        raise AssertionError(f"{wanted}, not {kind_of(given)}")
    if len(given) != len(names):
        raise AssertionError(f"{wanted}, not {count(len(given), 'value')}")
    values: Sequence[Any] = given
    return values
