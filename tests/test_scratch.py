"""Temporary folders: what is removed of them, and when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from autograde.scratch import Scratch, sweep

OWNER = """
from autograde.room import Zygote

room = Zygote().open()
(room._scratch.path / "folder").mkdir()
(room._scratch.path / "folder" / "file").touch()
print(room._scratch.path, flush=True)
input()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_killed_owner(temporary):
    """The folder of a grader that was killed is swept, and not while the grader lives."""
    command = [sys.executable, "-c", OWNER]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as owner:
        folder = Path(owner.stdout.readline().strip())
        sweep()
        assert (folder / "folder" / "file").is_file()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    assert folder.is_dir(), "else there is nothing to sweep"
    sweep()
    assert list(temporary.iterdir()) == []


def test_nothing_else_is_swept(temporary):
    """Folders of other names, links and living owners' folders stay."""
    for name in (
        "other",
        "target",
        "autograde-12345678",
        "autograde-notes-12345678",
        "autograde-room-1234567",
    ):
        (temporary / name).mkdir()
        (temporary / name / "file").touch()
    (temporary / "autograde-room-linklink").symlink_to(temporary / "target")
    (temporary / "autograde-room-filefile").touch()
    with Scratch("crew") as scratch:
        before = sorted(temporary.rglob("*"))
        sweep()
        assert sorted(temporary.rglob("*")) == before
        assert scratch in before
    assert not scratch.exists()


def test_anything_is_removed(temporary):
    """Folders nested deeper than a path is long, closed folders, links and files go with the scratch folder."""
    outside = temporary / "outside"
    outside.mkdir()
    (outside / "file").touch()
    home = Path.cwd()
    with Scratch("room") as scratch:
        os.chdir(scratch)
        for _ in range(1100):
            Path("nested").mkdir()
            os.chdir("nested")
        os.chdir(home)
        (scratch / "link").symlink_to(outside)
        (scratch / "closed").mkdir(mode=0)
    assert list(temporary.iterdir()) == [outside]
    assert (outside / "file").is_file()
