from __future__ import annotations

import numpy as np
import pytest

SHAPES = [(3, 4, 5), (4, 4, 4), (1, 6, 2), (5, 1, 3), (2, 3, 1), (1, 1, 1)]


def multiplied(student, parts, rng, close, N, D, M, which, expected):
    """The product is right, and so is the number at this place of what is returned."""
    A, B = rng.standard_normal((N, D)), rng.standard_normal((D, M))
    given = student.matmul_loops(A, B)
    what = f"for shapes {A.shape} and {B.shape}"
    parts(given, "C", "multiplications", "additions", what="matmul_loops")
    close(given[0], A @ B, rtol=1e-9, atol=1e-12, what=f"the product {what}")
    if which:
        close(
            given[which], expected, what=f"the number of {('', 'multiplications', 'additions')[which]} {what}"
        )


@pytest.mark.points(1)
@pytest.mark.task("matmul_loops")
def test_product(student, rng, close, raises, parts):
    """The product is right for square and other shapes; inner sizes that differ raise ValueError."""
    for N, D, M in SHAPES:
        multiplied(student, parts, rng, close, N, D, M, 0, None)
    for D, other in [(3, 4), (3, 2), (3, 1)]:
        with raises(ValueError):
            student.matmul_loops(rng.standard_normal((2, D)), rng.standard_normal((other, 2)))


@pytest.mark.points(1)
@pytest.mark.task("matmul_loops")
def test_multiplications(student, rng, close, parts):
    """One multiplication for each entry of the result and each step of its sum."""
    for N, D, M in SHAPES:
        multiplied(student, parts, rng, close, N, D, M, 1, N * D * M)


@pytest.mark.points(1)
@pytest.mark.task("matmul_loops")
def test_additions(student, rng, close, parts):
    """One addition fewer than there are products, in each entry; none where the inner size is 1."""
    for N, D, M in SHAPES:
        multiplied(student, parts, rng, close, N, D, M, 2, N * (D - 1) * M)


def orders(first, last):
    """All brackets of the chain from matrix `first` up to `last`, without that."""
    if last - first == 1:
        return [first]
    return [
        (left, right)
        for split in range(first + 1, last)
        for left in orders(first, split)
        for right in orders(split, last)
    ]


def cost(order, dims):
    """Multiplications of one order, with its first matrix and the one behind its last."""
    if not isinstance(order, tuple):
        return 0, order, order + 1
    (a, first, split), (b, also, last) = (cost(part, dims) for part in order)
    assert split == also, "every order here keeps the matrices in their sequence"
    return a + b + dims[first] * dims[split] * dims[last], first, last


def leaves(order):
    """The indices in an order, from left to right."""
    return [i for part in order for i in leaves(part)] if isinstance(order, tuple) else [order]


def cheapest(dims):
    """The smallest cost over all brackets."""
    return min(cost(order, dims)[0] for order in orders(0, len(dims) - 1))


def greedy(dims):
    """The cost of always doing the cheapest product next."""
    dims, total = list(dims), 0
    while len(dims) > 2:
        costs = [dims[i - 1] * dims[i] * dims[i + 1] for i in range(1, len(dims) - 1)]
        total += min(costs)
        del dims[1 + costs.index(min(costs))]
    return total


def largest_inner(dims):
    """The cost of always removing the largest inner size next."""
    dims, total = list(dims), 0
    while len(dims) > 2:
        at = 1 + int(np.argmax(dims[1:-1]))
        total += dims[at - 1] * dims[at] * dims[at + 1]
        del dims[at]
    return total


def one_by_one(dims):
    """The cheaper one of going from the left and from the right."""
    n = len(dims) - 1
    left = sum(dims[0] * dims[i] * dims[i + 1] for i in range(1, n))
    return min(left, sum(dims[i - 1] * dims[i] * dims[n] for i in range(1, n)))


def chains(rng):
    """Chains among which each rule of thumb fails: greed, the largest size first, from either end."""
    yield [int(x) for x in rng.integers(2, 30, 3)]
    for rule, n in [(one_by_one, 5), (greedy, 3), (largest_inner, 4), (greedy, 6), (largest_inner, 7)]:
        dims = [1, 1]
        while rule(dims) == cheapest(dims):
            dims = [int(x) for x in rng.integers(2, 30, n + 1)]
        yield dims


def found(student, parts, dims):
    """What the learner returns for a chain, or a failed assertion."""
    return parts(student.best_order(dims), "cost", "order", what="best_order")


@pytest.mark.points(2)
@pytest.mark.task("best_order")
def test_cost(student, rng, close, parts):
    """The smallest number of multiplications over all brackets is found; for a single matrix it is 0."""
    for dims in chains(rng):
        close(found(student, parts, dims)[0], cheapest(dims), what=f"the cost for dims = {dims}")
    close(found(student, parts, [7, 3])[0], 0, what="the cost for dims = [7, 3]")


def plain(order):
    """The learner's order as tuples and integers, or a failed assertion."""
    if isinstance(order, (tuple, list)):
        assert len(order) == 2, f"a product in the order must be a pair, not {len(order)} values"
        return tuple(plain(part) for part in order)
    assert isinstance(order, (int, np.integer)), "an order must consist of indices and pairs"
    assert not isinstance(order, bool), "an order must consist of indices and pairs"
    return int(order)


@pytest.mark.points(2)
@pytest.mark.task("best_order")
def test_order(student, rng, close, parts):
    """The brackets take every matrix once, in its place, and reach the smallest cost."""
    for dims in chains(rng):
        order = plain(found(student, parts, dims)[1])
        named = f"the order for dims = {dims} must name the matrices 0 to {len(dims) - 2}, in their sequence"
        assert leaves(order) == list(range(len(dims) - 1)), named
        reached, *_ = cost(order, dims)
        close(reached, cheapest(dims), what=f"the cost of the order for dims = {dims}")
    close(plain(found(student, parts, [7, 3])[1]), 0, what="the order for dims = [7, 3]")
