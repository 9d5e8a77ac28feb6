"""What both cards say, in the order in which they say it."""

from __future__ import annotations

from autograde.plaintext import clean
from autograde.verdict import Outcome, Result, Verdict, points

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


def summary(result: Result) -> str:
    """The one line that NotYet says in a notebook: "7 of 12 points, see the card above"."""
    return f"{score_line(result)}, see the card above"


def score_line(result: Result) -> str:
    """Points earned of points there are: "7 of 12 points, 2 still open"."""
    return total(result.verdicts, " points") if result.verdicts else "not graded"


def groups(result: Result) -> list[tuple[str, tuple[Verdict, ...]]]:
    """Headings and their verdicts: the tasks where there are several, then the parts."""
    main = result.of_part(None)
    tasks = list(dict.fromkeys(v.task for v in main))
    several = len(tasks) > 1
    found = (
        [(t or "in general", tuple(v for v in main if v.task == t)) for t in tasks]
        if several
        else [("", main)]
    )
    parts = dict.fromkeys(v.part for v in result.verdicts if v.part is not None)
    found += [(f"part {part}", result.of_part(part)) for part in parts]
    return [(clean(name), verdicts) for name, verdicts in found if verdicts]


def total(verdicts: tuple[Verdict, ...], unit: str = "") -> str:
    """Points earned of points there are, and how many a person or another machine still decides."""
    still = sum(v.points for v in verdicts if v.outcome.is_open)
    line = f"{points(sum(v.earned for v in verdicts))} of {points(sum(v.points for v in verdicts))}{unit}"
    return line + (f", {points(still)} still open" if still else "")


def worth_of(verdict: Verdict) -> str:
    """The points of one test: "2 of 2", or "2 open" where nobody knows yet."""
    return f"{points(verdict.points)} open" if verdict.outcome.is_open else total((verdict,))


def message_of(verdict: Verdict) -> str:
    """What is told below a test; nothing where it passed."""
    if verdict.outcome is Outcome.PASSED:
        return ""
    if verdict.outcome is Outcome.BROKEN:
        return _BROKEN  # what broke may quote the test: it is for the instructor's report
    said = clean(verdict.message).strip("\n")
    return said or (_NOT_RUN if verdict.outcome is Outcome.NOT_RUN else "")


def line_of(verdict: Verdict) -> str:
    """The line of one test, and whether it rests on evidence about the method."""
    says = " ".join(clean(verdict.says or verdict.test).split())
    return says + (" (method)" if verdict.method else "")


def advice(result: Result) -> list[tuple[str, str]]:
    """Heading and text of each recognised mistake: once, with all the tasks that it shows in."""
    tasks: dict[tuple[str, str], list[str]] = {}
    for one in result.recognised:
        tasks.setdefault((one.mistake, one.says), []).extend([clean(one.task)] if one.task else [])
    return [(_looks_like(mistake, where), clean(says)) for (mistake, says), where in tasks.items()]


def _looks_like(mistake: str, tasks: list[str]) -> str:
    *first, last = tasks or [""]
    where = f", in {', '.join(first)} and {last}" if first else f", in {last}" if last else ""
    return f"This looks like “{clean(mistake).replace('_', ' ')}”{where}"


def obstacles(result: Result) -> list[tuple[str, str]]:
    """Heading and text of what kept tests from running."""
    problem = [("Could not be graded", clean(result.problem))] if result.problem else []
    return problem + [("Stopped", clean(stop)) for stop in result.stops]
