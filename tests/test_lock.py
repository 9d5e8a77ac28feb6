"""What a locked process can't do, and what must go on working: every attempt is made for real in a child."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import locked
import pytest
from checkout import CHECKOUT

from autograde.lock import LAYERS, Limits, LimitsError, layers
from autograde.seccomp import assemble
from autograde.syscalls import Unsupported

NOBODY = 65534
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
_FACTS = {"scratch": "/s", "outside": "/o", "checkout": "/c", "grader": "/g", "listener": "/l", "parent": 1}
FORBIDDEN, WORKING = list(locked.forbidden(_FACTS)), list(locked.working(_FACTS))

# Stopped by Landlock alone, by seccomp alone.
BY_LANDLOCK = [name for name in FORBIDDEN if name.startswith(("read ", "list ", "write to", "make a file"))]
BY_LANDLOCK = [name for name in BY_LANDLOCK if "memory" not in name] + [
    "truncate a file outside",
    "subprocess",
]
BY_SECCOMP = [
    name for name in FORBIDDEN if name.startswith(("open a", "fork", "signal", "ptrace", "share anon"))
]
BY_SECCOMP += ["chmod outside", "chown outside", "subprocess", "send a datagram to a listener"]
# What these attempts do where nothing is locked: otherwise that they fail would prove nothing.
HARMLESS = [name for name in {*BY_LANDLOCK, *BY_SECCOMP} if name != "open 300 files"]
HARMLESS += [
    "map memory that grows",
    "map a TiB to read",
    "share zeros as memory",
    "write a file of 20 MiB",
    "make a memory file",
]


def room(folder: Path, tries: Iterable[str], *, user: int = 0, without: Iterable[str] = ()) -> dict[str, Any]:
    """What became of the attempts in a locked child."""
    folder.mkdir(exist_ok=True)
    scratch, outside, listener = folder / "scratch", folder / "outside", folder / "listener"
    scratch.mkdir()
    outside.write_text("kept", encoding="ascii")
    grader = next((CHECKOUT / "autograde" / "questions").rglob("*.toml"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(listener))
        if user:
            for parent in (folder, *folder.parents[:3]):  # pytest's folders are closed to others
                parent.chmod(0o755)
            for path in (scratch, outside, listener):
                os.chown(path, user, user)
        facts = {
            "scratch": str(scratch),
            "outside": str(outside),
            "listener": str(listener),
            "checkout": str(CHECKOUT),
            "grader": str(grader),
            "user": user,
            "without": list(without),
            "try": list(tries),
        }
        report: dict[str, Any] = json.loads(run(locked.__file__, json.dumps(facts)).stdout)
    return {**report, "outside": outside}


def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Our Python with these arguments."""
    environment = {**os.environ, **ONE_THREAD}
    ended = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert not check or ended.returncode == 0, ended.stderr
    return ended


def script(text: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A short program that has locked nothing yet."""
    return run("-c", textwrap.dedent(text), *arguments, check=check)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything, tried once by whoever runs the tests."""
    return room(tmp_path_factory.mktemp("room"), [*FORBIDDEN, *WORKING])


@pytest.fixture(scope="module")
def tried_by_nobody(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is forbidden, tried by an ordinary user (whoever runs the tests, where that is one)."""
    user = 0 if os.geteuid() else NOBODY
    return room(tmp_path_factory.mktemp("nobody"), FORBIDDEN, user=user)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_forbidden(tried: dict[str, Any], name: str) -> None:
    """A locked process can't do it."""
    assert tried[name] != "it worked"


@pytest.mark.parametrize("name", FORBIDDEN)
def test_forbidden_to_an_ordinary_user(tried_by_nobody: dict[str, Any], name: str) -> None:
    """A locked process that was never root can't do it either."""
    assert tried_by_nobody[name] != "it worked"


@pytest.mark.parametrize("name", WORKING)
def test_goes_on_working(tried: dict[str, Any], name: str) -> None:
    """Honest code does not notice the lock."""
    assert tried[name] == "it worked"


@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_enforced(tried: dict[str, Any], tried_by_nobody: dict[str, Any], name: str) -> None:
    """Every layer holds on this machine, for root and for an ordinary user."""
    assert tried["layers"][name][0], tried["layers"][name]
    assert tried_by_nobody["layers"][name][0], tried_by_nobody["layers"][name]


def test_file_outside_is_untouched(tried: dict[str, Any], tried_by_nobody: dict[str, Any]) -> None:
    """After all attempts a file beside the scratch has its content and its mode."""
    for report in (tried, tried_by_nobody):
        assert report["outside"].read_text(encoding="ascii") == "kept"
        assert report["outside"].stat().st_mode & 0o111 == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("take 4 GiB in numpy", "MemoryError"),
        ("take 4 GiB in torch", "RuntimeError"),
        ("take 4 GiB in Python", "MemoryError"),
        ("write a file of 20 MiB", "File too large"),
        ("clone3", "not implemented"),
        ("make a system call that is too new", "not implemented"),
        ("set an attribute", "not supported"),
    ],
)
def test_refusal_is_an_ordinary_error(tried: dict[str, Any], name: str, says: str) -> None:
    """What goes over a limit is told so by an exception that code can catch."""
    assert says in tried[name]


def test_lock_is_quick(tried: dict[str, Any]) -> None:
    """Locking takes milliseconds, since every submission pays for it."""
    assert tried["ms"] < 200


def test_attempts_work_without_the_lock(tmp_path: Path) -> None:
    """The same attempts succeed in a process that is not locked, so that their failing means something."""
    report = room(tmp_path / "open", HARMLESS, without=LAYERS)
    assert {name: report[name] for name in HARMLESS} == dict.fromkeys(HARMLESS, "it worked")


@pytest.mark.parametrize(
    ("missing", "names"), [("seccomp", BY_LANDLOCK), ("landlock", BY_SECCOMP)], ids=["seccomp", "landlock"]
)
def test_one_layer_less_still_holds(tmp_path: Path, missing: str, names: list[str]) -> None:
    """Landlock alone keeps the files, seccomp alone keeps the processes, sockets and modes."""
    report = room(tmp_path / "less", names, without=[missing])
    assert report["layers"][missing] == [False, "left out"]
    assert [name for name in names if report[name] == "it worked"] == []


SHORT = """
    import os, sys
    from pathlib import Path
    from autograde.kernel import syscall
    from autograde.lock import Limits, allowed_reads, lock
    scratch = Path(sys.argv[1])
    lock(scratch, Limits(), allowed_reads([]))
"""


def test_abort_ends_it(tmp_path: Path) -> None:
    """abort() ends the process by its own signal, as ever."""
    ended = script(SHORT + "    os.abort()", str(tmp_path), check=False)
    assert ended.returncode == -signal.SIGABRT


def test_foreign_numbers_end_it(tmp_path: Path) -> None:
    """A call by x32's numbers, where the machine has them, ends the process at once; elsewhere it fails."""
    call = """    try:
        syscall(0x40000000 + 39)
    except OSError as error:
        print(error)
    """
    ended = script(SHORT + call, str(tmp_path), check=False)
    assert ended.returncode == -signal.SIGSYS or "not implemented" in ended.stdout


def test_no_capability_is_left(tmp_path: Path) -> None:
    """No capability, not even one to be had again, survives the lock; the process can't be traced."""
    text = """
    import os, sys
    from pathlib import Path
    from autograde.lock import Limits, lock
    status = os.open("/proc/self/status", os.O_RDONLY)
    lock(Path(sys.argv[1]), Limits(), [])
    print(os.read(status, 10000).decode())
    """
    lines = dict(
        line.split(":\t", 1) for line in script(text, str(tmp_path)).stdout.splitlines() if ":\t" in line
    )
    sets = {lines[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    sets |= {lines["CapBnd"]} if os.geteuid() == 0 else set()
    assert sets == {"0" * 16}
    assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")


def test_ends_with_its_parent(tmp_path: Path) -> None:
    """A locked process does not outlive the process that made it."""
    text = """
    import os, sys, time
    from pathlib import Path
    from autograde.lock import Limits, lock
    reader, writer = os.pipe()
    if not os.fork():
        lock(Path(sys.argv[1]), Limits(), [])
        os.write(writer, b"locked")
        time.sleep(60)
    os.read(reader, 6)
    os.kill(os.getpid(), 9)
    """
    # The child holds the other end of our pipe: reading ends when it is dead, well before its sleep does.
    ended = script(text, str(tmp_path), check=False)
    assert ended.returncode == -signal.SIGKILL


def test_refuses_to_lock_beside_a_thread(tmp_path: Path) -> None:
    """With a second thread, which would stay outside, the lock is an error and not half a lock."""
    text = """
    import sys, threading
    from pathlib import Path
    from autograde.lock import Limits, LockError, lock
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    try:
        lock(Path(sys.argv[1]), Limits(), [])
    except LockError as error:
        print(error)
    """
    assert "1 other thread" in script(text, str(tmp_path)).stdout


def test_scratch_that_is_missing_is_not_called_locked(tmp_path: Path) -> None:
    """Where the files can't be kept, the layer says so and says why."""
    text = """
    import sys
    from pathlib import Path
    from autograde.lock import Limits, lock
    print([layer for layer in lock(Path(sys.argv[1]), Limits(), []) if not layer.enforced])
    """
    said = script(text, str(tmp_path / "missing")).stdout
    assert "landlock" in said
    assert "No such file" in said


def test_elsewhere_it_says_that_nothing_holds(tmp_path: Path) -> None:
    """On a system without these layers every row says so and nothing fails."""
    text = """
    import sys
    sys.platform = "darwin"
    from pathlib import Path
    from autograde.lock import Limits, lock
    print([layer.enforced for layer in lock(Path(sys.argv[1]), Limits(), [])])
    """
    assert script(text, str(tmp_path)).stdout.strip() == str([False] * len(LAYERS))


def test_layers_are_found_beside_threads() -> None:
    """What the machine enforces can be asked from any process, with threads or without."""
    assert [layer.name for layer in layers()] == list(LAYERS)
    assert all(layer.enforced for layer in layers())


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_fits(machine: str) -> None:
    """For each machine there is a filter that the kernel takes, ending in a return."""
    program = assemble(1234, machine)
    assert {len(instruction) for instruction in program} == {8}
    assert len(program) <= 4096
    assert program[-1][0] == 0x06


def test_filter_of_an_unknown_machine() -> None:
    """A machine without a table is named, instead of filtered by wrong numbers."""
    with pytest.raises(Unsupported, match="riscv64"):
        assemble(1234, "riscv64")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages with our package in it, copied as a plain install copies it, and others beside it."""
    packages = tmp_path_factory.mktemp("plain") / "site-packages"
    shutil.copytree(
        CHECKOUT / "autograde", packages / "autograde", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("neighbour", "autograde-0.1.0.dist-info", "linking", "__pycache__", "late_neighbour"):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text("answer = 42\n", encoding="ascii")
    (packages / "__pycache__" / "autograde_finder.pyc").write_text("", encoding="ascii")
    (packages / "autograde.pth").write_text("", encoding="ascii")
    (packages / "disguised").symlink_to(packages / "autograde")
    (packages / "linking" / "inner").symlink_to(packages / "autograde")
    return packages


@pytest.fixture(scope="module")
def seen_beside_an_install(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a process sees that was locked by the installed copy."""
    text = """
    import importlib, json, os, sys
    packages, scratch = sys.argv[1:]
    sys.path.insert(0, packages)
    from pathlib import Path
    import autograde
    from autograde.lock import Limits, allowed_reads, lock
    assert autograde.__file__.startswith(packages)
    files = [str(p.relative_to(packages)) for p in Path(packages).rglob("*") if p.is_file()]
    files += ["disguised/lock.py", "linking/inner/lock.py"]
    lock(Path(scratch), Limits(), allowed_reads([]))
    seen = {}
    for file in files:
        try:
            seen[file] = Path(packages, file).read_text()
        except PermissionError:
            seen[file] = "unreadable"
    importlib.invalidate_caches()
    seen["import"] = str(importlib.import_module("late_neighbour").answer)
    try:
        seen["listing"] = str(os.listdir(packages))
    except PermissionError:
        seen["listing"] = "unreadable"
    print(json.dumps(seen))
    """
    scratch = tmp_path_factory.mktemp("scratch")
    found: dict[str, str] = json.loads(
        run("-I", "-S", "-c", textwrap.dedent(text), str(installed), str(scratch)).stdout
    )
    return found


def test_plain_install_is_unreadable(seen_beside_an_install: dict[str, str]) -> None:
    """Of a plain install of this package no file can be read, by any name or link, graders least of all."""
    ours = {name for name in seen_beside_an_install if "autograde" in name or "lock.py" in name}
    assert any(name.startswith("autograde/questions/") for name in ours)
    assert {"disguised/lock.py", "linking/inner/lock.py", "autograde.pth"} <= ours
    assert {name: seen_beside_an_install[name] for name in ours} == dict.fromkeys(ours, "unreadable")
    assert seen_beside_an_install["listing"] == "unreadable"


def test_neighbours_of_a_plain_install_are_readable(seen_beside_an_install: dict[str, str]) -> None:
    """Packages beside it can be read and imported, even for the first time."""
    assert seen_beside_an_install["neighbour/__init__.py"] == "answer = 42\n"
    assert seen_beside_an_install["import"] == "42"


def test_no_grant_holds_what_is_hidden() -> None:
    """No readable folder holds the package, a package folder, the checkout or the home folder."""
    text = """
    import sys
    from pathlib import Path
    from autograde.lock import allowed_reads
    for path in allowed_reads([]): print(path)
    """
    granted = {Path(line) for line in script(text).stdout.splitlines()}
    site = {Path(entry) for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))}
    hidden = {CHECKOUT, CHECKOUT / "autograde", Path.home(), Path(sys.prefix), *site}
    assert [path for path in granted if any(path == one or path in one.parents for one in hidden)] == []
    assert [path for path in granted if path.name.startswith("autograde")] == []


def test_skipped_folder_is_not_granted(tmp_path: Path) -> None:
    """What is skipped is left out of a package, and the rest of that package is kept."""
    package = tmp_path / "site-packages" / "shared"
    (package / "secret").mkdir(parents=True)
    (package / "open.py").touch()
    text = """
    import sys
    from pathlib import Path
    sys.path.append(sys.argv[1])
    from autograde.lock import allowed_reads
    package = Path(sys.argv[1]) / "shared"
    print(sorted(path.name for path in allowed_reads([package / "secret"]) if package in path.parents))
    """
    assert script(text, str(package.parent)).stdout.strip() == "['open.py']"


@pytest.mark.parametrize(
    ("named", "call", "budget"), [("", 10, 30), ("12", 4, 12), ("60", 10, 60), ("1.5", 0.5, 1.5)]
)
def test_budget_of_a_course(monkeypatch: pytest.MonkeyPatch, named: str, call: float, budget: float) -> None:
    """AUTOGRADE_BUDGET names the seconds for a notebook; a call gets a third of them, and 10 at most."""
    monkeypatch.setenv("AUTOGRADE_BUDGET", named)
    chosen = Limits.chosen()
    assert (chosen.call_s, chosen.budget_s) == (call, budget)


@pytest.mark.parametrize("named", ["soon", "0", "-5", "nan", "inf", "1e9"])
def test_budget_that_is_none(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """Another value of AUTOGRADE_BUDGET is refused, with what it may be."""
    monkeypatch.setenv("AUTOGRADE_BUDGET", named)
    with pytest.raises(LimitsError, match="1 to 3600"):
        Limits.chosen()
