from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

FORMATS = {"float64": (53, -1074), "float32": (24, -149)}  # bits of a number, exponent of the smallest one


def underflow(p, dtype):
    """The n of the task by whole numbers: every product is rounded by hand, to nearest, ties to even."""
    bits, lowest = FORMATS[dtype]
    factor = Fraction(float(np.dtype(dtype).type(p)))
    shift = factor.denominator.bit_length() - 1
    m, e = 1, 0  # the product is m * 2**e
    for n in range(1, 200_000):
        before = m, e
        m, e = m * factor.numerator, e - shift
        excess = max(m.bit_length() - bits, lowest - e)
        if excess > 0:
            m, rest = divmod(m, 1 << excess)
            half = 1 << (excess - 1)
            m, e = m + (rest > half or (rest == half and m % 2 == 1)), e + excess
        if m == 0:
            return n
        if (m, e) == before:
            return None
    raise RuntimeError(f"p = {p} needs too many factors")


def estimate(p, dtype):
    """The n that logarithms give, without rounding on the way."""
    return math.ceil((FORMATS[dtype][1] - 1) * math.log(2) / math.log(p))


@pytest.mark.points(1)
@pytest.mark.task("nll")
def test_nll(student, rng, close, carried):
    """The negative logarithms are added up, for few observations and for 100,000 whose product is 0."""
    for n in (1, 3, 8):
        p = rng.uniform(0.2, 0.9, n)
        product = math.prod(Fraction(x) for x in p.tolist())
        expected = math.log(product.denominator) - math.log(product.numerator)
        actual, (args, _) = carried(student.nll, p.copy())
        close(actual, expected, rtol=1e-9, what=f"nll of {n} probabilities", dtype=False)
        close(args[0], p, rtol=0, atol=0, what="p after the call")
    for n in (1000, 100_000):
        p = rng.uniform(0.001, 1, n)
        expected = float(-torch.from_numpy(p).log().sum())
        close(student.nll(p), expected, rtol=1e-9, what=f"nll of {n} probabilities", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("nll")
def test_nll_edges(student, rng, close):
    """Rare events keep their weight, certain ones have none, and an impossible one makes it infinite."""
    p = rng.uniform(0.3, 1, 40)
    p[[3, 17, 30]] = [1e-300, 1e-12, 1e-30]
    p[[5, 8]] = 1.0
    expected = math.fsum(-math.log(x) for x in p.tolist())
    close(
        student.nll(p), expected, rtol=1e-9, what="nll with probabilities of 1e-300, 1e-30 and 1", dtype=False
    )
    p[25] = 0.0
    close(student.nll(p), math.inf, what="nll with a probability of 0", dtype=False)


def very_n(student, rng, close, dtype, tiny, top):
    """The learner's n is right: for round factors, a tiny one, and some up to `top` where rounding decides it."""
    cases = [0.1, 0.5, float(rng.uniform(0.01, 0.2)), tiny]
    while len(cases) < 8:
        p = float(rng.uniform(0.26, top))
        if underflow(p, dtype) != estimate(p, dtype):
            cases.append(p)
    for p in cases:
        actual = student.first_underflow_n(p, dtype)
        close(actual, underflow(p, dtype), what=f"first_underflow_n({p:.4g}, {dtype!r})", dtype=False)


@pytest.mark.points(2)
@pytest.mark.task("first_underflow_n")
def test_float64(student, rng, close):
    """In float64 the very n is found, also where rounding on the way decides it."""
    very_n(student, rng, close, "float64", 1e-20, 0.5)


@pytest.mark.points(1)
@pytest.mark.task("first_underflow_n")
def test_float32(student, rng, close):
    """In float32 the very n is found: p and every product are rounded to float32."""
    very_n(student, rng, close, "float32", 1e-25, 0.49)
    for p, name in ((0.5 + 1e-9, "0.5 + 1e-9"), (0.5 - 1e-9, "0.5 - 1e-9")):
        actual = student.first_underflow_n(p, "float32")
        close(actual, underflow(p, "float32"), what=f"first_underflow_n({name}, 'float32')", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("first_underflow_n")
def test_never(student, rng, close):
    """Where the product sticks above 0 the answer is None; where it takes long it is not."""
    for p in (0.5, 0.499, 0.45):
        for dtype in FORMATS:
            what = f"first_underflow_n({p}, '{dtype}')"
            close(student.first_underflow_n(p, dtype), underflow(p, dtype), what=what, dtype=False)
    for p in (0.9, 0.51, float(rng.uniform(0.6, 0.8)), 0.98):
        for dtype in FORMATS:
            assert underflow(p, dtype) is None
            given = student.first_underflow_n(p, dtype)
            assert given is None, f"first_underflow_n({p:.4g}, '{dtype}') is a number, and the product sticks"


def gap(k, n, whole):
    """By how much the best log-likelihood is ahead of the next, and its index: exact powers of whole numbers."""
    exact = [a**k * (1024 - a) ** (n - k) for a in whole]
    best = max(range(len(whole)), key=exact.__getitem__)
    rest = max(x for i, x in enumerate(exact) if i != best)
    return (math.log(exact[best]) - math.log(rest) if rest else math.inf), best


def candidates(rng, k, n, count, extra=(), lowest=1):
    """A grid of multiples of 1/1024 in random order, without a tie at the top, and the index of the best."""
    while True:
        whole = rng.permutation([*rng.choice(np.arange(lowest, 1024), count, replace=False), *extra]).tolist()
        ahead, best = gap(k, n, whole)
        if ahead > 1e-3 and 0 < best < len(whole) - 1:
            return np.array(whole) / 1024, best


@pytest.mark.points(1)
@pytest.mark.task("best_theta")
def test_best_theta(student, rng, close):
    """The candidate with the largest exact likelihood is found, for a few flips and for thousands."""
    for n in (5, 60, 3000, 20_000):
        k = int(n * rng.uniform(0.2, 0.8))
        grid, best = candidates(rng, k, n, 20)
        close(student.best_theta(k, n, grid), best, what=f"best_theta for {n} flips", dtype=False)
    while True:  # the candidate nearest to the share of heads is not always the best
        k = int(rng.integers(4, 10))
        grid, best = candidates(rng, k, 60, 6)
        if best != np.argmin(np.abs(grid - k / 60)):
            break
    close(
        student.best_theta(k, 60, grid), best, what="best_theta for 60 flips, few of them heads", dtype=False
    )
    n = 1_000_000
    grid = np.array([0.9, 0.31, 0.29, 0.30009, 0.30008, 0.30007, 0.5])
    close(student.best_theta(300_000, n, grid), 5, what=f"best_theta for {n} flips", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("best_theta")
def test_best_theta_edges(student, rng, close):
    """Candidates of 0 and 1 are impossible after a head and a tail, and best where there is no head, or no tail."""
    for n in (7, 4000):
        k = int(n * rng.uniform(0.3, 0.7))
        grid, best = candidates(rng, k, n, 9, extra=(0, 1024))
        what = f"best_theta for {n} flips with 0 and 1 in the grid"
        close(student.best_theta(k, n, grid), best, what=what, dtype=False)
        for heads, name in ((0, "no heads"), (n, "only heads")):
            grid, best = candidates(rng, heads, n, 9, extra=(0, 1024))
            what = f"best_theta for {n} flips with {name}, 0 and 1 in the grid"
            close(student.best_theta(heads, n, grid), best, what=what, dtype=False)
        grid, best = candidates(rng, 0, n, 9)
        close(
            student.best_theta(0, n, grid), best, what=f"best_theta for {n} flips with no heads", dtype=False
        )
    grid, best = candidates(rng, 2, 1000, 7, extra=(0, 1024), lowest=800)
    what = "best_theta for 2 heads in 1000 flips, where 0 is the nearest candidate"
    close(student.best_theta(2, 1000, grid), best, what=what, dtype=False)


def both(student, parts, x, theta):
    """The two derivatives that the learner returns, or a failed assertion."""
    return parts(student.gradients(x, theta), "dL/dtheta", "dlogL/dtheta", what="gradients")


def exact(x, theta):
    """Both derivatives by exact fractions."""
    t, k, n = Fraction(theta), int(x.sum()), len(x)
    of_log = Fraction(k) / t - Fraction(n - k) / (1 - t)
    if n > 5000:  # the likelihood is far below the smallest number
        return 0.0, float(of_log)
    return float(t**k * (1 - t) ** (n - k) * of_log), float(of_log)


def flips(rng, n, theta):
    """Flips that do not have their maximum near theta; heads and tails are both among them."""
    share = theta / 3 if theta > 0.4 else 0.5 + theta / 3
    k = min(n - 1, max(1, round(n * share)))
    return rng.permutation(np.repeat([1, 0], [k, n - k]))


@pytest.mark.points(1)
@pytest.mark.task("gradients")
def test_gradients(student, rng, close, parts):
    """For a few flips both derivatives are right, to 9 digits."""
    for n, theta in [
        (2, 0.3),
        (9, float(rng.uniform(0.5, 0.9))),
        (40, 0.07),
        (200, float(rng.uniform(0.2, 0.4))),
    ]:
        x = flips(rng, n, theta)
        given = both(student, parts, x, theta)
        for one, right, name in zip(given, exact(x, theta), ("dL/dθ", "dlogL/dθ"), strict=True):
            close(one, right, rtol=1e-9, atol=0, what=f"{name} for {n} flips", dtype=False)
    for x, name in ((np.ones(6, np.int64), "heads only"), (np.zeros(6, np.int64), "tails only")):
        given = both(student, parts, x, 0.6)
        for one, right, which in zip(given, exact(x, 0.6), ("dL/dθ", "dlogL/dθ"), strict=True):
            close(one, right, rtol=1e-9, atol=0, what=f"{which} for {name}", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("gradients")
def test_gradients_underflow(student, rng, close, carried, parts):
    """For thousands of flips the derivative of the product is 0, and that of the logarithm is right."""
    for n, theta in [(6000, 0.5), (20_000, float(rng.uniform(0.3, 0.7)))]:
        x = flips(rng, n, theta)
        for one, right, name in zip(
            both(student, parts, x, theta), exact(x, theta), ("dL/dθ", "dlogL/dθ"), strict=True
        ):
            close(one, right, rtol=1e-9, atol=1e-307, what=f"{name} for {n} flips", dtype=False)
    _, (args, _) = carried(student.gradients, x.copy(), theta)
    close(args[0], x, what="x after the call")
