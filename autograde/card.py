"""The card: what a submission earned, as static HTML and as a text twin."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from html import escape

from IPython.display import display

from autograde.verdict import Outcome, Recognised, Result, Verdict, points

# Symbol, word, and colour: JupyterLab's where there is one, else one that reads on white and on black.
LOOKS: dict[Outcome, tuple[str, str, str]] = {
    Outcome.PASSED: ("✓", "passed", "var(--jp-success-color1, #3b8f3f)"),
    Outcome.FAILED: ("✗", "failed", "var(--jp-error-color1, #e0403a)"),
    Outcome.ERROR: ("!", "error", "var(--jp-error-color1, #e0403a)"),
    Outcome.NOT_RUN: ("○", "not run", "var(--jp-info-color1, #0b8aa0)"),
    Outcome.BROKEN: ("?", "broken", "var(--jp-warn-color1, #c77700)"),
}
_BROKEN = "Our test broke: this costs nothing, a person will look."
_NOT_RUN = "Not run here: the points stay open."
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])", re.DOTALL)
_LIMIT = 4000  # characters of one message: more than that nobody reads

_FAINT = "color:var(--jp-content-font-color2, inherit)"
_LINE = "var(--jp-border-color1, #8888)"
_MESSAGE = (
    "white-space:pre-wrap;overflow-wrap:anywhere;margin:4px 0 2px;padding:6px 10px;"
    f"font-size:12px;line-height:1.45;border-left:3px solid {_LINE};"
    "background:var(--jp-layout-color2, #8882);color:inherit;"
    "font-family:var(--jp-code-font-family, monospace)"
)


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


def summary(result: Result) -> str:
    """The one line that NotYet says in a notebook: "7 of 12 points, see the card above"."""
    return f"{score_line(result)}, see the card above"


def score_line(result: Result) -> str:
    """Points earned of points there are: "7 of 12 points, 2 still open"."""
    return _sum(result.verdicts, " points") if result.verdicts else "not graded"


def show(result: Result, title: str) -> None:
    """Display the card in a notebook: HTML, and its text twin where there is no HTML."""
    display({"text/html": html(result, title), "text/plain": text(result, title)}, raw=True)


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


# ---------------------------------------------------------------------------------------------------- both


def _groups(result: Result) -> list[tuple[str, tuple[Verdict, ...]]]:
    """Headings and their verdicts: the tasks where there are several, then the parts."""
    main = result.of_part(None)
    tasks = list(dict.fromkeys(v.task for v in main))
    several = len(tasks) > 1
    groups = (
        [(t or "in general", tuple(v for v in main if v.task == t)) for t in tasks]
        if several
        else [("", main)]
    )
    parts = dict.fromkeys(v.part for v in result.verdicts if v.part is not None)
    groups += [(f"part {part}", result.of_part(part)) for part in parts]
    return [(clean(name), verdicts) for name, verdicts in groups if verdicts]


def _sum(verdicts: tuple[Verdict, ...], unit: str = "") -> str:
    """Points earned of points there are, and how many a person or another machine still decides."""
    still = sum(v.points for v in verdicts if v.outcome.is_open)
    line = f"{points(sum(v.earned for v in verdicts))} of {points(sum(v.points for v in verdicts))}{unit}"
    return line + (f", {points(still)} still open" if still else "")


def _worth(verdict: Verdict) -> str:
    """The points of one test: "2 of 2", or "2 open" where nobody knows yet."""
    return f"{points(verdict.points)} open" if verdict.outcome.is_open else _sum((verdict,))


def _message(verdict: Verdict) -> str:
    """What is told below a test; nothing where it passed."""
    if verdict.outcome is Outcome.PASSED:
        return ""
    if verdict.outcome is Outcome.BROKEN:
        return _BROKEN  # what broke may quote the test: it is for the instructor's report
    said = clean(verdict.message).strip("\n")
    return said or (_NOT_RUN if verdict.outcome is Outcome.NOT_RUN else "")


def _line(verdict: Verdict) -> str:
    says = " ".join(clean(verdict.says or verdict.test).split())
    return says + (" (method)" if verdict.method else "")


def _looks_like(recognised: Recognised) -> str:
    where = f", in {clean(recognised.task)}" if recognised.task else ""
    return f"This looks like “{clean(recognised.mistake).replace('_', ' ')}”{where}"


def _obstacles(result: Result) -> list[tuple[str, str]]:
    """Heading and text of what kept tests from running."""
    problem = [("Could not be graded", clean(result.problem))] if result.problem else []
    return problem + [("Stopped", clean(stop)) for stop in result.stops]


# ---------------------------------------------------------------------------------------------------- HTML


def html(result: Result, title: str) -> str:
    """The card as static HTML: no script, no class, no link; readable on light and dark ground.

    Args:
        result: what the submission earned.
        title: the question's title.
    """
    note = f"{_FAINT};margin-top:6px;font-size:12px"
    blocks = [_html_head(result, title)]
    blocks += [_box(heading, said, Outcome.ERROR) for heading, said in _obstacles(result)]
    blocks += [_box(_looks_like(r), clean(r.says), Outcome.BROKEN) for r in result.recognised]
    blocks += [_html_group(name, verdicts) for name, verdicts in _groups(result)]
    blocks += [f'<div style="{note}">Note: {escape(clean(said))}</div>' for said in result.notes]
    style = (
        f"border:1px solid {_LINE};border-radius:4px;padding:12px 16px;margin:4px 0;max-width:860px;"
        "font-size:14px;line-height:1.45;color:var(--jp-content-font-color1, inherit);"
        "font-family:var(--jp-content-font-family, system-ui, sans-serif)"
    )
    return f'<div style="{style}">{"".join(blocks)}</div>'


def _html_head(result: Result, title: str) -> str:
    line = score_line(result)
    return (
        '<div style="display:flex;flex-wrap:wrap;align-items:center;gap:4px 16px;margin-bottom:8px">'
        f'<strong style="font-size:16px">{escape(clean(title))}</strong>'
        f'<span style="margin-left:auto;white-space:nowrap">{escape(line)}</span>'
        f"{_bar(result, line) if result.verdicts else ''}</div>"
    )


def _bar(result: Result, label: str) -> str:
    """Points as a bar: earned, open (outlined), the rest."""
    whole = result.max_score or 1.0
    earned = 180 * result.score / whole
    still = 180 * sum(v.points for v in result.verdicts if v.outcome.is_open) / whole
    good, info = LOOKS[Outcome.PASSED][2], LOOKS[Outcome.NOT_RUN][2]
    bar = '<rect height="10" rx="2"'
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="180" height="10" viewBox="0 0 180 10">'
        f'{bar} width="180" style="fill:currentColor;opacity:0.15"></rect>'
        f'{bar} width="{earned:.1f}" style="fill:{good}"></rect>'
        f'{bar} x="{earned:.1f}" width="{still:.1f}" style="fill:{info};opacity:0.5"></rect></svg>'
    )


def _box(heading: str, said: str, look: Outcome) -> str:
    colour = LOOKS[look][2]
    return (
        f'<div style="border:1px solid {colour};border-left:6px solid {colour};border-radius:3px;'
        f'padding:8px 12px;margin:8px 0"><strong>{escape(heading)}</strong>'
        f'<div style="white-space:pre-wrap;overflow-wrap:anywhere;margin-top:2px">{escape(said)}</div></div>'
    )


def _html_group(name: str, verdicts: tuple[Verdict, ...]) -> str:
    head = (
        f'<div style="margin:12px 0 0;font-weight:600">{escape(name)} '
        f'<span style="{_FAINT};font-weight:400">{_sum(verdicts)}</span></div>'
        if name
        else ""
    )
    return head + "".join(_html_test(v) for v in verdicts)


def _html_test(verdict: Verdict) -> str:
    symbol, word, colour = LOOKS[verdict.outcome]
    line = (
        '<span style="display:flex;gap:8px">'
        f'<span style="color:{colour};font-weight:700;flex:0 0 1em">{symbol}</span>'
        f'<span style="flex:0 0 4.2em;white-space:nowrap">{word}</span>'
        f'<span style="flex:1 1 0;overflow-wrap:anywhere">{escape(_line(verdict))}</span>'
        f'<span style="{_FAINT};white-space:nowrap">{_worth(verdict)}</span></span>'
    )
    style = f"border-top:1px solid {_LINE};padding:5px 0;margin:0"
    message = _message(verdict)
    if not message:
        return f'<div style="{style}">{line}</div>'
    return (
        f'<details open style="{style}"><summary style="list-style:none;cursor:pointer">{line}</summary>'
        f'<pre style="{_MESSAGE}">{escape(message)}</pre></details>'
    )


# ---------------------------------------------------------------------------------------------------- text


def text(result: Result, title: str, width: int = 80) -> str:
    """The card as plain text, no line longer than `width` columns.

    Args:
        result: what the submission earned.
        title: the question's title.
        width: columns, at least 40.
    """
    width = max(width, 40)
    bar = _text_bar(result) if result.verdicts else ""
    lines = [*_wrap(clean(title), width), bar + score_line(result)]
    for heading, said in _obstacles(result):
        lines += ["", *_wrap(f"{heading}: {said}", width)]
    for recognised in result.recognised:
        lines += [
            "",
            *_wrap(_looks_like(recognised), width, "┃ "),
            *_wrap(clean(recognised.says), width, "┃ "),
        ]
    for name, verdicts in _groups(result):
        lines += ["", *([f"{name}  {_sum(verdicts)}"] if name else [])]
        columns = max(len(_worth(v)) for v in verdicts), max(len(LOOKS[v.outcome][1]) for v in verdicts)
        for verdict in verdicts:
            lines += _text_test(verdict, width, *columns)
    notes = [line for said in result.notes for line in _wrap(f"Note: {clean(said)}", width)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _text_bar(result: Result, cells: int = 24) -> str:
    filled = int(cells * result.score / result.max_score) if result.max_score else 0
    return "█" * filled + "░" * (cells - filled) + "  "


def _text_test(verdict: Verdict, width: int, worth: int, words: int) -> list[str]:
    symbol, word, _ = LOOKS[verdict.outcome]
    head = f"{symbol} {word:<{words}}  {_worth(verdict):>{worth}}  "
    rest = " " * len(head)
    says = _wrap(_line(verdict), width, rest)
    lines = [head + says[0].removeprefix(rest), *says[1:]]
    return lines + (_wrap(_message(verdict), width, "    │ ") if _message(verdict) else [])


def _wrap(value: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` columns; the text's own line breaks and indentation stay."""
    wide = any(unicodedata.east_asian_width(c) in "WF" for c in value)
    room = (width - len(indent)) // (2 if wide else 1)
    wrapped = (
        textwrap.wrap(line, room, replace_whitespace=False, drop_whitespace=True) or [""]
        for line in value.split("\n")
    )
    return [indent + part for parts in wrapped for part in parts]
