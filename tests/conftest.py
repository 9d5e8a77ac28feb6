"""Fixtures shared by the tests of the engine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from checkout import CHECKOUT
from xdist.scheduler import LoadScopeScheduling

from autograde import mistakes
from autograde.grading import Grader
from autograde.lock import Limits
from autograde.mistakes import Change
from autograde.question import Question, find


def works(command: str) -> bool:
    """Whether a command is there and ends well."""
    words = command.split()
    return (
        bool(shutil.which(words[0]))
        and not subprocess.run(words, capture_output=True, check=False).returncode
    )


# What needs a thing that this machine does not have is not collected, and the run ends by saying so.
NEEDS = {
    "browser": ("the browser tests (no Chromium)", shutil.which("chromium") is not None),
    "attacks/test_bubblewrap.py": (
        "the wall of bubblewrap (no bwrap that works here)",
        works("bwrap --ro-bind / / true"),
    ),
    "attacks/test_full_disk.py": (
        "full disks (no user namespaces)",
        works("unshare --map-root-user --mount mount -t tmpfs none /mnt"),
    ),
}
collect_ignore = [name for name, (_, there) in NEEDS.items() if not there]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the attacks earned, and say what was not run here."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    rows = [row for report in reports for name, row in report.user_properties if name == "attack"]
    if rows:
        terminalreporter.section("attacks")
        for family, name, earned, honest, stopped_by in sorted(rows):
            told = f"{family:<12} {name:<48} earned {earned:4g}, honest work {honest:4g}   stopped by: {stopped_by}"
            terminalreporter.write_line(told)
    missing = [what for what, there in NEEDS.values() if not there]
    if not torch.cuda.is_available():
        missing.append("the CUDA parts of questions (no GPU)")
    if missing:
        terminalreporter.write_line(f"not run here: {', '.join(missing)}")


class Units(LoadScopeScheduling):
    """What goes to one process, in a run with `-n`: a file, whose tests share fixtures; a question; all browsers."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.endswith("test_questions.py"):
            return nodeid
        # What drives a browser takes two cores: one at a time.
        return "browser" if "tests/browser/" in file else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Units:
    """Hand out our units, in the order of the files."""
    config.option.loadscopereorder = False
    return Units(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Questions last, those with most in them first: small units of work even out what the others left."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[bool, int]:
    if item.path.name != "test_questions.py":
        return False, 0
    callspec = getattr(item, "callspec", None)
    question = callspec and callspec.params.get("question")
    return True, -sum(path.stat().st_size for path in question.folder.glob("*.*")) if question else 0


@pytest.fixture(scope="session")
def limits() -> Limits:
    """Short limits, so that what never ends is ended soon."""
    return Limits(call_s=2, budget_s=8, file=4 * 2**20, disk=8 * 2**20, answers=64 * 2**20)


@pytest.fixture(scope="session")
def grader(limits: Limits) -> Iterator[Grader]:
    """One grader with one warm process for all tests."""
    with Grader(limits) as grader:
        yield grader


@pytest.fixture(scope="session")
def question() -> Question:
    """A question of the course."""
    return find("softmax_logits", CHECKOUT)


@pytest.fixture(scope="session")
def with_cell(question: Question) -> Callable[[str, str], bytes]:
    """Builds a submission: the reference solution with the whole of one cell replaced."""

    def with_cell(cell: str, source: str) -> bytes:
        return mistakes.solved_bytes(question, Change("changed", cell, (), source, ""))

    return with_cell
