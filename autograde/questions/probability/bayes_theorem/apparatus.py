"""Calls with exact fractions, which do not cross as data: made here, and their answers taken apart."""

from __future__ import annotations

from fractions import Fraction


def exact(function, cases):
    """What the function answers to each case: numbers as (numerator, denominator) pairs, then other arguments."""
    return [_plain(function(*(Fraction(*number) for number in numbers), *rest)) for numbers, *rest in cases]


def _plain(value):
    if isinstance(value, Fraction):
        return "Fraction", value.numerator, value.denominator
    return value
