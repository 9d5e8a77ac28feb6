"""In a namespace of its own: a class graded on disks that are full or only read, then with room; prints what was left.

Usage: unshare --map-root-user --mount python small_disk.py COURSE CASE…
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import calamity  # noqa: E402
import pytest  # noqa: E402
from classroom import tree  # noqa: E402

from autograde.cli import main  # noqa: E402
from autograde.journal import FILE  # noqa: E402
from autograde.release import register  # noqa: E402

SIZES = {"journal": "12k", "gradebook": "", "autograded": "40k", "scratch": "100m", "scratch before": "50m"}


def mounted(folder: Path, size: str) -> None:
    """A disk of this size."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)


def grade() -> tuple[int, str, list[str]]:
    """Run `autograde grade` here: its exit code, what it said, and what it left in scratch."""
    said = io.StringIO()
    with (
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
        pytest.raises(SystemExit) as ended,
    ):
        main(["grade", "--jobs", "1"])
    left = [path.name for path in Path(tempfile.gettempdir()).glob("autograde-*")]
    return int(ended.value.code or 0), said.getvalue(), left


def digest(root: Path) -> str:
    """All that a graded class is, in one word."""
    kept = (calamity.gradebook(root / "gradebook.db"), tree(root), sorted(calamity.keys(root)))
    return hashlib.sha256(repr(kept).encode()).hexdigest()


def fill(root: Path, disk: Path) -> None:
    """Fill a disk as soon as there is a result."""
    while not (root / FILE).is_file() or b'"key"' not in (root / FILE).read_bytes():
        time.sleep(0.001)
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**20))


def prepared(case: str, root: Path) -> None:
    """The disk of a case, in the working folder."""
    disk = {"journal": root / ".autograde", "autograded": root / "autograded"}.get(case, root / "tmp")
    if case == "read-only":
        subprocess.run(["mount", "--bind", "gradebook.db", "gradebook.db"], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", "gradebook.db"], check=True)
    elif case == "gradebook":
        shutil.copytree(root, root.with_name("original"))
        mounted(root, "10m")
        shutil.copytree(root.with_name("original"), root, dirs_exist_ok=True)
        os.chdir(root)
        free = shutil.disk_usage(root).free
        subprocess.run(["mount", "-o", f"remount,size={10 * 2**20 - free + 2**14}", str(root)], check=True)
        mounted(root / "autograded", "10m")
    else:
        mounted(disk, SIZES[case])


def roomy(case: str, root: Path) -> None:
    """Make room."""
    if case == "read-only":
        subprocess.run(["umount", "gradebook.db"], check=True)
    elif case == "gradebook":
        subprocess.run(["mount", "-o", "remount,size=100m", str(root)], check=True)
    elif case == "scratch":
        (root / "tmp" / "filler").unlink()
    else:
        disk = {"journal": root / ".autograde", "autograded": root / "autograded"}.get(case, root / "tmp")
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)


def run(case: str, course: Path, graded: Path) -> dict[str, Any]:
    """One case: the run that fails, and the same command again."""
    root = course.with_name(case.replace(" ", "-"))
    fresh = case in ("journal", "scratch", "scratch before")
    shutil.copytree(course if fresh else graded, root)
    os.chdir(root)
    (root / "tmp").mkdir(exist_ok=True)
    tempfile.tempdir = str(root / "tmp")
    if not fresh:
        shutil.rmtree(root / "autograded")
        (root / "gradebook.db").unlink()
        register(root, ["warmup"], root)
    prepared(case, root)
    if case == "scratch":
        threading.Thread(target=fill, args=(root, root / "tmp"), daemon=True).start()
    first = grade()
    if case == "scratch before":
        return {"first": first}
    kept = (
        sum(b'{"key": ' in line for line in (root / FILE).read_bytes().splitlines())
        if (root / FILE).is_file()
        else 0
    )
    roomy(case, root)
    second = grade()
    return {
        "first": first,
        "second": second,
        "outcome": digest(root),
        "kept": kept,
        "fresh": len(calamity.keys(root)),
    }


if __name__ == "__main__":
    course, cases = Path(sys.argv[1]).resolve(), sys.argv[2:]
    graded = course.with_name("graded")
    shutil.copytree(course, graded)
    os.chdir(graded)
    code, said, _ = grade()
    assert code == 0, said
    told = {"with room": {"outcome": digest(graded)}}
    told |= {case: run(case, course, graded) for case in cases}
    print(json.dumps(told))
