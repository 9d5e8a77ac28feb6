from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F


def oracle(V, axis=-1, p=2):
    """Unit vectors in float64, by torch, from vectors of ordinary size."""
    return F.normalize(torch.tensor(np.array(V, np.float64)), p=p, dim=axis, eps=1e-300).numpy()


@pytest.mark.points(1)
def test_length(student, rng, close):
    """Every vector along the axis gets Euclidean length 1 and keeps its direction, for any shape and axis."""
    for shape in [(5,), (3, 4), (4, 4), (2, 3, 5)]:
        for axis in range(-len(shape), len(shape)):
            V = 4 * rng.standard_normal(shape) + 1
            what = f"normalize for an array of shape {shape} along axis {axis}"
            close(student.normalize(V, axis=axis), oracle(V, axis), rtol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
def test_other_norms(student, rng, close):
    """With p = 1 the absolute values add up to 1; with p = inf the largest is 1; entries have both signs."""
    for p in (1, math.inf, 2):
        for axis in (0, 1):
            V = 3 * rng.standard_normal((4, 6)) * rng.choice([-1, 1], (4, 6))
            V[1], V[:, 2] = -np.abs(V[1]), -np.abs(V[:, 2])
            what = f"normalize with p = {p} along axis {axis}"
            close(student.normalize(V, axis=axis, p=p), oracle(V, axis, p), rtol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
def test_zero_vectors(student, rng, close, apparatus):
    """A vector of zeros stays zero, next to others, along either axis, and without a warning."""
    V = rng.standard_normal((4, 5))
    V[2] = 0
    for p in (1, 2, math.inf):
        what = f"normalize with a row of zeros, p = {p}"
        close(student.normalize(V, p=p), oracle(V, -1, p), rtol=1e-9, atol=0, what=what, dtype=False)
    actual = apparatus.strictly(student.normalize, V)
    what = "normalize with a row of zeros, where a warning is an error"
    close(actual, oracle(V), rtol=1e-9, atol=0, what=what, dtype=False)
    W = np.concatenate([V[:2], np.zeros((1, 5))], axis=0).T  # the zeros along axis 0
    close(
        student.normalize(W, axis=0),
        oracle(W, 0),
        rtol=1e-9,
        atol=0,
        what="normalize along axis 0",
        dtype=False,
    )


@pytest.mark.points(1)
def test_half_precision(student, rng, close):
    """Float16 vectors with entries of 300 or 50,000, of 0.001, or with 1000 entries, get length 1 in float16."""
    for size, n in [(300, 4), (5e4, 6), (1e-3, 5), (40, 1000)]:
        V = (size * rng.uniform(0.3, 1, (3, n)) * rng.choice([-1, 1], (3, n))).astype(np.float16)
        for p in (2, 1):
            expected = oracle(V, -1, p).astype(np.float16)
            what = f"normalize for {n} entries of about {size:g} in float16, p = {p}"
            close(student.normalize(V, p=p), expected, rtol=1e-2, atol=1e-5, what=what)


@pytest.mark.points(1)
def test_sizes(student, rng, close):
    """Huge and tiny vectors side by side get length 1, and the dtype stays."""
    for dtype, sizes, rtol in [
        (np.float64, (1e200, 1e-200, 1.0), 1e-9),
        (np.float32, (1e30, 1e-30, 1.0), 1e-5),
    ]:
        V = (rng.uniform(0.3, 1, (3, 5)) * rng.choice([-1, 1], (3, 5))).astype(dtype)
        huge = (V * np.array(sizes, dtype)[:, None]).astype(dtype)
        for p in (2, 1, math.inf):
            what = f"normalize for rows of sizes {sizes} in {np.dtype(dtype)}, p = {p}"
            close(student.normalize(huge, p=p), oracle(V, -1, p).astype(dtype), rtol=rtol, what=what)


@pytest.mark.points(1)
def test_input_unchanged(student, rng, close, carried):
    """The result is right and the input is left as it was, in every precision."""
    for dtype, rtol in [(np.float64, 1e-9), (np.float32, 1e-5), (np.float16, 1e-2)]:
        V = (rng.uniform(0.5, 3, (3, 4)) * rng.choice([-1, 1], (3, 4))).astype(dtype)
        actual, (args, _) = carried(student.normalize, V.copy())
        close(actual, oracle(V).astype(dtype), rtol=rtol, what=f"normalize in {np.dtype(dtype)}")
        close(args[0], V, rtol=0, atol=0, what="V after the call")
