"""Ctrl-C, `kill` and a terminal that is closed: each ends a command in order, and only once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_pending: list[int] = []  # the signal that ends the command


class Interrupted(KeyboardInterrupt):
    """Somebody ends the command.

    Attributes:
        code: the exit code that says so, as a shell has it.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """Have the first signal raise Interrupted in the block; those that follow do not disturb the end.

    What was ignored before (`nohup`) stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, hook = {number: signal.getsignal(number) for number in _SIGNALS}, sys.unraisablehook
    _pending.clear()
    sys.unraisablehook = _unraisable
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        yield
    except Interrupted:
        for number in _SIGNALS:  # what comes now is the end, and nothing disturbs that either
            signal.signal(number, signal.SIG_IGN)
        raise
    except BaseException:
        _restore(before, hook)
        raise
    else:
        _restore(before, hook)


def check() -> None:
    """Raise Interrupted again where somebody ended the command and it goes on all the same.

    What a signal raises is lost where it comes in a finalizer, or in a library's `except` for everything. Long work
    calls this between two steps.
    """
    if _pending:
        raise Interrupted(*_pending)


def _interrupt(number: int, _: object) -> None:
    if not _pending:
        _pending.append(number)
        check()


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    # Python shows what a finalizer raises and goes on: `check` raises it again. And it complains of a signal that was
    # on its way when it was ignored, by an OSError.
    if not _pending or not isinstance(unraisable.exc_value, Interrupted | OSError):
        sys.__unraisablehook__(unraisable)


def _restore(handlers: Mapping[signal.Signals, Any], hook: Any) -> None:
    sys.unraisablehook = hook
    for number, handler in handlers.items():
        signal.signal(number, handler)
