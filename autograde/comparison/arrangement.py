"""The right values in other places, or right in each slice up to a factor."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from autograde.comparison.place import AXES
from autograde.comparison.tolerance import Array

Same = Callable[[Array, Array], bool]


def ordered(a: Array, e: Array, bad: Array, same: Same) -> str | None:
    """The right values in other places."""
    axes = range(min(a.ndim, AXES))
    for i, j in itertools.combinations(axes, 2):
        if a.shape[i] == a.shape[j] and same(a, e.swapaxes(i, j)):
            return "equals its transpose" if a.ndim == 2 else f"axes {i} and {j} are swapped"
    for k in axes:
        if a.shape[k] > 1 and same(a, np.flip(e, k)):
            return f"reversed along axis {k}"
        if a.shape[k] > 2 and _moved(a, e, bad, same, k):
            return f"shifted by one position along axis {k}"
    for k in axes:
        if a.shape[k] > 2 and _permuted(a, e, same, k):
            names = {0: "the rows are in another order", 1: "the columns are in another order"}
            if a.ndim == 1:
                return "the right values, in another order"
            return names[k] if a.ndim == 2 else f"the values are right, but permuted along axis {k}"
    x, y = np.sort(a, axis=None), np.sort(e, axis=None)
    # Two arrays of few distinct values (masks, one-hot rows) have the same ones by chance.
    return "the right values, in other places" if distinct(y) and same(x, y) else None


def _moved(a: Array, e: Array, bad: Array, same: Same, axis: int) -> bool:
    x, y, wrong = (np.moveaxis(v, axis, 0) for v in (a, e, bad))
    return bool(wrong[1:].any() and same(x[1:], y[:-1])) or bool(wrong[:-1].any() and same(x[:-1], y[1:]))


def _permuted(a: Array, e: Array, same: Same, axis: int) -> bool:
    """Whether the slices along an axis are the right ones: sorted by a random projection they must agree."""
    x, y = (np.moveaxis(v, axis, 0).reshape(v.shape[axis], -1) for v in (a, e))
    weights = np.random.default_rng(0).standard_normal(x.shape[1])
    ranks = [np.nan_to_num(v, nan=1.7, posinf=2.3, neginf=-3.1).dot(weights).real.argsort() for v in (x, y)]
    return distinct(np.sort(y, axis=None)) and same(x[ranks[0]], y[ranks[1]])


def distinct(ordered: Array) -> bool:
    """Whether sorted values hold at least three different ones."""
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) >= 2


def by_slice(a: Array, e: Array, same: Same) -> str | None:
    """A factor, or an offset, of its own for each slice along an axis."""
    if not (np.isfinite(a).all() and np.isfinite(e).all()):
        return None
    for k in range(min(a.ndim, AXES)):
        if a.ndim < 2 or a.shape[k] < 3:
            continue
        ratio = (a * e.conj()).sum(k, keepdims=True) / (e * e.conj()).sum(k, keepdims=True)
        fits = np.isfinite(ratio).all() and ratio.all() and same(a / ratio, e)
        if fits:
            return f"each slice along axis {k} is right up to a factor of its own: normalised?"
        if same(a - (a - e).mean(k, keepdims=True), e):
            return f"each slice along axis {k} is right up to a constant of its own"
    return None
