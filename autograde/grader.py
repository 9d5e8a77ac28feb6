"""The inner pytest run: a question's hidden tests, collected once, run on one submission after another."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

import pytest

from autograde.errors import GraderError
from autograde.hidden import Examined, HiddenTest, Turn
from autograde.plugin import Plugin
from autograde.question import Question

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


def examine(
    question: Question,
    turns: Iterable[Turn],
    done: Callable[[Examined], None],
    *,
    collected: Callable[[list[HiddenTest]], None] = lambda _: None,
) -> None:
    """Run the hidden tests on one submission after another.

    Args:
        question: whose tests.
        turns: what to examine; may block until there is a next one.
        done: called with what was said of each, in order.
        collected: called once with the tests, before the first turn.

    Raises:
        GraderError: the test file can't be collected, or names no such test.
    """
    # pytest keeps a test module once imported; its author may have changed it since.
    sys.modules.pop(".".join(question.tests.relative_to(question.root).with_suffix("").parts), None)
    plugin = Plugin(question, turns, done, collected)
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
