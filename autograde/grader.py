"""The inner pytest run: a question's hidden tests, collected once, run on one submission after another."""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pytest
import torch
from _pytest.runner import runtestprotocol  # what rerun plugins use: one item, set up, run and torn down

from autograde import comparison, student
from autograde.endpoint import seed_torch
from autograde.errors import GraderError, StudentError
from autograde.question import Question
from autograde.student import Link, Observation, Student, conversation
from autograde.verdict import Outcome, Verdict

MARKS = (
    "points(n): what the test is worth",
    "task(name): the task of the notebook it belongs to",
    "part(name): the part of the grade it counts for, where some machines can't run it",
    "method: it rests on evidence from inside the learner's process",
)
_PLUGINS = [
    "terminal",
    "cacheprovider",
    "capture",
    "junitxml",
    "doctest",
    "unraisableexception",
    "threadexception",
    "warnings",
    "logging",
    "faulthandler",
    "pastebin",
    "setuponly",
    "setupplan",
    "stepwise",
    "debugging",
    "unittest",
    "legacypath",
]


class Sitting(Link, Protocol):
    """One submission under examination: a link to it that can be made ready for each test."""

    def begin(self, seed: int) -> None:
        """Have a live process with the cells run and its random numbers reset; StudentError where not."""


@dataclass
class Examined:
    """What the tests said of one submission, and what they saw."""

    verdicts: list[Verdict] = field(default_factory=list)
    seen: dict[str, Observation] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class HiddenTest:
    """A hidden test as collected.

    Attributes are those of Verdict, without what a run adds.
    """

    name: str
    says: str
    points: float
    task: str | None
    part: str | None
    method: bool

    def verdict(self, outcome: Outcome, message: str = "") -> Verdict:
        """The verdict of this test with this outcome."""
        return Verdict(self.name, self.says, outcome, self.points, message, self.task, self.part, self.method)


def examine(
    question: Question,
    sittings: Iterable[tuple[Sitting, int]],
    done: Callable[[Examined], None],
    *,
    collected: Callable[[list[HiddenTest]], None] = lambda _: None,
    only: Collection[str] | None = None,
) -> None:
    """Run the hidden tests on each sitting in turn.

    Args:
        question: whose tests.
        sittings: pairs of a sitting and the question's seed; may block until there is a next one.
        done: called with what was said of each sitting, in order.
        collected: called once with the tests, before the first sitting.
        only: run these tests alone.

    Raises:
        GraderError: the test file can't be collected, or names no such test.
    """
    # pytest keeps a test module once imported; its author may have changed it since.
    sys.modules.pop(".".join(question.tests.relative_to(question.root).with_suffix("").parts), None)
    plugin = _Plugin(question, sittings, done, collected, only)
    arguments = [
        str(question.tests),
        f"--rootdir={question.root}",
        "-c",
        os.devnull,
        "--import-mode=importlib",
        "--noconftest",
        "--assert=plain",  # introspection would show expected values
        *(f"-pno:{name}" for name in _PLUGINS),
    ]
    with _quiet_environment():
        code = pytest.main(arguments, plugins=[plugin])
    if plugin.interrupted:
        raise KeyboardInterrupt
    if plugin.failure is not None:
        raise plugin.failure
    if plugin.errors or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise GraderError(f"{question.tests}: " + ("; ".join(plugin.errors) or f"pytest ended with {code!r}"))


class _Plugin:
    """Hooks and fixtures of the inner run."""

    def __init__(
        self,
        question: Question,
        sittings: Iterable[tuple[Sitting, int]],
        done: Callable[[Examined], None],
        collected: Callable[[list[HiddenTest]], None],
        only: Collection[str] | None,
    ) -> None:
        self.question, self.sittings, self.done, self.collected = question, sittings, done, collected
        self.only = only
        self.errors: list[str] = []
        self.failure: Exception | None = None
        self.interrupted = False
        self._sitting: Sitting
        self._seed = 0
        self._student: Student | None = None
        self._raised: BaseException | None = None

    # --- hooks ---

    def pytest_configure(self, config: pytest.Config) -> None:
        for mark in MARKS:
            config.addinivalue_line("markers", mark)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            said = str(report.longrepr)
            # Of a traceback only what was raised, and the line that raised it.
            lines = [line for line in said.splitlines() if line.startswith(("E ", ">"))]
            self.errors.append(" ".join(" ".join(lines).split())[-500:] or said[-500:])

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed or self.errors:
            return True
        try:
            items = self._chosen(session.items)
            tests = [_described(item) for item in items]
            self.collected(tests)
            for sitting, seed in self.sittings:
                self._sitting, self._seed = sitting, seed
                self.done(self._one(items, tests))
        except KeyboardInterrupt:
            self.interrupted = True
        except Exception as error:  # noqa: BLE001  pytest would print it and go on
            self.failure = error
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        # A light report: formatting tracebacks is most of what pytest's own would cost, and shows our code.
        error = call.excinfo.value if call.excinfo is not None else None
        if error is not None and self._raised is None:
            self._raised = error
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="passed" if error is None else "failed",
            longrepr=None,
            when=call.when,  # type: ignore[arg-type]
        )

    def _chosen(self, items: list[pytest.Item]) -> list[pytest.Item]:
        if self.only is None:
            return items
        chosen = [item for item in items if item.name in self.only]
        if len(chosen) < len(self.only):
            names = ", ".join(item.name for item in items)
            raise GraderError(f"{self.question.slug} has no test '{', '.join(self.only)}': it has {names}")
        return chosen

    def _one(self, items: list[pytest.Item], tests: list[HiddenTest]) -> Examined:
        examined = Examined()
        for index, (item, test) in enumerate(zip(items, tests, strict=True)):
            self._raised, self._student = None, None
            if test.part == "cuda" and not torch.cuda.is_available():
                examined.verdicts.append(test.verdict(Outcome.NOT_RUN, "needs a CUDA GPU: not run here"))
                continue
            following = items[index + 1] if index + 1 < len(items) else None
            runtestprotocol(item, log=False, nextitem=following)
            verdict = self._verdict(test, examined)
            examined.verdicts.append(verdict)
            if self._student is not None:
                examined.seen[test.name] = conversation(self._student).seen
                conversation(self._student).over = True
        return examined

    def _verdict(self, test: HiddenTest, examined: Examined) -> Verdict:
        error = self._raised
        if error is None:
            return test.verdict(Outcome.PASSED)
        if isinstance(error, StudentError):
            return test.verdict(Outcome.ERROR, str(error))
        if isinstance(error, AssertionError):
            return test.verdict(Outcome.FAILED, str(error))
        if isinstance(error, pytest.skip.Exception):
            return test.verdict(Outcome.NOT_RUN, str(error))
        if isinstance(error, TypeError) and "object is not callable" in str(error):
            return test.verdict(Outcome.ERROR, f"what the test calls is no function: {error}")
        examined.flags.append(f"{test.name}: {type(error).__name__} in the test: {error}"[:500])
        return test.verdict(Outcome.BROKEN, "the test itself broke: this costs nothing, a person will look")

    # --- fixtures ---

    @pytest.fixture(name="student")
    def student_fixture(self, request: pytest.FixtureRequest) -> Student:
        # Two hashes: what the learner's process is seeded with says nothing about the inputs to come.
        self._student = Student(self._sitting)
        self._sitting.begin(derived(self._seed, request.node.name, "room"))
        return self._student

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> np.random.Generator:
        seed_torch(derived(self._seed, request.node.name, "torch"))
        return np.random.default_rng(derived(self._seed, request.node.name, "rng"))

    @pytest.fixture
    def close(self) -> Callable[..., None]:
        def close(actual: Any, expected: Any, **options: Any) -> None:
            if self._student is not None:
                seen = conversation(self._student).seen
                seen.rtol = max(seen.rtol, options.get("rtol") or 0.0)
                seen.atol = max(seen.atol, options.get("atol") or 0.0)
            comparison.close(actual, expected, **options)

        return close

    @pytest.fixture
    def raises(self) -> Any:
        return student.raises

    @pytest.fixture
    def carried(self) -> Any:
        return student.carried

    @pytest.fixture
    def backward(self) -> Any:
        return student.backward

    @pytest.fixture
    def apparatus(self, student: Student) -> Any:
        if not self.question.apparatus.is_file():
            raise GraderError(f"{self.question.slug} has no apparatus.py")
        source = self.question.apparatus.read_text(encoding="utf-8")
        return conversation(student).ask({"verb": "load", "source": source, "name": "apparatus"}, "apparatus")


def derived(seed: int, *names: str) -> int:
    """A number in [0, 2**63) that follows from the seed and these names and tells nothing of it."""
    digest = hashlib.sha256("/".join((str(seed), *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _described(item: pytest.Item) -> HiddenTest:
    def argument(name: str) -> Any:
        mark = item.get_closest_marker(name)
        return mark.args[0] if mark is not None and mark.args else None

    says = inspect.getdoc(getattr(item, "function", None)) or ""
    points = argument("points")
    if points is None or not says:
        raise GraderError(f"{item.nodeid}: a hidden test needs @pytest.mark.points(n) and a docstring")
    method = item.get_closest_marker("method") is not None
    return HiddenTest(
        item.name, says.splitlines()[0], float(points), argument("task"), argument("part"), method
    )


class _quiet_environment:  # noqa: N801  reads as a statement
    """Keep the caller's pytest settings, and its plugins, out of the inner run."""

    _names = ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_CURRENT_TEST")

    def __enter__(self) -> None:
        self._before = {name: os.environ.pop(name, None) for name in self._names}
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
