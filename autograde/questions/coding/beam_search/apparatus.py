"""Searches with a step function that gives out rows of its own table, so that a row that is changed stays changed."""

from __future__ import annotations

from collections import Counter


def watched(beam_search, table, bos, eos, widths, steps):
    """Search once for each width; the answers, and the table as it is then.

    Raises:
        RuntimeError: at one step step_fn is called far too often. A beam that is never cut would not end here.
    """
    return [beam_search(_reader(table, width), bos, eos, width, steps) for width in widths], table


def _reader(table, width):
    calls = Counter()

    def step_fn(tokens):
        calls[len(tokens)] += 1
        if calls[len(tokens)] > 4 * len(table) * width:
            raise RuntimeError("step_fn was called far too often at one step: is the beam cut to beam_width?")
        return table[int(tokens[-1])]

    return step_fn
