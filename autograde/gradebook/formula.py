"""TeX in a page of feedback as MathML, which browsers show without a network; MathJax comes from one."""

from __future__ import annotations

import re

from latex2mathml.converter import convert

# Code keeps its dollars: a fence or a span matches first and is put back as it was.
_PIECES = re.compile(
    r"(?P<code>```.*?```|`[^`\n]*`)|\$\$(?P<block>.+?)\$\$|(?<![\\$])\$(?P<inline>[^$\n]+?)(?<!\\)\$",
    re.DOTALL,
)
# What the converter does not know it shows as an identifier.
_UNKNOWN = re.compile(r"<m[iox]>(?:\\|&<)")


def with_mathml(markdown: str) -> str:
    """The text with each formula as MathML; one that can't be converted stays TeX."""
    return _PIECES.sub(_converted, markdown)


def _converted(match: re.Match[str]) -> str:
    if match["code"]:
        return match.group()
    block = match["block"] is not None
    tex = match["block"] if block else match["inline"]
    try:
        made = convert(tex.strip(), display="block" if block else "inline")
    except Exception:  # noqa: BLE001  the converter raises anything on what it does not know
        return match.group()
    return match.group() if _UNKNOWN.search(made) else made.replace("\n", " ")
