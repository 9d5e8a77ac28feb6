from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
import torch


def oracle(x, mu, var):
    """The log-likelihood by torch's Normal, in float64."""
    mu, var = (torch.as_tensor(v, dtype=torch.float64) for v in (mu, var))
    return torch.distributions.Normal(mu, var.sqrt()).log_prob(torch.tensor(x)).sum()


@pytest.mark.points(1)
@pytest.mark.task("log_likelihood")
def test_log_likelihood(student, rng, close, carried):
    """The logarithms of the densities are added up, for any mean and variance, with all constants."""
    for n, mu, var in [(1, 0.5, 0.3), (2, -3.0, 4.0), (7, 1.0, 25.0), (3000, 20.0, 0.6), (40, 0, 2)]:
        x = rng.normal(mu + 0.5, 1.3 * math.sqrt(var), n)
        expected = float(oracle(x, mu, var))
        actual, (args, _) = carried(student.log_likelihood, x.copy(), mu, var)
        what = f"log_likelihood of {n} observations with the variance {var}"
        close(actual, expected, rtol=1e-9, what=what, dtype=False)
        close(args[0], x, rtol=0, atol=0, what="x after the call")


@pytest.mark.points(1)
@pytest.mark.task("log_likelihood")
def test_log_likelihood_edges(student, rng, close, raises):
    """Far from the mean it stays finite, a small variance gives positive values, one of 0 or below ValueError."""
    x = rng.normal(0, 1, 5)
    close(
        student.log_likelihood(x, 1000.0, 1.0),
        float(oracle(x, 1000.0, 1.0)),
        rtol=1e-9,
        what="log_likelihood a thousand standard deviations away",
        dtype=False,
    )
    close(
        student.log_likelihood(1e-4 * x, 0.0, 1e-8),
        float(oracle(1e-4 * x, 0.0, 1e-8)),
        rtol=1e-9,
        what="log_likelihood with a variance of 1e-8",
        dtype=False,
    )
    for var in (0.0, -2.0):
        with raises(ValueError):
            student.log_likelihood(x, 0.0, var)


def estimates(student, parts, x):
    """The learner's two numbers, or a failed assertion."""
    given = parts(student.mle(x), "mu", "var", what="mle")
    # a tensor of no dimension is as good as a number
    return [v.item() if isinstance(v, (torch.Tensor, np.ndarray)) and v.ndim == 0 else v for v in given]


@pytest.mark.points(2)
@pytest.mark.task("mle")
def test_mle(student, rng, close, parts):
    """Mean and variance are right for small and large samples, also around a million."""
    for n, middle, size in [(5, 3, 2), (2, 0, 1), (60, -1, 0.1), (400, 1e6, 1), (3, -1e6, 1)]:
        x = rng.normal(middle, size, n)
        values = x.tolist()
        mu, var = estimates(student, parts, x)
        what = f"for {n} observations around {middle:g}"
        close(mu, statistics.fmean(values), rtol=1e-9, atol=1e-9 * size, what=f"the mean {what}", dtype=False)
        close(
            var,
            float(statistics.pvariance(values)),
            rtol=1e-8,
            atol=0,
            what=f"the variance {what}",
            dtype=False,
        )


@pytest.mark.points(1)
@pytest.mark.task("mle")
def test_maximum(student, rng, close, carried, parts):
    """Both derivatives of the log-likelihood are 0 at the estimates, and nothing around them is more likely."""
    for n in (4, 2, 30):
        x = rng.normal(2, 3, n)
        given = []
        for value, name in zip(estimates(student, parts, x), ("mu", "var"), strict=True):
            assert isinstance(value, (int, float, np.number)), f"{name} must be a number"
            given.append(float(value))
        assert given[1] > 0, f"the variance of {n} different observations must be positive"
        mu, var = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in given)
        top = oracle(x, mu, var)
        by_mu, by_var = torch.autograd.grad(top, (mu, var))
        top = top.item()
        what = f"of the log-likelihood of {n} observations at your estimates"
        flat = float(by_mu) * math.sqrt(given[1]) / n
        assert abs(flat) < 1e-6, f"the derivative with respect to mu {what} is not 0"
        flat = float(by_var) * given[1] / n
        assert abs(flat) < 1e-6, f"the derivative with respect to the variance {what} is not 0"
        for d, f in zip(rng.normal(0, 1, 300), rng.uniform(0.5, 2, 300), strict=True):
            other = oracle(x, given[0] + d * math.sqrt(given[1]), given[1] * f)
            assert float(other) <= top + 1e-9, "other estimates make the observations more likely"
    _, (args, _) = carried(student.mle, x.copy())
    close(args[0], x, rtol=0, atol=0, what="x after the call")


@pytest.mark.points(1)
@pytest.mark.task("mle")
def test_no_maximum(student, rng, close, raises, parts):
    """Observations that are all equal raise ValueError, in spite of rounding; nearly equal ones do not."""
    x = 0.1 + 1e-9 * rng.permutation(np.arange(6.0))
    mu, var = estimates(student, parts, x)
    close(
        mu, statistics.fmean(x.tolist()), rtol=1e-9, what="the mean of nearly equal observations", dtype=False
    )
    right = float(statistics.pvariance(x.tolist()))
    close(var, right, rtol=1e-6, atol=0, what="the variance of nearly equal observations", dtype=False)
    for equal in (np.full(4, 2.0), np.full(3, 0.1), np.array([float(rng.uniform(1, 2))])):
        with raises(ValueError):
            student.mle(equal)


def source(rng, m):
    """m different values that are equally likely: their mean, their variance, and pairs for the apparatus."""
    over = 4 if m < 5 else 10_007  # what is computed with floats has not all digits of these
    values = [Fraction(int(v), over) for v in rng.choice(np.arange(-30, 31), m, replace=False)]
    mean = sum(values) / Fraction(m)
    variance = sum((u - v) ** 2 for u in values for v in values) / (2 * m * m)
    return mean, variance, [(v.numerator, v.denominator) for v in values]


def expected_bias(name, mean, variance, n):
    """The bias in closed form."""
    divisors = {"divided by n": n, "divided by n - 1": n - 1, "divided by n + 1": n + 1}
    if name in divisors:
        return variance * Fraction(n - 1, divisors[name]) - variance
    together = mean**2 + (variance if n == 1 else 0)
    known = {
        "from the first two": Fraction(0),
        "the first, squared": mean**2,
        "the last times the first": together - variance,
        "always 2/3": Fraction(2, 3) - variance,
    }
    return known[name]


def check_biases(student, apparatus, rng, cases):
    """Ask for all cases at once, and compare each with the closed form."""
    asked, expected = [], []
    for name, m, n in cases:
        mean, variance, values = source(rng, m)
        asked.append([name, values, n])
        expected.append(expected_bias(name, mean, variance, n))
    answers = apparatus.biases(student.bias, asked)
    assert isinstance(answers, list), "bias must return a Fraction"
    assert len(answers) == len(cases), "bias must return a Fraction"
    for given, right, (name, m, n) in zip(answers, expected, cases, strict=True):
        what = f"the bias of the estimator '{name}' for {m} values and samples of {n}"
        assert not isinstance(given, float), f"{what}: a float, and the exact Fraction was asked for"
        if isinstance(given, int) and not isinstance(given, bool):
            value = Fraction(given)  # a whole number is exact, too
        else:
            assert isinstance(given, tuple), f"{what}: not a Fraction"
            assert [type(part) for part in given] == [str, int, int], f"{what}: not a Fraction"
            value = Fraction(given[1], given[2] or 1)
        assert value == right, f"{what}: not the right value; yours is {value}"


@pytest.mark.points(1)
@pytest.mark.task("bias")
def test_bias_of_mle(student, rng, apparatus):
    """The estimate divided by n has its exact bias, for any source and any size of the sample."""
    cases = [("divided by n", m, n) for m, n in ((2, 2), (3, 2), (4, 3), (2, 5), (6, 1), (5, 4))]
    check_biases(student, apparatus, rng, cases)


@pytest.mark.points(1)
@pytest.mark.task("bias")
def test_bias_of_others(student, rng, apparatus):
    """Other estimators have theirs: divided by n - 1 none, also those that look at the order of the sample."""
    cases = [("always 2/3", 3, 2), ("the first, squared", 4, 3), ("divided by n + 1", 3, 4)]
    cases += [("the last times the first", 3, 3), ("divided by n - 1", 4, 3), ("divided by n - 1", 2, 5)]
    cases += [("from the first two", 4, 3), ("the last times the first", 5, 1), ("always 2/3", 1, 3)]
    check_biases(student, apparatus, rng, cases)
