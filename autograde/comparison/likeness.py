"""Whether two programs returned the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograde.comparison.kinds import DEPTH, NUMBERS, is_plain, kind_of
from autograde.comparison.tolerance import as_numpy, dtype_name, near, tolerances

SEQUENCES = ("a list", "a tuple")


def same_answer(a: Any, b: Any, rtol: float | None, atol: float | None, depth: int) -> bool:
    """Whether two values are alike, `depth` containers down."""
    kind = kind_of(a)
    if kind in NUMBERS:
        return kind_of(b) in NUMBERS and _alike_numbers(a, b, rtol, atol)
    if depth > DEPTH:
        return False
    if kind in SEQUENCES and kind_of(b) in SEQUENCES:  # which of the two is rarely the mistake
        same_length = len(a) == len(b)
        return same_length and all(
            same_answer(x, y, rtol, atol, depth + 1) for x, y in zip(a, b, strict=True)
        )
    if kind != kind_of(b):
        return False
    if kind in ("a NumPy array", "a torch tensor"):
        return bool(a.dtype == b.dtype and a.shape == b.shape) and _alike_arrays(a, b, rtol, atol)
    if kind == "a dict":
        same_keys = is_plain(a) and is_plain(b) and a.keys() == b.keys()
        return same_keys and all(same_answer(a[key], b[key], rtol, atol, depth + 1) for key in a)
    if kind == "a set":
        return is_plain(a) and is_plain(b) and bool(a == b)
    return a is b or (kind in ("a string", "bytes") and bool(a == b))


def _alike_numbers(a: Any, b: Any, rtol: float | None, atol: float | None) -> bool:
    """A bool is only like a bool; an int is like a float of the same value."""
    if type(a) is type(b) and type(a) in (bool, int):
        return bool(a == b)
    x, y = as_numpy(a), as_numpy(b)
    if x is None or y is None or (x.dtype.kind == "b") != (y.dtype.kind == "b"):
        return False
    return bool(near(x, y, *tolerances((dtype_name(a), dtype_name(b)), rtol, atol)))


def _alike_arrays(a: Any, b: Any, rtol: float | None, atol: float | None) -> bool:
    x, y = as_numpy(a), as_numpy(b)
    if x is None or y is None:
        return type(a) is np.ndarray and a.dtype.kind in "US" and bool((a == b).all())
    return bool(near(x, y, *tolerances((dtype_name(a),), rtol, atol)).all())
