"""A progress bar with an ETA on a terminal's standard error; nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from autograde import interruption


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar while the block runs; what it gives is called for each thing done, and ends what was interrupted.

    Args:
        what: what is being done.
        total: how many.
    """
    columns = (TextColumn(f"{what:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    eta = (TextColumn("ETA"), TimeRemainingColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, *eta, console=console, disable=not total or not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def advance() -> None:
            interruption.check()
            bar.advance(task)

        yield advance
