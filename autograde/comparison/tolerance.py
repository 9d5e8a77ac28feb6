"""Values as numbers, and when two of them are near enough."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from autograde.comparison.kinds import kind_of

Array = npt.NDArray[Any]
WORDS = {"b": "bool", "i": "int", "u": "int", "f": "float", "c": "complex"}
# Loose enough for another order of summation, tight enough for a wrong epsilon; integers are exact.
_TOLERANCES = {
    "float16": (2e-3, 1e-3),
    "bfloat16": (2e-2, 1e-2),
    "float32": (1e-4, 1e-5),
    "complex64": (1e-4, 1e-5),
    "float64": (1e-7, 1e-8),
    "complex128": (1e-7, 1e-8),
}


def as_numpy(value: Any) -> Array | None:
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


def dtype_name(value: Any) -> str:
    """The name of a number's or an array's dtype; that of a Python number is of 64 bits."""
    if kind_of(value) in ("a bool", "an int", "a float", "a complex number"):
        return {bool: "bool", int: "int64", float: "float64", complex: "complex128"}[type(value)]
    return str(value.dtype).removeprefix("torch.")


def fits_dtype(a: Array, e: Array, names: list[str], number: bool) -> bool:
    """The same kind, and the same precision; any width passes for a plain int, an int for a plain float."""
    kinds = WORDS[a.dtype.kind], WORDS[e.dtype.kind]
    if number:
        return kinds[0] == kinds[1] or kinds == ("int", "float")
    if kinds == ("int", "int") and names[1] in ("int32", "int64"):
        return True
    return names[0] == names[1]


def tolerances(names: Iterable[str], rtol: float | None, atol: float | None) -> tuple[float, float]:
    """Relative and absolute tolerance, from the coarser dtype where the test names none."""
    coarse = (0.0, 0.0)
    for name in names:
        loose = (0.3, 0.01) if name.startswith("float8") else (1e-7, 1e-8)
        known = (0.0, 0.0) if name.startswith(("int", "uint", "bool")) else _TOLERANCES.get(name, loose)
        coarse = max(coarse, known)
    return (coarse[0] if rtol is None else rtol, coarse[1] if atol is None else atol)


def near(a: Array, e: Array, rtol: float, atol: float) -> Array:
    """Entry by entry: equal within tolerance, or both NaN."""
    equal: Array = a == e
    if a.dtype.kind in "biu" and e.dtype.kind in "biu":
        if rtol == 0 == atol:
            return equal
        a, e = a.astype(np.float64), e.astype(np.float64)
    within = np.abs(a - e) <= atol + rtol * np.abs(e)
    within &= np.isfinite(e)
    within = within | equal | (np.isnan(a) & np.isnan(e))
    return np.asarray(within)
