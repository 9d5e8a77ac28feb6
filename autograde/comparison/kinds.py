"""What a value is. A learner's object could lie, so only exact types are trusted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

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
NUMBERS = ("a bool", "an int", "a float", "a complex number", "a NumPy number")
DEPTH = 64


def kind_of(value: Any) -> str:
    """What a value is, in words; only exact types are trusted, everything else is "an object"."""
    return _KINDS.get(id(type(value)), "an object")


def is_plain(values: Iterable[Any], depth: int = 0) -> bool:
    """Whether keys can be hashed and compared without running code of the learner's."""
    return depth < DEPTH and all(
        is_plain(v, depth + 1)
        if type(v) is tuple or type(v) is frozenset
        else kind_of(v) in (*NUMBERS, "a string", "bytes", "None")
        for v in values
    )


def show(value: Any) -> str:
    """The learner's own value, short."""
    if type(value) is int:
        return str(value) if abs(value) < 10**15 else f"an integer of {value.bit_length()} bits"
    if type(value) in (float, complex):
        return f"{value:.4g}"
    if type(value) in (str, bytes):
        return repr(value[:40]) + ("…" if len(value) > 40 else "")
    return repr(value) if type(value) is bool or value is None else kind_of(value)
