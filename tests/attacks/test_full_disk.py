"""Disks that are full or only read: one line of what to do, and after that the same command ends as if there was room.

The disks are real, and small: mounted in a user namespace, which needs no root.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import calamity
import classroom
import pytest

NAMESPACE = ("unshare", "--map-root-user", "--mount")
CASES = {
    "journal": r"journal\.jsonl: No space left on device: free some space",
    "gradebook": r"gradebook\.db: database or disk is full: free some space",
    "autograded": r": No space left on device: free some space",
    "scratch": r"/tmp.*: (less than 64 MiB are free|No space left on device): free some space",
    "scratch before": r"/tmp: less than 64 MiB are free: free some space",
    "read-only": r"gradebook\.db: attempt to write a readonly database: make it and its folder writable",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """For each disk what the run on it said, and what the same command left when there was room again."""
    root = classroom.course(tmp_path_factory.mktemp("disk") / "course")
    calamity.hand_in(root, 4)
    script = [sys.executable, str(Path(__file__).with_name("small_disk.py")), str(root), *CASES]
    done = subprocess.run(
        [*NAMESPACE, *script],
        env=calamity.environment(root),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize("case", CASES)
def test_one_line(runs: dict[str, Any], case: str) -> None:
    """Where a disk is full, or only reads, the command ends with 2 and one line of what, where and what to do."""
    code, said, left = runs[case]["first"]
    assert (code, said.count("\n"), left) == (2, 1, [])
    assert re.search(
        rf"^autograde: .*{CASES[case]}, then run the same command again: nothing that was graded is lost$",
        said,
    )


@pytest.mark.parametrize("case", [case for case in CASES if case != "scratch before"])
def test_same_command_again(runs: dict[str, Any], case: str) -> None:
    """With room made, the same command ends with what it leaves on a disk that was never full."""
    code, said, left = runs[case]["second"]
    assert (code, left) == (0, [])
    assert said == "" or "damaged lines left out (1)" in said
    assert runs[case]["outcome"] == runs["with room"]["outcome"]


def test_full_while_it_is_written(runs: dict[str, Any]) -> None:
    """The disk was full after some results, in the middle of a line of the journal, and these are not graded again."""
    assert 0 < runs["journal"]["kept"] < runs["journal"]["fresh"]
    assert "damaged lines left out (1)" in runs["journal"]["second"][1]
    assert 0 < runs["scratch"]["kept"] < runs["scratch"]["fresh"]
