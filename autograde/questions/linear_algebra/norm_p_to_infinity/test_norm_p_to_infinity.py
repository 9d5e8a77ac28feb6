from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest


def norm(v, p):
    """The p-norm with 60 digits and exponents without end."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 60, 10**9, -(10**9)
        total = sum(abs(Decimal(float(x))) ** Decimal(p) for x in v if x)
        return float((total.ln() / Decimal(p)).exp()) if total else 0.0


def entries(rng, n):
    """Entries of both signs and of one order of size, of which the largest two are close."""
    v = rng.uniform(0.2, 1, n) * rng.choice([-1, 1], n)
    v[0] = -1.02
    return rng.permutation(v)


@pytest.mark.points(1)
@pytest.mark.task("lp_norm_stable")
def test_ordinary(student, rng, close):
    """Entries of ordinary size have the norm that the definition says, for any p and any signs."""
    for n in (1, 2, 9):
        v = 30 * entries(rng, n)
        for p in (1, 2, 3, 1.5, 7):
            expected = float(np.linalg.norm(v, p))
            actual = student.lp_norm_stable(v, p)
            close(actual, expected, rtol=1e-9, what=f"the norm of {n} entries, p = {p}", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("lp_norm_stable")
def test_large_p(student, rng, close):
    """At p = 1000 and beyond the norm is finite and right, for entries above and below 1; ties count."""
    for size in (40.0, 0.02):
        v = size * entries(rng, 8)
        tied = np.where(rng.permutation(8) < 5, 3 * size, -size)
        for p in (50, 1000, 20000):
            what = f"the norm of entries of about {size:g}, p = {p}"
            close(student.lp_norm_stable(v, p), norm(v, p), rtol=1e-9, what=what, dtype=False)
            actual = student.lp_norm_stable(tied, p)
            close(actual, norm(tied, p), rtol=1e-9, what=f"{what}, five of them equal", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("lp_norm_stable")
def test_sizes(student, rng, close, carried):
    """Entries of 1e200 and of 1e-200 have a finite norm other than 0, and v is left as it was."""
    for size in (1e200, 1e-200, 1e300, 1e-300):
        v = size * entries(rng, 6)
        for p in (1, 2, 3.5):
            actual, (args, _) = carried(student.lp_norm_stable, v.copy(), p)
            what = f"the norm of entries of about {size:g}, p = {p}"
            close(actual, norm(v, p), rtol=1e-9, atol=0, what=what, dtype=False)
            close(args[0], v, rtol=0, atol=0, what="v after the call")


@pytest.mark.points(1)
@pytest.mark.task("lp_norm_stable")
def test_edges(student, rng, close, raises):
    """p = inf gives the largest size; zeros among the entries count as 0; the zero vector has the norm 0."""
    v = entries(rng, 7)
    v[np.abs(v) < 1] *= 0.5
    close(student.lp_norm_stable(v, math.inf), 1.02, rtol=1e-12, what="the norm at p = inf", dtype=False)
    v = np.append(v, [0.0, -0.0])
    close(
        student.lp_norm_stable(v, 300),
        norm(v, 300),
        rtol=1e-9,
        what="the norm with zeros among the entries",
        dtype=False,
    )
    for p in (1, 2, 1000, math.inf):
        close(
            student.lp_norm_stable(np.zeros(4), p),
            0.0,
            rtol=0,
            atol=0,
            what=f"the norm of zeros, p = {p}",
            dtype=False,
        )
    for p in (0.5, 0):
        with raises(ValueError):
            student.lp_norm_stable(v, p)


@pytest.mark.points(2)
@pytest.mark.task("p_needed")
def test_p_needed(student, rng, close):
    """The smallest whole p is found: with ties, without, for large and small entries, for one entry."""
    cases = [
        (np.ones(2), 0.01),
        (np.full(5, -3e150), 0.3),
        (7 * entries(rng, 20), 0.02),
        (entries(rng, 6), 0.5),
    ]
    cases += [(1e-150 * entries(rng, 40), 0.004), (np.array([-4.0]), 0.01), (np.array([3.0, 0, 0, -1]), 0.02)]
    for v, tol in cases:
        ratios = np.abs(v) / np.abs(v).max()
        excess, p = math.inf, 0
        while excess > tol:
            p += 1
            before, excess = excess, np.sum(ratios**p) ** (1 / p) - 1
        if min(abs(before - tol), abs(excess - tol)) < 1e-9 and len(v) > 1:
            continue  # at the edge, where rounding decides
        what = f"p_needed for {len(v)} entries of up to {np.abs(v).max():.3g} with tol = {tol}"
        close(student.p_needed(v, tol), p, what=what)


@pytest.mark.points(1)
@pytest.mark.task("order_flips")
def test_order_flips(student, parts):
    """u is larger in L1 and v in L-infinity, each by 1 or more."""
    given = parts(student.order_flips(), "u", "v", what="order_flips")
    found = []
    for name, value in zip("uv", given, strict=True):
        assert isinstance(value, (list, tuple, np.ndarray)), f"{name} must be a list or a NumPy array"
        array = np.asarray(value)
        assert array.dtype.kind in "iuf", f"{name} must hold real numbers"
        assert array.ndim == 1, f"{name} must have one dimension, not {array.ndim}"
        assert 2 <= len(array) <= 10, f"{name} must have 2 to 10 entries, not {len(array)}"
        array = np.abs(array.astype(np.float64))
        assert np.all(array <= 100), f"{name} must have entries from -100 to 100"
        found.append((array.sum(), array.max(), len(array)))
    (u_sum, u_max, n), (v_sum, v_max, m) = found
    assert n == m, "u and v must have the same length"
    assert not (v_sum >= u_sum + 1 and u_max >= v_max + 1), (
        "u and v are the wrong way round: L1 must call u the larger"
    )
    assert u_sum >= v_sum + 1 - 1e-6, "u is not the larger one in L1, by 1 or more"
    assert v_max >= u_max + 1 - 1e-6, "v is not the larger one in L-infinity, by 1 or more"
