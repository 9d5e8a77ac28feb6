"""How well mistakes are recognised that are not written as they are listed: a table for each question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from autograde import mistakes
from autograde.crew import Crew, Task
from autograde.errors import GraderError
from autograde.plaintext import hang
from autograde.progress import progress
from autograde.question import Question
from autograde.rewriting import (
    APART,
    HALF,
    KINDS,
    LISTED,
    REWRITTEN,
    TOGETHER,
    Case,
    half_done,
    listed,
    paired,
    rewritten,
    sample,
)
from autograde.scratch import Scratch
from autograde.seed import derived
from autograde.verdict import Outcome, Result

WIDTH = 110
TOLD = ("right", "wrong", "silent")
_MEANING = """\
right: told the mistake (of two: one of them or both, and no other); wrong: told another; silent: told none.
Who is told a mistake has lost the same tests with the same answers: "wrong" is what the tests can't tell apart."""

Ways = Mapping[Case, tuple[str, tuple[str, ...]]]  # for each program how it was told, and which mistakes


def measure(question: Question, jobs: int, pairs: int) -> str:
    """Grade programs with known mistakes in them, and tell how they were recognised.

    Args:
        question: whose mistakes.
        jobs: how many programs at a time.
        pairs: of two mistakes in one task, and of one in each of two tasks, at most so many.

    Raises:
        GraderError: a program could not be graded.
        QuestionError: the question's files do not fit each other.
    """
    both = list(paired(question))
    groups = {kind: [case for case in both if case.kind == kind] for kind in (TOGETHER, APART)}
    chosen = [case for cases in groups.values() for case in sample(cases, pairs)]
    cases = [*listed(question), *rewritten(question), *half_done(question), *chosen]
    ways = _ways(question, cases, jobs)
    sizes = {kind: len(cases) for kind, cases in groups.items()}
    sections = (_each(question, ways), _all(ways, sizes), _exceptions(ways))
    head = f"{question.topic} / {question.slug}"
    return "\n\n".join([head, *("\n".join(lines) for lines in map(list, sections) if lines)]) + "\n"


def told(case: Case, result: Result) -> str:
    """Whether the learner was told right, wrong or nothing ("silent"), or lost nothing ("no loss")."""
    named = {recognised.mistake for recognised in result.recognised}
    if not any(v.outcome in (Outcome.FAILED, Outcome.ERROR) for v in result.verdicts):
        return "no loss"
    if not named:
        return "silent"
    return "right" if named <= set(case.made) else "wrong"


def _ways(question: Question, cases: Sequence[Case], jobs: int) -> Ways:
    """For each case whether it was told right, and which mistakes."""
    seed = derived(0, question.slug)
    tasks = [Task(str(number), question, case.data, "", seed) for number, case in enumerate(cases)]
    results: dict[str, Result] = {}
    with (
        Scratch("measure") as working,
        progress(question.slug[:20], len(tasks)) as advance,
        Crew(tasks, jobs, working) as crew,
    ):
        for number, result in crew:
            if isinstance(result, str):
                made = " and ".join(cases[int(number)].made)
                raise GraderError(f"{question.slug} with {made}: not graded: {result}")
            results[number] = result
            advance()
    return {
        case: (told(case, results[task.name]), tuple(r.mistake for r in results[task.name].recognised))
        for case, task in zip(cases, tasks, strict=True)
    }


def _each(question: Question, results: Ways) -> Iterator[str]:
    """One line a mistake."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for case, (how, _) in results.items():
        counts.update((name, case.kind, how) for name in case.made)
    names = [change.name for change in mistakes.mistakes(question)]
    width = max(map(len, names))
    kinds = [kind for kind in (REWRITTEN, HALF, TOGETHER) if any(case.kind == kind for case in results)]
    yield " " * width + "".join(f"  │ {kind:^22}" for kind in kinds)
    yield " " * width + "".join("  │ " + "".join(f"{how:>7}" for how in TOLD) + " " for _ in kinds)
    for name in names:
        cells = ("".join(f"{counts[name, kind, how] or '·':>7}" for how in TOLD) for kind in kinds)
        yield f"{name:{width}}" + "".join(f"  │ {cell} " for cell in cells)


def _all(results: Ways, sizes: Mapping[str, int]) -> Iterator[str]:
    """One line a kind of program."""
    yield f"{'':26}{'programs':>9}" + "".join(f"{how:>9}" for how in TOLD)
    for kind in KINDS:
        ways = Counter(how for case, (how, _) in results.items() if case.kind == kind)
        lost = sum(ways[how] for how in TOLD)
        if lost:
            shares = "".join(f"{100 * ways[how] / lost:>7.1f} %" for how in TOLD)
            yield f"{kind:26}{lost:>9}{shares}{_remark(kind, results, ways, sizes)}"
    yield from _MEANING.split("\n")


def _remark(
    kind: str,
    results: Ways,
    ways: Mapping[str, int],
    sizes: Mapping[str, int],
) -> str:
    tried = sum(ways.values())
    remarks = []
    if kind in (TOGETHER, APART):
        both = sum(
            len(names) == 2 and how == "right" for case, (how, names) in results.items() if case.kind == kind
        )
        remarks.append(f"both named: {both}")
        if sizes[kind] > tried:
            remarks.append(f"{tried} of {sizes[kind]}, chosen by the hashes of their names")
    if ways.get("no loss"):
        remarks.append(f"{ways['no loss']} more lose no point")
    return "   " + "; ".join(remarks) if remarks else ""


def _exceptions(results: Ways) -> Iterator[str]:
    """Every program that was told wrong, and every single mistake that was told nothing or cost nothing."""
    for how in ("wrong", "silent", "no loss"):
        for case, (one, names) in results.items():
            if one == how and (how == "wrong" or case.kind in (LISTED, REWRITTEN, HALF)):
                what = " and ".join(case.made) + (f" in {case.where}" if case.where else "")
                half = ", half done" if case.kind == HALF else ""
                said = f": told {' and '.join(names)}" if names else ""
                yield from hang(f"{how:>7}  ", f"{what}{half}{said}", WIDTH)
