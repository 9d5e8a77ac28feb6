"""Estimators of a variance over exact fractions, which do not cross as data."""

from __future__ import annotations

from fractions import Fraction


def _squares(sample):
    mean = sum(sample) / Fraction(len(sample))
    return sum((x - mean) ** 2 for x in sample)


ESTIMATORS = {
    "divided by n": lambda s: _squares(s) / len(s),
    "divided by n - 1": lambda s: _squares(s) / (len(s) - 1),
    "divided by n + 1": lambda s: _squares(s) / (len(s) + 1),
    "from the first two": lambda s: (s[0] - s[1]) ** 2 / 2,
    "the first, squared": lambda s: s[0] ** 2,
    "the last times the first": lambda s: s[-1] * s[0],
    "always 2/3": lambda _: Fraction(2, 3),
}


def biases(function, cases):
    """What the function answers for each estimator, values as (numerator, denominator) pairs, and n."""
    return [
        _plain(function(ESTIMATORS[name], [Fraction(*value) for value in values], n))
        for name, values, n in cases
    ]


def _plain(value):
    if isinstance(value, Fraction):
        return "Fraction", value.numerator, value.denominator
    return value
