"""The card: what a learner sees of a result, as HTML and as text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from autograde.card import NotYet, clean, html, show, summary, text
from autograde.verdict import Outcome, Recognised, Result, Verdict

HOSTILE = (
    "<script>alert(1)</script>\x1b[31mred\x1b[0m \u202eevil\u2066 a\x00b\x07 z\u0300\u0301\u0302\u0303\u0304"
)
FULL = Result(
    "softmax_logits",
    (
        Verdict("test_sum", "Rows sum to one.", Outcome.PASSED, 2, task="softmax"),
        Verdict(
            "test_large", "Large logits.", Outcome.FAILED, 2.5, "contains NaN\n  second line", task="softmax"
        ),
        Verdict("test_axis", "Any axis.", Outcome.ERROR, 1, "AxisError: no", task="softmax"),
        Verdict("test_copy", "No copy is made.", Outcome.PASSED, 2, task="attention", method=True),
        Verdict(
            "test_grad", "Gradients flow.", Outcome.BROKEN, 1, "KeyError in the oracle", task="attention"
        ),
        Verdict("test_gpu", "It runs on CUDA.", Outcome.NOT_RUN, 2, "needs CUDA", part="cuda"),
    ),
    (Recognised("no_max", "You exponentiate the logits as they are. What is exp(1000)?", "softmax"),),
    ("ran longer than 10 s in forward",),
    ("cell 'try_softmax' was edited",),
)
ALL_RIGHT = Result("q", (Verdict("test_a", "Right.", Outcome.PASSED, 2),))


class Reader(HTMLParser):
    """Reads a card the way a browser does: tags, attributes, and the text between."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)
        assert not self.open, "tags left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag and what it says of itself."""
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """The tag that was opened last is the one to close."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the words."""
        self.words += data


def both(result: Result) -> tuple[str, str]:
    """What is read in the HTML and in the text twin."""
    return Reader(html(result, "Softmax")).words, text(result, "Softmax")


@pytest.mark.parametrize(
    "words",
    [
        *("Softmax", "4 of 10.5 points, 3 still open", "Rows sum to one.", "contains NaN", "second line"),
        *("AxisError: no", "This looks like “no max”, in softmax", "What is exp(1000)?", "needs CUDA"),
        *(
            "ran longer than 10 s in forward",
            "Note: cell 'try_softmax' was edited",
            "No copy is made. (method)",
        ),
        *("✓", "passed", "✗", "failed", "!", "error", "○", "not run", "?", "broken", "part cuda"),
        *("a person will look", "2 of 2", "0 of 2.5", "2 open"),
    ],
)
def test_both_cards_tell_everything(words: str) -> None:
    """The HTML and its text twin hold every test, its points, its message and all that was found."""
    assert all(words in card for card in both(FULL))


def test_what_broke_in_our_test_is_not_shown() -> None:
    """The error of a broken test, which may quote the test, stays out of the card."""
    assert not any("oracle" in card for card in both(FULL))


@pytest.mark.parametrize(
    ("tasks", "where"), [(["a", "b"], ", in a and b"), (["a", "b", "c"], ", in a, b and c"), ([None], "")]
)
def test_a_mistake_that_shows_in_several_tasks(tasks: list[str | None], where: str) -> None:
    """A mistake is told once, with all the tasks that it shows in, and other mistakes beside it."""
    seen = tuple(Recognised("no_max", "What is exp(1000)?", task) for task in tasks)
    for card in both(replace(FULL, recognised=(*seen, Recognised("no_scale", "By what?", "d")))):
        assert [card.count(words) for words in ("no max", "What is exp(1000)?", "no scale")] == [1, 1, 1]
        assert f"“no max”{where}" in " ".join(card.replace("┃", " ").split())


def test_tests_are_grouped_by_task() -> None:
    """Where there are several tasks, each is a heading with its own points."""
    for card in both(FULL):
        assert re.search(r"softmax\s+2 of 5\.5.*attention\s+2 of 3, 1 still open.*part cuda", card, re.DOTALL)


def test_one_task_needs_no_heading() -> None:
    """A single task is not named again."""
    only = Result("q", (Verdict("test_a", "Right.", Outcome.PASSED, 2, task="softmax"),))
    assert not any("softmax" in card for card in both(only))


def test_a_passed_test_has_no_message() -> None:
    """What passed is one line, without details."""
    page = html(Result("q", (Verdict("test_a", "Right.", Outcome.PASSED, 2, "noise"),)), "Softmax")
    assert "noise" not in page
    assert "<details" not in page


def test_a_problem_is_told_in_place_of_a_score() -> None:
    """A submission that could not be graded says why, and no points."""
    for card in both(Result("q", problem="not a notebook: line 12")):
        assert "Could not be graded" in card
        assert "not a notebook: line 12" in card
        assert "0 of 0" not in card


def test_a_test_without_a_docstring_is_called_by_its_name() -> None:
    """The line is never empty."""
    assert all("test_a" in card for card in both(Result("q", (Verdict("test_a", "", Outcome.PASSED, 2),))))


def test_the_html_is_static() -> None:
    """No script, link, class, id or event handler, and every tag closed."""
    reader = Reader(html(FULL, "Softmax"))
    assert set(reader.tags) <= {"div", "strong", "span", "svg", "rect", "details", "summary", "pre"}
    assert not {name for name, _ in reader.attributes} & {"class", "id", "href", "src"}
    assert not [name for name, _ in reader.attributes if name.startswith("on")]


def test_the_bar_is_told_to_a_screen_reader() -> None:
    """The progress bar is an image with the score as its label."""
    attributes = Reader(html(FULL, "Softmax")).attributes
    assert ("role", "img") in attributes
    assert ("aria-label", "4 of 10.5 points, 3 still open") in attributes


def test_messages_are_open_at_first() -> None:
    """Every message of a test that did not pass is shown without a click."""
    assert html(FULL, "Softmax").count("<details open") == 4


@pytest.mark.parametrize(
    "where", ["title", "message", "says", "test", "task", "mistake", "advice", "stop", "note", "problem"]
)
def test_hostile_text_is_shown_and_not_run(where: str) -> None:
    """Wherever a learner's text comes in, tags are text, and ANSI, control and bidi characters are gone."""
    put = {where: HOSTILE}
    said = Verdict(
        put.get("test", "t"),
        put.get("says", ""),
        Outcome.FAILED,
        1,
        put.get("message", ""),
        put.get("task", "a"),
    )
    other = Verdict("u", "u", Outcome.PASSED, 1, task="b")
    found = (Recognised(put.get("mistake", "m"), put.get("advice", "")),)
    result = Result(
        "q", (said, other), found, (put.get("stop", ""),), (put.get("note", ""),), put.get("problem", "")
    )
    page, plain = html(result, put.get("title", "t")), text(result, put.get("title", "t"))
    assert "<script" not in page
    assert "<script>" in Reader(page).words
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]|\\[31m", page + plain)


@given(st.text(max_size=200))
def test_clean_text_is_plain(value: str) -> None:
    """Clean text has no control, format or private character save the line break, and stays as it is."""
    once = clean(value)
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]", once
    )
    assert clean(once) == once


def test_clean_keeps_ordinary_text() -> None:
    """Formulas, accents and indentation stay as they are."""
    value = "naïve √8 ≈ 2.83\n    x = é"
    assert clean(value) == value


def test_clean_drops_whole_terminal_sequences() -> None:
    """Colours and window titles leave nothing behind."""
    assert clean("\x1b[1;31mred\x1b[0m \x1b]0;title\x07now") == "red now"


def test_an_endless_message_is_cut() -> None:
    """A megabyte of message becomes a few thousand characters that say so."""
    cut = clean("x" * 10**6)
    assert len(cut) < 4100
    assert cut.endswith("(shortened)")


@given(st.text(max_size=300), st.integers(40, 120))
def test_no_line_is_wider_than_asked(message: str, width: int) -> None:
    """Whatever the message, the text card keeps to its width."""
    result = Result("q", (Verdict("test_a", message, Outcome.FAILED, 2, message),), notes=(message,))
    assert max(map(len, text(result, message, width).split("\n"))) <= width


def test_a_notebook_shows_one_line_below_the_card() -> None:
    """NotYet raised in a cell shows its line and no traceback."""
    assert _raised(NotYet(summary(FULL))) == "4 of 10.5 points, 3 still open, see the card above\n"


def test_validate_shows_the_whole_card() -> None:
    """NotYet with a card shows the card in place of a traceback, 80 columns wide."""
    card = text(FULL, "Softmax")
    assert _raised(NotYet(summary(FULL), card)) == card + "\n"
    assert max(map(len, card.split("\n"))) <= 80


def test_show_gives_html_and_text() -> None:
    """A notebook gets both forms of the card as one output."""
    InteractiveShell.instance()
    with capture_output() as captured:
        show(ALL_RIGHT, "Softmax")
    assert captured.outputs[0].data == {
        "text/html": html(ALL_RIGHT, "Softmax"),
        "text/plain": text(ALL_RIGHT, "Softmax"),
    }


def _raised(error: NotYet) -> str:
    """What IPython prints when a cell raises it."""
    shell = InteractiveShell.instance()
    shell.user_ns["error"] = error
    with capture_output() as captured:
        shell.run_cell("raise error")
    return captured.stdout
