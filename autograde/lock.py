"""The lock: a process takes from itself what a learner's code must not have, for good, before it runs it."""

from __future__ import annotations

import importlib.metadata
import math
import os
import pkgutil
import platform
import resource
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograde import landlock, seccomp
from autograde.errors import Explained
from autograde.grants import allowed_reads
from autograde.kernel import MACHINE, prctl, syscall
from autograde.syscalls import Unsupported, numbers

__all__ = ["LAYERS", "Layer", "Limits", "LimitsError", "LockError", "allowed_reads", "layers", "lock"]

VARIABLE = "AUTOGRADE_BUDGET"  # seconds for a whole notebook, for everything that one command starts
LAYERS = ("privileges", "capabilities", "rlimits", "landlock", "seccomp")

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_ALL = 38, 47, 4
_CAPABILITY_VERSION = 0x20080522
_SIGKILL = 9


class LimitsError(Explained):
    """The limits that were asked for are none."""


class LockError(Exception):
    """The process can't be locked at all: it does something that the lock can't undo."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        call_s: seconds of wall time for one call or cell, and for the calls of one test; the parent watches.
        budget_s: seconds for the whole submission; processor time is stopped a little after it by the kernel.
        memory: bytes over what the process had when it was locked. Stacks of threads count.
        threads: threads beside the first; the parent counts.
        file: bytes of one file.
        disk: bytes of all files; the parent watches.
        output: characters printed; the parent counts.
        answers: bytes of memory that what it answers may take in the parent: tests and recognition keep it.
        open_files: files open at once.
        stack: bytes of the main thread's stack.
    """

    call_s: float = 10.0
    budget_s: float = 30.0
    memory: int = 2 * 2**30
    threads: int = 300
    file: int = 16 * 2**20
    disk: int = 64 * 2**20
    output: int = 1_000_000
    answers: int = 2**28
    open_files: int = 256
    stack: int = 8 * 2**20

    @classmethod
    def chosen(cls) -> Limits:
        """Those of this course: the defaults, with the budget that the environment names.

        Raises:
            LimitsError: it names no number of seconds.
        """
        named = os.environ.get(VARIABLE)
        if not named:
            return cls()
        try:
            budget = float(named)
        except ValueError:
            budget = math.nan
        if not 1 <= budget <= 3600:
            raise LimitsError(f"{VARIABLE} is {named!r}: name the seconds for a notebook, 1 to 3600")
        return cls(call_s=min(cls.call_s, budget / 3), budget_s=budget)


@dataclass(frozen=True)
class Layer:
    """One layer of the lock: whether it holds, and what it is or why not."""

    name: str
    enforced: bool
    detail: str


def lock(
    scratch: Path, limits: Limits, reads: Sequence[Path], *, without: frozenset[str] = frozenset()
) -> tuple[Layer, ...]:
    """Lock this process, for good. Call it in a fresh child, before any thread and the first foreign line.

    The child must have closed what it does not need: open files and sockets stay open. No layer that fails
    stops the next; the caller decides whether what is enforced is enough.

    Args:
        scratch: the one folder to write to; it exists.
        limits: what the process may use from now on.
        reads: what `allowed_reads` found.
        without: names of layers to leave out, to test the others.

    Returns:
        One row for each of LAYERS, in the order in which they were applied.

    Raises:
        LockError: another thread runs, which would stay outside.
    """
    if sys.platform != "linux":
        return tuple(_foreign_layer(name, limits, without) for name in LAYERS)
    others = sum(1 for _ in Path("/proc/self/task").iterdir()) - 1
    if others:
        raise LockError(f"{others} other threads run in this process: lock it before any is started")
    _remember_packages(scratch)
    steps: dict[str, Callable[[], str]] = {
        "privileges": _give_up_privileges,
        "capabilities": _drop_capabilities,
        "rlimits": lambda: _set_limits(limits),
        "landlock": lambda: _keep_to_files(scratch, reads),
        "seccomp": lambda: f"a filter of {seccomp.install()} instructions",
    }
    return tuple(_applied(name, step, without) for name, step in steps.items())


def layers() -> tuple[Layer, ...]:
    """What this machine enforces, found by locking a child process that is started for it."""
    from autograde.probe import probe

    return probe(attempts=False).layers


def _applied(name: str, step: Callable[[], str], without: frozenset[str]) -> Layer:
    if name in without:
        return Layer(name, False, "left out")
    try:
        detail = step()
    except (OSError, ValueError, Unsupported) as error:
        return Layer(name, False, str(error))
    if name == "landlock" and landlock.version() < landlock.COMPLETE:
        return Layer(name, False, f"{detail} (Linux 6.2 or newer is needed)")
    return Layer(name, True, detail)


def _foreign_layer(name: str, limits: Limits, without: frozenset[str]) -> Layer:
    if name == "rlimits":
        partly = _applied(name, lambda: _set_limits(limits), without)
        return Layer(name, False, f"{partly.detail}, but memory is not bounded")
    return Layer(name, False, f"{platform.system() or 'this system'} has no such thing: use Linux to grade")


def _remember_packages(scratch: Path) -> None:
    """Let later imports find what can be read, in folders that can no longer be listed.

    Python lists the folders of sys.path to import from them, again whenever one changed or somebody called
    `importlib.invalidate_caches()`. What the finders saw last has to do from now on.
    """
    own = {scratch, scratch.resolve()}
    for entry in sys.path:
        if not entry or own.intersection((Path(entry), *Path(entry).parents)):
            continue
        finder: Any = pkgutil.get_importer(entry)
        if finder is not None and hasattr(finder, "_fill_cache"):
            if finder._path_mtime != _changed(entry):
                finder._fill_cache()
                finder._path_mtime = _changed(entry)
            finder._fill_cache = _keep
    for _ in importlib.metadata.distributions(name="pip"):  # the same for versions and entry points
        break
    # From Python 3.13 on invalidate_caches() reaches these too.
    finder_of_versions: Any = importlib.metadata.MetadataPathFinder
    finder_of_versions.invalidate_caches = _keep


def _keep() -> None:
    """Stand in for a finder's own listing."""


def _changed(folder: str) -> float:
    try:
        return Path(folder).stat().st_mtime
    except OSError:
        return -1


def _give_up_privileges() -> str:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # Other processes of the same user, other rooms among them, can then look at nothing of this one.
    # The sizes in /proc/<pid>/statm and status stay readable for the parent's watch.
    prctl(_PR_SET_DUMPABLE, 0)
    prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    return "no new privileges, not traceable, ends with its parent"


def _drop_capabilities() -> str:
    was_root = os.geteuid() == 0
    for capability in range(64):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError:  # past the last one, or not allowed to: an ordinary user has none to drop
            break
    prctl(_PR_CAP_AMBIENT, _CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    syscall(numbers(MACHINE)["capset"], header, bytes(24))
    return "root's are dropped" if was_root else "none"


def _set_limits(limits: Limits) -> str:
    seconds = math.ceil(limits.budget_s) + 5
    _limit(resource.RLIMIT_CPU, seconds, seconds + 1)  # a signal that names the cause, then the end
    _limit(resource.RLIMIT_FSIZE, limits.file)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)
    _limit(resource.RLIMIT_STACK, limits.stack)
    if sys.platform == "linux":
        size, data = _bytes()
        _limit(resource.RLIMIT_DATA, data + limits.memory)
        # What is mapped and only read is no data, but the kernel's tables for it take a 512th of its size.
        _limit(resource.RLIMIT_AS, size + 32 * limits.memory)
    return (
        f"{limits.memory / 2**30:g} GiB more, {seconds} s of processor, files of {limits.file / 2**20:g} MiB"
    )


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    _, most = resource.getrlimit(kind)
    wanted = (soft, soft if hard is None else hard)
    if most != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], most), min(wanted[1], most))
    resource.setrlimit(kind, wanted)


def _bytes() -> tuple[int, int]:
    """All that is mapped, and what RLIMIT_DATA counts of it: private memory that can be written, touched or not."""
    pages = Path("/proc/self/statm").read_bytes().split()
    return int(pages[0]) * resource.getpagesize(), int(pages[5]) * resource.getpagesize()


def _keep_to_files(scratch: Path, reads: Sequence[Path]) -> str:
    rules = landlock.restrict(scratch, reads)
    return f"version {landlock.version()}: {landlock.covers(landlock.version())}; {rules} rules"
