from __future__ import annotations

import math

import numpy as np
import pytest


def judged(function, bank):
    """Ask about the whole bank, then compare: each entry is what it is called, the argument and the truth."""
    answers = [function(value) for _, value, _ in bank]
    for (what, _, truth), answer in zip(bank, answers, strict=True):
        assert isinstance(answer, (bool, np.bool_)), f"{what}: yours is not True or False"
        wrong = "this one is" if truth else "this one is not"
        assert bool(answer) == truth, f"{what}: yours is {bool(answer)}, but {wrong}"


def rounded(rng, n):
    """n probabilities whose sum is not exactly 1 in floating point, in whatever order they are added."""
    while True:
        p = rng.uniform(0.1, 1, n)
        p = p / p.sum()
        if 1.0 not in (p.sum(), sum(p.tolist()), sum(p[::-1].tolist()), math.fsum(p)):
            return p


@pytest.mark.points(1)
@pytest.mark.task("valid_pmf")
def test_sums(student, rng):
    """The sum must be 1, neither less nor more, and rounding is forgiven."""
    p = rounded(rng, 6)
    bank = [
        ("six probabilities that add up to 1", p, True),
        ("probabilities that add up to 0.999", p * 0.999, False),
        ("probabilities that add up to 1.001", p * 1.001, False),
        ("probabilities that add up to 0.99994", p * 0.99994, False),
        ("a thousand probabilities that add up to 1", rounded(rng, 1000), True),
        ("numbers from 0 to 1 that add up to 2", np.array([0.9, 0.3, 0.8]), False),
        ("a single 1", np.array([1.0]), True),
        ("a single 0.5", np.array([0.5]), False),
    ]
    judged(student.valid_pmf, bank)


@pytest.mark.points(1)
@pytest.mark.task("valid_pmf")
def test_entries(student, rng):
    """No entry may be negative, zeros are fine; NaN, infinity and an empty array are no distribution."""
    p = rounded(rng, 5)
    negative = np.array([p[0] + p[1] + 0.2, -0.2, *p[2:]])
    bank = [
        ("probabilities with some zeros", rng.permutation([*p, 0.0, 0.0]), True),
        ("numbers that add up to 1, one of them negative", rng.permutation(negative), False),
        ("numbers that add up to 1, one of them -0.001", np.array([0.5, 0.501, -0.001]), False),
        ("a NaN among probabilities", np.array([0.5, np.nan, 0.5]), False),
        ("an infinite entry", np.array([0.5, np.inf, 0.5]), False),
        ("plus and minus infinity", np.array([1.0, np.inf, -np.inf]), False),
        ("an empty array", np.zeros(0), False),
        ("zeros only", np.zeros(3), False),
        ("negative numbers that add up to -1", -p, False),
        ("numbers that add up to 1, one of them -1e-13", np.array([0.5, -1e-13, 0.5]), False),
    ]
    judged(student.valid_pmf, bank)


def density(rng, n):
    """A density below 1 on n bins of different widths, with a bin of height 0 if there are more than two."""
    edges = rng.uniform(-3, 3) + np.cumsum([0, *rng.uniform(1.1, 4, n)])
    weights = rng.uniform(0.2, 1, n)
    if n > 2:
        weights[1] = 0
    return edges, weights / weights.sum() / np.diff(edges)


def area(edges, heights, a, b):
    """The probability by the distribution function, which is straight between the edges."""
    cumulative = np.concatenate([[0.0], np.cumsum(heights * np.diff(edges))])
    below = np.interp([a, b], edges, cumulative)
    return float(below[1] - below[0])


@pytest.mark.points(1)
@pytest.mark.task("interval_probability")
def test_intervals(student, rng, close, carried):
    """The area is right for intervals within a bin, across bins, beyond all bins and without length."""
    for n in (4, 1, 7):
        edges, heights = density(rng, n)
        low, high = edges[0], edges[-1]
        inner = np.sort(rng.uniform(low, high, 2))
        cases = [
            (*inner, "across bins"),
            (low + 0.2 * (edges[1] - low), low + 0.7 * (edges[1] - low), "within the first bin"),
            (low - 2, inner[1], "from outside on the left"),
            (inner[0], high + 1, "to outside on the right"),
            (-math.inf, math.inf, "from -inf to inf"),
            (high + 1, high + 2, "outside"),
            (inner[0], inner[0], "of length 0"),
            (edges[0], edges[1], "that is a bin"),
        ]
        for a, b, what in cases:
            actual = student.interval_probability(edges, heights, float(a), float(b))
            what = f"the probability of an interval {what}, {n} bins"
            close(actual, area(edges, heights, a, b), rtol=1e-9, atol=1e-12, what=what, dtype=False)
    actual, (args, _) = carried(
        student.interval_probability, edges.copy(), heights.copy(), *map(float, inner)
    )
    close(args[0], edges, rtol=0, atol=0, what="edges after the call")
    close(args[1], heights, rtol=0, atol=0, what="heights after the call")


@pytest.mark.points(1)
@pytest.mark.task("interval_probability")
def test_densities(student, rng, close, raises):
    """Heights above 1 are fine; negative ones, and an area other than 1, raise ValueError."""
    edges, heights = density(rng, 5)
    narrow = edges / 50
    tall = heights * 50
    actual = student.interval_probability(narrow, tall, narrow[0] - 1, float(narrow[3]))
    expected = area(narrow, tall, narrow[0] - 1, narrow[3])
    close(actual, expected, rtol=1e-9, what="the probability for a density far above 1", dtype=False)
    wide = edges * 100
    actual = student.interval_probability(wide, heights / 100, float(wide[2]), float(wide[4]))
    expected = area(wide, heights / 100, wide[2], wide[4])
    close(actual, expected, rtol=1e-9, what="the probability for a density far below 1", dtype=False)
    negative = np.array([1.5, -0.5, 0.5, 0.5])
    with raises(ValueError):
        student.interval_probability(np.array([0.0, 0.5, 1.0, 1.5, 2.0]), negative, 0.0, 1.0)
    with raises(ValueError):
        student.interval_probability(edges, heights * 1.00006, float(edges[0]), float(edges[1]))
    with raises(ValueError):  # the heights add up to 1, and the area does not
        student.interval_probability(np.array([0.0, 0.25, 0.5]), np.array([0.25, 0.75]), 0.0, 0.5)
    with raises(ValueError):
        student.interval_probability(edges, heights * 0.99994, float(edges[0]), float(edges[1]))


def marginal(rng, n):
    """n probabilities, all different."""
    p = rng.permutation(np.arange(1, n + 1)) + rng.uniform(0, 0.5, n)
    return p / p.sum()


@pytest.mark.points(1)
@pytest.mark.task("is_independent")
def test_independent(student, rng):
    """Products of marginals are independent, whatever the shape and the zeros; other tables are not."""
    one, two, three = (np.outer(marginal(rng, n), marginal(rng, m)) for n, m in ((2, 3), (4, 4), (5, 2)))
    holes = np.zeros((4, 4))
    holes[np.ix_([0, 2, 3], [1, 2])] = np.outer(marginal(rng, 3), marginal(rng, 2))
    bank = [
        ("a product of shape (2, 3)", one, True),
        ("a product of shape (4, 4)", two, True),
        ("a product of shape (5, 2)", three, True),
        ("a product with rows and columns of zeros", holes, True),
        ("a table with one row", marginal(rng, 4)[None, :], True),
        ("equal variables", np.diag(marginal(rng, 3)), False),
        ("a random table", marginal(rng, 12).reshape(3, 4), False),
        ("a product whose rows were rolled", np.array([np.roll(r, i) for i, r in enumerate(two)]), False),
    ]
    judged(student.is_independent, bank)


@pytest.mark.points(1)
@pytest.mark.task("is_independent")
def test_nearly_independent(student, rng):
    """Uncorrelated tables, uniform marginals and single cells that fit do not make variables independent."""
    product = np.outer(marginal(rng, 4), marginal(rng, 5))
    moved = product.copy()
    i, j = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    moved[i : i + 2, j : j + 2] += 5e-5 * np.array([[1, -1], [-1, 1]])  # the marginals stay as they are
    corner = product.copy()
    corner[i : i + 2, j : j + 2] += 0.5 * corner[i : i + 2, j : j + 2].min() * np.array([[1, -1], [-1, 1]])
    square = np.outer(marginal(rng, 3), marginal(rng, 3))
    around = square + 0.5 * square.min() * np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    bank = [
        ("a product of shape (4, 5)", product, True),
        ("the same with 0.00005 moved between four cells", moved, False),
        ("the same with more moved between four cells", corner, False),
        ("X from -1, 0, 1 and its square, uncorrelated", np.array([[0, 1], [1, 0], [0, 1]]) / 3, False),
        ("uniform marginals", np.array([[2, 0, 1], [0, 2, 1], [1, 1, 1]]) / 9, False),
        ("a symmetric table", np.array([[3, 1, 2], [1, 4, 1], [2, 1, 5]]) / 20, False),
        ("the uniform table", np.full((3, 4), 1 / 12), True),
        ("a table with a determinant of 0", np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]]) / 45, False),
        ("a product with something moved between the cells off the diagonal", around, False),
    ]
    judged(student.is_independent, bank)


def dependent(table):
    """Whether a cell differs from the product of its marginals."""
    return np.abs(table - np.outer(table.sum(axis=1), table.sum(axis=0))).max() > 1e-6


@pytest.mark.points(2)
@pytest.mark.task("pairwise_only")
def test_pairwise_only(student):
    """Every two of the three variables are independent, and all three together are not."""
    given = student.pairwise_only()
    assert isinstance(given, (list, tuple, np.ndarray)), "pairwise_only must return an array or nested lists"
    try:
        joint = np.asarray(given)
    except ValueError:
        raise AssertionError("pairwise_only must return one table of shape (2, 2, 2)") from None
    assert joint.shape == (2, 2, 2), f"the table must have the shape (2, 2, 2), not {joint.shape}"
    assert joint.dtype.kind in "iuf", "the table must hold real numbers"
    joint = joint.astype(np.float64)
    assert np.all(joint >= -1e-6), "an entry is negative or NaN"
    assert abs(joint.sum() - 1) <= 1e-6, "the entries do not add up to 1"
    tables = {"X and Y": joint.sum(axis=2), "X and Z": joint.sum(axis=1), "Y and Z": joint.sum(axis=0)}
    tied = [names for names, table in tables.items() if dependent(table)]
    odd = np.indices((2, 2, 2)).sum(axis=0) % 2 == 1
    if min(joint[odd].sum(), joint[~odd].sum()) <= 1e-6:  # Z says whether X and Y differ, or that they do not
        seen = ", though each is settled by the other two together"
    elif any(min(np.trace(tables[names]), np.trace(tables[names][::-1])) <= 1e-6 for names in tied):
        seen = ": one settles the other"
    else:
        seen = ""
    assert not tied, f"{', '.join(tied)} are not independent{seen}"
    marginals = [joint.sum(axis=tuple(set(range(3)) - {k})) for k in range(3)]
    apart = np.abs(joint - np.einsum("i,j,k->ijk", *marginals)).max()
    assert apart > 1e-6, "all three are independent: every entry is the product of the three marginals"
    assert apart >= 0.05 - 1e-6, "no entry differs from the product of the three marginals by 0.05 or more"
