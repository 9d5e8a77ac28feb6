"""What a submission looks like, in a line: the mistakes that are known, what stopped it, or what the tests said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autograde.plaintext import fit, inline
from autograde.tally import Row
from autograde.verdict import Outcome, Result, Verdict

_NAMED = 3  # students named in "fails like …"
_SAID = 100  # columns of a message


def cause(row: Row, groups: Mapping[str, Sequence[str]]) -> str:
    """Why a submission lost points, "" where it did not.

    Args:
        row: the student's result.
        groups: signature to students, of those who fail alike and whose mistake is not known.
    """
    result = row.result
    if result.problem:
        return inline(result.problem)
    known = [inline(text) for text in (*(r.mistake for r in result.recognised), *result.stops)]
    # A stop says why its tests were lost; a mistake only why those of its own task were.
    said = [] if result.stops else _said(result)
    if known:
        return "; ".join(dict.fromkeys([*known, *said]))
    others = [name for name in groups.get(result.signature, ()) if name != row.student]
    if not others:
        return "; ".join(said) or ("unknown" if _lost(result) else "")
    return f"fails like {some_of(others, _NAMED)}" + (f": {'; '.join(said)}" if said else " (unknown)")


def first_said(result: Result) -> str:
    """How the first message begins, of the tasks whose mistake is not known; "" where nothing was said."""
    return next(iter(_said(result)), "")


def is_unknown(result: Result) -> bool:
    """Whether points were lost and neither a mistake nor a stop says why."""
    return bool(_lost(result)) and not (result.recognised or result.stops or result.problem)


def some_of(names: Sequence[str], count: int) -> str:
    """At most so many of the names, the rest counted."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(inline, names[:count])) + more


def _lost(result: Result) -> list[Verdict]:
    return [v for v in result.verdicts if v.outcome in (Outcome.FAILED, Outcome.ERROR)]


def _said(result: Result) -> list[str]:
    """How the first message of each task begins whose mistake is not known, each once."""
    known = {recognised.task for recognised in result.recognised}
    first: dict[str | None, str] = {}
    for verdict in _lost(result):
        if verdict.message and verdict.task not in known:
            first.setdefault(verdict.task, fit(inline(verdict.message.splitlines()[0]), _SAID))
    return list(dict.fromkeys(first.values()))
