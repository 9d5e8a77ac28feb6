from __future__ import annotations

import statistics
from fractions import Fraction

import numpy as np
import pytest


def pair(x):
    """A fraction as the apparatus takes it."""
    return Fraction(x).numerator, Fraction(x).denominator


def spread(outcomes, weights):
    """Mean and variance by draws from an urn: half the mean squared difference of two of them."""
    total = sum(weights)
    mean = Fraction(sum(w * x for x, w in zip(outcomes, weights, strict=True)), total)
    twice = sum(
        v * w * (x - y) ** 2
        for x, v in zip(outcomes, weights, strict=True)
        for y, w in zip(outcomes, weights, strict=True)
    )
    return mean, Fraction(twice, 2 * total**2)


def pmf_of(outcomes, weights):
    """The dict of the task, as the apparatus takes it."""
    total = sum(weights)
    return {
        "outcomes": [pair(x) for x in outcomes],
        "probabilities": [pair(Fraction(w, total)) for w in weights],
    }


def check_exact(given, expected, what):
    """Whether an answer of the apparatus is a pair of these numbers, and exact."""
    assert isinstance(given, list), f"{what}: not a tuple (mean, variance)"
    assert len(given) == 2, f"{what}: not a tuple of two, (mean, variance)"
    for one, right, name in zip(given, expected, ("the mean", "the variance"), strict=True):
        assert not isinstance(one, float), f"{name}, {what}: a float, and the exact Fraction was asked for"
        if isinstance(one, int) and not isinstance(one, bool):
            value = Fraction(one)  # a whole number is exact, too
        else:
            assert isinstance(one, tuple), f"{name}, {what}: not a Fraction"
            assert [type(part) for part in one] == [str, int, int], f"{name}, {what}: not a Fraction"
            value = Fraction(one[1], one[2] or 1)
        assert value == right, f"{name}, {what}: not the right value; yours is {value}"


def check_all(apparatus, function, cases, expected, whats):
    """Ask for all cases at once, and compare each."""
    answers = apparatus.exact(function, cases)
    assert isinstance(answers, list), "not a tuple (mean, variance)"
    assert len(answers) == len(cases), "not a tuple (mean, variance)"
    for given, right, what in zip(answers, expected, whats, strict=True):
        check_exact(given, right, what)


@pytest.mark.points(1)
@pytest.mark.task("moments")
def test_moments(student, rng, apparatus):
    """Mean and variance are exact for any outcomes and probabilities, also negative and fractional outcomes."""
    cases, expected, whats = [], [], []
    for n in (2, 3, 6, 15):
        outcomes = [Fraction(int(x), 6) for x in rng.choice(np.arange(-60, 61), n, replace=False)]
        weights = rng.integers(1, 9 if n < 15 else 10**4, n).tolist()  # no float has these digits
        weights[0] += 4  # not all equal
        cases.append([pmf_of(outcomes, weights)])
        expected.append(spread(outcomes, weights))
        whats.append(f"moments of {n} outcomes")
    check_all(apparatus, student.moments, cases, expected, whats)


@pytest.mark.points(1)
@pytest.mark.task("moments")
def test_moments_edges(student, rng, apparatus):
    """A certain outcome has the variance 0; outcomes of probability 0 count nothing; a shift changes no variance."""
    base, weights = [int(x) for x in rng.choice(np.arange(1, 30), 4, replace=False)], [3, 1, 2, 5]
    urns = [
        ([x + 10**12 for x in base], weights),
        ([*base, 1000], [*weights, 0]),
        ([Fraction(7, 3)], [1]),
        ([0, -5], [2, 0]),
        ([-1, 1], [1, 1]),
    ]
    whats = ["moments of outcomes around 10**12", "moments with an outcome of probability 0"]
    whats += ["moments of a certain outcome", "moments of a certain 0", "moments of a fair -1 or 1"]
    expected = [spread(*urn) for urn in urns]
    check_all(apparatus, student.moments, [[pmf_of(*urn)] for urn in urns], expected, whats)


def streamed(apparatus, parts, function, streams):
    """The learner's (mean, variance) of each stream, and how many readings were held at most."""
    given = apparatus.streamed(function, streams)
    fits = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], list)
    assert fits, "one_pass must return a tuple (mean, variance)"
    answers, most = given
    return [parts(answer, "mean", "variance", what="one_pass") for answer in answers], most


def check_streams(apparatus, parts, function, streams, close, what):
    """Compare with exact sums of fractions."""
    answers, most = streamed(apparatus, parts, function, streams)
    for values, (mean, variance) in zip(streams, answers, strict=True):
        told = f"of {len(values)} readings{what}"
        close(mean, float(statistics.mean(values)), rtol=1e-9, what=f"the mean {told}", dtype=False)
        right = float(statistics.pvariance(values))
        close(variance, right, rtol=1e-5, atol=1e-12, what=f"the variance {told}", dtype=False)
    return most


@pytest.mark.points(1)
@pytest.mark.task("one_pass")
def test_one_pass(student, rng, close, apparatus, parts):
    """Mean and variance of ordinary readings, divided by n, for one reading and for many."""
    streams = [rng.normal(3, 2, n).tolist() for n in (2, 5, 400, 3)]
    check_streams(apparatus, parts, student.one_pass, [*streams, [-4.5]], close, "")


@pytest.mark.points(2)
@pytest.mark.task("one_pass")
def test_far_from_zero(student, rng, close, apparatus, parts):
    """Readings around a billion keep 5 digits of their variance, and it is never negative."""
    streams = [(sign * 1e9 + rng.normal(0, 1, 300)).tolist() for sign in (1, -1, 1, -1, 1, 1, 1)]
    check_streams(apparatus, parts, student.one_pass, streams, close, " around a billion")


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("one_pass")
def test_memory(student, rng, close, apparatus, parts):
    """A long stream is gone through once, with at most 100 readings held at a time."""
    streams = [rng.normal(-2, 5, 2000).tolist()]
    most = check_streams(apparatus, parts, student.one_pass, streams, close, "")
    assert isinstance(most, int), "the readings could not be counted"
    # a block of 100 may still be held while the next one is filled, and one more is in the hands of the stream
    assert most <= 201, f"{most} readings were held at a time: keep sums, not readings"
    values = rng.normal(-2, 5, 20_000).tolist()
    # an array of 20,000 numbers takes at least 80 kB, and blocks of 100 objects with their sums less than 30
    hoards = apparatus.hoards(student.one_pass, values, 60_000)
    assert hoards is False, "the memory grows with the length of the stream: keep sums, not readings"


@pytest.mark.points(1)
@pytest.mark.task("one_pass")
def test_empty(student, rng, close, apparatus, raises, parts):
    """A stream without readings raises ValueError, and equal readings have the variance 0."""
    x = float(rng.uniform(1, 9))
    check_streams(apparatus, parts, student.one_pass, [[x], [x] * 8, [0.0] * 3, [x, x + 1]], close, "")
    with raises(ValueError):
        apparatus.streamed(student.one_pass, [[]])


def joint(rng):
    """Moments of X and Y with a joint table of whole weights, and the pairs of outcomes with their weights."""
    xs, ys = (rng.choice(np.arange(-9, 10), n, replace=False).tolist() for n in (3, 4))
    table = rng.integers(0, 6, (3, 4))
    table[0, 0] += 7  # not independent
    cells = [(x, y, int(table[i, j])) for i, x in enumerate(xs) for j, y in enumerate(ys)]
    total = sum(w for *_, w in cells)
    x = spread([x for x, _, _ in cells], [w for *_, w in cells])
    y = spread([y for _, y, _ in cells], [w for *_, w in cells])
    covariance = sum(Fraction(w, total) * (a - x[0]) * (b - y[0]) for a, b, w in cells)
    return x, y, covariance, cells


def asked(rng, constants):
    """A case for combined, and the moments of the sum itself, by enumeration of the joint table."""
    x, y, covariance, cells = joint(rng)
    while abs(covariance) < 1:
        x, y, covariance, cells = joint(rng)
    a, b, c = constants
    expected = spread([a * u + b * v + c for u, v, _ in cells], [w for *_, w in cells])
    case = [pair(a), pair(b), pair(c), tuple(map(pair, x)), tuple(map(pair, y)), pair(covariance)]
    return case, expected


@pytest.mark.points(1)
@pytest.mark.task("combined")
def test_combined(student, rng, apparatus):
    """The moments of a X + b Y + c are those of its own distribution, for tied X and Y and any factors."""
    constants = [(1, 1, 0), (2, 3, 5), (Fraction(1, 2), Fraction(5, 3), -7), (4, 1, 2)]
    cases, expected = zip(*(asked(rng, each) for each in constants), strict=True)
    whats = [f"combined with a = {a}, b = {b}, c = {c}" for a, b, c in constants]
    check_all(apparatus, student.combined, list(cases), expected, whats)


@pytest.mark.points(1)
@pytest.mark.task("combined")
def test_combined_signs(student, rng, apparatus):
    """Differences, factors of 0 and a variable with itself come out right."""
    constants = [(1, -1, 0), (-2, 3, 1), (-1, -4, 6), (0, 5, 1), (3, 0, -2)]
    cases, expected = map(list, zip(*(asked(rng, each) for each in constants), strict=True))
    whats = [f"combined with a = {a}, b = {b}, c = {c}" for a, b, c in constants]
    x, *_ = joint(rng)
    for a, b in ((1, 1), (1, -1), (2, -5)):
        cases.append([pair(a), pair(b), pair(3), tuple(map(pair, x)), tuple(map(pair, x)), pair(x[1])])
        expected.append(((a + b) * x[0] + 3, (a + b) ** 2 * x[1]))
        whats.append(f"combined with a = {a}, b = {b}, X and Y the same variable")
    check_all(apparatus, student.combined, cases, expected, whats)
