"""The laws: what must be true of every question, proven; each message says what, where and what to do next."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from autograde.laws import files
from autograde.laws.proof import prove, proving
from autograde.laws.violation import Violation
from autograde.question import find, questions

__all__ = ["Violation", "examine_all", "prove"]


def examine_all(
    root: Path,
    slugs: Sequence[str],
    *,
    jobs: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> int:
    """Prove the questions and say what is broken.

    Args:
        root: the checkout.
        slugs: which questions, none for all.
        jobs: how many questions at a time; None for one a core.
        seed: the seed of a course; 0 is that of check().
        say: where the lines go; standard output by default.

    Returns:
        0 where every law holds, else 1.
    """
    say = say or _print
    chosen = [find(slug, root) for slug in slugs] or list(questions(root))
    began, total, broken = time.monotonic(), len(chosen), 0

    def tell(name: str, number: int, done: int, found: Sequence[Violation]) -> None:
        spent = time.monotonic() - began
        eta = f", ETA {spent / done * (total - done):.0f} s" if done else ""
        say(f"{'✗' if found else '✓'} {name}  ({number} of {total} questions, {spent:.0f} s{eta})")
        for violation in found:
            say(str(violation))

    with proving(chosen, max(1, min(jobs or os.cpu_count() or 1, total)), seed) as proofs:
        found = [*files.names(root), *files.freshness(root, chosen)]  # while the processes warm up
        tell("files", 0, 0, found)
        broken += len(found)
        for number, proof in enumerate(proofs, 1):
            tell(proof.question.slug, number, proof.done, proof.found)
            broken += len(proof.found)
    say("every law holds" if not broken else f"{broken} violation{'s' * (broken > 1)}")
    return int(broken > 0)


def _print(line: str) -> None:
    print(line)  # noqa: T201  this is a command's output
    sys.stdout.flush()
