from __future__ import annotations

import math

import numpy as np
import pytest


def at_angle(rng, theta, n):
    """Two random vectors of n entries and different lengths, at this angle."""
    u = rng.standard_normal(n)
    v = rng.standard_normal(n)
    v -= (v @ u) / (u @ u) * u
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    return rng.uniform(2, 5) * u, rng.uniform(0.2, 0.8) * (math.cos(theta) * u + math.sin(theta) * v)


@pytest.mark.points(1)
@pytest.mark.task("dot")
def test_sum(student, rng, close, carried):
    """The products of the entries are added up, for floats, for integers, and for no entries; nothing is changed."""
    for n in (1, 2, 7, 0):
        a, b = rng.standard_normal((2, n))
        close(
            student.dot(a, b), float(np.dot(a, b)), rtol=1e-9, what=f"dot of two vectors of {n}", dtype=False
        )
    a, b = rng.integers(-9, 10, (2, 6))
    a[0] = b[0] = 7
    actual, (args, _) = carried(student.dot, a.copy(), b.copy())
    close(actual, int(np.dot(a, b)), what="dot of two integer vectors", dtype=False)
    close(args[0], a, what="a after the call")
    close(args[1], b, what="b after the call")


@pytest.mark.points(1)
@pytest.mark.task("dot")
def test_lengths(student, rng, close, raises):
    """Vectors of different lengths raise ValueError, also where one has a single entry."""
    a, b = rng.standard_normal((2, 4))
    close(student.dot(a, b), float(np.dot(a, b)), rtol=1e-9, what="dot of two vectors of 4", dtype=False)
    for short in (3, 1):
        with raises(ValueError):
            student.dot(a, b[:short])
        with raises(ValueError):
            student.dot(a[:short], b)


@pytest.mark.points(1)
@pytest.mark.task("angle")
def test_angle(student, rng, close, carried):
    """Acute, right and obtuse angles come out in radians, whatever the lengths; the vectors stay as they were."""
    for theta, n in [(0.3, 2), (math.pi / 2, 3), (2.5, 5), (float(rng.uniform(1, 2)), 50)]:
        a, b = at_angle(rng, theta, n)
        actual, (args, _) = carried(student.angle, a.copy(), b.copy())
        close(actual, theta, rtol=0, atol=1e-6, what=f"angle of two vectors of {n}", dtype=False)
        close(args[0], a, rtol=0, atol=0, what="a after the call")
        close(args[1], b, rtol=0, atol=0, what="b after the call")
        for scale in (1e-6, 1e5):
            what = f"angle of two vectors of {n}, the entries of one about {scale:g}"
            close(student.angle(scale * a, b), theta, rtol=0, atol=1e-6, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("angle")
def test_parallel(student, rng, close):
    """Parallel vectors have the angle 0 and opposite ones π, in spite of rounding."""
    for theta, sign in [(math.pi, -1), (0.0, 1)]:
        for _ in range(40):
            a = rng.standard_normal(3)
            what = "angle of two " + ("parallel" if sign > 0 else "opposite") + " vectors"
            actual = student.angle(a, sign * rng.uniform(0.1, 9) * a)
            close(actual, theta, rtol=0, atol=1e-6, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("angle")
def test_zero_vector(student, rng, close, raises):
    """The zero vector has no direction, first or second: ValueError; a short vector has one."""
    a, b = at_angle(rng, 1.2, 4)
    what = "angle of two vectors with entries of about 0.000001"
    close(student.angle(1e-6 * a, 1e-6 * b), 1.2, rtol=0, atol=1e-6, what=what, dtype=False)
    with raises(ValueError):
        student.angle(np.zeros(4), b)
    with raises(ValueError):
        student.angle(a, np.zeros(4))


@pytest.mark.points(2)
@pytest.mark.task("same_dot")
def test_same_dot(student, rng, raises, parts):
    """Two pairs have the dot product c, for positive and negative c, and clearly different angles; c = 0 raises."""
    for c in (6, -3.5, float(rng.uniform(0.01, 0.1)), 100):
        given = parts(student.same_dot(c), "a1", "b1", "a2", "b2", what="same_dot")
        for vector in given:
            assert isinstance(vector, np.ndarray), "each of the four must be a NumPy array"
            assert vector.shape == (2,), f"each of the four must have the shape (2,), not {vector.shape}"
            assert vector.dtype.kind in "iuf", "each of the four must hold real numbers"
            assert np.all(np.isfinite(vector)), "each of the four must hold finite numbers"
            assert np.any(vector != 0), "none of the four may be the zero vector: it has no angle"
        a1, b1, a2, b2 = (np.array(vector, dtype=np.float64) for vector in given)
        for a, b, which in [(a1, b1, "first"), (a2, b2, "second")]:
            sign = "positive" if c > 0 else "negative"
            assert abs(a @ b - c) <= 1.001e-6, f"the dot product of the {which} pair is not c, for a {sign} c"
        angles = [math.atan2(a[0] * b[1] - a[1] * b[0], a @ b) for a, b in [(a1, b1), (a2, b2)]]
        apart = abs(abs(angles[0]) - abs(angles[1]))
        assert apart >= 1e-6, "the two pairs have the same angle; longer vectors alone do not change it"
        assert apart >= 0.5 - 1e-6, "the two angles differ by less than 0.5 radians"
    with raises(ValueError):
        student.same_dot(0)
