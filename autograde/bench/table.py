"""The figures for people, and for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autograde.bench.figures import Figures


def table(rows: Mapping[str, Figures]) -> Iterator[str]:
    """One line a side, stock nbgrader first.

    Args:
        rows: the sides' figures by name, in the order of the table.
    """
    stock = next(iter(rows.values()))
    yield f"{'':28}{'wall s':>9}{'fastest':>9}{'slowest':>9}{'CPU s':>9}{'peak MB':>10}{'stock / it':>12}"
    for name, row in rows.items():
        seconds = (row.wall_s, row.fastest_s, row.slowest_s, row.cpu_s)
        ratio = f"{stock.wall_s / row.wall_s:.1f}×"
        yield f"{name:28}{''.join(f'{s:9.3f}' for s in seconds)}{row.peak_mb:10.0f}{ratio:>12}"


def machine() -> str:
    """What the figures were measured on, and how busy it was with something else."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    busy = ": busy with other work, the figures are too high" if load > cores / 2 else ""
    return f"{cores} cores, Python {platform.python_version()}, load {load:.1f} before the start{busy}"


def as_json(
    rows: Mapping[str, Figures], about: Mapping[str, Any], different: Sequence[str]
) -> dict[str, Any]:
    """The figures as they are written to bench.json: seconds per submission where nothing else is said.

    Args:
        rows: stock nbgrader, our nbgrader, `autograde grade`, the same on one core, the floor.
        about: what was measured.
        different: the students whose scores differ.

    Returns:
        `ratio` is stock_s / grade_s, `cpu_over_floor` is grade_cpu_s / floor_cpu_s; `peak_mb` and
        `first_result_s` (from the start of `autograde grade` to its first result in the journal) are its own.
    """
    stock, path, grade, one, floor = rows.values()
    return {
        **about,
        "stock_s": stock.wall_s,
        "nbgrader_path_s": path.wall_s,
        "grade_s": grade.wall_s,
        "grade_one_core_s": one.wall_s,
        "floor_cpu_s": floor.cpu_s,
        "grade_cpu_s": grade.cpu_s,
        "ratio": stock.wall_s / grade.wall_s,
        "cpu_over_floor": grade.cpu_s / floor.cpu_s,
        "peak_mb": grade.peak_mb,
        "first_result_s": grade.mark_s,
        "scores_equal": not different,
        "differences": list(different),
    }
