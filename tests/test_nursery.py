"""Where workers come from: what is killed is replaced."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from checkout import CHECKOUT, SEED

from autograde.launch import launch
from autograde.mistakes import solved_bytes
from autograde.nursery import Nursery, Worker
from autograde.question import Question

PATIENCE = 60  # seconds


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    """A nursery whose zygote is for one worker."""
    nursery = Nursery(1)
    yield nursery
    nursery.close()


def told(worker: Worker, working: Path) -> Worker:
    """A worker that knows what it is to know."""
    setup = {"root": str(CHECKOUT), "working": str(working), "limits": {}, "environment": dict(os.environ)}
    worker.tell(json.dumps(setup))
    return worker


def score(worker: Worker, question: Question) -> float:
    """What the reference earns from this worker."""
    data = base64.b64encode(solved_bytes(question)).decode()
    answer = json.loads(worker.ask(json.dumps({"slug": question.slug, "seed": SEED, "data": data})))
    return sum(
        verdict["points"] for verdict in answer["result"]["verdicts"] if verdict["outcome"] == "passed"
    )


def family() -> dict[str, list[psutil.Process]]:
    """The processes below this one, by name."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.Process().children(recursive=True):
        found.setdefault(process.name(), []).append(process)
    return found


def test_killed_zygote_is_replaced(nursery: Nursery, question: Question, tmp_path: Path) -> None:
    """A worker whose zygote was killed grades on with one of its own, and a later worker has one too."""
    first = told(nursery.worker(), tmp_path)
    assert score(first, question) == 10
    (zygote,) = family()["grade-zygote"]
    zygote.kill()
    assert psutil.wait_procs([zygote], timeout=PATIENCE)[1] == [], "it is not taken off the list of processes"
    assert score(first, question) == 10
    second = told(nursery.worker(), tmp_path)
    assert score(second, question) == 10
    for worker in (first, second):
        worker.finish(PATIENCE)


def test_replaced_worker_shares_the_zygote(nursery: Nursery, question: Question, tmp_path: Path) -> None:
    """A worker that takes the place of another has the same zygote, and need not wait for one of its own."""
    first = told(nursery.worker(), tmp_path)
    first.kill()
    first.finish(PATIENCE)
    second = told(nursery.worker(), tmp_path)
    assert score(second, question) == 10
    (worker,) = family()["grade-worker"]
    assert worker.children() == []
    second.finish(PATIENCE)


def test_killed_nursery_is_replaced(nursery: Nursery, question: Question, tmp_path: Path) -> None:
    """Where the nursery itself was killed its workers go on, and the next one comes from another."""
    first = told(nursery.worker(), tmp_path)
    os.kill(nursery._process.pid, signal.SIGKILL)
    nursery._process.wait(PATIENCE)
    assert score(first, question) == 10
    second = told(nursery.worker(), tmp_path)
    assert score(second, question) == 10
    for worker in (first, second):
        worker.finish(PATIENCE)


def test_worker_that_ended(nursery: Nursery, tmp_path: Path) -> None:
    """A worker that is gone says so when it is asked, and is finished at once."""
    worker = told(nursery.worker(), tmp_path)
    worker.kill()
    with pytest.raises(OSError):  # noqa: PT011  which of them depends on the moment
        worker.ask("{}")
    worker.finish(PATIENCE)
    assert "grade-worker" not in family(), "it is not taken off the list of processes"


def test_nothing_is_left(question: Question, tmp_path: Path) -> None:
    """Nursery, worker, zygote and rooms are gone after the last line."""
    nursery = Nursery(1)
    worker = told(nursery.worker(), tmp_path)
    score(worker, question)
    everybody = psutil.Process(nursery._process.pid).children(recursive=True)
    assert len(everybody) >= 2
    worker.finish(PATIENCE)
    nursery.close()
    assert psutil.wait_procs(everybody, timeout=PATIENCE)[1] == []


def test_command_that_goes_at_once() -> None:
    """Who asks for a worker and is gone before it is there (Ctrl-C) reads nothing of that on the terminal."""
    process, control = launch("nursery", 0, stderr=subprocess.PIPE)
    ours, theirs = socket.socketpair()
    socket.send_fds(control, [b"worker"], [theirs.fileno()])
    theirs.close()
    ours.close()
    control.close()
    assert process.communicate(timeout=PATIENCE) == (None, b"")
    assert process.returncode == 0
