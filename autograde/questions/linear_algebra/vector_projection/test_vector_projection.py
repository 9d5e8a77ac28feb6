from __future__ import annotations

import numpy as np
import pytest


def oracle(a, b):
    """Projection and scalar projection by least squares: the multiple of b that is closest to a."""
    (t,), *_ = np.linalg.lstsq(b[:, None], a, rcond=None)
    return t * b, float(t * np.linalg.norm(b))


def pair(rng, n, obtuse):
    """Two vectors, not of length 1, at an angle that is obtuse or acute."""
    a, b = 2 * rng.standard_normal(n), 3 * rng.standard_normal(n)
    b += np.sign(b) * 0.3
    wanted = -1 if obtuse else 1
    a += (
        (wanted * rng.uniform(0.3, 0.9) * np.linalg.norm(b) - a @ b / np.linalg.norm(b))
        * b
        / np.linalg.norm(b)
    )
    return a, b


def projected(student, parts, a, b):
    """What the learner returns, as two values, or a failed assertion."""
    return pair_of(parts, student.project(a, b))


def pair_of(parts, given):
    """The two values of what the learner returned, or a failed assertion."""
    return parts(given, "vector", "scalar", what="project")


@pytest.mark.points(1)
@pytest.mark.task("project")
def test_vector(student, rng, close, carried, parts):
    """The vector is the multiple of b that is closest to a, whatever the length of b; a and b stay as they were."""
    for n, obtuse in [(2, False), (3, True), (8, False), (1, True)]:
        a, b = pair(rng, n, obtuse)
        given, (args, _) = carried(student.project, a.copy(), b.copy())
        vector, _ = pair_of(parts, given)
        what = f"the projection in {n} dimensions, {'an obtuse' if obtuse else 'an acute'} angle"
        close(vector, oracle(a, b)[0], rtol=1e-9, atol=1e-12, what=what, dtype=False)
        close(args[0], a, rtol=0, atol=0, what="a after the call")
        close(args[1], b, rtol=0, atol=0, what="b after the call")


@pytest.mark.points(1)
@pytest.mark.task("project")
def test_scalar(student, rng, close, parts):
    """The scalar times the length of b is the dot product, negative for obtuse angles."""
    for n, obtuse in [(2, True), (3, False), (8, True)]:
        a, b = pair(rng, n, obtuse)
        _, scalar = projected(student, parts, a, b)
        what = f"the scalar projection, {'an obtuse' if obtuse else 'an acute'} angle"
        close(scalar, oracle(a, b)[1], rtol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("project")
def test_scale(student, rng, close, parts):
    """Another length of b changes nothing, and the opposite b changes only the sign of the scalar."""
    a, b = pair(rng, 4, obtuse=False)
    vector, scalar = oracle(a, b)
    for factor in (100.0, 0.01, -3.0):
        actual = projected(student, parts, a, factor * b)
        close(actual[0], vector, rtol=1e-9, what=f"the projection onto {factor:g} b", dtype=False)
        expected = np.sign(factor) * scalar
        close(
            actual[1],
            float(expected),
            rtol=1e-9,
            what=f"the scalar projection onto {factor:g} b",
            dtype=False,
        )


@pytest.mark.points(1)
@pytest.mark.task("project")
def test_zero(student, rng, close, raises, parts):
    """A zero a has a projection, and a zero b raises ValueError; b may be tiny."""
    a, b = pair(rng, 3, obtuse=True)
    vector, scalar = oracle(a, b)
    actual = projected(student, parts, a, 1e-9 * b)
    close(actual[0], vector, rtol=1e-9, what="the projection onto a tiny b", dtype=False)
    close(actual[1], scalar, rtol=1e-9, what="the scalar projection onto a tiny b", dtype=False)
    actual = projected(student, parts, np.zeros(3), b)
    close(actual[0], np.zeros(3), rtol=0, atol=0, what="the projection of the zero vector", dtype=False)
    with raises(ValueError):
        student.project(a, np.zeros(3))


@pytest.mark.points(1)
@pytest.mark.task("remove")
def test_removed(student, rng, close):
    """Every row loses its component along b and nothing else."""
    for n, d in [(5, 3), (3, 3), (1, 6), (4, 2)]:
        A, b = rng.standard_normal((n, d)), 5 * rng.standard_normal(d)
        expected = np.array([row - oracle(row, b)[0] for row in A])
        actual = student.remove(A, b)
        close(actual, expected, rtol=1e-8, atol=1e-10, what=f"{n} rows of {d} entries without b", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("remove")
def test_once_is_enough(student, rng, close, carried):
    """Removing the same direction again changes nothing, and the inputs are left as they were."""
    A, b = rng.standard_normal((4, 5)), 0.1 * rng.standard_normal(5)
    expected = np.array([row - oracle(row, b)[0] for row in A])
    once, (args, _) = carried(student.remove, A.copy(), b.copy())
    close(once, expected, rtol=1e-8, atol=1e-10, what="rows without b", dtype=False)
    close(args[0], A, rtol=0, atol=0, what="A after the call")
    close(args[1], b, rtol=0, atol=0, what="b after the call")
    close(
        student.remove(once, -7 * b),
        expected,
        rtol=1e-8,
        atol=1e-10,
        what="rows without b, and again",
        dtype=False,
    )
