from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

WAYS = {
    "A@B": lambda A, B: A @ B,
    "A.T@B": lambda A, B: A.T @ B,
    "A@B.T": lambda A, B: A @ B.T,
    "A.T@B.T": lambda A, B: A.T @ B.T,
}


def possible(shape_a, shape_b, target):
    """The ways that NumPy takes and that have the shape."""
    A, B, found = np.ones(shape_a), np.ones(shape_b), set()
    for name, way in WAYS.items():
        try:
            if way(A, B).shape == target:
                found.add(name)
        except ValueError:
            pass
    return found


def asked(student, close, a, b, target):
    """The learner's set is that of all possible ways."""
    given = student.fits(a, b, target)
    assert isinstance(given, (set, frozenset)), "fits must return a set"
    close(set(given), possible(a, b, target), what=f"fits({a}, {b}, {target})")


@pytest.mark.points(1)
@pytest.mark.task("fits")
def test_one_way(student, rng, close):
    """Where all sizes differ, the one way that fits is found, whichever of the four it is."""
    n, d, m = (int(x) for x in 2 + rng.permutation(9)[:3])
    for a, b in [((n, d), (d, m)), ((d, n), (d, m)), ((n, d), (m, d)), ((d, n), (m, d))]:
        asked(student, close, a, b, (n, m))
        asked(student, close, b, a, (m, n))


@pytest.mark.points(1)
@pytest.mark.task("fits")
def test_several_or_none(student, rng, close):
    """With equal sizes several ways fit; where the target or the inner sizes are others, none does."""
    n, d, m = (int(x) for x in 2 + rng.permutation(9)[:3])
    cases = [((n, n), (n, m), (n, m)), ((n, d), (n, d), (d, d)), ((n, d), (n, d), (n, n)), ((n, n), (n, n), (n, n)),
             ((n, d), (d, n), (n, n)), ((d, 1), (1, d), (d, d)), ((1, d), (1, d), (1, 1)),
             ((n, d), (d, m), (m, n)), ((n, d), (m, n), (d, d)), ((n, d), (m, m), (n, m)),
             ((n, 1), (d, m), (n, m)), ((n, d), (1, m), (n, m))]  # fmt: skip
    for a, b, target in cases:
        asked(student, close, a, b, target)


@pytest.mark.points(1)
@pytest.mark.task("transposed_product")
def test_shapes(student, rng, close):
    """One, two, three and more factors of different shapes are multiplied in reverse order."""
    for n in (1, 2, 3, 6):
        sizes = [int(x) for x in 2 + rng.permutation(9)[: n + 1]]
        factors = [rng.standard_normal((a, b)) for a, b in pairwise(sizes)]
        expected = (np.linalg.multi_dot(factors) if n > 1 else factors[0]).T
        actual = student.transposed_product([factor.T for factor in factors])
        close(actual, expected, rtol=1e-8, atol=1e-10, what=f"the transpose of a product of {n}")


@pytest.mark.points(2)
@pytest.mark.task("transposed_product")
def test_square(student, rng, close):
    """Square factors, where every order fits, are multiplied in reverse order too."""
    for n, size in [(2, 3), (3, 2), (5, 4)]:
        factors = list(rng.standard_normal((n, size, size)))
        actual = student.transposed_product([factor.T for factor in factors])
        what = f"the transpose of a product of {n} square matrices"
        close(actual, np.linalg.multi_dot(factors).T, rtol=1e-8, atol=1e-10, what=what)


@pytest.mark.points(1)
@pytest.mark.task("order_matters")
def test_order_matters(student, parts):
    """The transpose of the product and the product of the transposes differ, by 1 or more."""
    given = parts(student.order_matters(), "A", "B", what="order_matters")
    for name, value in zip("AB", given, strict=True):
        assert isinstance(value, np.ndarray), f"{name} must be a NumPy array"
        assert value.dtype.kind in "iuf", f"{name} must hold real numbers"
        assert value.ndim == 2, f"{name} must have two dimensions, not {value.ndim}"
        assert value.shape[0] == value.shape[1], f"{name} must be square"
        assert 2 <= len(value) <= 4, f"{name} must have 2 to 4 rows, not {len(value)}"
        assert np.all(np.abs(value) <= 10), f"{name} must have entries from -10 to 10"
    A, B = (value.astype(np.float64) for value in given)
    assert A.shape == B.shape, "A and B must have the same shape"
    apart = np.abs((A @ B).T - A.T @ B.T).max()
    assert apart > 1e-9, "for your A and B the wrong rule is right: A and B commute"
    assert apart >= 1 - 1e-6, "the two sides differ by less than 1"
    assert not np.allclose(A, A.T), "A is symmetric: it is its own transpose"
    assert not np.allclose(B, B.T), "B is symmetric: it is its own transpose"
