"""A limit of time for our own code that runs in this process: a known mistake may never end."""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

TICK = 0.5  # seconds


class Overrun(KeyboardInterrupt):
    """Raised where work took too long; like Ctrl-C it passes through what expects an Exception."""


@dataclass
class _Work:
    until: float
    thread: int = field(default_factory=threading.get_ident)
    lock: threading.Lock = field(default_factory=threading.Lock)
    struck: bool = False
    over: bool = False

    def strike(self) -> None:
        with self.lock:
            if not self.over and not self.struck and time.monotonic() > self.until:
                self.struck = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self.thread), ctypes.py_object(Overrun)
                )


_works: dict[int, _Work] = {}
_watch: threading.Thread | None = None  # one a process: a thread for each piece of work costs 0.1 ms


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Overrun in this thread where what is inside takes longer.

    Python code is stopped between two of its steps; what runs in C is let run to its end.
    """
    global _watch
    if _watch is None or not _watch.is_alive():
        _watch = threading.Thread(target=_watching, daemon=True, name="overrun")
        _watch.start()
    work = _Work(time.monotonic() + seconds)
    _works[id(work)] = work
    try:
        yield
    finally:
        with work.lock:
            work.over = True
        _works.pop(id(work), None)
        if work.struck:
            time.sleep(0)  # a strike that came at the end is raised here, and not in what follows


def _watching() -> None:
    while True:
        time.sleep(TICK)
        for work in list(_works.values()):
            work.strike()
