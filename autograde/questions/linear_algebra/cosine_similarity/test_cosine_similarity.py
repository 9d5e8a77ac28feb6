from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F


def oracle(A, B):
    """Every cosine in float64, by torch."""
    A, B = torch.tensor(np.array(A, np.float64)), torch.tensor(np.array(B, np.float64))
    return F.cosine_similarity(A[:, None, :], B[None, :, :], dim=-1, eps=1e-300).numpy()


@pytest.mark.points(1)
@pytest.mark.task("cos_matrix")
def test_all_pairs(student, rng, close):
    """Entry (i, j) is the cosine of row i of A and row j of B, for any numbers of rows."""
    for n, m, d in [(3, 5, 4), (4, 4, 4), (1, 2, 7), (6, 3, 2)]:
        A, B = rng.standard_normal((n, d)) + 0.5, 3 * rng.standard_normal((m, d)) + 0.5
        what = f"cos_matrix of {n} and {m} rows of {d} entries"
        close(student.cos_matrix(A, B), oracle(A, B), rtol=0, atol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("cos_matrix")
def test_zero_rows(student, rng, close):
    """A row of zeros has the cosine 0 with everything, and the other rows keep theirs."""
    A, B = rng.standard_normal((4, 3)), rng.standard_normal((3, 3))
    A[1] = B[2] = 0
    close(
        student.cos_matrix(A, B),
        oracle(A, B),
        rtol=0,
        atol=1e-9,
        what="cos_matrix with zero rows",
        dtype=False,
    )


@pytest.mark.points(1)
@pytest.mark.task("cos_matrix")
def test_sizes(student, rng, close):
    """Rows with entries of about 1e-8 and 1e8 have the cosines that their directions say."""
    A, B = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    expected = oracle(A, B)
    sizes = np.array([1e-8, -1e8, 1e-8, 1.0])[:, None]
    actual = student.cos_matrix(sizes * A, B * sizes[::-1])
    expected = expected * np.sign(sizes) * np.sign(sizes[::-1]).T
    close(actual, expected, rtol=0, atol=1e-9, what="cos_matrix of tiny and huge rows", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("cos_matrix")
def test_range(student, rng, close):
    """Parallel and opposite rows stay in [-1, 1], exactly, in spite of rounding."""
    for dtype, atol in [(np.float64, 1e-9), (np.float32, 1e-4)]:
        A = rng.standard_normal((40, 7)).astype(dtype)
        B = (A * rng.uniform(0.5, 7, (40, 1)) * rng.choice([-1, 1], (40, 1))).astype(dtype)
        actual = student.cos_matrix(A, B)
        close(actual, oracle(A, B), rtol=0, atol=atol, what="cos_matrix of parallel rows", dtype=False)
        assert np.all(np.abs(actual) <= 1), "an entry lies outside [-1, 1], by rounding"


@pytest.mark.points(1)
@pytest.mark.task("cos_matrix")
def test_precision(student, rng, close, carried):
    """Float32 stays float32, float64 keeps its digits, and the inputs are left as they were."""
    A, B = rng.standard_normal((3, 6)), rng.standard_normal((4, 6))
    actual, (args, _) = carried(student.cos_matrix, A.copy(), B.copy())
    close(actual, oracle(A, B), rtol=0, atol=1e-9, what="cos_matrix of float64 rows")
    close(args[0], A, rtol=0, atol=0, what="A after the call")
    close(args[1], B, rtol=0, atol=0, what="B after the call")
    A, B = A.astype(np.float32), B.astype(np.float32)
    expected = oracle(A, B).astype(np.float32)
    close(student.cos_matrix(A, B), expected, rtol=0, atol=1e-4, what="cos_matrix of float32 rows")


def vector(value, name):
    """One of the three in float64, or a failed assertion that says what it is not."""
    assert isinstance(value, (list, tuple, np.ndarray)), f"{name} must be a list or a NumPy array"
    array = np.asarray(value)
    assert array.dtype.kind in "iuf", f"{name} must hold real numbers"
    assert array.ndim == 1, f"{name} must have one dimension, not {array.ndim}"
    assert 2 <= len(array) <= 10, f"{name} must have 2 to 10 entries, not {len(array)}"
    assert np.all(np.abs(array) <= 100), f"{name} must have entries from -100 to 100"
    return array.astype(np.float64)


@pytest.mark.points(2)
@pytest.mark.task("disagreement")
def test_disagreement(student, parts):
    """The dot product prefers x and the cosine prefers y, by the margins asked."""
    given = parts(student.disagreement(), "q", "x", "y", what="disagreement")
    q, x, y = (vector(value, name) for value, name in zip(given, "qxy", strict=True))
    assert len(q) == len(x) == len(y), "q, x and y must have the same length"
    for name, one in zip("qxy", (q, x, y), strict=True):
        assert np.any(one != 0), f"{name} is the zero vector, which has no direction"
    to_x, to_y = oracle([q], [x])[0, 0], oracle([q], [y])[0, 0]
    swapped = q @ y >= q @ x + 1 - 1e-6 and to_x >= to_y + 0.1 - 1e-6
    assert not swapped, "x and y are the wrong way round: the dot product must prefer x"
    assert q @ x >= q @ y + 1 - 1e-6, "the dot product does not prefer x, by 1 or more"
    assert to_y > to_x - 1e-9, "the cosine prefers x too"
    assert to_y > to_x + 1e-6, "x and y have the same cosine with q"
    assert to_y >= to_x + 0.1 - 1e-6, "the cosine prefers y by less than 0.1"
