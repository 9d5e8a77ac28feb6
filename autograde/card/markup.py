"""The card as static HTML."""

from __future__ import annotations

from html import escape

from autograde.card.wording import (
    LOOKS,
    advice,
    groups,
    line_of,
    message_of,
    obstacles,
    score_line,
    total,
    worth_of,
)
from autograde.plaintext import clean
from autograde.verdict import Outcome, Result, Verdict

_FAINT = "color:var(--jp-content-font-color2, inherit)"
_LINE = "var(--jp-border-color1, #8888)"
_MESSAGE = (
    "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;margin:4px 0 2px;padding:6px 10px;"
    f"font-size:12px;line-height:1.45;border-left:3px solid {_LINE};"
    "background:var(--jp-layout-color2, #8882);color:inherit;"
    "font-family:var(--jp-code-font-family, monospace)"
)


def html(result: Result, title: str) -> str:
    """The card as static HTML: no script, no class, no link; readable on light and dark ground.

    Args:
        result: what the submission earned.
        title: the question's title.
    """
    note = f"{_FAINT};margin-top:6px;font-size:12px"
    blocks = [_html_head(result, title)]
    blocks += [_box(heading, said, Outcome.ERROR) for heading, said in obstacles(result)]
    blocks += [_box(heading, said, Outcome.BROKEN) for heading, said in advice(result)]
    blocks += [_html_group(name, verdicts) for name, verdicts in groups(result)]
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
        f'<span style="{_FAINT};font-weight:400">{total(verdicts)}</span></div>'
        if name
        else ""
    )
    return head + "".join(_html_test(v) for v in verdicts)


def _html_test(verdict: Verdict) -> str:
    symbol, word, colour = LOOKS[verdict.outcome]
    # JupyterLab's colours are made for areas: as ink, some have too little contrast with its light ground.
    ink = f"color-mix(in srgb, {colour} 65%, currentColor)"
    line = (
        '<span style="display:flex;gap:8px">'
        f'<span style="color:{ink};font-weight:700;flex:0 0 1em">{symbol}</span>'
        f'<span style="flex:0 0 4.2em;white-space:nowrap">{word}</span>'
        f'<span style="flex:1 1 0;overflow-wrap:anywhere">{escape(line_of(verdict))}</span>'
        f'<span style="{_FAINT};white-space:nowrap">{worth_of(verdict)}</span></span>'
    )
    style = f"border-top:1px solid {_LINE};padding:5px 0;margin:0"
    message = message_of(verdict)
    if not message:
        return f'<div style="{style}">{line}</div>'
    return (
        f'<details open style="{style}"><summary style="list-style:none;cursor:pointer">{line}</summary>'
        f'<pre style="{_MESSAGE}">{escape(message)}</pre></details>'
    )
