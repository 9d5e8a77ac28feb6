"""The warm process that rooms are forked from: it has imported what learners use, and never held a test.

Started by exec, with an environment from an allow-list. It reads one request a room from its control socket,
with the room's end of a socket pair attached, forks, and answers with the child's number.
"""

from __future__ import annotations

import gc
import importlib
import json
import linecache
import os
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autograde import stops, wire
from autograde.endpoint import Endpoint, described, rebuilt
from autograde.kernel import numbering
from autograde.launch import answer, asked
from autograde.lock import Limits, allowed_reads, lock
from autograde.scratch import Scratch
from autograde.shell import Shell, captured, make, run_cell, without_paths

LOCKED = b"!"  # what a room says first: an end before that is ours, and no learner's code can unsay it
SOCKET, SHOWN = 200, 201  # a room's descriptors: to the grader, and of the file for what its cells show


def main(control: int) -> None:
    """Warm up, then fork rooms for whoever has the other end of this socket."""
    serve([socket.socket(fileno=control)])


def serve(controls: Sequence[socket.socket]) -> None:
    """Warm up, then fork a room for each request until all who ask have gone.

    Args:
        controls: a socket for each. Who goes takes along the rooms that they asked for.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    shell = warm()
    reads = allowed_reads(skip=())
    gc.collect()
    gc.freeze()  # what is shared with the children stays shared: their collector does not touch it
    missing = _rehearsed(reads)
    asking: dict[int, socket.socket] = {sock.fileno(): sock for sock in controls}
    rooms: dict[int, set[int]] = {fd: set() for fd in asking}
    poll = select.poll()
    for fd, sock in asking.items():
        poll.register(fd, select.POLLIN)
        _say(sock, {"missing": missing, "numbering": numbering()})
    while asking:
        for fd, _ in poll.poll():
            data, fds = asked(asking[fd])
            if not data:
                poll.unregister(fd)
                asking.pop(fd).close()
                for pid in rooms.pop(fd):
                    os.kill(pid, signal.SIGKILL)
                    _ended(pid)
                continue
            request = json.loads(data)
            if "reap" in request:
                rooms[fd].discard(request["reap"])
                _say(asking[fd], {"status": _ended(request["reap"])})
                continue
            _import(request["imports"])
            pid = os.fork()
            if pid == 0:
                _room(shell, asking.values(), fds, request, reads, missing)
            rooms[fd].add(pid)
            for one in fds:
                os.close(one)
            _say(asking[fd], {"pid": pid})


def _import(names: Iterable[str]) -> None:
    """Import once what not every question needs, and every room of those that do would have to."""
    late = [name for name in names if name not in sys.modules]
    for name in late:
        importlib.import_module(name)
    if late:
        gc.collect()
        gc.freeze()


def _say(sock: socket.socket, reply: dict[str, Any]) -> None:
    answer(sock, json.dumps(reply).encode())


def _rehearsed(reads: Sequence[Path]) -> dict[str, str]:
    """The layers of the lock that this machine does not give, each with the reason, found in a child."""
    ours, theirs = os.pipe()
    with Scratch("room") as scratch, os.fdopen(ours, "rb") as pipe:
        pid = os.fork()
        if pid == 0:
            layers = lock(scratch, Limits(), reads)
            os.write(
                theirs, json.dumps({row.name: row.detail for row in layers if not row.enforced}).encode()
            )
            os._exit(0)
        os.close(theirs)
        missing: dict[str, str] = json.loads(pipe.read() or b'{"lock": "its rehearsal failed"}')
        os.waitpid(pid, 0)
    return missing


def _ended(pid: int) -> int:
    """The status of a child that has ended or is about to."""
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:  # a room of a zygote before this one
        return 0


def libraries() -> None:
    """Import what learners use, and nothing of it is run yet."""
    import decimal
    import fractions
    import importlib.metadata
    import itertools

    import matplotlib.pyplot
    import numpy.random
    import torch.utils._python_dispatch

    del decimal, fractions, importlib, itertools, matplotlib, numpy, torch


def warm() -> Shell:
    """Import what learners use and run each once, so that a fork finds it ready."""
    libraries()
    import importlib.metadata

    import matplotlib.pyplot as plt
    import numpy as np
    import torch

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    # With a gradient given: that way imports sympy, 240 ms that no fork should pay.
    (torch.ones(2, 2, requires_grad=True) @ torch.ones(2, 2)).backward(torch.ones(2, 2))  # type: ignore[no-untyped-call]
    np.linalg.norm(np.ones(2))
    importlib.metadata.version("numpy")
    shell = make()
    figure, _ = plt.subplots()
    figure.canvas.draw()
    plt.close(figure)
    _inert_check()
    run_cell(shell, "1 + 1")
    shell.reset(new_session=True)
    linecache.clearcache()  # tracebacks, shown or not, have read our own code into it
    return shell


def _inert_check() -> None:
    """In the room `check` says that it is not the room's to call; the graders run outside."""
    import autograde

    def check(slug: str, **_: Any) -> None:
        print(f"check({slug!r}): the hidden tests run when this is graded")  # noqa: T201

    autograde.check = check


def _room(
    shell: Shell,
    controls: Iterable[socket.socket],
    fds: list[int],
    request: dict[str, Any],
    reads: Sequence[Path],
    missing: dict[str, str],
) -> None:
    """The child: lock up, then serve. Never returns."""
    try:
        for (
            control
        ) in controls:  # also the objects: one that is collected later closes what has its number then
            control.close()
        os.setsid()
        scratch = Path(request["scratch"])
        sock = _only(*fds)
        _settle(scratch)
        limits = Limits(**request["limits"])
        try:
            without = frozenset(request["without"])
            open_layers = {
                row.name for row in lock(scratch, limits, reads, without=without) if not row.enforced
            }
        except Exception:  # noqa: BLE001  whatever it is, nothing of the learner's may run unlocked
            os._exit(1)
        if open_layers - without - set(missing):
            os._exit(1)  # it held in the rehearsal: what fails now is no matter of the machine
        sock.sendall(LOCKED)
        with captured(shell, limits.output, lambda: os._exit(stops.OUTPUT_EXIT), SHOWN):
            _serve(shell, sock)
        os._exit(0)
    except (wire.Closed, wire.WireError, OSError, MemoryError) as error:
        no_memory = any(isinstance(one, MemoryError) for one in (error, error.__context__))
        os._exit(stops.MEMORY_EXIT if no_memory else stops.CLOSED_EXIT)
    finally:
        os._exit(stops.STRAY_EXIT)


def _only(fd: int, shown: int) -> socket.socket:
    """Close every descriptor but the room's own and /dev/null as the standard streams."""
    null = os.open(os.devnull, os.O_RDWR)
    own = os.dup2(fd, SOCKET, inheritable=False)
    os.dup2(shown, SHOWN, inheritable=False)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.closerange(3, SOCKET)
    os.closerange(SHOWN + 1, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 2**20 else 4096)
    return socket.socket(fileno=own)


def _settle(scratch: Path) -> None:
    os.chdir(scratch)
    os.umask(0o077)
    for name in ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME"):
        os.environ[name] = str(scratch)
    tempfile.tempdir = None  # what importing the libraries asked for is remembered otherwise
    sys.path.insert(0, str(scratch))
    sys.argv = ["notebook"]


def _serve(shell: Shell, sock: socket.socket) -> None:
    def callback(number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        wire.send(sock, wire.pack({"callback": number, "args": args, "kwargs": kwargs}, endpoint.export))
        returned = answer_until("returned", "raised")
        if "raised" in returned:
            raise rebuilt(returned["raised"])
        return returned["returned"]

    def answer_until(*wanted: str) -> dict[str, Any]:
        while True:
            request = wire.unpack(*wire.receive(sock), endpoint.resolve)
            if any(name in request for name in wanted):
                return request  # type: ignore[no-any-return]
            wire.send(sock, _answer(shell, endpoint, request))

    endpoint = Endpoint(shell.user_ns, callback)
    answer_until("close")


def _answer(shell: Shell, endpoint: Endpoint, request: dict[str, Any]) -> bytes:
    number = request.pop("number")
    if request["verb"] == "cell":
        answer: dict[str, Any] = {"value": run_cell(shell, request["source"])}
    else:
        answer = endpoint.answer(request)
        if "error" in answer:
            answer["error"]["message"] = without_paths(answer["error"]["message"])
    shell.cell_outputs.items = []
    try:
        return wire.pack({"number": number, **answer}, endpoint.export)
    except Exception as error:  # noqa: BLE001  an object that lies may raise anything when it is read
        return wire.pack({"number": number, "error": described(error)}, endpoint.export)
