"""A parent that imports what the grader's does, and a forked child that locks itself and tries everything.

Started by test_lock.py as a program with its facts as JSON; prints what became of each attempt as JSON.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import hashlib
import importlib
import importlib.metadata
import json
import mmap
import os
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch

from autograde.kernel import MACHINE, syscall
from autograde.lock import Limits, allowed_reads, lock
from autograde.syscalls import numbers

_UNUSED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # nothing is set aside for it
LATE = ("sqlite3", "wave", "xmlrpc.client", "numpy.polynomial.hermite_e", "torch.nn.utils.prune", "networkx")


def forbidden(facts: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """What must fail. Harmless where it does not: the paths are the test's own."""
    scratch, outside, checkout = Path(facts["scratch"]), Path(facts["outside"]), Path(facts["checkout"])
    parent, number = facts["parent"], numbers(MACHINE)
    return {
        "read /etc/passwd": lambda: Path("/etc/passwd").read_bytes(),
        "read the engine": lambda: (checkout / "autograde" / "lock.py").read_bytes(),
        "read a hidden grader": lambda: Path(facts["grader"]).read_bytes(),
        "list the checkout": lambda: list(checkout.iterdir()),
        "list the root": lambda: list(Path("/").iterdir()),
        "list the packages": lambda: list(Path(np.__file__).parent.parent.iterdir()),
        "read a file outside": outside.read_bytes,
        "write to a file outside": lambda: outside.write_text("changed"),
        "truncate a file outside": lambda: os.truncate(outside, 0),
        "make a file outside": lambda: outside.with_suffix(".new").touch(),
        "delete a file outside": outside.unlink,
        "take a file from outside": lambda: outside.rename(scratch / "taken"),
        "link to a file outside": lambda: os.link(outside, scratch / "linked"),
        "read outside through a symbolic link": lambda: _read_through_link(scratch / "link", outside),
        "change a package": lambda: Path(np.__file__).open("a"),
        "chmod outside": lambda: _change(outside, lambda: outside.chmod(0o777)),
        "chmod outside by the newest call": lambda: _change(
            outside, lambda: syscall(number["fchmodat2"], -100, os.fsencode(outside), 0o777, 0)
        ),
        "chown outside": lambda: _change(outside, lambda: os.chown(outside, os.getuid(), 12345)),
        "change a time outside": lambda: _change(outside, lambda: os.utime(outside, (1, 1))),
        "set an attribute": lambda: os.setxattr(scratch, "user.mark", b"1"),
        "make a named pipe": lambda: os.mkfifo(scratch / "pipe"),
        "make a device": lambda: os.mknod(scratch / "null", 0o020666, os.makedev(1, 3)),
        "open a TCP socket": socket.socket,
        "open a UDP socket": lambda: socket.socket(type=socket.SOCK_DGRAM),
        "open a unix socket": lambda: socket.socket(socket.AF_UNIX),
        "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "send a datagram to a listener": lambda: _send_datagram(facts["listener"]),
        "fork": _fork,
        "clone into a namespace": lambda: syscall(number["clone"], 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0),
        "clone3": lambda: syscall(number["clone3"], bytes(88), 88),
        "subprocess": lambda: subprocess.run(["/bin/true"], check=True),
        "os.system": _shell,
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "signal the parent": lambda: os.kill(parent, 0),
        "signal everybody": lambda: os.kill(-1, 0),
        "signal the group": lambda: os.killpg(0, 0),
        "signal the parent's thread": lambda: syscall(number["tgkill"], parent, parent, 0),
        "open a pidfd": lambda: os.pidfd_open(parent),
        "ptrace the parent": lambda: syscall(number["ptrace"], 0x4206, parent, 0, 0),
        "read the parent's memory": lambda: _read_memory(parent, number["process_vm_readv"]),
        "read the parent's environment": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
        "list the processes": lambda: list(Path("/proc").iterdir()),
        "have its signals sent to the parent": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, parent),
        "have its socket signal the parent": lambda: fcntl.ioctl(
            socket.socketpair()[0], 0x8901, struct.pack("i", parent)
        ),
        "raise a limit": lambda: resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6)),
        "change a limit by prlimit": lambda: resource.prlimit(0, resource.RLIMIT_CORE, (0, 0)),
        "share anonymous memory": lambda: mmap.mmap(-1, 4096),
        "share zeros as memory": lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), 4096),
        "make a memory file": lambda: os.memfd_create("m"),
        "share memory by System V": lambda: syscall(number["shmget"], 0, 4096, 0o1600),
        "make a message queue": lambda: syscall(number["mq_open"], b"q", os.O_CREAT | os.O_RDWR, 0o600, None),
        "map memory that grows": lambda: mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100),
        "map a TiB to read": lambda: mmap.mmap(-1, 2**40, _UNUSED, mmap.PROT_READ),
        "take 4 GiB in numpy": lambda: np.ones(2**29),
        "take 4 GiB in torch": lambda: torch.ones(2**30),
        "take 4 GiB in Python": lambda: bytearray(2**32),
        "write a file of 20 MiB": lambda: (scratch / "large").write_bytes(bytes(20 * 2**20)),
        "open 300 files": lambda: [open(os.devnull) for _ in range(300)],  # noqa: PTH123
        "become somebody else": lambda: os.setuid(0 if os.getuid() else 1),
        "unshare a namespace": lambda: syscall(number["unshare"], 0x10000000),
        "mount": lambda: syscall(number["mount"], b"none", os.fsencode(scratch), b"tmpfs", 0, None),
        "change its root": lambda: os.chroot(scratch),
        "set up an io_uring": lambda: syscall(number["io_uring_setup"], 8, bytes(120)),
        "use bpf": lambda: syscall(number["bpf"], 0, bytes(64), 64),
        "watch files": lambda: syscall(number["inotify_init1"], 0),
        "become traceable again": lambda: syscall(number["prctl"], 4, 1, 0, 0, 0),
        "leave its session": os.setsid,
        "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
        "slow the parent down": lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
        "make a system call that is too new": lambda: syscall(600),
    }


def working(facts: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """What honest code does."""
    scratch = Path(facts["scratch"])
    return {
        "numpy": lambda: np.linalg.svd(np.random.default_rng(0).normal(size=(100, 100))),
        "torch backward and Adam on two threads": _train,
        "a figure": lambda: _draw(scratch),
        "threads": _run_threads,
        "asyncio": lambda: asyncio.run(_wait()),
        "temporary files": lambda: _temporary(scratch),
        "copying, moving and deleting files": lambda: _copy(scratch),
        "a module of its own": lambda: _own_module(scratch),
        **{f"a late import of {name}": lambda name=name: _late(name) for name in LATE},
        "the version of a package": lambda: importlib.metadata.version("numpy"),
        "a package's own data": lambda: zoneinfo.ZoneInfo("Europe/Zurich"),
        "signals to itself": _signal_itself,
        "a timer": _timer,
        "a GiB of memory": lambda: (np.ones(2**26), torch.ones(2**27)),
        "writing to /dev/null": lambda: Path(os.devnull).write_text("x"),
        "random bytes": lambda: Path("/dev/urandom").open("rb").read(4),
        "reading /proc/cpuinfo": lambda: Path("/proc/cpuinfo").read_bytes(),
        "counting cores": lambda: os.cpu_count() or 1 / 0,
        "reading its limits": lambda: resource.getrlimit(resource.RLIMIT_DATA),
        "hashes and TLS": lambda: (hashlib.sha256(b"").digest(), ssl.create_default_context()),
        "naming a thread": lambda: syscall(numbers(MACHINE)["prctl"], 15, b"mine", 0, 0, 0),
    }


def _read_through_link(link: Path, target: Path) -> bytes:
    link.symlink_to(target)
    return link.read_bytes()


def _change(path: Path, change: Callable[[], object]) -> None:
    before = path.stat()
    change()
    after = path.stat()
    if all(getattr(before, name) == getattr(after, name) for name in ("st_mode", "st_mtime", "st_gid")):
        raise OSError("no effect")


def _send_datagram(listener: str) -> None:
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"hello", listener)


def _fork() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def _shell() -> None:
    if os.system("true"):
        raise OSError("the shell did not run")


def _read_memory(pid: int, number: int) -> None:
    # No vectors to copy: the kernel still asks whether it may look at that process.
    found = ctypes.create_string_buffer(8)
    vector = struct.pack("@PN", ctypes.addressof(found), 8)
    remote = struct.pack("@PN", id(None), 8)
    syscall(number, pid, vector, 1, remote, 1, 0)


def _train() -> None:
    torch.set_num_threads(2)
    model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.Tanh(), torch.nn.Linear(512, 1))
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    x = torch.randn(1024, 256)
    losses = []
    for _ in range(8):
        loss = (model(x) - x[:, :1]).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def _draw(scratch: Path) -> None:
    plt = importlib.import_module("matplotlib.pyplot")
    plt.plot([1, 2], [3, 4])
    plt.title("α and $x^2$")
    plt.savefig(scratch / "figure.png")
    plt.savefig("figure.pdf")
    assert (scratch / "figure.png").stat().st_size > 1000


def _run_threads() -> None:
    found: list[int] = []
    many = [threading.Thread(target=found.append, args=(n,)) for n in range(20)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    assert sorted(found) == list(range(20))


async def _wait() -> None:
    await asyncio.sleep(0.001)
    assert await asyncio.to_thread(lambda: 3) == 3


def _temporary(scratch: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as file:
        assert Path(folder).parent == scratch
        file.write(b"x")


def _copy(scratch: Path) -> None:
    (scratch / "a").write_text("x")
    shutil.copy2(scratch / "a", scratch / "b")
    (scratch / "new").touch()
    (scratch / "new").touch()
    assert (scratch / "new").exists()
    (scratch / "d").mkdir()
    shutil.move(scratch / "b", scratch / "d" / "c")
    shutil.copytree(scratch / "d", scratch / "e")
    assert (scratch / "e" / "c").read_text() == "x"
    shutil.rmtree(scratch / "d")


def _own_module(scratch: Path) -> None:
    (scratch / "module_of_mine.py").write_text("answer = 42")
    importlib.invalidate_caches()
    assert importlib.import_module("module_of_mine").answer == 42


def _late(name: str) -> None:
    assert name not in sys.modules, f"{name} was imported before the lock: this proves nothing"
    importlib.import_module(name)


def _signal_itself() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)
    assert len(seen) == 2


def _timer() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.05)
    assert seen


def _told(action: Callable[[], object]) -> str:
    try:
        action()
    except BaseException as error:  # noqa: BLE001 (whatever it is, it is told)
        return f"{type(error).__name__}: {error}"
    return "it worked"


def _settle(scratch: Path, user: int) -> None:
    os.chdir(scratch)
    os.environ.update(HOME=str(scratch), TMPDIR=str(scratch))
    tempfile.tempdir = None
    sys.path.insert(0, str(scratch))
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def _child(facts: dict[str, Any], reads: tuple[Path, ...]) -> dict[str, Any]:
    scratch = Path(facts["scratch"])
    _settle(scratch, facts["user"])
    start = time.perf_counter()
    locked = lock(scratch, Limits(), reads, without=frozenset(facts["without"]))
    report: dict[str, Any] = {"ms": 1000 * (time.perf_counter() - start)}
    report["layers"] = {one.name: [one.enforced, one.detail] for one in locked}
    for name, action in {**forbidden(facts), **working(facts)}.items():
        if name in facts["try"]:
            report[name] = _told(action)
    return report


def main() -> None:
    """Import, fork, lock, try, report."""
    facts = json.loads(sys.argv[1])
    facts["parent"] = os.getpid()
    importlib.import_module("matplotlib.pyplot")
    matplotlib.use("agg")
    torch.set_num_threads(1)
    reads = allowed_reads([Path(facts["checkout"])])
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            with os.fdopen(writer, "w") as out:
                json.dump(_child(facts, reads), out)
        except BaseException:  # noqa: BLE001 (a forked child must not return)
            traceback.print_exc()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        print(said.read())
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
