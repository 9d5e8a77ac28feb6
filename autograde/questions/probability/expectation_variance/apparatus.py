"""Calls with exact fractions and with streams, which do not cross as data: made here, answers taken apart."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
from fractions import Fraction


def exact(function, cases):
    """What the function answers to each case; a pair of whole numbers in it stands for their quotient."""
    return [_plain(function(*map(_made, case))) for case in cases]


def _made(value):
    if isinstance(value, dict):  # lists of outcomes and of probabilities
        return dict(zip(map(_made, value["outcomes"]), map(_made, value["probabilities"]), strict=True))
    if isinstance(value[0], int):
        return Fraction(*value)
    return tuple(map(_made, value))


def _plain(value):
    if isinstance(value, Fraction):
        return "Fraction", value.numerator, value.denominator
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


class Reading(float):
    """A float that tells when it is no longer held."""

    held = 0

    def __new__(cls, value):
        """One more that is held."""
        cls.held += 1
        return super().__new__(cls, value)

    def __del__(self):
        Reading.held -= 1


def streamed(function, streams):
    """What the function answers to each stream, and the largest number of readings that it held at a time."""
    answers, most = [], 0
    for values in streams:
        Reading.held = 0

        def stream(values=values):
            nonlocal most
            for value in values:
                yield Reading(value)
                most = max(most, Reading.held)

        answers.append(_plain(function(stream())))
    return answers, most


class Nowhere(io.TextIOBase):
    """Where 20,000 lines of somebody's print leave no trace."""

    def write(self, text):
        """Forget it."""
        return len(text)


def hoards(function, values, limit):
    """Whether the function takes more than `limit` bytes for a stream of these values."""
    function(value for value in values[:3])  # what it imports is not counted
    tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with contextlib.redirect_stdout(Nowhere()):
            function(value for value in values)
        return tracemalloc.get_traced_memory()[1] - before > limit
    finally:
        if not tracing:
            tracemalloc.stop()
