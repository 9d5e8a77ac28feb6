"""Why a room ended, or what it was refused, in the learner's words."""

from __future__ import annotations

import os
import signal
from typing import Any

from autograde.errors import text, texts
from autograde.lock import Limits

# Exit statuses by which a room says why it ends itself. Anybody can forge one: it is no more than a wording.
CLOSED_EXIT, STRAY_EXIT, MEMORY_EXIT, OUTPUT_EXIT = 94, 95, 96, 97

_CRASHES = (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS)
_NO_MEMORY = ("MemoryError", "_ArrayMemoryError")


def of_status(status: int, doing: str, limits: Limits) -> str:
    """The cause in a process's own exit status, as os.waitpid gives it."""
    if os.WIFSIGNALED(status):
        return f"{_of_signal(os.WTERMSIG(status), limits)} in {doing}"
    said = {
        CLOSED_EXIT: "closed the connection to the grader",
        STRAY_EXIT: "raised an exception between two calls (in a signal handler?)",
        MEMORY_EXIT: f"asked for more than {size(limits.memory)}",
        OUTPUT_EXIT: f"printed more than {limits.output:,} characters",
    }
    return f"{said.get(os.WEXITSTATUS(status), 'ended the process')} in {doing}"


def of_error(error: Any, doing: str, limits: Limits) -> str:
    """The cause in an exception that the lock let the code see, "" where it is one of the learner's own.

    Args:
        error: `kinds` and `message` of what was raised; every field may be forged.
        doing: what was running.
        limits: what the room may use.
    """
    if not isinstance(error, dict):
        return ""
    message, kinds = text(error.get("message")), texts(error.get("kinds"))
    cause = ""
    if (
        any(kind in _NO_MEMORY for kind in kinds)
        or "can't allocate memory" in message
        or "bad_alloc" in message
    ):
        cause = f"asked for more than {size(limits.memory)}"
    elif "can't start new thread" in message:
        cause = f"started more threads than {size(limits.memory)} hold"
    elif "[Errno 24]" in message:
        cause = f"opened more than {limits.open_files} files"
    elif "[Errno 27]" in message:
        cause = f"wrote a file of more than {size(limits.file)}"
    elif _refused(kinds, message):
        cause = "tried what is closed while grading (files, network, processes, shared memory)"
    return cause and f"{cause} in {doing}"


def size(count: int) -> str:
    """Bytes as people write them: 2 GiB, 64 MiB."""
    return f"{count / 2**30:.3g} GiB" if count >= 2**30 else f"{count / 2**20:.3g} MiB"


def _of_signal(number: int, limits: Limits) -> str:
    if number == signal.SIGXCPU:
        return f"used more than {limits.budget_s:.3g} s of processor time"
    if number == signal.SIGKILL:
        return "was killed (out of memory?)"
    name = signal.strsignal(number)
    if number == signal.SIGSEGV:
        name = f"{name}: a recursion too deep?"
    return f"crashed ({name})" if number in _CRASHES else f"was ended by a signal ({name})"


def _refused(kinds: list[str], message: str) -> bool:
    # A PermissionError of the learner's own has no number.
    if "PermissionError" in kinds:
        return "[Errno 1]" in message or "[Errno 13]" in message
    return "shared memory" in message and "Permission denied" in message
