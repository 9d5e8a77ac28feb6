from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest


@pytest.mark.points(1)
@pytest.mark.task("lp_norm")
def test_norms(student, rng, close):
    """L1, L2 and others have the values that their definition says, for vectors of any length."""
    for n in (1, 2, 7):
        v = np.sort(rng.uniform(0.5, 10, n)) * np.where(np.arange(n) % 2, -1, 1)  # two have a negative sum
        for p in (1, 2, 4, 6.5):
            expected = float(np.linalg.norm(v, p))
            close(
                student.lp_norm(v, p),
                expected,
                rtol=1e-9,
                what=f"the norm of {n} entries, p = {p}",
                dtype=False,
            )


@pytest.mark.points(1)
@pytest.mark.task("lp_norm")
def test_odd_powers(student, rng, close):
    """Negative entries do not cancel others, for odd p and for p that are not whole."""
    v = rng.uniform(1, 5, 6)
    v[3:] = -v[:3] * rng.uniform(1.1, 1.5, 3)  # the sum is negative: an absolute value taken last still shows
    for p in (1, 3, 1.5, 5, 2.7):
        expected = float(np.linalg.norm(v, p))
        what = f"the norm of a vector with entries of both signs, p = {p}"
        close(student.lp_norm(v, p), expected, rtol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("lp_norm")
def test_integers(student, rng, close, carried, raises):
    """Integer entries up to 1000 with p up to 8 are right; v is left as it was; p below 1 raises ValueError."""
    v = rng.integers(-1000, 1001, 5)
    v[0], v[1] = -1000, 999
    for p in (2, 7, 8):
        expected = float(np.linalg.norm(v.astype(float), p))
        actual, (args, _) = carried(student.lp_norm, v.copy(), p)
        close(actual, expected, rtol=1e-9, what=f"the norm of integers up to 1000, p = {p}", dtype=False)
        close(args[0], v, what="v after the call")
    for p in (0.5, 0, -1):
        with raises(ValueError):
            student.lp_norm(v.astype(float), p)


def steps(start, goal, size):
    """How many steps along the axes a shortest way on a grid takes, by trying them all."""
    seen, waiting = {start: 0}, deque([start])
    while waiting:
        here = waiting.popleft()
        if here == goal:
            return seen[here]
        for axis in range(2):
            for move in (-1, 1):
                there = tuple(c + move * (i == axis) for i, c in enumerate(here))
                if there not in seen and all(0 <= c < size for c in there):
                    seen[there] = seen[here] + 1
                    waiting.append(there)
    raise AssertionError("every place of a grid can be reached")


def measured(student, parts, P, Q):
    """The learner's two matrices, or a failed assertion."""
    return two(parts, student.distances(P, Q))


def two(parts, given):
    """The two values of what the learner returned, or a failed assertion."""
    return parts(given, "taxi", "crow", what="distances")


@pytest.mark.points(1)
@pytest.mark.task("distances")
def test_taxi(student, rng, close, parts):
    """L1 distances are the steps of a shortest way on a grid, and add up over all coordinates."""
    P, Q = rng.integers(0, 9, (3, 2)), rng.integers(0, 9, (5, 2))
    P[0], Q[0] = (0, 8), (8, 0)
    expected = np.array([[steps(tuple(p), tuple(q), 9) for q in Q.tolist()] for p in P.tolist()], dtype=float)
    taxi, _ = measured(student, parts, P.astype(float), Q.astype(float))
    close(taxi, expected, rtol=1e-9, atol=1e-12, what="taxi", dtype=False)
    P, Q = rng.standard_normal((4, 6)), rng.standard_normal((4, 6))
    expected = np.array([[math.fsum(abs(p - q)) for q in Q] for p in P])
    close(
        measured(student, parts, P, Q)[0],
        expected,
        rtol=1e-9,
        atol=1e-12,
        what="taxi in 6 dimensions",
        dtype=False,
    )


@pytest.mark.points(1)
@pytest.mark.task("distances")
def test_crow(student, rng, close, carried, parts):
    """L2 distances are straight lines in any dimension; for close points far from the origin they keep their digits."""
    for n, m, d in [(3, 5, 2), (4, 4, 4), (1, 3, 7), (2, 2, 1)]:
        P, Q = 3 * rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 1
        Q[0] = P[0]
        expected = np.array([[math.dist(p, q) for q in Q] for p in P])
        what = f"crow for {n} and {m} points in {d} dimensions"
        close(measured(student, parts, P, Q)[1], expected, rtol=1e-7, atol=1e-9, what=what, dtype=False)
    P = 1000 + 1e-3 * rng.standard_normal((3, 4))
    Q = P[:2] + 1e-2
    expected = np.array([[math.dist(p, q) for q in Q] for p in P])
    given, (args, _) = carried(student.distances, P.copy(), Q.copy())
    what = "crow for points about 0.02 apart and 2000 from the origin"
    close(two(parts, given)[1], expected, rtol=1e-7, what=what, dtype=False)
    close(args[0], P, rtol=0, atol=0, what="P after the call")
    close(args[1], Q, rtol=0, atol=0, what="Q after the call")


def extreme(student, parts, n, which):
    """One of the learner's two vectors in float64, or a failed assertion."""
    given = parts(student.extremes(n), "smallest", "largest", what="extremes")
    v = given[which]
    name = ("smallest", "largest")[which]
    assert isinstance(v, np.ndarray), f"{name} must be a NumPy array"
    assert v.shape == (n,), f"{name} must have the shape ({n},), not {v.shape}"
    assert v.dtype.kind in "iuf", f"{name} must hold real numbers"
    v = v.astype(np.float64)
    assert abs(np.linalg.norm(v) - 1) <= 1e-6, f"{name} does not have an L2 norm of 1"
    return v


@pytest.mark.points(1)
@pytest.mark.task("extremes")
def test_smallest(student, rng, parts):
    """No vector of L2 norm 1 has a smaller L1 norm."""
    for n in (2, 5, int(rng.integers(6, 40))):
        v = extreme(student, parts, n, 0)
        assert np.abs(v).sum() <= 1 + 1e-6, f"for n = {n} there is a vector with a smaller L1 norm"


@pytest.mark.points(1)
@pytest.mark.task("extremes")
def test_largest(student, rng, parts):
    """No vector of L2 norm 1 has a larger L1 norm."""
    for n in (2, 5, int(rng.integers(6, 40))):
        v = extreme(student, parts, n, 1)
        assert np.abs(v).sum() >= math.sqrt(n) - 1e-6, f"for n = {n} there is a vector with a larger L1 norm"
