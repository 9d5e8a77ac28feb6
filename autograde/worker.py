"""A process of its own that grades one submission after another: bytes in, results out, one JSON line each.

Forked from the nursery. It is asked by `crew`, and knows nothing of classes or gradebooks.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from autograde.errors import Explained
from autograde.grading import Grader
from autograde.lock import Limits
from autograde.question import Question, find
from autograde.refusal import Refused, refused


def main(stream: socket.socket, rooms: socket.socket | None) -> None:
    """Answer requests until nobody asks any more.

    Args:
        stream: the first line on it is what this process is to know, each further one a submission.
        rooms: to a zygote that warms up already; None to start one.
    """
    os.dup2(2, 1)  # whatever a library prints
    threading.Thread(target=_end_with, args=(stream,), daemon=True).start()
    requests, answers = stream.makefile("r", encoding="ascii"), stream.makefile("w", encoding="ascii")
    first = requests.readline()
    if not first:  # the command ended before it needed this
        return
    setup = json.loads(first)
    os.environ.clear()
    os.environ.update(setup["environment"])
    tempfile.tempdir = None  # asked for when the libraries were imported
    root = Path(setup["root"])
    with Grader(Limits(**setup["limits"]), working=Path(setup["working"])) as grader:
        grader.zygote.start(rooms)
        for line in requests:
            answers.write(json.dumps(_answer(grader, root, json.loads(line))) + "\n")
            answers.flush()


def _end_with(stream: socket.socket) -> None:
    """End this process, and with it its rooms, when who asks was killed, also in the middle of a submission."""
    poll = select.poll()
    poll.register(stream, 0)  # told when both directions are closed, which is no request for an orderly end
    poll.poll()
    os._exit(1)


def _answer(grader: Grader, root: Path, request: dict[str, Any]) -> dict[str, Any]:
    try:
        question: Question = find(request["slug"], root)
        if "problem" in request:
            result = grader.refused(question, request["problem"])
        else:
            result = grader.grade(question, base64.b64decode(request["data"]), request["seed"])
    except Refused as error:
        return {"refused": str(error)}
    except Explained as error:
        return {"broken": str(error)}
    except OSError as error:
        machines = refused(error, error.filename or tempfile.gettempdir())
        if machines is None:
            raise
        return {"refused": str(machines)}
    return {"result": result.to_json(), "missing": grader.zygote.missing}
