"""Comparing what the learner's code returned with what it should return, and explaining the difference.

The learner reads these messages, so none of them prints an expected value: shapes, dtypes, positions, counts,
ratios and the learner's own values are all they hold.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[Any]
Same = Callable[[Array, Array], bool]

_TYPES: dict[type, str] = {
    type(None): "None",
    bool: "a bool",
    int: "an int",
    float: "a float",
    complex: "a complex number",
    str: "a string",
    bytes: "bytes",
    list: "a list",
    tuple: "a tuple",
    dict: "a dict",
    set: "a set",
    frozenset: "a set",
    np.ndarray: "a NumPy array",
    torch.Tensor: "a torch tensor",
    torch.nn.Parameter: "a torch tensor",
    **{t: "a NumPy number" for t in np.sctypeDict.values() if issubclass(t, np.number | np.bool_)},
}
# By identity: a learner's metaclass could lie about equality, or raise when its class is hashed.
_KINDS = {id(t): name for t, name in _TYPES.items()}
_NUMBERS = ("a bool", "an int", "a float", "a complex number", "a NumPy number")
_WORDS = {"b": "bool", "i": "int", "u": "int", "f": "float", "c": "complex"}

# Loose enough for another order of summation, tight enough for a wrong epsilon; integers are exact.
_TOLERANCES = {
    "float16": (2e-3, 1e-3),
    "bfloat16": (2e-2, 1e-2),
    "float32": (1e-4, 1e-5),
    "complex64": (1e-4, 1e-5),
    "float64": (1e-7, 1e-8),
    "complex128": (1e-7, 1e-8),
}
_AXES = 6  # explanations look at no more axes than this, so that their cost is bounded
_DEPTH = 64


def close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    what: str = "result",
    dtype: bool = True,
) -> None:
    """Check that the learner's value is the expected one, within tolerance.

    Args:
        actual: what the learner's code returned, whatever it is.
        expected: ours: a number, string, array, tensor, or a nested list, tuple, dict of them.
        rtol: relative tolerance; by default that of the coarser of the two dtypes.
        atol: absolute tolerance; by default that of the coarser of the two dtypes.
        what: what the message calls the value.
        dtype: whether the kind and precision of `expected` are part of the answer.

    Raises:
        AssertionError: it is not; the message explains how it differs, without an expected value.
        TypeError: `expected` is not something that can be compared (a mistake in the test).
    """
    with np.errstate(all="ignore"):  # overflow in a learner's values, or in a guess, is no news
        told = _compare(actual, expected, rtol, atol, what, dtype)
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
        return _alike(a, b, rtol, atol, 0)


def kind_of(value: Any) -> str:
    """What a value is, in words; only exact types are trusted, everything else is "an object"."""
    return _KINDS.get(id(type(value)), "an object")


# ------------------------------------------------------------------------------------------------ alike


def _alike(a: Any, b: Any, rtol: float | None, atol: float | None, depth: int) -> bool:
    kind = kind_of(a)
    if kind in _NUMBERS:
        return kind_of(b) in _NUMBERS and _alike_numbers(a, b, rtol, atol)
    if kind != kind_of(b) or depth > _DEPTH:
        return False
    if kind in ("a list", "a tuple"):
        same_length = len(a) == len(b)
        return same_length and all(_alike(x, y, rtol, atol, depth + 1) for x, y in zip(a, b, strict=True))
    if kind in ("a NumPy array", "a torch tensor"):
        return bool(a.dtype == b.dtype and a.shape == b.shape) and _alike_arrays(a, b, rtol, atol)
    if kind == "a dict":
        same_keys = _is_plain(a) and _is_plain(b) and a.keys() == b.keys()
        return same_keys and all(_alike(a[key], b[key], rtol, atol, depth + 1) for key in a)
    if kind == "a set":
        return _is_plain(a) and _is_plain(b) and bool(a == b)
    return a is b or (kind in ("a string", "bytes") and bool(a == b))


def _alike_numbers(a: Any, b: Any, rtol: float | None, atol: float | None) -> bool:
    """A bool is only like a bool; an int is like a float of the same value."""
    if type(a) is type(b) and type(a) in (bool, int):
        return bool(a == b)
    x, y = _numpy(a), _numpy(b)
    if x is None or y is None or (x.dtype.kind == "b") != (y.dtype.kind == "b"):
        return False
    return bool(_near(x, y, *_tolerance((_dtype_name(a), _dtype_name(b)), rtol, atol)))


def _alike_arrays(a: Any, b: Any, rtol: float | None, atol: float | None) -> bool:
    x, y = _numpy(a), _numpy(b)
    if x is None or y is None:
        return type(a) is np.ndarray and a.dtype.kind in "US" and bool((a == b).all())
    return bool(_near(x, y, *_tolerance((_dtype_name(a),), rtol, atol)).all())


# ---------------------------------------------------------------------------------------------- structure


def _compare(
    actual: Any, expected: Any, rtol: float | None, atol: float | None, what: str, dtype: bool
) -> str | None:
    """The message, or None where the two agree."""
    wanted, got = kind_of(expected), kind_of(actual)
    if wanted in _NUMBERS or wanted in ("a NumPy array", "a torch tensor"):
        return _compare_arrays(actual, expected, rtol, atol, what, dtype)
    if wanted == "an object":
        raise TypeError(f"{what}: the test expects {type(expected).__name__}, which can't be compared")
    if wanted != got:
        return _wrong_kind(what, got, wanted)
    if wanted in ("a list", "a tuple"):
        return _compare_sequences(actual, expected, rtol, atol, what, dtype)
    if wanted in ("a dict", "a set"):
        return _compare_keys(actual, expected, what) or _first(
            _compare(actual[key], expected[key], rtol, atol, f"{what}[{_show(key)}]", dtype)
            for key in (expected if wanted == "a dict" else ())
        )
    if actual == expected:
        return None
    length = "" if wanted == "None" else f" (length {len(actual)})"
    return f"{what}: not the right {wanted.split()[-1]}; yours is {_show(actual)}{length}"


def _compare_sequences(
    actual: Any, expected: Any, rtol: float | None, atol: float | None, what: str, dtype: bool
) -> str | None:
    if len(actual) != len(expected):
        return f"{what}: has {_count(len(actual), 'entry')}, should have {len(expected)}"
    kind = _row_kind(expected)
    if len(expected) > 1 and kind and _row_kind(actual) in (int, kind):
        # As one array, a list of numbers gets the same explanations as an array.
        return _compare_arrays(np.array(actual, kind), np.array(expected, kind), rtol, atol, what, dtype)
    return _first(
        _compare(x, y, rtol, atol, f"{what}[{i}]", dtype)
        for i, (x, y) in enumerate(zip(actual, expected, strict=True))
    )


def _compare_keys(actual: Any, expected: Any, what: str) -> str | None:
    noun = "key" if type(expected) is dict else "element"
    if not _is_plain(actual):
        return f"{what}: holds an object as {noun}; use plain data (numbers, strings, tuples of them)"
    missing, extra = [k for k in expected if k not in actual], [k for k in actual if k not in expected]
    told = [f"lacks {len(missing)} of {_count(len(expected), noun)}"] if missing else []
    told += [f"has {_count(len(extra), noun)} too many, such as {_show(extra[0])}"] if extra else []
    return f"{what}: " + " and ".join(told) if told else None


def _is_plain(values: Iterable[Any], depth: int = 0) -> bool:
    """Whether keys can be hashed and compared without running code of the learner's."""
    return depth < _DEPTH and all(
        _is_plain(v, depth + 1)
        if type(v) is tuple or type(v) is frozenset
        else kind_of(v) in (*_NUMBERS, "a string", "bytes", "None")
        for v in values
    )


def _row_kind(values: Any) -> type | None:
    """Either int or float where a list holds only such Python numbers, all exact as float64; else None."""
    kinds = {kind_of(v) for v in values}
    if not kinds <= {"an int", "a float"} or any(abs(v) >= 2**53 for v in values if type(v) is int):
        return None
    return float if "a float" in kinds else int


def _first(told: Iterable[str | None]) -> str | None:
    return next((message for message in told if message), None)


def _wrong_kind(what: str, got: str, wanted: str) -> str:
    if (got, wanted) == ("a torch tensor", "a NumPy array"):
        return f"{what}: returned a torch tensor; return a NumPy array"
    if got == "None":
        return f"{what}: returned None; return {wanted} (is a `return` missing?)"
    return f"{what}: returned {got}; return {wanted}"


# ------------------------------------------------------------------------------------------------- arrays


def _compare_arrays(
    actual: Any, expected: Any, rtol: float | None, atol: float | None, what: str, dtype: bool
) -> str | None:
    told = _unfit(actual, expected, what)
    if told:
        return told
    names = [_dtype_name(actual), _dtype_name(expected)]
    shapes = [tuple(np.shape(v)) if kind_of(v) in _NUMBERS else tuple(v.shape) for v in (actual, expected)]
    if shapes[0] != shapes[1]:
        return f"{what}: shape is {shapes[0]}, should be {shapes[1]}{_reshaped(*shapes)}"
    a, e = _numpy(actual), _numpy(expected)
    if e is None:
        return _compare_text(actual, expected, what)
    if a is None:
        return f"{what}: can't be read as numbers; return a dense array or tensor of numbers"
    if dtype and not _fits_dtype(a, e, names, kind_of(expected) in _NUMBERS):
        if kind_of(expected) in _NUMBERS:
            return f"{what}: is {_WORDS[a.dtype.kind]}, should be {_WORDS[e.dtype.kind]}"
        return f"{what}: dtype is {names[0]}, should be {names[1]}"
    tolerance = _tolerance(names, rtol, atol)
    right = _near(a, e, *tolerance)
    if type(actual) is int and type(expected) is int and not any(tolerance):
        right = np.asarray(actual == expected)  # integers beyond 64 bits were rounded above
    return None if right.all() else f"{what}: {_explain(a, e, ~right, *tolerance)}"


def _compare_text(actual: Any, expected: Any, what: str) -> str | None:
    """Arrays of text, entry by entry."""
    if type(expected) is not np.ndarray or expected.dtype.kind not in "US":
        raise TypeError(f"{what}: the test expects {_dtype_name(expected)}, which can't be compared")
    if actual.dtype.kind != expected.dtype.kind:
        return f"{what}: is not an array of text"
    right = actual == expected
    return None if right.all() else f"{what}: {_place(actual, ~right)}"


def _unfit(actual: Any, expected: Any, what: str) -> str | None:
    """Told where the learner's value is not of the expected sort."""
    got, wanted = kind_of(actual), kind_of(expected)
    if wanted in _NUMBERS:
        scalar = got in _NUMBERS or (got == "a NumPy array" and actual.ndim == 0)
        return None if scalar else _wrong_kind(what, got, "a number")
    if wanted == "a NumPy array" and expected.ndim == 0 and got in _NUMBERS:
        return None
    return None if got == wanted else _wrong_kind(what, got, wanted)


def _numpy(value: Any) -> Array | None:
    """A value as a NumPy array of bool, integers, float64 or complex128; None where it is not numbers."""
    if kind_of(value) == "a torch tensor":
        if value.layout is not torch.strided or value.is_nested or value.is_quantized:
            return None
        try:
            value = torch.Tensor.detach(value).cpu().resolve_conj().resolve_neg()
            value = (value.double() if value.is_floating_point() else value).numpy()
        except (RuntimeError, TypeError, NotImplementedError):
            return None  # a tensor without storage (meta device), or a dtype NumPy can't hold
    elif type(value) is int and not -(2**63) <= value < 2**63:
        value = float(max(min(value, sys.float_info.max), -sys.float_info.max))  # never an overflow
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return array.astype(np.float64, copy=False)
    if array.dtype.kind == "c":
        return array.astype(np.complex128, copy=False)
    return array if array.dtype.kind in "biu" else None


def _dtype_name(value: Any) -> str:
    if kind_of(value) in ("a bool", "an int", "a float", "a complex number"):
        return {bool: "bool", int: "int64", float: "float64", complex: "complex128"}[type(value)]
    return str(value.dtype).removeprefix("torch.")


def _fits_dtype(a: Array, e: Array, names: list[str], number: bool) -> bool:
    """The same kind, and the same precision; any width passes for a plain int, an int for a plain float."""
    kinds = _WORDS[a.dtype.kind], _WORDS[e.dtype.kind]
    if number:
        return kinds[0] == kinds[1] or kinds == ("int", "float")
    if kinds == ("int", "int") and names[1] in ("int32", "int64"):
        return True
    return names[0] == names[1]


def _tolerance(names: Iterable[str], rtol: float | None, atol: float | None) -> tuple[float, float]:
    """Relative and absolute tolerance, from the coarser dtype where the test names none."""
    coarse = (0.0, 0.0)
    for name in names:
        loose = (0.3, 0.01) if name.startswith("float8") else (1e-7, 1e-8)
        known = (0.0, 0.0) if name.startswith(("int", "uint", "bool")) else _TOLERANCES.get(name, loose)
        coarse = max(coarse, known)
    return (coarse[0] if rtol is None else rtol, coarse[1] if atol is None else atol)


def _near(a: Array, e: Array, rtol: float, atol: float) -> Array:
    """Entry by entry: equal within tolerance, or both NaN."""
    equal: Array = a == e
    if a.dtype.kind in "biu" and e.dtype.kind in "biu":
        if rtol == 0 == atol:
            return equal
        a, e = a.astype(np.float64), e.astype(np.float64)
    near = np.abs(a - e) <= atol + rtol * np.abs(e)
    near &= np.isfinite(e)
    near = near | equal | (np.isnan(a) & np.isnan(e))
    return np.asarray(near)


# -------------------------------------------------------------------------------------------- explanations


def _explain(a: Array, e: Array, bad: Array, rtol: float, atol: float) -> str:
    """How two arrays of one shape differ, the most specific explanation first."""
    told = _not_finite(a, e)
    if told:
        return told
    place, flat = _place(a, bad), a.size < 3
    if a.dtype.kind in "biu":
        a = a.astype(np.float64)
    if e.dtype.kind in "biu":
        e = e.astype(np.float64)

    def same(x: Array, y: Array) -> bool:
        # A few entries first: most guesses are wrong, and arrays may have millions of entries.
        return bool(_near(x.flat[:64], y.flat[:64], rtol, atol).all() and _near(x, y, rtol, atol).all())

    if not flat and not a.any():
        return "is all zeros"
    told = _scaled(a, e, same)
    if told or flat:
        return told or place
    told = _shifted(a, e, same) or _ordered(a, e, bad, same) or _by_slice(a, e, same)
    if told:
        return told
    told = _masked(e, bad) or _only(bad)
    return f"{told}\n{place}" if told else place + _nearly(a, e)


def _not_finite(a: Array, e: Array) -> str | None:
    for name, found in (("NaN", np.isnan(a) & ~np.isnan(e)), ("inf", np.isinf(a) & ~np.isinf(e))):
        if found.any():
            where = f": {found.sum()} of {found.size} entries, the first at {_first_index(found)}"
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


def _ordered(a: Array, e: Array, bad: Array, same: Same) -> str | None:
    """The right values in other places."""
    axes = range(min(a.ndim, _AXES))
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
    return "the right values, in other places" if _distinct(y) and same(x, y) else None


def _moved(a: Array, e: Array, bad: Array, same: Same, axis: int) -> bool:
    x, y, wrong = (np.moveaxis(v, axis, 0) for v in (a, e, bad))
    return bool(wrong[1:].any() and same(x[1:], y[:-1])) or bool(wrong[:-1].any() and same(x[:-1], y[1:]))


def _permuted(a: Array, e: Array, same: Same, axis: int) -> bool:
    """Whether the slices along an axis are the right ones: sorted by a random projection they must agree."""
    x, y = (np.moveaxis(v, axis, 0).reshape(v.shape[axis], -1) for v in (a, e))
    weights = np.random.default_rng(0).standard_normal(x.shape[1])
    ranks = [np.nan_to_num(v, nan=1.7, posinf=2.3, neginf=-3.1).dot(weights).real.argsort() for v in (x, y)]
    return _distinct(np.sort(y, axis=None)) and same(x[ranks[0]], y[ranks[1]])


def _distinct(ordered: Array) -> bool:
    """Whether sorted values hold at least three different ones."""
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) >= 2


def _by_slice(a: Array, e: Array, same: Same) -> str | None:
    """A factor, or an offset, of its own for each slice along an axis."""
    if not (np.isfinite(a).all() and np.isfinite(e).all()):
        return None
    for k in range(min(a.ndim, _AXES)):
        if a.ndim < 2 or a.shape[k] < 3:
            continue
        ratio = (a * e.conj()).sum(k, keepdims=True) / (e * e.conj()).sum(k, keepdims=True)
        fits = np.isfinite(ratio).all() and ratio.all() and same(a / ratio, e)
        if fits:
            return f"each slice along axis {k} is right up to a factor of its own: normalised?"
        if same(a - (a - e).mean(k, keepdims=True), e):
            return f"each slice along axis {k} is right up to a constant of its own"
    return None


def _masked(e: Array, bad: Array) -> str | None:
    """Only places that hold 0 or -inf in the answer are wrong, and most of these."""
    masked = (e == 0) | np.isneginf(e.real)
    count = int(masked.sum())
    if 2 <= count < e.size and not (bad & ~masked).any() and 2 * bad.sum() >= count:
        return "only masked positions are wrong"
    return None


def _only(bad: Array) -> str | None:
    """The wrong entries lie in one slice, or from one slice on."""
    if bad.sum() < 2 and bad.ndim != 1:
        return None
    for k in range(min(bad.ndim, _AXES)):
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


def _nearly(a: Array, e: Array) -> str:
    """Said where the answer is almost right."""
    finite = np.isfinite(a) & np.isfinite(e)
    size = np.abs(e[finite]).max(initial=0.0)
    gap = np.abs(a[finite] - e[finite]).max(initial=0.0)
    if not np.array_equal(finite, np.isfinite(e)) or not 0 < gap <= 1e-2 * size:
        return ""
    return f"\nnearly right: off by at most {100 * gap / size:.1g} % of the largest entry"


def _place(a: Array, bad: Array) -> str:
    """Where the first difference is, and the learner's value there."""
    index = _first_index(bad)
    yours = f"yours is {_show(a[tuple(index)].item())}"
    if not bad.ndim:
        return f"not the right value; {yours}"
    if bad.sum() == 1 < bad.size:
        return f"differs only at {index}, 1 of {_count(bad.size, 'entry')}; {yours}"
    return f"differs at {index} (first of {bad.sum()} of {_count(bad.size, 'entry')}); {yours}"


def _reshaped(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
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


def _first_index(mask: Array) -> list[int]:
    return [int(i) for i in np.unravel_index(int(mask.argmax()), mask.shape)]


def _count(n: int, noun: str) -> str:
    plural = noun.removesuffix("y") + "ies" if noun.endswith("y") and noun != "key" else noun + "s"
    return f"{n} {noun if n == 1 else plural}"


def _show(value: Any) -> str:
    """The learner's own value, short."""
    if type(value) is int:
        return str(value) if abs(value) < 10**15 else f"an integer of {value.bit_length()} bits"
    if type(value) in (float, complex):
        return f"{value:.4g}"
    if type(value) in (str, bytes):
        return repr(value[:40]) + ("…" if len(value) > 40 else "")
    return repr(value) if type(value) is bool or value is None else kind_of(value)
