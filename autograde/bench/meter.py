"""One command, measured with everything that it starts."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

TICK = 0.01  # seconds between two looks for the mark
LOOK = 0.1  # seconds at least between two looks at the memory
SHARE = 25  # one part in so many of the time goes into looking at it
PATIENCE = 10.0  # seconds that processes may outlive their command
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Usage:
    """What a command used.

    Attributes:
        status: its exit status.
        wall_s: seconds until it had ended.
        cpu_s: processor seconds, user and system, of it and of everything it started.
        peak_mb: the largest sum of their memory seen at one moment, in 10⁶ bytes.
        mark_s: seconds until the mark was there; 0 where none was asked for or it never came.
        mark_cpu_s: processor seconds until then.
    """

    status: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    mark_s: float
    mark_cpu_s: float


class Process(NamedTuple):
    """One line of the process table: its parent, and the processor seconds of it and its waited-for children."""

    parent: int
    cpu_s: float


def measured(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    mark: Path | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> Usage:
    """Run a command to its end; what it prints is appended to `log` in its folder.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        environment: all of its environment.
        mark: a file or folder in `folder` whose appearance is timed; a file counts when it is not empty.
        waiting: called a few times a second meanwhile.
    """
    job = json.dumps({"command": list(command), "mark": str(folder / mark) if mark else ""})
    with subprocess.Popen(  # noqa: S603  our own interpreter
        [sys.executable, "-m", __name__, job], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.5)
                waiting()
        except BaseException:
            process.terminate()  # it ends what it has started
            raise
        assert process.stdout is not None
        return Usage(**json.loads(process.stdout.read()))


def main(job: str) -> None:
    """Run the job in this process's place, adopt what it leaves behind, and print its Usage."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    asked = json.loads(job)
    try:
        print(json.dumps(asdict(_run(asked["command"], Path(asked["mark"]) if asked["mark"] else None))))  # noqa: T201
    finally:
        _kill(list(below(processes(), os.getpid())))


def _run(command: Sequence[str], mark: Path | None) -> Usage:
    with open("log", "ab") as log:  # noqa: PTH123  Path adds nothing here
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
    watch = Watch(mark, began)
    status, wall, cpu = -1, 0.0, 0.0
    for pid, code, seconds in _reaped():
        cpu += seconds
        if pid == process.pid:
            status, wall = os.waitstatus_to_exitcode(code), time.monotonic() - began
            process.returncode = status
            watch.stop()
            # What is left has lost its parent. It should end by itself, and counts in any case.
            late = threading.Timer(PATIENCE, lambda: _kill(list(below(processes(), os.getpid()))))
            late.daemon = True
            late.start()
    return Usage(status, wall, cpu, watch.peak / 1e6, watch.mark_s, watch.mark_cpu_s)


def _reaped() -> Iterator[tuple[int, int, float]]:
    """Every child and adopted child as it ends: its number, its status, its processor seconds."""
    while True:
        try:
            pid, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            return
        yield pid, status, used.ru_utime + used.ru_stime


class Watch(threading.Thread):
    """Looks at everything below this process until it is stopped.

    Attributes:
        peak: the largest sum of memory, bytes.
        mark_s: seconds until the mark was there.
        mark_cpu_s: processor seconds until then.
    """

    def __init__(self, mark: Path | None, began: float) -> None:
        super().__init__(daemon=True)
        self._mark, self._began = mark, began
        self._stopped = threading.Event()
        self.peak, self.mark_s, self.mark_cpu_s = 0, 0.0, 0.0
        self.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Look for the mark at every tick, and at the memory as often as is cheap."""
        due = 0.0
        while not self._stopped.wait(TICK):
            if self._mark is not None and not self.mark_s and _there(self._mark):
                self.mark_s = time.monotonic() - self._began
                self.mark_cpu_s = sum(row.cpu_s for row in below(processes(), os.getpid()).values())
            if time.monotonic() >= due:
                looked = time.thread_time()
                self.peak = max(self.peak, sum(map(memory, below(processes(), os.getpid()))))
                due = time.monotonic() + max(LOOK, SHARE * (time.thread_time() - looked))


def processes() -> dict[int, Process]:
    """The process table."""
    tick, table = os.sysconf("SC_CLK_TCK"), {}
    for name in os.listdir("/proc"):  # noqa: PTH208  plain names are all that is needed, many times
        if name.isdecimal():
            with contextlib.suppress(OSError):
                fields = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()
                table[int(name)] = Process(int(fields[1]), sum(map(int, fields[11:15])) / tick)
    return table


def below(table: Mapping[int, Process], top: int) -> dict[int, Process]:
    """The processes that one has started, and those that they started."""
    children = defaultdict(list)
    for pid, row in table.items():
        children[row.parent].append(pid)
    found: dict[int, Process] = {}
    look = [top]
    while look:
        next_to = children[look.pop()]
        found.update((pid, table[pid]) for pid in next_to)
        look += next_to
    return found


def memory(pid: int) -> int:
    """The proportional set size of a process in bytes; 0 where it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _there(path: Path) -> bool:
    return path.is_dir() or (path.is_file() and path.stat().st_size > 0)


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
