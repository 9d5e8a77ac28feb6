"""Several workers side by side: a dead one is replaced, its submission tried once more, the others go on."""

from __future__ import annotations

import base64
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograde.lock import Limits
from autograde.question import Question
from autograde.verdict import Result

TRIES = 2


@dataclass(frozen=True)
class Task:
    """One submission to grade.

    Attributes:
        name: what the caller knows it by.
        question: the question.
        data: the submitted bytes, or None where they could not be read.
        problem: why not.
        seed: the question's seed.
    """

    name: Any
    question: Question
    data: bytes | None
    problem: str
    seed: int


def work(
    tasks: Iterable[Task],
    jobs: int,
    done: Callable[[Task, Result], None],
    limits: Limits | None = None,
    *,
    missing: Callable[[dict[str, str]], None] = lambda _: None,
) -> list[tuple[Task, str]]:
    """Grade all tasks in `jobs` processes.

    Args:
        tasks: what to grade.
        jobs: how many processes, at least 1.
        done: called with each result as it comes, in the caller's thread.
        limits: what each submission may use.
        missing: called with the layers of the lock that this machine does not give, where there are any.

    Returns:
        The tasks that could not be graded, each with the reason: our fault, for a person to look at.
    """
    waiting: queue.Queue[Task] = queue.Queue()
    for task in tasks:
        waiting.put(task)
    count = waiting.qsize()
    ready: queue.Queue[tuple[Task, Result | str]] = queue.Queue()
    failed: list[tuple[Task, str]] = []
    # Temporary files of the crew's own: a worker that is killed can't remove its rooms' folders.
    with tempfile.TemporaryDirectory(prefix="autograde-crew-", ignore_cleanup_errors=True) as scratch:
        crew = [_Worker(waiting, ready, limits or Limits(), scratch) for _ in range(min(jobs, count))]
        try:
            for _ in range(count):
                task, answer = ready.get()
                if isinstance(answer, Result):
                    done(task, answer)
                else:
                    failed.append((task, answer))
        finally:
            for worker in crew:
                worker.stop()
                if worker.missing:
                    missing(worker.missing)
    return failed


class _Worker:
    """One process and the thread that feeds it."""

    def __init__(
        self,
        waiting: queue.Queue[Task],
        ready: queue.Queue[tuple[Task, Result | str]],
        limits: Limits,
        scratch: str,
    ) -> None:
        self._waiting, self._ready, self._limits, self._scratch = waiting, ready, limits, scratch
        self.missing: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the process, also in the middle of a submission."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped:
            try:
                task = self._waiting.get_nowait()
            except queue.Empty:
                break
            self._ready.put((task, self._graded(task)))
        self._end()

    def _graded(self, task: Task) -> Result | str:
        why = ""
        for _ in range(TRIES):
            if self._stopped:
                break
            try:
                answer = self._ask(task)
            except (OSError, ValueError) as error:
                why = f"the grading process ended ({error})"
                self._end()
                continue
            if "result" in answer:
                self.missing = answer["missing"]
                return Result.from_json(answer["result"])
            return str(answer.get("broken"))
        return why or "stopped"

    def _ask(self, task: Task) -> dict[str, Any]:
        process = self._process or self._start(task.question.root)
        request: dict[str, Any] = {"slug": task.question.slug, "seed": task.seed}
        if task.data is None:
            request["problem"] = task.problem
        else:
            request["data"] = base64.b64encode(task.data).decode("ascii")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise OSError(f"exit status {process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self, root: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "autograde.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": self._scratch},
            text=True,
            encoding="ascii",
        )
        self._process = process
        assert process.stdin is not None
        process.stdin.write(json.dumps({"root": str(root), "limits": asdict(self._limits)}) + "\n")
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # Closing its input lets it remove what it made; a hanging one is killed.
            _finish(process)


def _finish(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=5)
    except (subprocess.TimeoutExpired, OSError, ValueError):
        process.kill()
        process.wait()
