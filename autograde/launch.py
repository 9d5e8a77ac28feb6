"""Starting the processes that others are forked from, by exec, with an environment from an allow-list; asking them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# What a learner's code may need; nothing that names a course, a user or a secret.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT", "HOME", "FONTCONFIG_PATH")

_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from autograde.{module} import main; main(*map(int, sys.argv[2:]))"
)


def launch(
    module: str, *numbers: int, stderr: int | None, within: Sequence[str] = ()
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a process, and give the socket on which it is asked.

    Args:
        module: of ours; its `main` is called with the number of its end of the socket.
        numbers: further arguments of `main`.
        stderr: as in subprocess.Popen.
        within: a command to start it by.
    """
    ours, theirs = socket.socketpair()  # requests and replies take turns, each small enough to come whole
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment |= {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
        "USER": "learner",  # getpass.getuser() must not need /etc/passwd
        "OMP_NUM_THREADS": "1",
        "OMP_THREAD_LIMIT": "32",  # OpenMP ends the process where it can't start as many as it was asked for
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    path = json.dumps([entry for entry in sys.path if entry and Path(entry).exists()])
    command = [*within, sys.executable, "-s", "-P", "-X", "utf8", "-c", _BOOT.format(module=module), path]
    with theirs:
        process = subprocess.Popen(  # noqa: S603  our own interpreter, our own code
            [*command, str(theirs.fileno()), *map(str, numbers)],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            cwd="/",
        )
    return process, ours


def asked(sock: socket.socket) -> tuple[bytes, list[int]]:
    """The next request and the descriptors that came with it, nothing where who asked has gone."""
    try:
        data, fds, _, _ = socket.recv_fds(sock, 65536, 2)
    except OSError:
        return b"", []
    return data, fds


def answer(sock: socket.socket, reply: bytes) -> None:
    """Send a reply, unless who asked has gone: the next look at the socket finds that out."""
    with contextlib.suppress(OSError):
        sock.send(reply)
