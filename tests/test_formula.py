"""Formulas on feedback pages."""

from __future__ import annotations

import pytest

from autograde.gradebook.formula import with_mathml


@pytest.mark.parametrize("text", ["so $x_i$ is", "$$\n\\frac{a}{b}\n$$"])
def test_a_formula_becomes_mathml(text: str) -> None:
    """TeX between dollars is markup that a browser shows by itself."""
    made = with_mathml(text)
    assert "<math" in made
    assert "$" not in made


@pytest.mark.parametrize("text", ["`$x$`", "```\n$x$ and $y$\n```", "costs \\$5 and \\$6", "5 $ alone"])
def test_what_is_no_formula_stays(text: str) -> None:
    """Dollars in code, escaped ones and a lone one are left as they are."""
    assert with_mathml(text) == text


@pytest.mark.parametrize("tex", ["$\\begin{aligned}a&=b\\\\c&=d\\end{aligned}$", "$\\frac{$"])
def test_what_can_not_be_converted_stays(tex: str) -> None:
    """A formula that the converter does not know stays TeX, rather than wrong."""
    assert with_mathml(tex) == tex
