"""Files planted: beside the notebook for whoever grades, and in the scratch folder for cells and tests to come."""

from __future__ import annotations

import io
import os
import shutil
import socket
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from siege import CLUE, Attack, Fallout, Siege
from target import SLUG

# Code that would show that it ran where the secrets are: it leaves a file and prints what it can read.
PAYLOAD = f"""
import os, pathlib
for folder in (".", "/tmp", os.path.expanduser("~")):
    try:
        pathlib.Path(folder, "{CLUE}").write_text("planted")
    except OSError:
        pass
print(os.environ.get("SIEGE_SECRET"))
"""
SHADOWS = (
    "numpy",
    "torch",
    "json",
    "struct",
    "socket",
    "pytest",
    "autograde",
    "nbgrader",
    "nbconvert",
    "random",
)
SETTINGS = {
    "conftest.py": "import pytest\n@pytest.fixture\ndef close():\n    return lambda *a, **k: None\n"
    + PAYLOAD,
    "pytest.ini": "[pytest]\naddopts = -p planted --collect-only\npython_files = planted.py\n",
    "setup.cfg": "[tool:pytest]\naddopts = -p planted\n",
    "tox.ini": "[pytest]\naddopts = -p planted\n",
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-p planted"\n',
    "planted.py": PAYLOAD,
    "planted.pth": "import planted\n",
    "__editable__.planted.pth": "import planted\n",
    "sitecustomize.py": PAYLOAD,
    "usercustomize.py": PAYLOAD,
    "planted-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n",
    "planted-1.0.dist-info/entry_points.txt": "[pytest11]\nplanted = planted\n[nbgrader]\nplanted = planted\n",
    "nbgrader_config.py": "c = get_config()\nc.ClearSolutions.code_stub = {}\n" + PAYLOAD,
    "jupyter_config.py": PAYLOAD,
    "jupyter_nbconvert_config.py": PAYLOAD,
    ".ipython/profile_default/startup/00.py": PAYLOAD,
    ".ipython/profile_default/ipython_config.py": PAYLOAD,
    ".jupyter/jupyter_config.py": PAYLOAD,
    ".env": "AUTOGRADE_SEED=1\nAUTOGRADE_BUDGET=3600\nPYTHONPATH=.\n",
    ".git/hooks/post-checkout": "#!/bin/sh\ntouch /tmp/" + CLUE,
    ".git/config": f"[core]\n\tfsmonitor = touch /tmp/{CLUE}\n",
    "matplotlibrc": "backend: module://planted\n",
    "autograde/questions/syllabus.toml": "[warmup]\ntitle = 'Planted'\n",
    "autograde/questions/warmup/target/test_target.py": "def test_positive():\n    '''passes'''\n",
    "release/warmup/target.ipynb": '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    ".autograde/seed": "1",
    "gradebook.db": "not a database",
    "autograded/warmup/target.ipynb": "{}",
}

# The same, written by a cell of the notebook into the folder from which it runs and which comes first in sys.path.
WRITES = """
import os, importlib, sys
files = FILES
for name, text in files.items():
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "w") as file:
        file.write(text)
importlib.invalidate_caches()
print("written:", sum(os.path.exists(name) for name in files), "here first:", sys.path[0] == os.getcwd())
"""
# What a module of the course's name would do to those who import it: answer every comparison with yes.
LIES = "def __getattr__(name):\n    return lambda *a, **k: True\ncheck = print\n"
SHADOW = """
import sys
for name in NAMES:
    sys.modules.pop(name, None)
    __import__(name)
print("shadowed:", sum(sys.modules[name].__file__.startswith(os.getcwd()) for name in NAMES))
"""


def shadow_cell() -> str:
    """A cell that writes modules of well-known names, and has the next import find them."""
    files = {f"{name}.py": LIES for name in ("pytest", "nbgrader", "numpy_financial", "unittest", "doctest")}
    names = tuple(name.removesuffix(".py") for name in files)
    return WRITES.replace("FILES", repr(files)) + SHADOW.replace("NAMES", repr(names))


def bomb() -> bytes:
    """A zip file of 100 kB that holds 100 MB."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../" + CLUE, bytes(100 * 2**20))
    return made.getvalue()


def traversal() -> bytes:
    """A tar file whose names lead out of it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in (f"../../../{CLUE}", f"/tmp/{CLUE}", f"{SLUG}.ipynb"):
            entry = tarfile.TarInfo(name)
            archive.addfile(entry, io.BytesIO())
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../source"
        archive.addfile(link)
    return made.getvalue()


def root_of(folder: Path) -> Path:
    """The course that a submission was handed in to."""
    return folder.parents[2]


def in_place_of_the_notebook(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Puts something else where the notebook was."""

    def plant(folder: Path) -> None:
        path = folder / f"{SLUG}.ipynb"
        path.unlink()
        make(path)

    return plant


def in_place_of_the_folder(lead: Callable[[Path], Path]) -> Callable[[Path], None]:
    """Puts a link where the submission was: to another folder of the course."""

    def plant(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.symlink_to(lead(root_of(folder)))

    return plant


def links(folder: Path) -> None:
    """Links to every secret beside the notebook, by every kind of path, under names that are copied and read."""
    root = root_of(folder)
    hidden, home = root / "autograde" / "questions" / "warmup" / SLUG, root.parent / "home"
    others = (root / "source" / "warmup", root / "submitted" / "fellow" / "warmup")
    notebooks = [path / f"{SLUG}.ipynb" for path in others]
    kept = (
        hidden / f"test_{SLUG}.py",
        hidden / "mistakes.toml",
        home / "diary.txt",
        root / ".autograde" / "seed",
    )
    for number, path in enumerate((*notebooks, *kept)):
        (folder / f"data{number}.csv").symlink_to(path)
        (folder / f"near{number}.csv").symlink_to(os.path.relpath(path, folder))
    (folder / "all").symlink_to(root)
    (folder / "deep").mkdir()
    (folder / "deep" / "home").symlink_to(home)
    (folder / "deep" / "diary.html").symlink_to(home / "diary.txt")
    (folder / f"{SLUG}.html").symlink_to(home / "diary.txt")
    (folder / "other.ipynb").symlink_to(notebooks[0])


def endless(folder: Path) -> None:
    """What never ends when it is read: devices, and pipes that nobody writes to, also as the time of handing in."""
    (folder / "zero.csv").symlink_to("/dev/zero")
    (folder / "random.csv").symlink_to("/dev/urandom")
    (folder / "loop.csv").symlink_to("loop.csv")
    os.mkfifo(folder / "pipe.csv")
    os.mkfifo(folder / "timestamp.txt")
    os.mkfifo(folder / "essay.ipynb")
    listen(folder / "socket.csv")


def listen(path: Path) -> None:
    """A socket with this name: made near, since a socket's path may not be long."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def fellow(root: Path) -> Path:
    """The folder of the student whose work is secret."""
    return root / "submitted" / "fellow" / "warmup"


NOT_ITSELF = "hand in the .ipynb file"


class TestPlanted(Siege):
    """What lies beside a notebook is nothing to those who grade it."""

    attacks = (
        Attack(
            "settings and plugins beside the notebook",
            files={name: text.encode() for name, text in SETTINGS.items()},
            stopped_by="nothing is run or read from there",
        ),
        Attack(
            "shadow modules beside the notebook",
            files={f"{name}.py": PAYLOAD.encode() for name in SHADOWS}
            | {f"{name}/__init__.py": PAYLOAD.encode() for name in SHADOWS},
            stopped_by="nothing is run or read from there",
        ),
        Attack(
            "settings and plugins written by a cell",
            WRITES.replace("FILES", repr(SETTINGS)),
            stopped_by="scratch folder of its own",
            shows=f"written: {len(SETTINGS)} here first: True",
        ),
        Attack(
            "shadow modules written by a cell",
            shadow_cell(),
            stopped_by="process of its own",
            first=True,
            shows="shadowed: 5",
        ),
        Attack("archives that burst or climb out", files={"work.zip": bomb(), "work.tar": traversal()},
               stopped_by="never unpacked"),
        Attack("links to secrets beside the notebook", plant=links, stopped_by="plain files only"),
        Attack("pipes, devices and sockets beside it", plant=endless, stopped_by="plain files only"),
        Attack("a time that is none", files={"timestamp.txt": b"2026-99-99 ../../../../etc/passwd " * 9},
               stopped_by="not used"),
        Attack("hard link to a file of its own",
               plant=lambda folder: os.link(folder / f"{SLUG}.ipynb", folder / "copy.txt"),
               stopped_by="graded as what it holds"),
        Attack("link to a fellow's notebook", plant=in_place_of_the_notebook(
            lambda path: path.symlink_to(f"../../fellow/warmup/{SLUG}.ipynb")), earns=0, told=NOT_ITSELF,
            stopped_by="links out are refused"),
        Attack("link to the source solution", plant=in_place_of_the_notebook(
            lambda path: path.symlink_to(root_of(path.parent) / "source" / "warmup" / f"{SLUG}.ipynb")), earns=0,
            told=NOT_ITSELF, stopped_by="links out are refused"),
        Attack("folder that is a link to a fellow's", plant=in_place_of_the_folder(fellow), earns=0, told=NOT_ITSELF,
               stopped_by="links out are refused"),
        Attack("folder that is a link to the source",
               plant=in_place_of_the_folder(lambda root: root / "source" / "warmup"),
               earns=0, told=NOT_ITSELF, stopped_by="links out are refused"),
        Attack("notebook that is a device", plant=in_place_of_the_notebook(lambda path: path.symlink_to("/dev/zero")),
               earns=0, told=NOT_ITSELF, stopped_by="plain files only"),
        Attack("notebook that is a pipe", plant=in_place_of_the_notebook(os.mkfifo), earns=0, told=NOT_ITSELF,
               stopped_by="plain files only"),
        Attack("notebook that is a socket", plant=in_place_of_the_notebook(listen), earns=0, told=NOT_ITSELF,
               stopped_by="plain files only"),
        Attack("notebook that is a folder", plant=in_place_of_the_notebook(lambda path: path.mkdir()), earns=0,
               told=NOT_ITSELF, stopped_by="plain files only"),
        Attack("notebook that is a link to itself",
               plant=in_place_of_the_notebook(lambda path: path.symlink_to(path.name)),
               earns=0, told="can't be read", stopped_by="plain files only"),
    )  # fmt: skip

    def test_only_plain_files_are_copied(self, fallout: Fallout) -> None:
        """In what nbgrader makes of a class there is no link, no pipe, no device, and no planted link's content."""
        made = [path for top in ("autograded", "feedback") for path in (fallout.target.root / top).rglob("*")]
        assert made
        assert [path for path in made if path.is_symlink() or not (path.is_file() or path.is_dir())] == []
        attacker = fallout.students["links to secrets beside the notebook"]
        copied = {path.name for path in made if attacker in path.parts and path.is_file()}
        assert copied == {f"{SLUG}.ipynb", f"{SLUG}.html"}

    @pytest.mark.parametrize("student", ["fellow"])
    def test_others_are_graded(self, fallout: Fallout, student: str) -> None:
        """Nothing that is planted keeps the class from its points."""
        assert fallout.graded[student]["score"] == fallout.stock[student] == 6
