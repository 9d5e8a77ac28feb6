"""How two arrays of one shape differ, in words."""

from __future__ import annotations

import math

import numpy as np

from autograde.comparison.arrangement import Same, by_slice, ordered
from autograde.comparison.place import first_index, first_place, only
from autograde.comparison.tolerance import Array, near


def explain(a: Array, e: Array, bad: Array, rtol: float, atol: float) -> str:
    """How two arrays of one shape differ, the most specific explanation first."""
    told = _not_finite(a, e)
    if told:
        return told
    place, flat = first_place(a, bad), a.size < 3
    if a.dtype.kind in "biu":
        a = a.astype(np.float64)
    if e.dtype.kind in "biu":
        e = e.astype(np.float64)

    def same(x: Array, y: Array) -> bool:
        # A few entries first: most guesses are wrong, and arrays may have millions of entries.
        return bool(near(x.flat[:64], y.flat[:64], rtol, atol).all() and near(x, y, rtol, atol).all())

    if not flat and not a.any():
        return "is all zeros"
    told = _scaled(a, e, same)
    if told or flat:
        return told or place
    told = _shifted(a, e, same) or ordered(a, e, bad, same) or by_slice(a, e, same)
    if told:
        return told
    told = _masked(e, bad) or only(bad)
    return f"{told}\n{place}" if told else place + _nearly(a, e)


def _not_finite(a: Array, e: Array) -> str | None:
    for name, found in (("NaN", np.isnan(a) & ~np.isnan(e)), ("inf", np.isinf(a) & ~np.isinf(e))):
        if found.any():
            where = f": {found.sum()} of {found.size} entries, the first at {first_index(found)}"
            return f"contains {name}" + (where if found.ndim else "")
    return None


def _scaled(a: Array, e: Array, same: Same) -> str | None:
    """One factor everywhere, a flipped sign among them."""
    finite = np.isfinite(e) & np.isfinite(a)
    x, y = a[finite], e[finite]
    size = np.abs(y).max(initial=0.0)
    if size == 0 or not same(a[~finite], e[~finite]):
        return None
    ratio = float(np.vdot(y / size, x / size).real / np.vdot(y / size, y / size).real)
    if not math.isfinite(ratio) or abs(ratio) < 1e-6 or not same(x / ratio, y):
        return None
    big = max(abs(ratio), 1 / abs(ratio))
    sign = "the sign is flipped" if ratio < 0 else ""
    if abs(big - 1) < 1e-3:
        return sign or None
    guess = _guess(big, a.shape)
    if x.size < 3 and guess is None and round(big, 6) not in (2, 10):
        return None  # every single number has a ratio: only a telling one is worth a word
    text = f"{big:.3g} times too {'large' if abs(ratio) > 1 else 'small'} everywhere{guess or ''}"
    return f"{sign}, and it is {text}" if sign else text


def _guess(big: float, shape: tuple[int, ...]) -> str | None:
    """Where a factor may come from, only where it fits to 1e-3."""

    def fits(value: float) -> bool:
        return value > 1 and abs(big / value - 1) < 1e-3

    for axis, n in enumerate(shape):
        if fits(n):
            return f": {n}, the length of axis {axis}?"
        if fits(math.sqrt(n)):
            return f": √{n}, axis {axis} has length {n}?"
    if fits(1 / math.log(2)):
        return ": 1/ln 2, a logarithm of another base?"
    if fits(math.prod(shape)):
        return f": {math.prod(shape)}, the number of entries?"
    roots = [*range(2, 17), *(2**k for k in range(5, 13))] if math.prod(shape) > 2 else []
    return next((f": √{n}?" for n in roots if fits(math.sqrt(n)) and math.isqrt(n) ** 2 != n), None)


def _shifted(a: Array, e: Array, same: Same) -> str | None:
    """One offset everywhere."""
    gap = (a - e)[np.isfinite(a) & np.isfinite(e)]
    offset = gap.mean() if gap.size else 0.0
    if gap.size < 3 or not np.isfinite(offset) or not same(a - offset, e):
        return None
    if a.dtype.kind == "c":
        return "off by the same constant everywhere"
    return f"{abs(offset):.3g} too {'large' if offset > 0 else 'small'} everywhere"


def _masked(e: Array, bad: Array) -> str | None:
    """Only places that hold 0 or -inf in the answer are wrong, and most of these."""
    masked = (e == 0) | np.isneginf(e.real)
    count = int(masked.sum())
    if 2 <= count < e.size and not (bad & ~masked).any() and 2 * bad.sum() >= count:
        value = "0" if (e[masked] == 0).all() else "0 or -inf"
        return f"only entries that should be {value} are wrong (masked positions?)"
    return None


def _nearly(a: Array, e: Array) -> str:
    """Said where the answer is almost right."""
    finite = np.isfinite(a) & np.isfinite(e)
    size = np.abs(e[finite]).max(initial=0.0)
    gap = np.abs(a[finite] - e[finite]).max(initial=0.0)
    if not np.array_equal(finite, np.isfinite(e)) or not 0 < gap <= 1e-2 * size:
        return ""
    return f"\nnearly right: off by at most {100 * gap / size:.1g} % of the largest entry"
