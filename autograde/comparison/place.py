"""Where two arrays differ, and how a shape came about."""

from __future__ import annotations

import math

import numpy as np

from autograde.comparison.kinds import show
from autograde.comparison.tolerance import Array

AXES = 6  # explanations look at no more axes than this, so that their cost is bounded


def first_place(a: Array, bad: Array) -> str:
    """Where the first difference is, and the learner's value there."""
    index = first_index(bad)
    yours = f"yours is {show(a[tuple(index)].item())}"
    if not bad.ndim:
        return f"not the right value; {yours}"
    if bad.sum() == 1 < bad.size:
        return f"differs only at {index}, 1 of {count(bad.size, 'entry')}; {yours}"
    return f"differs at {index} (first of {bad.sum()} of {count(bad.size, 'entry')}); {yours}"


def only(bad: Array) -> str | None:
    """The wrong entries lie in one slice, or from one slice on."""
    if bad.sum() < 2 and bad.ndim != 1:
        return None
    for k in range(min(bad.ndim, AXES)):
        n = bad.shape[k]
        hit = np.flatnonzero(np.moveaxis(bad, k, 0).reshape(n, -1).any(axis=1))
        first, last = int(hit[0]), int(hit[-1])
        if len(hit) == n or len(hit) != last - first + 1:
            continue
        if first == last:
            return f"only {_slice_name(bad.ndim, k, first, n)} is wrong"
        if first == 1 and last == n - 1:
            return f"only {_slice_name(bad.ndim, k, 0, n)} is right"
        if first == 0 and last == n - 2:
            return f"only {_slice_name(bad.ndim, k, n - 1, n)} is right"
        if last == n - 1:
            return f"wrong from {_slice_name(bad.ndim, k, first, 0).removeprefix('the ')} on"
    return None


def _slice_name(ndim: int, axis: int, index: int, size: int) -> str:
    noun = "entry" if ndim == 1 else ("row", "column")[axis] if ndim == 2 else f"slice along axis {axis}"
    if index == 0:
        return f"the first {noun}"
    if index == size - 1:
        return f"the last {noun}"
    return f"{noun} {index}" if ndim < 3 else f"index {index} of axis {axis}"


def reshaped(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """A guess at how a shape came about."""
    if sorted(got) == sorted(wanted):
        return ": transposed?"
    if [n for n in got if n != 1] == [n for n in wanted if n != 1]:
        return (
            ": an axis of length 1 too many?"
            if len(got) > len(wanted)
            else ": an axis of length 1 is missing?"
        )
    if math.prod(got) == math.prod(wanted):
        return ": flattened?" if len(got) == 1 else ": reshaped?"
    if len(got) == len(wanted) - 1 and any(got == wanted[:k] + wanted[k + 1 :] for k in range(len(wanted))):
        return ": summed over one axis too many?"
    if len(got) == len(wanted) + 1 and any(wanted == got[:k] + got[k + 1 :] for k in range(len(got))):
        return ": not reduced over one axis?"
    return ""


def first_index(mask: Array) -> list[int]:
    """The index of the first true entry."""
    return [int(i) for i in np.unravel_index(int(mask.argmax()), mask.shape)]


def count(n: int, noun: str) -> str:
    """A number of things: "1 entry", "3 entries"."""
    plural = noun.removesuffix("y") + "ies" if noun.endswith("y") and noun != "key" else noun + "s"
    return f"{n} {noun if n == 1 else plural}"
