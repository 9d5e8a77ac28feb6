"""Ctrl-C and other signals end a command."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from autograde.interruption import Interrupted, check, interruptible
from autograde.progress import progress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Signals as they are where nothing was set, whoever started the tests; afterwards as before."""
    before, hook = [signal.getsignal(number) for number in SIGNALS], sys.unraisablehook
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)
    sys.unraisablehook = hook


def work(number: signal.Signals, done: list[int]) -> None:
    """Three steps, in the first of which a signal comes where everything is caught."""
    with interruptible(), progress("trying", 3) as advance:
        for step in range(3):
            with contextlib.suppress(BaseException):
                os.kill(os.getpid(), number)
            done.append(step)
            advance()


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_that_a_library_swallows(number: signal.Signals) -> None:
    """What was interrupted where everything is caught ends at its next step, with the code of its signal."""
    done: list[int] = []
    with pytest.raises(Interrupted) as interrupted:
        work(number, done)
    assert done == [0]
    assert interrupted.value.code == 128 + number


def test_next_command_is_not_interrupted() -> None:
    """A signal ends one command of a process, and not those after it."""
    with pytest.raises(Interrupted):
        work(signal.SIGTERM, [])
    with interruptible():
        check()


def test_all_is_as_before_when_nobody_interrupts() -> None:
    """After work that came to its end, signals and what Python says of finalizers are the caller's again."""
    before = [*map(signal.getsignal, SIGNALS), sys.unraisablehook]
    with interruptible():
        assert [*map(signal.getsignal, SIGNALS), sys.unraisablehook] != before
    assert [*map(signal.getsignal, SIGNALS), sys.unraisablehook] == before


def drop(things: list[object]) -> None:
    """Remove all of these, as a step of some work."""
    with interruptible():
        things.clear()
        check()


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_in_a_finalizer(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    """What comes while something is being removed ends the work too, and nothing is said of it."""

    class Removed:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted) as interrupted:
        drop([Removed()])
    assert interrupted.value.code == 128 + number
    assert capfd.readouterr().err == ""
