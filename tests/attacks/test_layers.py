"""Each layer of the lock alone: what still holds without it, and one more wall around all of it."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import target
from checkout import SEED
from classroom import bytes_of, command, copied, submit
from nbformat.v4 import new_code_cell
from siege import CLUE
from target import HALF, Target
from tiny_course import TOPIC

from autograde.gradebook import scores
from autograde.grading import Grader
from autograde.kernel import MACHINE
from autograde.lock import LAYERS, Limits
from autograde.question import find
from autograde.room import Broken
from autograde.syscalls import numbers
from autograde.verdict import Result

# Tries everything once and tells what became of it, as JSON.
ATTEMPTS = """
import ctypes, json, mmap, os, signal, socket, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)

def called(*arguments):
    if libc.syscall(*map(ctypes.c_long, arguments)) == -1:
        raise OSError(ctypes.get_errno(), "refused")

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

def program():
    # Without a fork there is no way back, so a fork comes first where there is one.
    pid = os.fork()
    if pid == 0:
        try:
            os.execv("/bin/true", ["true"])
        except OSError:
            os._exit(7)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise OSError("no program")

def large_file():
    with open("large", "wb") as file:
        file.truncate(20 * 2**20)
        file.seek(20 * 2**20)
        file.write(b"x")
    os.unlink("large")

def shared():
    mmap.mmap(-1, 2**20)

def tcp():
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", {port}))

def abstract():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("\\0{abstract}")

def mode():
    before = os.stat("{home}/diary.txt").st_mode
    os.chmod("{home}/diary.txt", before ^ 0o6)
    if os.stat("{home}/diary.txt").st_mode == before:
        raise OSError("it said so, and did nothing")

attempts = {
    "read a hidden test": lambda: open("{tests}").read(),
    "read the home": lambda: open("{home}/diary.txt").read(),
    "write outside": lambda: open("{home}/{clue}", "w").close(),
    "change a mode outside": mode,
    "start a process": fork,
    "run a program": program,
    "connect by TCP": tcp,
    "connect by an abstract socket": abstract,
    "look up a name": lambda: socket.getaddrinfo("localhost", 80) if socket.socket(type=socket.SOCK_DGRAM) else 0,
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "trace the parent": lambda: called({ptrace}, 16, os.getppid(), 0, 0),
    "a file of 20 MiB": large_file,
    "memory of 3 GiB": lambda: mmap.mmap(-1, 3 * 2**30, flags=mmap.MAP_PRIVATE),
    "shared memory": shared,
    "raise a limit": lambda: __import__("resource").setrlimit(
        __import__("resource").RLIMIT_FSIZE, (-1, -1)),
}
told = {}
for name, attempt in attempts.items():
    try:
        attempt()
        told[name] = "it worked"
    except BaseException as error:
        told[name] = type(error).__name__
print("TOLD", json.dumps(told))
"""

# What is open when one layer is missing; everything else stays closed.
OPEN = {
    "": set[str](),
    "capabilities": set[str](),
    "rlimits": {"a file of 20 MiB", "memory of 3 GiB"},
    "landlock": {"read a hidden test", "read the home", "write outside"},
    "seccomp": {"change a mode outside", "start a process", "shared memory"},
}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """A course to attack."""
    return target.build(tmp_path_factory.mktemp("layers"))


@pytest.fixture(scope="module")
def listening() -> Iterator[dict[str, Any]]:
    """A TCP port and an abstract name that somebody listens on."""
    name = f"autograde-{secrets.token_hex(8)}"
    with socket.socket() as port, socket.socket(socket.AF_UNIX) as abstract:
        port.bind(("127.0.0.1", 0))
        abstract.bind(f"\0{name}")
        for one in (port, abstract):
            one.listen()
        yield {"port": port.getsockname()[1], "abstract": name}


@pytest.fixture(scope="module")
def graded(course: Target, listening: dict[str, Any]) -> Callable[[str], Result]:
    """Grades half-done work with all attempts in it, without one layer."""
    places = {
        **listening,
        "home": course.home,
        "clue": CLUE,
        "tests": find(target.SLUG, course.root).tests,
        "ptrace": numbers(MACHINE)["ptrace"],
    }
    code = ATTEMPTS
    for name, value in places.items():
        code = code.replace(f"{{{name}}}", str(value))
    notebook = target.answered(course, {})
    notebook.cells.append(new_code_cell(code))

    @cache
    def graded(layer: str) -> Result:
        with Grader(Limits(memory=2**30), without=frozenset({layer} - {""})) as grader:
            return grader.grade(find(target.SLUG, course.root), bytes_of(notebook), SEED)

    return graded


def told(result: Result) -> dict[str, str]:
    """What became of each attempt."""
    texts = [str(output.get("text", "")) for cell in result.outputs for output in cell.outputs]
    line = next(line for text in texts for line in text.splitlines() if line.startswith("TOLD "))
    return dict(json.loads(line.removeprefix("TOLD ")))


@pytest.mark.parametrize("layer", OPEN, ids=lambda layer: f"without {layer}" if layer else "all layers")
def test_what_is_open(graded: Callable[[str], Result], layer: str) -> None:
    """Without one layer only that is open which SECURITY.md says."""
    became = told(graded(layer))
    assert {name for name, how in became.items() if how == "it worked"} == OPEN[layer], became


@pytest.mark.parametrize("layer", [layer for layer in OPEN if layer])
def test_points_are_the_same(graded: Callable[[str], Result], layer: str) -> None:
    """The points do not rest on a layer: only data crosses, whatever the process can do."""
    assert graded(layer).score == graded("").score == 8


def test_privileges_are_given_up_or_nothing_runs(graded: Callable[[str], Result]) -> None:
    """Without the first layer the others can't be had, and no line of a learner's is run."""
    with pytest.raises(Broken, match="could not be locked, and nothing was run"):
        graded("privileges")


def test_every_layer_is_looked_at() -> None:
    """A layer that is added later is to be tried alone too."""
    assert {*OPEN, "privileges"} == {*LAYERS, ""}


def test_a_wrapper_starts_the_rooms(course: Target, tmp_path: Path) -> None:
    """AUTOGRADE_WRAPPER names a command by which both commands start the process that rooms are made from."""
    root = copied(course.root, tmp_path / "course")
    code = "import os\nprint('WRAPPED', os.environ.get('WRAPPED'))\n" + HALF["word"]
    submit(root, "ann", **{target.SLUG: target.answered(course, {"word": code})})
    other = copied(root, tmp_path / "other")
    for folder, words in ((root, ["grade"]), (other, ["autograde", TOPIC])):
        module = "autograde" if words == ["grade"] else "nbgrader"
        ran = command(folder, *words, module=module, AUTOGRADE_WRAPPER="env WRAPPED=yes")
        assert ran.returncode == 0, ran.stderr
        shown = (folder / "autograded" / "ann" / TOPIC / f"{target.SLUG}.ipynb").read_text(encoding="utf-8")
        assert "WRAPPED yes" in shown


@pytest.mark.parametrize(
    ("wrapper", "says"),
    [
        ("no-such-wall --strong", "install it, or unset AUTOGRADE_WRAPPER"),
        ("env 'open", "quote it as for a shell"),
        ("false", "the process that rooms are made from ended"),
    ],
)
def test_a_wrapper_that_does_not_work_is_named(
    course: Target, tmp_path: Path, wrapper: str, says: str
) -> None:
    """A command that can't wrap stops the grading with one line that says why; nobody loses points."""
    root = copied(course.root, tmp_path / "course")
    ran = command(root, "grade", AUTOGRADE_WRAPPER=wrapper)
    assert ran.returncode in (1, 2)
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not scores(root, TOPIC)
