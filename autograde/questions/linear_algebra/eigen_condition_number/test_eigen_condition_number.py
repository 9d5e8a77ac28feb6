from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest


def symmetric(rng, eigenvalues):
    """A symmetric matrix with these eigenvalues."""
    Q, _ = np.linalg.qr(rng.standard_normal((len(eigenvalues), len(eigenvalues))))
    A = Q @ np.diag(eigenvalues) @ Q.T
    return (A + A.T) / 2


def strongest(A):
    """The eigenvalue of largest absolute value."""
    values = np.linalg.eigvalsh(A)
    return float(values[np.abs(values).argmax()])


def iterated(student, parts, A):
    """What the learner returns, or a failed assertion."""
    return parts(student.power_iteration(A), "value", "vector", what="power_iteration")


@pytest.mark.points(1)
@pytest.mark.task("power_iteration")
def test_value(student, rng, close, parts):
    """The eigenvalue of largest absolute value is found with its sign, also close to the next one."""
    for first, others in [(5, (1, 2)), (-4, (1, 2, 3)), (3, (-2.4, 1, 0, 2)), (-6, (5, -2)), (2, ())]:
        A = symmetric(rng, [*others, first])
        close(iterated(student, parts, A)[0], strongest(A), rtol=1e-6, what="the eigenvalue", dtype=False)
    # The eigenvector is (0, 1, -1, 0); all is exact, so a start of ones, or the first unit vector, never gets there.
    hidden = 0.5 * np.ones((4, 4))
    hidden[1:3, 1:3] += [[2.5, -2.5], [-2.5, 2.5]]
    what = "the eigenvalue where the strongest direction is (0, 1, -1, 0)"
    close(iterated(student, parts, hidden)[0], 5.0, rtol=1e-6, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("power_iteration")
def test_vector(student, rng, close, parts):
    """The vector has length 1 and is multiplied by the eigenvalue; any size of the entries will do."""
    for scale in (1.0, 1e30, 1e-30):
        for first, others in [(5, (1, 2)), (-4, (1, 3, 2, 0.5))]:
            A = scale * symmetric(rng, [*others, first])
            value, vector = iterated(student, parts, A)
            what = f"for entries of about {scale:g}"
            close(value, strongest(A), rtol=1e-6, atol=0, what=f"the eigenvalue {what}", dtype=False)
            assert isinstance(vector, np.ndarray), "the vector must be a NumPy array"
            assert vector.shape == (len(A),), (
                f"the vector must have the shape ({len(A)},), not {vector.shape}"
            )
            assert vector.dtype.kind == "f", "the vector must hold floats"
            close(float(np.linalg.norm(vector)), 1.0, rtol=1e-6, what=f"the length of the vector {what}")
            rest = float(np.linalg.norm(A @ vector - strongest(A) * vector) / abs(strongest(A)))
            assert rest <= 1e-5, f"{what} the vector is no eigenvector: A v and λ v differ"


def descended(eigenvalues, lr, tol):
    """Steps of real gradient descent from the worst start, by running them."""
    w = np.zeros(len(eigenvalues))
    w[np.abs(1 - lr * eigenvalues).argmax()] = 1.0
    for step in range(20_000):
        if np.linalg.norm(w) <= tol:
            return step
        w = w - lr * eigenvalues * w
        if np.linalg.norm(w) >= 1:
            return None
    raise AssertionError("every rate that converges here does so in time")


@pytest.mark.points(2)
@pytest.mark.task("gd_steps")
def test_steps(student, rng, close):
    """The steps are those that gradient descent takes from its worst start, whichever direction that is."""
    cases = []
    for lr in (0.1, 0.19, 0.01, 0.15):
        cases.append((np.array([10.0, 2.0, 1.0]), lr, 0.01))
    values = rng.uniform(0.5, 4, 5)
    cases += [
        (values, 0.9 / values.max(), 1e-6),
        (values, 1.9 / values.max(), 0.3),
        (100 * values, 0.002, 1e-3),
    ]
    for eigenvalues, lr, tol in cases:
        rate = np.abs(1 - lr * eigenvalues).max()
        if rate and abs(math.log(tol) / math.log(rate) % 1 - 0.5) > 0.499:
            continue  # at the edge, where rounding decides
        what = f"gd_steps for eigenvalues up to {eigenvalues.max():.3g}, lr = {lr:.3g}, tol = {tol:g}"
        close(student.gd_steps(eigenvalues, lr, tol), descended(eigenvalues, lr, tol), what=what)


@pytest.mark.points(1)
@pytest.mark.task("gd_steps")
def test_no_steps(student, close):
    """A rate that diverges, or goes to and fro for ever, gives None; one that is just below gives a number."""
    eigenvalues = np.array([0.5, 8.0, 4.0])
    close(
        student.gd_steps(eigenvalues, 0.24, 0.05),
        descended(eigenvalues, 0.24, 0.05),
        what="gd_steps for lr = 0.24",
    )
    close(
        student.gd_steps(np.full(3, 4.0), 0.25, 0.5), 1, what="gd_steps where one step leads to the minimum"
    )
    for lr in (0.25, 0.3, 1.0, 5.0):
        what = f"with eigenvalues up to 8 and lr = {lr} some start never gets there: return None"
        assert student.gd_steps(eigenvalues, lr, 0.05) is None, what


def chosen(student, parts, eigenvalues):
    """What the learner returns, or a failed assertion."""
    return parts(student.best_lr(eigenvalues), "lr", "rate", what="best_lr")


def scanned(eigenvalues):
    """The best learning rate and its largest factor, by a search that only needs factors."""
    low, high = 0.0, 2 / eigenvalues.max()
    for _ in range(200):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if np.abs(1 - a * eigenvalues).max() > np.abs(1 - b * eigenvalues).max():
            low = a
        else:
            high = b
    return low, float(np.abs(1 - low * eigenvalues).max())


@pytest.mark.points(2)
@pytest.mark.task("best_lr")
def test_best_lr(student, rng, close, parts):
    """No learning rate has a smaller largest factor, and the factor is right; order and scale do not matter."""
    cases = [
        np.array([3.0, 1.0, 2.5]),
        rng.uniform(1, 100, 6),
        1e-4 * rng.uniform(1, 9, 3),
        np.array([7.0, 7.0]),
    ]
    for eigenvalues in cases:
        lr, rate = chosen(student, parts, eigenvalues)
        expected = scanned(eigenvalues)
        what = f"for {len(eigenvalues)} eigenvalues from {eigenvalues.min():.3g} to {eigenvalues.max():.3g}"
        close(lr, float(expected[0]), rtol=1e-6, atol=0, what=f"the learning rate {what}", dtype=False)
        close(rate, expected[1], rtol=1e-6, atol=1e-9, what=f"the rate {what}", dtype=False)


def witness(student, key):
    """The learner's matrix under this key, in floats and in fractions, or a failed assertion."""
    found = student.misleading()
    assert isinstance(found, dict), "misleading() must return a dict"
    assert key in found, f'misleading() has no key "{key}"'
    A = found[key]
    assert isinstance(A, np.ndarray), f'"{key}" must be a NumPy array'
    assert A.dtype.kind in "iuf", f'"{key}" must hold real numbers'
    assert A.shape == (2, 2), f'"{key}" must have the shape (2, 2), not {A.shape}'
    assert np.all(np.abs(A) <= 1000), f'"{key}" must have entries from -1000 to 1000'
    return A.astype(np.float64), [Fraction(x) for x in A.astype(np.float64).ravel().tolist()]


@pytest.mark.points(1)
@pytest.mark.task("misleading")
def test_rank(student):
    """The rank is larger than the number of eigenvalues that are not 0."""
    _, (a, b, c, d) = witness(student, "rank")
    determinant, trace = a * d - b * c, a + d
    rank = 2 if determinant else int(any((a, b, c, d)))
    nonzero = 2 if determinant else int(trace != 0)
    assert rank, '"rank": the zero matrix has rank 0'
    assert rank < 2, '"rank": the determinant is not 0, so rank and number of nonzero eigenvalues are both 2'
    assert rank > nonzero, '"rank": one eigenvalue is not 0, and the rank is 1: the sentence holds'


@pytest.mark.points(1)
@pytest.mark.task("misleading")
def test_condition(student):
    """Both eigenvalues are 1, and the condition number is 100 or more."""
    A, (a, b, c, d) = witness(student, "condition")
    assert (a + d, a * d - b * c) == (2, 1), '"condition": the eigenvalues are not both exactly 1'
    largest = np.linalg.svd(A, compute_uv=False)[0]
    assert largest > 1 + 1e-9, '"condition": this is the identity, whose condition number is 1'
    # For a determinant of 1 the smaller singular value is 1 / the larger one, which is the accurate way.
    assert largest**2 >= 100 * (1 - 1e-9), '"condition": the condition number is below 100'
