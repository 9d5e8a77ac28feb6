"""Several workers side by side: a dead one is replaced, its submission tried once more, the others go on."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograde.lock import Limits
from autograde.nursery import Nursery, Worker
from autograde.question import Question
from autograde.refusal import Refused, require_space
from autograde.scratch import Scratch, sweep
from autograde.verdict import Result
from autograde.wrapper import wrapper

TRIES = 2
PATIENCE = 5  # seconds for a worker to remove what it made


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

    name: str
    question: Question
    data: bytes | None
    problem: str
    seed: int


class Crew:
    """Grades all tasks in processes of their own, from when it is made. Use it as a context manager.

    Iterating gives each task's name with its result, or with the reason why it could not be graded: our fault,
    for a person to look at. What ends the block ends the processes. Where the machine refuses (a full disk), or
    `keep` raises, iterating raises that.

    Args:
        tasks: what to grade.
        jobs: how many processes, at least 1.
        working: the folder of the gradebook, which the processes share.
        limits: what each submission may use.
        keep: called with each result at once, one at a time: whoever iterates may be busy with other things.

    Attributes:
        missing: layers of the lock that this machine does not give; complete when all was graded.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        jobs: int,
        working: Path,
        limits: Limits | None = None,
        keep: Callable[[Task, Result], None] = lambda *_: None,
    ) -> None:
        self._waiting = waiting = queue.Queue[Task]()
        for task in tasks:
            waiting.put(task)
        self.missing: dict[str, str] = {}
        self._count = waiting.qsize()
        self._ready: queue.Queue[tuple[Task, Result | str] | Exception] = queue.Queue()
        self._keep, self._keeping = keep, threading.Lock()
        sweep()
        limits = limits or Limits.chosen()
        count = _with_space(min(jobs, self._count), limits.disk)
        # Temporary files of the crew's own: a worker that is killed can't remove its rooms' folders.
        self._scratch = Scratch("crew")
        setup = {
            "working": str(working),
            "limits": asdict(limits),
            "environment": {**os.environ, "TMPDIR": str(self._scratch.path)},
        }
        self._nursery = Nursery(0 if wrapper() else count) if count else None
        self._feeders = [
            _Feeder(waiting, self._done, setup, self._nursery) for _ in range(count) if self._nursery
        ]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for feeder in self._feeders:
            feeder.stop()
        if self._nursery is not None:
            self._nursery.close()
        self._scratch.close()

    def _done(self, task: Task, answer: Result | str | Exception) -> None:
        try:
            if isinstance(answer, Result):
                with self._keeping:
                    self._keep(task, answer)
        except Exception as error:  # noqa: BLE001  raised where somebody waits for the result
            answer = error
        if isinstance(answer, Exception):
            with contextlib.suppress(queue.Empty):  # nobody begins with anything more
                while True:
                    self._waiting.get_nowait()
        self._ready.put(answer if isinstance(answer, Exception) else (task, answer))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[str, Result | str]]:
        for _ in range(self._count):
            done = self._ready.get()
            if isinstance(done, Exception):
                raise done
            yield done[0].name, done[1]
        for feeder in self._feeders:
            self.missing |= feeder.missing


def _with_space(jobs: int, disk: int) -> int:
    """So many of these jobs as there is space for what their submissions may write."""
    place = Path(tempfile.gettempdir())
    if jobs:
        require_space(place, disk)
    return min(jobs, shutil.disk_usage(place).free // disk)


class _Feeder:
    """A thread that feeds one worker after another, of which it has one at a time."""

    def __init__(
        self,
        waiting: queue.Queue[Task],
        done: Callable[[Task, Result | str | Exception], None],
        setup: dict[str, Any],
        nursery: Nursery,
    ) -> None:
        self._waiting, self._done, self._setup, self._nursery = waiting, done, setup, nursery
        self.missing: dict[str, str] = {}
        self._worker: Worker | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the worker, also in the middle of a submission."""
        self._stopped = True
        worker = self._worker
        if worker is not None:
            worker.kill()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped:
            try:
                task = self._waiting.get_nowait()
            except queue.Empty:
                break
            try:
                answer: Result | str | Exception = self._graded(task)
            except Exception as error:  # noqa: BLE001  raised where somebody waits for the result
                answer = error
            self._done(task, answer)
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
            if "refused" in answer:
                raise Refused(answer["refused"])
            if "result" in answer:
                self.missing = answer["missing"]
                return Result.from_json(answer["result"])
            return str(answer.get("broken"))
        return why or "stopped"

    def _ask(self, task: Task) -> dict[str, Any]:
        worker = self._worker or self._start(task.question.root)
        request: dict[str, Any] = {"slug": task.question.slug, "seed": task.seed}
        if task.data is None:
            request["problem"] = task.problem
        else:
            request["data"] = base64.b64encode(task.data).decode("ascii")
        answer: dict[str, Any] = json.loads(worker.ask(json.dumps(request)))
        return answer

    def _start(self, root: Path) -> Worker:
        self._worker = worker = self._nursery.worker()
        if self._stopped:
            worker.kill()
        worker.tell(json.dumps({"root": str(root), **self._setup}))
        return worker

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.finish(PATIENCE)
