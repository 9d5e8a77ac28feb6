"""Where workers come from: one process imports what they and their rooms need, once, and is forked for each.

The zygote of all their rooms is forked first. Neither it nor the nursery ever holds a test or a seed: these are a
worker's, which gets what it is to know when it is there.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from autograde.kernel import prctl
from autograde.launch import answer, asked, launch
from autograde.lean import spare_imports

_PR_SET_NAME = 15
_SPARE = 16  # connections to the zygote for workers that replace others: a zygote of their own takes seconds


class Nursery:
    """The process, seen from the command.

    Args:
        zygotes: how many workers share the nursery's zygote; those that come later start one of their own.
    """

    def __init__(self, zygotes: int) -> None:
        self._zygotes = zygotes
        self._lock = threading.Lock()
        self._process, self._control = launch("nursery", zygotes, stderr=None)

    def worker(self) -> Worker:
        """A new worker; waits until the imports are done.

        Raises:
            OSError: there is none.
        """
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            if self._process.poll() is not None:  # somebody killed it: start another
                self._control.close()
                self._process, self._control = launch("nursery", self._zygotes, stderr=None)
            socket.send_fds(self._control, [b"worker"], [theirs.fileno()])
            pid = self._control.recv(64)
        if not pid:
            ours.close()
            raise OSError("the process that they are made from ended")
        return Worker(int(pid), ours, self._bury)

    def _bury(self, pid: int) -> None:
        """Have a worker that has ended taken off the list of processes."""
        with self._lock, contextlib.suppress(OSError):  # one that ended itself left its children to init
            self._control.send(str(pid).encode())
            self._control.recv(64)

    def close(self) -> None:
        """End it; workers that live end with their work."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # also under a thread that waits for a worker
        self._process.wait()
        self._control.close()


class Worker:
    """One worker, seen from the command; it is told and answers lines."""

    def __init__(self, pid: int, sock: socket.socket, bury: Callable[[int], None]) -> None:
        self._pid, self._sock, self._bury = pid, sock, bury
        self._to, self._from = sock.makefile("w", encoding="ascii"), sock.makefile("r", encoding="ascii")

    def tell(self, line: str) -> None:
        """Send a line."""
        self._to.write(line + "\n")
        self._to.flush()

    def ask(self, line: str) -> str:
        """Send a line and wait for the answer.

        Raises:
            OSError: the worker has ended.
        """
        self.tell(line)
        answer = self._from.readline()
        if not answer:
            raise OSError("no answer")
        return answer

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        # The nursery buries nobody before it is told, so the number is still its own.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def finish(self, seconds: float) -> None:
        """Let it remove what it made, for so long; then end it."""
        try:
            self._sock.settimeout(seconds)
            self._sock.shutdown(socket.SHUT_WR)
            while self._sock.recv(65536):
                """What it still had to say is not asked for."""
        except OSError:
            """It is killed."""
        self.kill()
        self._bury(self._pid)
        for one in (self._to, self._from, self._sock):
            with contextlib.suppress(OSError):
                one.close()


def main(control: int, zygotes: int) -> None:
    """Import, fork the zygote, then a worker for each request, until the command goes.

    Args:
        control: a socket's descriptor. A request for a worker comes with a descriptor, the worker's end of its own
            socket, and the answer is the worker's number; the other request is the number of a worker to bury.
        zygotes: how many workers the zygote is for.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to handle
    sock = socket.socket(fileno=control)
    spare_imports()
    from autograde import zygote

    zygote.libraries()
    pairs = [socket.socketpair() for _ in range(zygotes + _SPARE if zygotes else 0)]
    asking, served = [ours for ours, _ in pairs], [theirs for _, theirs in pairs]
    warm = os.fork() if pairs else None
    if warm == 0:
        _become("zygote", lambda: zygote.serve(served), sock, *asking)

    def buried(*_: object) -> None:
        """The zygote is nobody's to kill by its number: off the list as soon as it has ended."""
        if warm is not None and os.waitpid(warm, os.WNOHANG)[0]:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    signal.signal(signal.SIGCHLD, buried)
    for one in served:
        one.close()
    from autograde import worker

    gc.collect()
    gc.freeze()  # what is shared with the workers stays shared
    while True:
        data, fds = asked(sock)
        if not data:
            return
        if not fds:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(int(data), 0)
            answer(sock, data)
            continue
        rooms = asking.pop() if asking else None
        stream = socket.socket(fileno=fds[0])
        pid = os.fork()
        if pid == 0:
            _become("worker", partial(worker.main, stream, rooms), sock, *asking)
        for one in (stream, *([rooms] if rooms else [])):
            one.close()
        answer(sock, str(pid).encode())


def _become(name: str, what: Callable[[], None], *others: socket.socket) -> NoReturn:
    """In a fork: do this and nothing else, without what belongs to others."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in others:
            other.close()
        with contextlib.suppress(OSError):
            prctl(_PR_SET_NAME, f"grade-{name}".encode())  # for those who look at a list of processes
        what()
        os._exit(0)
    except BaseException:  # noqa: BLE001  nothing may get back into the nursery's own loop
        traceback.print_exc()
    finally:
        os._exit(1)
