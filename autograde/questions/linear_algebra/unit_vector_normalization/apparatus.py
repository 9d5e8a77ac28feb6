"""Calls a function where a warning of NumPy is an error."""

from __future__ import annotations

import warnings


def strictly(function, *args, **kwargs):
    """Call it; a RuntimeWarning ends the call."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return function(*args, **kwargs)
