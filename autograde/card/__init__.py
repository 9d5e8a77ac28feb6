"""The card: what a submission earned, as static HTML and as a text twin."""

from __future__ import annotations

from IPython.display import display

from autograde.card.markup import html
from autograde.card.terminal import text
from autograde.card.wording import LOOKS, score_line, summary
from autograde.plaintext import clean
from autograde.verdict import Result

__all__ = ["LOOKS", "NotYet", "clean", "html", "score_line", "show", "summary", "text"]


class NotYet(AssertionError):
    """Not every test passed: one line, or the whole text card where nothing but a traceback is shown.

    Args:
        line: what `str` gives, and all that a notebook shows below the card.
        card: the text card, for nbgrader's Validate, which shows a traceback and no display.
    """

    def __init__(self, line: str, card: str = "") -> None:
        super().__init__(line)
        self.card = card

    def _render_traceback_(self) -> list[str]:
        """The lines IPython shows in place of a traceback."""
        return (self.card or str(self)).splitlines()


def show(result: Result, title: str) -> None:
    """Display the card in a notebook: HTML, and its text twin where there is no HTML."""
    display({"text/html": html(result, title), "text/plain": text(result, title)}, raw=True)
