"""The learner's process, seen from the grader: opened, asked, watched and ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from autograde import stops, wire
from autograde.errors import Explained
from autograde.kernel import numbering
from autograde.launch import launch
from autograde.lock import Limits
from autograde.outputs import joined
from autograde.scratch import Scratch, sweep
from autograde.wrapper import VARIABLE, wrapper

TICK = 0.05  # seconds between two looks at a busy room
SCRATCH_TICK = 0.25  # seconds between two looks at its files
MAX_PATH = 1000  # characters: deeper folders cost too much to be looked through
OBJECTS = 16  # bytes of memory that a byte of JSON may become
MAX_SHOWN = 4 * 2**20  # bytes kept of what a cell showed before it ended its room


class Stopped(Exception):
    """The room has ended; the message is the named cause."""


class Broken(Explained):
    """The sandbox itself failed: ours, not the learner's."""


class Zygote:
    """A warm process that rooms are forked from. Use it as a context manager.

    Args:
        limits: what each room may use.
        without: layers of the lock to leave out, for the tests of the others.

    Raises:
        WrapperError: the command that it is to be started by is not there.

    Attributes:
        missing: layers that this machine does not give, each with the reason; known once it is warm.
        killed: how many rooms were ended by a SIGKILL that was none of ours.
        imports: modules that it imports before the next room, and that all later rooms find imported.
    """

    def __init__(self, limits: Limits | None = None, without: frozenset[str] = frozenset()) -> None:
        self.limits = limits or Limits()
        self.missing: dict[str, str] = {}
        self.killed = 0
        self.imports: frozenset[str] = frozenset()
        self.without = without
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._warm = False
        self._within = wrapper()
        self._useless = ""  # why starting it again would not help

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, control: socket.socket | None = None) -> None:
        """Start warming up; returns at once, the first `open` waits until it is warm.

        Args:
            control: of a process that warms up already, in place of a new one.
        """
        sweep()
        self._warm = False
        if control is not None:
            self._control = control
        else:
            self._process, self._control = launch("zygote", stderr=subprocess.PIPE, within=self._within)

    def open(self) -> Room:
        """A fresh room, in a scratch folder of its own; Broken where there can be none."""
        try:
            return self._opened()
        except (Broken, OSError):
            self.close()  # somebody killed it, the kernel out of memory, say: once more with a fresh one
        try:
            return self._opened()
        except OSError as error:  # no space, no folder for temporary files: never a learner's doing
            raise Broken(f"no room could be opened: {error.strerror or error}") from None

    def _opened(self) -> Room:
        control = self._ready()
        scratch, shown = Scratch("room"), tempfile.TemporaryFile()  # noqa: SIM115  closed with the room
        ours, theirs = socket.socketpair()
        limits, without = asdict(self.limits), sorted(self.without)
        request = {"scratch": str(scratch.path), "limits": limits, "without": without}
        request["imports"] = sorted(self.imports)
        try:
            socket.send_fds(control, [json.dumps(request).encode()], [theirs.fileno(), shown.fileno()])
            pid = self._reply(control)["pid"]
        except BaseException:
            ours.close()
            shown.close()
            scratch.close()
            raise
        finally:
            theirs.close()
        return Room(self, pid, ours, scratch, shown)

    def reap(self, pid: int) -> int:
        """The exit status of a room that has ended, as os.waitpid gives it."""
        if self._control is None:
            raise Broken("the process that rooms are made from was closed")
        with contextlib.suppress(OSError):  # where it is gone, the reply says so
            self._control.send(json.dumps({"reap": pid}).encode())
        return int(self._reply(self._control)["status"])

    def close(self) -> None:
        """End the zygote and, with it, its rooms."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.communicate()
            self._process = None

    def _ready(self) -> socket.socket:
        if self._useless:
            raise Broken(self._useless)
        if self._process is not None and self._process.poll() is not None:
            self.close()  # somebody killed it: start another
        if self._control is None:
            self.start()
        assert self._control is not None
        if not self._warm:
            ready = self._reply(self._control)
            if ready["numbering"] != numbering():
                self._useless = (
                    "the rooms' processes have other numbers in there than here, so that none could be watched: "
                    f"let {VARIABLE} share the processes (no --unshare-pid) and /proc"
                )
                raise Broken(self._useless)
            self.missing, self._warm = ready["missing"], True
        return self._control

    def _reply(self, control: socket.socket) -> Any:
        try:
            data = control.recv(65536)
        except OSError:
            data = b""
        if not data:
            process, self._process = self._process, None
            _, stderr = process.communicate() if process else (b"", b"")
            self.close()
            tail = stderr.decode("utf-8", "replace").strip()[-500:]
            raise Broken(f"the process that rooms are made from ended: {tail or 'no message'}")
        return json.loads(data)


class Room:
    """One learner's process. Every request is watched: time, memory, files.

    Attributes:
        cause: why it ended, "" while it lives.
        shown: outputs of the cell that ended it, up to then, as the room told them.
        received: about how many bytes of memory its answers took here, were they all kept.
    """

    def __init__(
        self, zygote: Zygote, pid: int, sock: socket.socket, scratch: Scratch, shown: BinaryIO
    ) -> None:
        self.cause = ""
        self.shown: list[Any] = []
        self.received = 0
        sock.setblocking(False)  # what does not read, or has nothing to say, must not hold us
        self._zygote, self._pid, self._sock, self._scratch, self._shown = zygote, pid, sock, scratch, shown
        self._limits = zygote.limits
        self._next_look = time.monotonic() + SCRATCH_TICK  # at its files, however short the requests are
        self._number = 0
        self._locked = False  # whether it has said so, before anything of the learner's runs

    def request(
        self,
        message: dict[str, Any],
        asker: wire.Asker,
        *,
        seconds: float,
        doing: str,
    ) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Args:
            message: the verb and its arguments.
            asker: the grader's side of references and callables.
            seconds: the longest that it may take.
            doing: what is running, for the cause: "softmax", "cell 'softmax'".

        Raises:
            Stopped: the room has ended; the message is the cause.
            wire.WireError: the request can't be sent.
        """
        if self.cause:
            raise Stopped(self.cause)
        self._number += 1
        number = self._number  # a callback may ask too, before this is answered
        frame = wire.pack({"number": number, **message}, asker.export)
        watch = _Watch(self, time.monotonic() + seconds, seconds, doing)
        try:
            wire.send(self._sock, frame, watch.to_write)
            if not self._locked:
                watch.to_read()
                with contextlib.suppress(ConnectionResetError):
                    self._locked = bool(self._sock.recv(1))
            while True:
                header, payload = wire.receive(self._sock, watch.to_read)
                size = len(payload) + OBJECTS * len(header)
                if self.received + size > self._limits.answers:
                    self._end(f"sent more than {stops.size(self._limits.answers)} of data in {doing}", doing)
                self.received += size
                answer = wire.unpack(header, payload, asker.resolve)
                if not isinstance(answer, dict):
                    raise wire.WireError("not an answer")
                if "callback" not in answer:
                    break
                returned = asker.callback(answer)
                if self.cause:  # it asked, and that ended the room
                    raise Stopped(self.cause)
                wire.send(self._sock, wire.pack(returned, asker.export), watch.to_write)
        except wire.Closed:
            self._end(None, doing)
        except wire.WireError as error:
            self._end(f"sent an answer that is no data ({error}) in {doing}", doing)
        told = answer.get("number")
        if type(told) is not int or told != number or not ("value" in answer or "error" in answer):
            self._end(f"sent an answer out of order in {doing}", doing)
        return dict(answer)

    def _end(self, cause: str | None, doing: str) -> NoReturn:
        """End the process, name the cause and raise it."""
        try:
            status = self._kill()
        except Broken:
            self.cause = (
                "closed"  # every room ends with the process it was made from: not the learner's doing
            )
            raise
        if not self._locked and not cause:
            self.cause = "closed"
            raise Broken("a room could not be locked, and nothing was run: see `autograde doctor`")
        self.cause = cause or stops.of_status(status, doing, self._limits)
        raise Stopped(self.cause)

    def close(self) -> None:
        """End the process and remove its files."""
        if not self.cause:
            self.cause = "closed"
            with contextlib.suppress(Broken):
                self._kill()

    def _kill(self) -> int:
        # The zygote has not reaped it, so the number is still its own.
        exited = self._exited()
        if not exited:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self._sock.close()
        try:
            status = self._zygote.reap(self._pid)
            self._zygote.killed += exited and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            return status
        finally:
            self.shown = joined(os.pread(self._shown.fileno(), MAX_SHOWN, 0))
            self._shown.close()
            self._scratch.close()

    def _exited(self) -> bool:
        """Whether it has ended by itself: give an ending process a moment, so that its own status is seen."""
        for _ in range(20):
            try:
                stat = Path(f"/proc/{self._pid}/stat").read_text(encoding="ascii", errors="replace")
            except OSError:
                return True
            fields = stat.rpartition(")")[2].split()
            if fields[0] in "ZX" and int(fields[17]) <= 1:  # its first thread may have gone and left others
                return True
            if not self._hung_up():
                return False
            time.sleep(0.005)
        return False

    def _hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._sock, select.POLLHUP)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def threads(self) -> tuple[int, int]:
        """How many threads the process has beside the main one, and how many of these run right now."""
        states = []
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{self._pid}/task").iterdir():
                if task.name != str(self._pid):
                    stat = (task / "stat").read_text(encoding="ascii", errors="replace")
                    states.append(stat.rpartition(")")[2].split()[0])
        return len(states), states.count("R")

    def crowd(self) -> int:
        """How many threads the process has beside the main one; 0 where that can't be read."""
        try:
            return sum(1 for _ in Path(f"/proc/{self._pid}/task").iterdir()) - 1
        except OSError:
            return 0

    def memory(self) -> int:
        """Bytes the process holds in RAM, shared memory included; 0 where that can't be read."""
        try:
            fields = Path(f"/proc/{self._pid}/statm").read_text(encoding="ascii").split()
        except OSError:
            return 0
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def excess(self) -> str:
        """What there is too much of in the scratch folder, "" where it is within the limits.

        Each entry counts 4 KiB.
        """
        stop, total, folders = self._limits.disk, 0, [self._scratch.path]
        while folders:
            folder = folders.pop()
            if len(str(folder)) > MAX_PATH:
                return "nested folders without end"
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    total += 4096
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
                    if total > stop:
                        return f"wrote more than {stops.size(stop)} of files"
        return ""


class _Watch:
    """Waits for the room and ends it where it takes too much, however often it has something to say."""

    def __init__(self, room: Room, deadline: float, seconds: float, doing: str) -> None:
        self.room, self.deadline, self.seconds, self.doing = room, deadline, seconds, doing
        self.poll = select.poll()

    def to_read(self) -> None:
        """Return when there is something to read."""
        self._wait(select.POLLIN)

    def to_write(self) -> None:
        """Return when something can be written."""
        self._wait(select.POLLOUT)

    def _wait(self, event: int) -> None:
        self.poll.register(self.room._sock, event)
        while True:
            now = time.monotonic()
            if now >= self.deadline:
                self.room._end(f"ran longer than {self.seconds:.3g} s in {self.doing}", self.doing)
            if now >= self.room._next_look:
                self.room._next_look = now + SCRATCH_TICK
                self._look(self.room.excess())
            if self.poll.poll(max(0.0, min(TICK, self.deadline - now)) * 1000):
                return
            self._look("")

    def _look(self, excess: str) -> None:
        # Twice the limit: RLIMIT_DATA says no first and lets the code see a MemoryError; this is for
        # what it does not count.
        if self.room.memory() > 2 * self.room._limits.memory:
            excess = f"asked for more than {stops.size(self.room._limits.memory)}"
        # Small ones fit into the memory by the ten thousand, and a machine has so many for all its users.
        if self.room.crowd() > self.room._limits.threads:
            excess = f"started more than {self.room._limits.threads} threads"
        if excess:
            self.room._end(f"{excess} in {self.doing}", self.doing)
