"""Locking a process that is started for it, and trying from inside what the lock must stop."""

from __future__ import annotations

import errno
import json
import mmap
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograde.lock import LAYERS, Layer, Limits, allowed_reads, lock
from autograde.question import course_root
from autograde.scratch import Scratch

# The probe starts by its path, so that it also works where the package is not installed.
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from autograde.probe import inside; inside(*sys.argv[2:])"
)
_SECONDS = 60
_REFUSALS = (errno.EPERM, errno.EACCES)


@dataclass(frozen=True)
class Attempt:
    """Something that was tried from inside: whether it was stopped, and how."""

    name: str
    stopped: bool
    detail: str


@dataclass(frozen=True)
class Probe:
    """What a locked process found.

    Attributes:
        layers: of the lock.
        attempts: what was tried from inside.
        watched: whether its parent could see how much memory it uses.
    """

    layers: tuple[Layer, ...]
    attempts: tuple[Attempt, ...] = ()
    watched: bool = False


def probe(*, attempts: bool = True) -> Probe:
    """Start a process, let it lock itself and, unless told not to, try what must fail.

    A process of its own, by exec: the caller may have threads, which a fork does not survive.
    """
    with Scratch("probe") as folder:
        scratch = folder / "scratch"
        scratch.mkdir()
        (folder / "outside").write_text("kept", encoding="ascii")
        package = Path(__file__).resolve().parent.parent
        graders = course_root() or ""
        command = [sys.executable, "-I", "-c", _START, package, scratch, graders, "try" if attempts else ""]
        said, watched = _run([str(part) for part in command])
    try:
        found: dict[str, Any] = json.loads(said)
    except ValueError:
        return Probe(tuple(Layer(name, False, f"the probe failed: {said[-200:]}") for name in LAYERS))
    return Probe(
        tuple(Layer(**layer) for layer in found["layers"]),
        tuple(Attempt(**attempt) for attempt in found["attempts"]),
        watched,
    )


def inside(scratch: str, graders: str, attempts: str) -> None:
    """What the started process does: lock, try, and report as one line of JSON on its output."""
    limits = Limits()
    reads = allowed_reads([Path(graders)] if graders else [])
    locked = lock(Path(scratch), limits, reads)
    tried = list(_tried(Path(scratch), graders, limits)) if attempts else []
    report = {"layers": [asdict(layer) for layer in locked], "attempts": [asdict(one) for one in tried]}
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
    sys.stdin.read()  # stay until the parent has looked


def _run(command: list[str]) -> tuple[str, bool]:
    """What the process reported (or what went wrong), and whether its memory could be watched meanwhile."""
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 (our own interpreter and script)
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as child:
        assert child.stdout is not None
        alarm = threading.Timer(_SECONDS, child.kill)
        alarm.start()
        try:
            said = child.stdout.readline()
            watched = _can_watch(child.pid)
            _, complaint = child.communicate()
        finally:
            alarm.cancel()
    return said or complaint.strip() or f"it ended with {child.returncode}", watched


def _can_watch(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False
    return "RssAnon:" in status and "RssShmem:" in status


def _tried(scratch: Path, graders: str, limits: Limits) -> Iterator[Attempt]:
    outside = scratch.parent / "outside"
    tries: dict[str, Callable[[], object]] = {
        "read /etc/passwd": lambda: Path("/etc/passwd").read_bytes(),
        "list the home folder": lambda: list(Path.home().iterdir()),
        "read autograde's own code": lambda: Path(__file__).read_bytes(),
        "write outside the scratch": lambda: outside.write_text("changed", encoding="ascii"),
        "change a file's mode outside": lambda: _change_mode(outside),
        "open a socket": lambda: socket.socket().close(),
        "start a process": _start_process,
        "run a program": _run_program,
        "signal its parent": lambda: os.kill(os.getppid(), 0),
        "take more memory than allowed": lambda: mmap.mmap(-1, 2 * limits.memory, flags=mmap.MAP_PRIVATE),
        "share anonymous memory": lambda: mmap.mmap(-1, mmap.PAGESIZE),
        "raise a limit": _raise_limit,
    }
    if graders:
        hidden = Path(graders) / "autograde" / "questions" / "syllabus.toml"
        tries["read the hidden graders"] = hidden.read_bytes
    for name, action in tries.items():
        yield _attempt(name, action)


def _attempt(name: str, action: Callable[[], object]) -> Attempt:
    try:
        action()
    except (OSError, ValueError, MemoryError) as error:
        number = getattr(error, "errno", None)
        if number == errno.ENOENT:  # nothing there to read: neither proved nor disproved
            return Attempt(name, True, "nothing there")
        return Attempt(
            name, True, errno.errorcode.get(number, "refused") if number else str(error) or "refused"
        )
    return Attempt(name, False, "it worked")


def _change_mode(path: Path) -> None:
    before = path.stat().st_mode
    path.chmod(0o640 if before & 0o777 != 0o640 else 0o600)
    if path.stat().st_mode == before:
        raise PermissionError(errno.EPERM, "no effect")


def _start_process() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def _run_program() -> None:
    # Nothing is there, so that the call comes back even where no lock stops it.
    try:
        os.execv("/nonexistent/program", ["program"])  # noqa: S606
    except OSError as error:
        if error.errno in _REFUSALS:
            raise


def _raise_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, 2 * hard))
