from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest


def some(rng, count=3):
    """Different fractions strictly between 0 and 1, as pairs of numerator and denominator; no two add up to 1."""
    while True:
        found = [
            Fraction(int(a), int(b))
            for a, b in zip(rng.integers(1, 20, count), rng.integers(21, 50, count), strict=True)
        ]
        if len({x for one in found for x in (one, 1 - one)}) == 2 * count:
            return [(x.numerator, x.denominator) for x in found]


def head_count(prior, sensitivity, rate, results=(True,)):
    """The posterior by counting heads, in a town so large that every share of it is a whole number."""
    (a, b), (c, d), (e, f) = prior, sensitivity, rate
    ill, healthy = a, b - a
    for _ in results:
        ill, healthy = ill * d * f, healthy * d * f
    for positive in results:
        ill = ill * (c if positive else d - c) // d
        healthy = healthy * (e if positive else f - e) // f
    return Fraction(ill, ill + healthy)


def check_exact(given, expected, what):
    """Whether an answer of the apparatus is this number, and exact."""
    assert not isinstance(given, float), f"{what}: a float, and the exact Fraction was asked for"
    if isinstance(given, int) and not isinstance(given, bool):
        value = Fraction(given)  # a whole number is exact, too
    else:
        assert isinstance(given, tuple), f"{what}: not a Fraction"
        assert [type(part) for part in given] == [str, int, int], f"{what}: not a Fraction"
        value = Fraction(given[1], given[2] or 1)
    assert 0 <= value <= 1, f"{what}: yours is not between 0 and 1"
    assert value == expected, f"{what}: not the right probability; yours is {value}"


def check_all(apparatus, function, cases, whats):
    """Ask for all cases at once, and compare each with the head count."""
    answers = apparatus.exact(function, cases)
    assert isinstance(answers, list), "not a Fraction"
    assert len(answers) == len(cases), "not a Fraction"
    for given, (numbers, *rest), what in zip(answers, cases, whats, strict=True):
        check_exact(given, head_count(*numbers, *rest), what)


@pytest.mark.points(2)
@pytest.mark.task("posterior")
def test_posterior(student, rng, apparatus):
    """One positive test: the exact share of the ill among all who test positive."""
    cases = [[some(rng)] for _ in range(6)]
    cases.append([[(1, 100), (9, 10), (1, 20)]])
    whats = ["posterior with random rates"] * 6 + ["posterior for the patient in the question"]
    check_all(apparatus, student.posterior, cases, whats)


@pytest.mark.points(1)
@pytest.mark.task("posterior")
def test_posterior_edges(student, rng, apparatus, raises):
    """Priors and rates of 0 and 1 are fine, as long as somebody can test positive; otherwise ValueError."""
    p, s, f = some(rng)
    cases = [[[(0, 1), s, f]], [[(1, 1), s, f]], [[p, (1, 1), f]], [[p, s, (0, 1)]], [[p, (0, 1), f]]]
    cases += [[[p, s, (1, 1)]], [[(1, 10**9), s, (1, 10**9)]]]
    whats = [
        "posterior with a prior of 0",
        "posterior with a prior of 1",
        "posterior with a sensitivity of 1",
    ]
    whats += ["posterior with no false positives", "posterior with a sensitivity of 0"]
    whats += ["posterior with a false-positive rate of 1", "posterior with rates of one in a billion"]
    check_all(apparatus, student.posterior, cases, whats)
    for numbers in ([(0, 1), s, (0, 1)], [p, (0, 1), (0, 1)], [(1, 1), (0, 1), f]):
        with raises(ValueError):
            apparatus.exact(student.posterior, [[numbers]])


def by_loop(prior, sensitivity, rate, u, v):
    """The two counts, one patient after the other."""
    positive = both = 0
    for x, y in zip(u.tolist(), v.tolist(), strict=True):
        ill = x < prior
        if y < (sensitivity if ill else rate):
            positive += 1
            both += ill
    return positive, both


def counted(student, parts, rates, u, v, close, what):
    """Compare the learner's two counts with those of the loop."""
    given = parts(student.simulate(*rates, u, v), "positive", "positive and ill", what="simulate")
    expected = by_loop(*rates, u, v)
    names = ("the number of positive tests", "the number of ill patients among the positive")
    for name, one, right in zip(names, given, expected, strict=True):
        close(one, right, what=f"{name}, {what}", dtype=False, rtol=0, atol=0)


@pytest.mark.points(2)
@pytest.mark.task("simulate")
def test_simulate(student, rng, close, parts):
    """The positive tests, and the ill among them, are counted for any rates and any number of patients."""
    for n, rates in [
        (2000, (0.3, 0.8, 0.15)),
        (1500, (0.6, 0.2, 0.7)),
        (20_000, (0.01, 0.9, 0.05)),
        (50, (0.0, 0.9, 0.3)),
        (50, (1.0, 0.4, 0.9)),
    ]:
        u, v = rng.random((2, n))
        counted(student, parts, rates, u, v, close, f"{n} patients with a prior of {rates[0]}")


@pytest.mark.points(1)
@pytest.mark.task("simulate")
def test_simulate_edges(student, rng, close, carried, parts):
    """A number equal to a rate is not less than it: neither ill nor positive; u and v are left as they were."""
    rates = (0.25, 0.75, 0.5)
    u, v = (rng.permutation(np.repeat(np.arange(8) / 8, 40)) for _ in range(2))
    counted(student, parts, rates, u, v, close, "with numbers that equal the rates")
    _, (args, _) = carried(student.simulate, *rates, u.copy(), v.copy())
    close(args[3], u, rtol=0, atol=0, what="u after the call")
    close(args[4], v, rtol=0, atol=0, what="v after the call")


@pytest.mark.points(1)
@pytest.mark.task("posterior_after")
def test_positive_tests(student, rng, apparatus):
    """Several positive tests: each posterior is the prior of the next; with no test it stays the prior."""
    cases = [[some(rng), [True] * k] for k in (2, 1, 3, 8, 20, 0)]
    whats = [f"posterior after {len(results)} positive tests" for _, results in cases]
    check_all(apparatus, student.posterior_after, cases, whats)


@pytest.mark.points(2)
@pytest.mark.task("posterior_after")
def test_mixed_results(student, rng, apparatus, raises):
    """A negative test counts against the illness, in any order; impossible results raise ValueError."""
    cases = [[some(rng), results] for results in ([False], [True, False], [False, True, True], [False] * 4)]
    results = [bool(x) for x in rng.permutation([True] * 7 + [False] * 5)]
    cases += [[some(rng), results], [some(rng), results[::-1]]]
    whats = ["posterior after one negative test", "posterior after a positive and a negative test"]
    whats += ["posterior after a negative and two positive tests", "posterior after four negative tests"]
    whats += ["posterior after twelve tests"] * 2
    check_all(apparatus, student.posterior_after, cases, whats)
    cases = [[[some(rng)[0], (1, 1), (1, 4)], [True, False, True]]]
    cases += [[[some(rng)[0], (1, 4), (0, 1)], [False, True, False]]]
    cases += [[[some(rng)[0], (1, 1), (0, 1)], [True, True]]]
    whats = ["posterior after a negative result of a test that never misses"]
    whats += ["posterior after a positive result of a test without false positives"]
    whats += ["posterior after two positive results of a test that never errs"]
    check_all(apparatus, student.posterior_after, cases, whats)
    for numbers, results in [
        ([(1, 3), (1, 1), (0, 1)], [True, False]),
        ([(0, 1), (1, 2), (0, 1)], [True]),
        ([(1, 1), (1, 1), (1, 2)], [True, False]),
    ]:
        with raises(ValueError):
            apparatus.exact(student.posterior_after, [[numbers, results]])
