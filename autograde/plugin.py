"""The plugin of the inner pytest run: its hooks, and the fixtures that hidden tests get."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
import pytest
from _pytest.runner import runtestprotocol  # what rerun plugins use: one item, set up, run and torn down

from autograde import comparison, student
from autograde.endpoint import seed_torch
from autograde.errors import GraderError, StudentError
from autograde.hidden import Examined, HiddenTest, Sitting, Turn, described
from autograde.question import Question
from autograde.seed import derived
from autograde.student import Student, conversation
from autograde.verdict import Outcome, Verdict

MARKS = (
    "points(n): what the test is worth",
    "task(name): the task of the notebook it belongs to",
    "part(name): the part of the grade it counts for, where some machines can't run it",
    "method: it rests on evidence from inside the learner's process",
)


class Plugin:
    """Hooks and fixtures of the inner run."""

    def __init__(
        self,
        question: Question,
        turns: Iterable[Turn],
        done: Callable[[Examined], None],
        collected: Callable[[list[HiddenTest]], None],
    ) -> None:
        self.question, self.turns, self.done, self.collected = question, turns, done, collected
        self.errors: list[str] = []
        self.failure: Exception | None = None
        self.interrupted = False
        self._sitting: Sitting
        self._seed = 0
        self._student: Student | None = None
        self._raised: BaseException | None = None

    # --- hooks ---

    def pytest_configure(self, config: pytest.Config) -> None:
        """Know the marks that hidden tests carry."""
        for mark in MARKS:
            config.addinivalue_line("markers", mark)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why the file could not be collected."""
        if report.failed:
            said = str(report.longrepr)
            # Of a traceback only what was raised, and the line that raised it.
            lines = [line for line in said.splitlines() if line.startswith(("E ", ">"))]
            self.errors.append(" ".join(" ".join(lines).split())[-500:] or said[-500:])

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests on one sitting after another, in place of once."""
        if session.testsfailed or self.errors:
            return True
        try:
            tests = {item: described(item) for item in session.items}
            self.collected(list(tests.values()))
            for turn in self.turns:
                self._sitting, self._seed = turn.sitting, turn.seed
                items = [
                    item for item in self._chosen(session.items, turn.only) if item.name not in turn.known
                ]
                self.done(self._one(items, [tests[item] for item in items]))
        except KeyboardInterrupt:
            self.interrupted = True
        except Exception as error:  # noqa: BLE001  pytest would print it and go on
            self.failure = error
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        """Keep what a test raised."""
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

    def _chosen(self, items: list[pytest.Item], only: Collection[str] | None) -> list[pytest.Item]:
        if only is None:
            return items
        chosen = [item for item in items if item.name in only]
        if len(chosen) < len(only):
            names = ", ".join(item.name for item in items)
            raise GraderError(f"{self.question.slug} has no test '{', '.join(only)}': it has {names}")
        return chosen

    def _one(self, items: list[pytest.Item], tests: list[HiddenTest]) -> Examined:
        examined = Examined()
        waiting, said = list(zip(items, tests, strict=True)), {}
        spent: dict[str | None, float] = dict.fromkeys((test.task for test in tests), 0.0)

        def waited(row: tuple[pytest.Item, HiddenTest]) -> int:
            return int(spent[row[1].task] / self._sitting.patience)

        while waiting:
            # A task that takes long waits behind the others: a hang in one must not use up the time of all.
            item, test = row = min(waiting, key=waited)
            waiting.remove(row)
            began = time.monotonic()
            following = waiting[0][0] if waiting else None
            said[test.name] = self._examined(item, test, following, examined)
            spent[test.task] += time.monotonic() - began
        examined.verdicts = [said[test.name] for test in tests]
        return examined

    def _examined(
        self, item: pytest.Item, test: HiddenTest, following: pytest.Item | None, examined: Examined
    ) -> Verdict:
        self._raised, self._student = None, None
        lacking = self._sitting.lacks(test)
        if lacking:
            return test.verdict(Outcome.NOT_RUN, lacking)
        runtestprotocol(item, log=False, nextitem=following)
        verdict = self._verdict(test, examined)
        if self._student is not None:
            examined.seen[test.name] = conversation(self._student).seen
            conversation(self._student).over = True
        return verdict

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
        said = f"{type(error).__name__} in the test: {error}"
        if isinstance(error, pytest.FixtureLookupError):
            said = f"there is no fixture {error.argname!r}"
        examined.flags.append(f"{test.name}: {said}"[:500])
        return test.verdict(Outcome.BROKEN, "the test itself broke: this costs nothing, a person will look")

    # --- fixtures ---

    @pytest.fixture(name="student")
    def student_fixture(self, request: pytest.FixtureRequest) -> Student:
        """The learner's names, ready for this test."""
        # Two hashes: what the learner's process is seeded with says nothing about the inputs to come.
        self._student = Student(self._sitting)
        self._sitting.begin(derived(self._seed, request.node.name, "room"))
        return self._student

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> np.random.Generator:
        """Random numbers of this test's own; torch's global ones are seeded too."""
        seed_torch(derived(self._seed, request.node.name, "torch"))
        return np.random.default_rng(derived(self._seed, request.node.name, "rng"))

    @pytest.fixture
    def close(self) -> Callable[..., None]:
        """The comparison, whose tolerances recognition takes over."""

        def close(actual: Any, expected: Any, **options: Any) -> None:
            if self._student is not None:
                seen = conversation(self._student).seen
                seen.rtol = max(seen.rtol, options.get("rtol") or 0.0)
                seen.atol = max(seen.atol, options.get("atol") or 0.0)
                # A None is the learner's own answer, unless they gave none and a gradient is missing.
                lost = any(gradient is None for gradient in seen.gradients)
                options["gradient"] = lost and all(answer is not None for answer in seen.answers)
            comparison.close(actual, expected, **options)

        return close

    @pytest.fixture
    def parts(self) -> Any:
        """The values that the learner's function returns together."""
        return comparison.parts

    @pytest.fixture
    def raises(self) -> Any:
        """Passes where the learner's code raises."""
        return student.raises

    @pytest.fixture
    def carried(self) -> Any:
        """A call, and its arguments as it left them."""
        return student.carried

    @pytest.fixture
    def backward(self) -> Any:
        """A call with gradients."""
        return student.backward

    @pytest.fixture
    def apparatus(self, student: Student) -> Any:
        """What the question's apparatus.py defines, in the learner's process."""
        if not self.question.apparatus.is_file():
            raise GraderError(f"{self.question.slug} has no apparatus.py")
        source = self.question.apparatus.read_text(encoding="utf-8")
        return conversation(student).ask({"verb": "load", "source": source, "name": "apparatus"}, "apparatus")
