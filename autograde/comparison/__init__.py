"""Comparing what the learner's code returned with what it should return, and explaining the difference.

The learner reads these messages, so none of them prints an expected value: shapes, dtypes, positions, counts,
ratios and the learner's own values are all they hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograde.comparison.difference import Rules, compare
from autograde.comparison.kinds import kind_of
from autograde.comparison.likeness import same_answer
from autograde.comparison.parts import parts

__all__ = ["alike", "close", "kind_of", "parts"]


def close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    what: str = "result",
    dtype: bool = True,
    gradient: bool = False,
) -> None:
    """Check that the learner's value is the expected one, within tolerance.

    Args:
        actual: what the learner's code returned, whatever it is.
        expected: ours: a number, string, array, tensor, or a nested list, tuple, dict of them.
        rtol: relative tolerance; by default that of the coarser of the two dtypes.
        atol: absolute tolerance; by default that of the coarser of the two dtypes.
        what: what the message calls the value.
        dtype: whether the kind and precision of `expected` are part of the answer.
        gradient: whether a None of the learner's is a gradient that did not arrive.

    Raises:
        AssertionError: it is not; the message explains how it differs, without an expected value.
        TypeError: `expected` is not something that can be compared (a mistake in the test).
    """
    with np.errstate(all="ignore"):  # overflow in a learner's values, or in a guess, is no news
        told = compare(actual, expected, Rules(rtol, atol, dtype, gradient), what)
    if told:
        raise AssertionError(told)


def alike(a: Any, b: Any, rtol: float | None = None, atol: float | None = None) -> bool:
    """Whether two programs returned the same: structure, dtype, and values within tolerance (NaN equals NaN).

    Args:
        a: decoded data; an exception is `("raised", name)`.
        b: decoded data.
        rtol: relative tolerance of floats; None for that of their dtype.
        atol: absolute tolerance of floats; None for that of their dtype.
    """
    with np.errstate(all="ignore"):
        return same_answer(a, b, rtol, atol, 0)
