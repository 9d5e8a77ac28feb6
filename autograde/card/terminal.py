"""The card as plain text."""

from __future__ import annotations

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
from autograde.plaintext import clean, wrap
from autograde.verdict import Result, Verdict


def text(result: Result, title: str, width: int = 80) -> str:
    """The card as plain text, no line longer than `width` columns.

    Args:
        result: what the submission earned.
        title: the question's title.
        width: columns, at least 40.
    """
    width = max(width, 40)
    bar = _text_bar(result) if result.verdicts else ""
    lines = [*wrap(clean(title), width), bar + score_line(result)]
    for heading, said in obstacles(result):
        lines += ["", *wrap(f"{heading}: {said}", width)]
    for heading, said in advice(result):
        lines += ["", *wrap(heading, width, "┃ "), *wrap(said, width, "┃ ")]
    for name, verdicts in groups(result):
        lines += ["", *([f"{name}  {total(verdicts)}"] if name else [])]
        columns = max(len(worth_of(v)) for v in verdicts), max(len(LOOKS[v.outcome][1]) for v in verdicts)
        for verdict in verdicts:
            lines += _text_test(verdict, width, *columns)
    notes = [line for said in result.notes for line in wrap(f"Note: {clean(said)}", width)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _text_bar(result: Result, cells: int = 24) -> str:
    filled = int(cells * result.score / result.max_score) if result.max_score else 0
    return "█" * filled + "░" * (cells - filled) + "  "


def _text_test(verdict: Verdict, width: int, worth: int, words: int) -> list[str]:
    symbol, word, _ = LOOKS[verdict.outcome]
    head = f"{symbol} {word:<{words}}  {worth_of(verdict):>{worth}}  "
    rest = " " * len(head)
    says = wrap(line_of(verdict), width, rest)
    lines = [head + says[0].removeprefix(rest), *says[1:]]
    return lines + (wrap(message_of(verdict), width, "    │ ") if message_of(verdict) else [])
