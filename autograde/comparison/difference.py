"""How the learner's value differs from ours: its kind, structure and shape, then its entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autograde.comparison.explanation import explain
from autograde.comparison.kinds import NUMBERS, is_plain, kind_of, show
from autograde.comparison.place import count, first_place, reshaped
from autograde.comparison.tolerance import WORDS, as_numpy, dtype_name, fits_dtype, near, tolerances


@dataclass(frozen=True)
class Rules:
    """How two values are compared.

    Attributes:
        rtol, atol: tolerances of floats; None for those of the coarser of the two dtypes.
        dtype: whether the kind and precision are part of the answer.
        gradient: whether a None of the learner's is a gradient that did not arrive.
        inner: whether these are values within a list, a tuple or a dict.
    """

    rtol: float | None
    atol: float | None
    dtype: bool
    gradient: bool
    inner: bool = False


def compare(actual: Any, expected: Any, rules: Rules, what: str) -> str | None:
    """The message, or None where the two agree."""
    wanted, got = kind_of(expected), kind_of(actual)
    if got == "None" and wanted not in ("None", "an object"):
        return _nothing(what, "a number" if wanted in NUMBERS else wanted, rules)
    if wanted in NUMBERS or wanted in ("a NumPy array", "a torch tensor"):
        return _compare_arrays(actual, expected, rules, what)
    if wanted == "an object":
        raise TypeError(f"{what}: the test expects {type(expected).__name__}, which can't be compared")
    if wanted != got:
        return _wrong_kind(what, got, wanted)
    if wanted in ("a list", "a tuple"):
        return _compare_sequences(actual, expected, rules, what)
    if wanted in ("a dict", "a set"):
        return _compare_keys(actual, expected, what) or _first(
            compare(actual[key], expected[key], replace(rules, inner=True), f"{what}[{show(key)}]")
            for key in (expected if wanted == "a dict" else ())
        )
    if actual == expected:
        return None
    length = "" if wanted == "None" else f" (length {len(actual)})"
    return f"{what}: not the right {wanted.split()[-1]}; yours is {show(actual)}{length}"


def _compare_sequences(actual: Any, expected: Any, rules: Rules, what: str) -> str | None:
    if len(actual) != len(expected):
        return f"{what}: has {count(len(actual), 'entry')}, should have {len(expected)}"
    kind = _row_kind(expected)
    if len(expected) > 1 and kind and _row_kind(actual) in (int, kind):
        # As one array, a list of numbers gets the same explanations as an array.
        return _compare_arrays(np.array(actual, kind), np.array(expected, kind), rules, what)
    return _first(
        compare(x, y, replace(rules, inner=True), f"{what}[{i}]")
        for i, (x, y) in enumerate(zip(actual, expected, strict=True))
    )


def _compare_keys(actual: Any, expected: Any, what: str) -> str | None:
    noun = "key" if type(expected) is dict else "element"
    if not is_plain(actual):
        return f"{what}: holds an object as {noun}; use plain data (numbers, strings, tuples of them)"
    missing, extra = [k for k in expected if k not in actual], [k for k in actual if k not in expected]
    told = [f"lacks {len(missing)} of {count(len(expected), noun)}"] if missing else []
    told += [f"has {count(len(extra), noun)} too many, such as {show(extra[0])}"] if extra else []
    return f"{what}: " + " and ".join(told) if told else None


def _row_kind(values: Any) -> type | None:
    """Either int or float where a list holds only such Python numbers, all exact as float64; else None."""
    kinds = {kind_of(v) for v in values}
    if not kinds <= {"an int", "a float"} or any(abs(v) >= 2**53 for v in values if type(v) is int):
        return None
    return float if "a float" in kinds else int


def _first(told: Iterable[str | None]) -> str | None:
    return next((message for message in told if message), None)


def _nothing(what: str, wanted: str, rules: Rules) -> str:
    """Of a None where something should be."""
    if rules.gradient:
        cut = "is the graph cut on the way (detach, no_grad, .item()), or is the value not used?"
        return f"{what}: no gradient arrived; {cut}"
    if rules.inner:
        return f"{what}: is None, should be {wanted}"
    return f"{what}: returned None; return {wanted} (is a `return` missing?)"


def _wrong_kind(what: str, got: str, wanted: str) -> str:
    if (got, wanted) == ("a torch tensor", "a NumPy array"):
        return f"{what}: returned a torch tensor; return a NumPy array"
    return f"{what}: returned {got}; return {wanted}"


def _compare_arrays(actual: Any, expected: Any, rules: Rules, what: str) -> str | None:
    told = _unfit(actual, expected, what)
    if told:
        return told
    names = [dtype_name(actual), dtype_name(expected)]
    shapes = [tuple(np.shape(v)) if kind_of(v) in NUMBERS else tuple(v.shape) for v in (actual, expected)]
    if shapes[0] != shapes[1]:
        return f"{what}: shape is {shapes[0]}, should be {shapes[1]}{reshaped(*shapes)}"
    a, e = as_numpy(actual), as_numpy(expected)
    if e is None:
        return _compare_text(actual, expected, what)
    if a is None:
        return f"{what}: can't be read as numbers; return a dense array or tensor of numbers"
    if rules.dtype and not fits_dtype(a, e, names, kind_of(expected) in NUMBERS):
        if kind_of(expected) in NUMBERS:
            return f"{what}: is {WORDS[a.dtype.kind]}, should be {WORDS[e.dtype.kind]}"
        return f"{what}: dtype is {names[0]}, should be {names[1]}"
    tolerance = tolerances(names, rules.rtol, rules.atol)
    right = near(a, e, *tolerance)
    if type(actual) is int and type(expected) is int and not any(tolerance):
        right = np.asarray(actual == expected)  # integers beyond 64 bits were rounded above
    return None if right.all() else f"{what}: {explain(a, e, ~right, *tolerance)}"


def _compare_text(actual: Any, expected: Any, what: str) -> str | None:
    """Arrays of text, entry by entry."""
    if type(expected) is not np.ndarray or expected.dtype.kind not in "US":
        raise TypeError(f"{what}: the test expects {dtype_name(expected)}, which can't be compared")
    if actual.dtype.kind != expected.dtype.kind:
        return f"{what}: is not an array of text"
    right = actual == expected
    return None if right.all() else f"{what}: {first_place(actual, ~right)}"


def _unfit(actual: Any, expected: Any, what: str) -> str | None:
    """Told where the learner's value is not of the expected sort."""
    got, wanted = kind_of(actual), kind_of(expected)
    if wanted in NUMBERS:
        scalar = got in NUMBERS or (got == "a NumPy array" and actual.ndim == 0)
        return None if scalar else _wrong_kind(what, got, "a number")
    if wanted == "a NumPy array" and expected.ndim == 0 and got in NUMBERS:
        return None
    return None if got == wanted else _wrong_kind(what, got, wanted)
