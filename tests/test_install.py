"""The built wheel: a learner's, without graders; and grading with an install that is not editable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from checkout import CHECKOUT

from autograde import mistakes
from autograde.mistakes import Change
from autograde.question import Question

PEEK = """
import importlib.util, pathlib
found = []
for path in ({tests!r}, {source!r}, importlib.util.find_spec("autograde").origin):
    try:
        pathlib.Path(path).read_text()
        found.append(path)
    except OSError:
        pass
print("could read", found)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release would be."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(CHECKOUT)]
    subprocess.run(command, check=True, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages folder with the wheel in it, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("install") / "site-packages"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        str(wheel),
    ]
    subprocess.run(command, check=True)
    return folder


def run(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Our interpreter with the wheel's package in place of the editable one."""
    environment = {k: v for k, v in os.environ.items() if k != "AUTOGRADE_COURSE"} | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_holds_no_grader(wheel: Path) -> None:
    """Nothing of the hidden tests, mistakes or variants is in what a learner installs."""
    names = zipfile.ZipFile(wheel).namelist()
    assert "autograde/checking.py" in names
    assert not [name for name in names if "questions" in name or "mistakes.toml" in name]


def test_the_installed_package_is_the_one_that_runs(site: Path, tmp_path: Path) -> None:
    """The tests below run the wheel's files, not the checkout's."""
    done = run(site, tmp_path, "-c", "import autograde; print(autograde.__file__)")
    assert done.stdout.strip() == str(site / "autograde" / "__init__.py")


def test_a_checkout_is_graded_with_an_installed_engine(site: Path, question: Question) -> None:
    """In a checkout the installed engine finds the questions and gives the solution full marks."""
    done = run(site, CHECKOUT, "-m", "autograde", "check", str(question.solution))
    assert done.returncode == 0, done.stderr
    assert "10 of 10 points" in done.stdout


def test_the_room_reads_neither_graders_nor_engine(site: Path, question: Question, tmp_path: Path) -> None:
    """A learner's code can read no hidden test, no source notebook and no engine file of an installed package."""
    peek = PEEK.format(tests=str(question.tests), source=str(question.source))
    path = tmp_path / f"{question.slug}.ipynb"
    path.write_bytes(mistakes.solved_bytes(question, Change("peek", "softmax", (), peek, "")))
    done = run(site, CHECKOUT, "-m", "autograde", "check", "--json", str(path))
    outputs = [output for cell in json.loads(done.stdout)["outputs"] for output in cell["outputs"]]
    printed = [output["text"] for output in outputs if output["output_type"] == "stream"]
    assert printed == ["could read []\n"]


def test_without_graders_check_passes_and_says_so(site: Path, tmp_path: Path) -> None:
    """Where no graders are, check() raises nothing and says that the hidden tests run at hand-in."""
    done = run(site, tmp_path, "-c", "from autograde import check; check('softmax_logits')")
    assert done.returncode == 0, done.stderr
    assert "hidden tests run when you hand in" in done.stdout
