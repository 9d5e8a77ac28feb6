from __future__ import annotations

from numbers import Real

import numpy as np
import pytest

CALLS = 20

# What each function breaks, by argument and not by trying.
NORMS = {
    "the sum of the absolute values": (lambda V, _: np.abs(V).sum(axis=1), ()),
    "the Euclidean length": (lambda V, _: np.sqrt((V**2).sum(axis=1)), ()),
    "the largest absolute entry": (lambda V, _: np.abs(V).max(axis=1), ()),
    "a weighted length": (lambda V, w: np.sqrt((w * V**2).sum(axis=1)), ()),
}
SCALES = {
    "the number of entries other than 0": (lambda V, _: (V != 0).sum(axis=1) * 1.0, ("homogeneous",)),
    "a length that counts negative entries double": (
        lambda V, _: np.where(V < 0, -2 * V, V).sum(axis=1),
        ("homogeneous",),
    ),
    "a length with a ceiling": (lambda V, _: np.minimum(np.abs(V).sum(axis=1), 1.5), ("homogeneous",)),
}
TRIANGLES = {
    "the sum of roots, squared": (lambda V, _: np.sqrt(np.abs(V)).sum(axis=1) ** 2, ("triangle",)),
    "the squared length": (lambda V, w: (w * V**2).sum(axis=1), ("homogeneous", "triangle")),
    "the largest plus twice the smallest absolute entry": (
        lambda V, _: np.abs(V).max(axis=1) + 2 * np.abs(V).min(axis=1),
        ("triangle",),
    ),
}
POSITIVE = {
    "the first entry's size": (lambda V, w: w[0] * np.abs(V[:, 0]), ("positive",)),
    "the size of the sum": (lambda V, _: np.abs(V.sum(axis=1)), ("positive",)),
    "the sum": (lambda V, _: V.sum(axis=1), ("positive", "homogeneous")),
    "the largest entry": (lambda V, _: V.max(axis=1), ("positive", "homogeneous")),
    "a length and a constant": (lambda V, _: np.abs(V).sum(axis=1) + 1, ("positive", "homogeneous")),
}


def verify(student, rng, close, cases):
    """The learner's set is the known one for each of these functions, in both dimensions."""
    for name, (f, breaks) in cases.items():
        for dim in (2, 3):
            weights, calls = rng.uniform(0.5, 2, dim), []

            def asked(V, f=f, weights=weights, calls=calls, dim=dim):
                assert isinstance(V, np.ndarray), "f must be called with a NumPy array"
                assert V.ndim == 2, f"f must be called with an array of two dimensions, not {V.ndim}"
                assert V.shape[1] == dim, f"f must be called with rows of {dim} entries, not {V.shape[1]}"
                assert V.dtype.kind in "iuf", "f must be called with real numbers"
                calls.append(len(V))
                assert len(calls) <= CALLS, f"f was called more than {CALLS} times"
                return f(V.astype(np.float64), weights)

            found = student.broken(asked, dim)
            assert isinstance(found, (set, frozenset)), "broken must return a set"
            close(set(found), set(breaks), what=f"broken for {name}, {dim} entries")


@pytest.mark.points(2)
@pytest.mark.task("broken")
def test_positive(student, rng, close):
    """A value of 0 or below, or a value at the zero vector, breaks the first promise; norms break none."""
    verify(student, rng, close, POSITIVE | {k: NORMS[k] for k in list(NORMS)[:1]})


@pytest.mark.points(1)
@pytest.mark.task("broken")
def test_homogeneous(student, rng, close):
    """A factor must come out with its size, negative factors too; weighted lengths keep all promises."""
    verify(student, rng, close, SCALES | {k: NORMS[k] for k in list(NORMS)[2:]})


@pytest.mark.points(1)
@pytest.mark.task("broken")
def test_triangle(student, rng, close):
    """A detour that is shorter than the straight way breaks the third promise; the Euclidean length keeps it."""
    verify(student, rng, close, TRIANGLES | {k: NORMS[k] for k in list(NORMS)[1:2]})


def witness(student, key):
    """The learner's example under this key, or a failed assertion that says what is missing."""
    found = student.witnesses()
    assert isinstance(found, dict), "witnesses() must return a dict"
    assert key in found, f'witnesses() has no key "{key}"'
    return found[key]


def vector(value, key):
    """A vector of an example in float64, or a failed assertion that says what it is not."""
    assert isinstance(value, (list, tuple, np.ndarray)), f'"{key}": a vector must be a list or a NumPy array'
    array = np.asarray(value)
    assert array.dtype.kind in "iuf", f'"{key}": a vector must hold real numbers'
    assert array.ndim == 1, f'"{key}": a vector must have one dimension, not {array.ndim}'
    assert 2 <= len(array) <= 10, f'"{key}": a vector must have 2 to 10 entries, not {len(array)}'
    assert np.all(np.abs(array) <= 100), f'"{key}": entries must lie from -100 to 100'
    return array.astype(np.float64)


def two(value, key, what):
    """The two parts of an example, or a failed assertion."""
    assert isinstance(value, (list, tuple)), f'"{key}": give a pair {what}'
    assert len(value) == 2, f'"{key}": give a pair {what}, not {len(value)} values'
    return value


@pytest.mark.points(1)
@pytest.mark.task("witnesses")
def test_l0(student):
    """The number of entries that are not 0 does not scale, and the example shows it."""
    c, v = two(witness(student, "L0"), "L0", "(c, v)")
    assert isinstance(c, Real), '"L0": c must be a number'
    assert not isinstance(c, (bool, np.bool_)), '"L0": c must be a number'
    assert -10 <= c <= 10, '"L0": c must lie from -10 to 10'
    v = vector(v, "L0")
    assert np.any(v != 0), '"L0": both sides are 0 for the zero vector'
    apart = abs(np.count_nonzero(c * v) - abs(c) * np.count_nonzero(v))
    assert apart > 0, '"L0": both sides are the same for this c'
    assert apart >= 0.5 - 1e-6, '"L0": the two sides differ by less than 0.5'


@pytest.mark.points(1)
@pytest.mark.task("witnesses")
def test_half(student):
    """For L0.5 the straight way is longer than the detour, and the example shows it."""
    u, v = two(witness(student, "L0.5"), "L0.5", "(u, v)")
    u, v = vector(u, "L0.5"), vector(v, "L0.5")
    assert len(u) == len(v), '"L0.5": u and v must have the same length'
    whole, parts = (np.sqrt(np.abs(u + v)).sum() ** 2, sum(np.sqrt(np.abs(x)).sum() ** 2 for x in (u, v)))
    assert np.any(u != 0), '"L0.5": u is the zero vector, and adding nothing breaks nothing'
    assert np.any(v != 0), '"L0.5": v is the zero vector, and adding nothing breaks nothing'
    assert whole > parts + 1e-9, '"L0.5": the triangle inequality holds for this u and v'
    assert whole >= parts + 0.5 - 1e-6, '"L0.5": the inequality is broken by less than 0.5'


@pytest.mark.points(1)
@pytest.mark.task("witnesses")
def test_spread(student):
    """A vector that is not zero has no spread."""
    v = vector(witness(student, "spread"), "spread")
    assert np.any(v != 0), '"spread": the zero vector may have the value 0; find another one'
    assert v.max() == v.min(), '"spread": the largest and the smallest entry of v differ'
