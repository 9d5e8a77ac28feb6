"""What this machine enforces when it grades, each point tried for real."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograde import landlock
from autograde.probe import Probe, probe

WIDTH = 80
_SIGNS = {True: "✓ yes", False: "✗ NO", None: "·"}
_NEEDED = "Linux 6.2 or newer (x86_64 or aarch64) with Landlock switched on enforces all of it, without root"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was looked at.
        holds: whether it is as it must be; None where it is only worth knowing.
        detail: what was found.
    """

    name: str
    holds: bool | None
    detail: str


def examine() -> tuple[Row, ...]:
    """Look at this machine: versions, the layers of the lock, and what a locked process could still do.

    Starts one short process. Takes about two seconds, most of them for the import of torch.
    """
    found = probe()
    return (*_software(), _course(Path.cwd()), *_lock(found))


def table(rows: Sequence[Row]) -> str:
    """The rows as text, 80 columns wide."""
    name_width = max((len(row.name) for row in rows), default=0)
    return "\n".join(line for row in rows for line in _lines(row, name_width))


def verdict(rows: Sequence[Row]) -> str:
    """One line: whether grading is locked here, and what to do where it is not."""
    missing = [row.name for row in rows if row.holds is False]
    if missing == ["nbgrader grades with autograde"]:
        return "The sandbox is whole, and nbgrader in this folder does not use it: see above."
    if not missing:
        return "Grading runs in a locked process on this machine."
    if sys.platform != "linux":
        return (
            f"Grading runs WITHOUT A LOCK on {platform.system()}: grade only code you trust here. {_NEEDED}."
        )
    return f"Not enforced: {', '.join(missing)}. {_NEEDED}."


def main(require_sandbox: bool = False) -> int:
    """Print the table and the verdict.

    Args:
        require_sandbox: whether a missing layer is a failure.

    Returns:
        The exit code: 1 where something is missing and the sandbox is required, otherwise 0.
    """
    rows = examine()
    text = f"{table(rows)}\n\n{textwrap.fill(verdict(rows), WIDTH)}\n"
    sys.stdout.write(text)
    return int(require_sandbox and any(row.holds is False for row in rows))


def _software() -> Iterator[Row]:
    yield Row("Python", None, f"{platform.python_version()} ({sys.executable})")
    for package in ("autograde", "torch", "numpy", "matplotlib", "ipython", "nbgrader"):
        yield Row(package, None, _version(package))
    yield Row("CUDA", None, _cuda())
    yield Row("kernel", None, f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield Row("Landlock", None, f"version {landlock.version()}" if landlock.version() else "none")


def _course(folder: Path) -> Row:
    """Whether stock nbgrader commands, run in this folder, grade with us."""
    name = "nbgrader grades with autograde"
    if _version("nbgrader") == "not installed":
        return Row(name, None, "not installed here: pip install 'autograde[instructor]'")
    from autograde.gradebook import is_configured

    configured = is_configured(folder)
    if configured is None:
        return Row(name, None, "no nbgrader_config.py in this folder")
    advice = "nbgrader_config.py needs: from autograde import configure; configure(c)"
    return Row(name, configured, "by the nbgrader_config.py in this folder" if configured else advice)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cuda() -> str:
    try:
        import torch
    except ImportError as error:
        return f"unknown: torch can't be imported ({error})"
    if not torch.cuda.is_available():
        return "no"
    return f"yes: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"


def _lock(found: Probe) -> Iterator[Row]:
    for layer in found.layers:
        yield Row(f"layer: {layer.name}", layer.enforced, layer.detail)
    yield Row("memory watched", found.watched, "/proc says what a room uses" if found.watched else "no /proc")
    for attempt in found.attempts:
        yield Row(f"can't {attempt.name}", attempt.stopped, attempt.detail)
    if found.attempts and not any("graders" in attempt.name for attempt in found.attempts):
        yield Row("can't read the hidden graders", None, "none here: run this in the checkout")


def _lines(row: Row, name_width: int) -> list[str]:
    start = f"{row.name:<{name_width}}  {_SIGNS[row.holds]:<6} "
    return textwrap.wrap(
        row.detail or "-",
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=True,
    )
