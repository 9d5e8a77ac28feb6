"""Text that is safe to show, and that keeps to its columns."""

from __future__ import annotations

import re
import textwrap
import unicodedata

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])", re.DOTALL)
_LIMIT = 4000  # characters of one message: more than that nobody reads


def clean(value: str, limit: int = _LIMIT) -> str:
    """A learner's text without what could disguise it or disturb its surroundings.

    ANSI sequences, control and invisible characters, and changes of writing direction are dropped, stacks of
    combining marks cut to two, tabs become spaces, and no more than `limit` characters are kept.
    """
    value = _ANSI.sub("", value[: 4 * limit]).replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    kept: list[str] = []
    marks = 0
    for character in value.replace("\u2028", "\n").replace("\u2029", "\n"):
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character == "\n" or (category not in ("Cc", "Cf", "Cs", "Co", "Cn") and marks < 3):
            kept.append(character)
    whole = "".join(kept)
    return whole if len(whole) <= limit else whole[:limit].rstrip() + " … (shortened)"


def inline(value: str) -> str:
    """One line of clean text."""
    return " ".join(clean(value, 300).split())


def wrap(value: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` columns; the text's own line breaks and indentation stay."""
    wide = any(unicodedata.east_asian_width(c) in "WF" for c in value)
    room = (width - len(indent)) // (2 if wide else 1)
    wrapped = (
        textwrap.wrap(line, room, replace_whitespace=False, drop_whitespace=True) or [""]
        for line in value.split("\n")
    )
    return [indent + part for parts in wrapped for part in parts]


def hang(left: str, right: str, width: int) -> list[str]:
    """A line, its right part wrapped below itself."""
    indent = " " * columns_of(left)
    room = max(20, width - len(indent))
    parts = textwrap.wrap(right, room // (2 if columns_of(right) > len(right) else 1)) or [""]
    return [(left + parts[0]).rstrip(), *(indent + part for part in parts[1:])]


def columns_of(value: str) -> int:
    """Columns a terminal needs: wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in value
    )


def fit(value: str, columns: int) -> str:
    """The value, its end left out where it needs more columns."""
    while columns_of(value) > columns:
        value = value[:-2] + "…"
    return value


def pad(value: str, columns: int) -> str:
    """The value with spaces up to so many columns."""
    return value + " " * (columns - columns_of(value))
