"""One submission in the room, for as long as its time lasts: opened, and opened again after a stop."""

from __future__ import annotations

import re
import time
from typing import Any

from autograde import stops, wire
from autograde.errors import StudentError, text
from autograde.hidden import HiddenTest
from autograde.lock import Limits
from autograde.outputs import clean, printed, stopped
from autograde.room import Broken, Room, Stopped, Zygote
from autograde.submission import Cell

# Names that libraries draw at random for what they share.
_DRAWN = re.compile(r"/(?:torch_\d+_\d+_\d+|psm_\w+)")


class RoomSitting:
    """One submission in the room: opened when needed, opened again after a stop, until its time is used up."""

    def __init__(self, zygote: Zygote, cells: tuple[Cell, ...], limits: Limits) -> None:
        self.zygote, self.cells, self.limits = zygote, cells, limits
        self.outputs: dict[int, tuple[dict[str, Any], ...]] = {}
        self.stops: list[str] = []
        self._errors: dict[str, str] = {}
        self._unwritten: set[str] = set()  # cells that ended where the release says that code is missing
        self._skipped: set[int] = set()
        self._room: Room | None = None
        self._began: float | None = None
        self._ended = (
            False  # whether it ever was stopped: a stop is not a refusal, which the code may survive
        )
        self._hung = 0.0  # seconds that went into cells that were stopped
        self._threads = 0  # those that its cells started
        self._received = 0  # bytes of memory that the answers to tests took, over all rooms
        self._test_began = 0.0
        self._cut = ""  # what left the last request less than call_s
        self.broken: Broken | None = None  # the sandbox failed: whatever the tests said then is worth nothing

    @property
    def patience(self) -> float:
        """Seconds that the tests of a task may take before those of another go first."""
        return self.limits.call_s / 2

    def lacks(self, test: HiddenTest) -> str:
        """Whatever the machine has: the lock keeps the files of a GPU closed."""
        return "needs a CUDA GPU, and the room opens none: not run here" if test.part == "cuda" else ""

    def begin(self, seed: int) -> None:
        """Have a live room with the cells run and its random numbers reset."""
        try:
            self._end_what_runs_on()
            self._ready()
            self._ask({"verb": "begin", "seed": seed}, "the notebook")
            self._test_began = time.monotonic()
        except Stopped as stop:  # it ended between two tests: a thread, say
            raise StudentError(self._stopped(str(stop)), stopped=True) from None
        except Broken as error:
            self.broken = error
            raise

    def _end_what_runs_on(self) -> None:
        """A thread that a test before left running is not this test's: end it, with its room."""
        if self._room is not None and not self._room.cause:
            threads, running = self._room.threads()
            if running and threads > self._threads:
                self._room.close()

    def _ready(self) -> None:
        while self._room is None or self._room.cause:
            if self._left() <= 0:
                raise StudentError(
                    f"not reached: the {self.limits.budget_s:.3g} s for the whole notebook were used up",
                    stopped=True,
                )
            self._open()

    def request(self, message: dict[str, Any], asker: wire.Asker, doing: str) -> dict[str, Any]:
        """Carry out one request of a test in the room; StudentError names the cause of a stop."""
        if self._room is None or self._room.cause:
            raise StudentError(f"the process had stopped before {doing}", stopped=True)
        try:
            spent = time.monotonic() - self._test_began
            answer = self._room.request(message, asker, seconds=self._seconds(spent), doing=doing)
        except Broken as error:
            self.broken = error
            raise
        except Stopped as stop:
            raise StudentError(self._stopped(str(stop)), stopped=True) from None
        finally:
            self._received = self._room.received
        self._name_stop(answer.get("error"), doing)
        if message["verb"] == "get" and "error" in answer:
            self._explain(answer["error"], doing)
        return answer

    def show(self, cells: tuple[Cell, ...]) -> None:
        """Run cells whose outputs the feedback shows and that no point rests on, where the room still lives."""
        for cell in cells:
            if self._room is None or self._room.cause or self._ended or self._left() <= 0:
                self.outputs[cell.index] = (printed("not run: the process had stopped"),)
                continue
            try:
                answer = self._ask({"verb": "cell", "source": cell.source}, f"the cell '{cell.name}'")
            except Stopped as stop:
                self.outputs[cell.index] = (*clean(self._room.shown), stopped(str(stop)))
            else:
                ran = answer.get("value")
                self.outputs[cell.index] = clean(ran.get("outputs") if isinstance(ran, dict) else None)

    def close(self) -> None:
        """End the room."""
        if self._room is not None:
            self._room.close()

    def _open(self) -> None:
        """A fresh room with the cells run; a cell that ended a room before is left out."""
        self.close()
        self._room = self.zygote.open()
        # The clock starts here: that the first room waits for a warm zygote is not the learner's time.
        self._began = self._began or time.monotonic()
        for cell in self.cells:
            if cell.index in self._skipped:
                continue
            doing = f"the cell '{cell.name}'"
            began, seconds = time.monotonic(), self._cell_seconds()
            try:
                answer = self._ask({"verb": "cell", "source": cell.source}, doing, seconds)
            except Stopped as stop:
                self._hung += min(seconds, time.monotonic() - began)
                cause = self._stopped(str(stop))
                self._skipped.add(cell.index)
                self._errors[cell.name] = cause
                self.outputs[cell.index] = (*clean(self._room.shown), stopped(cause))
                return
            ran = answer.get("value")
            if isinstance(ran, dict):
                self.outputs.setdefault(cell.index, clean(ran.get("outputs")))
                error, line = text(ran.get("error")), text(ran.get("line"))
                if error:
                    self._errors[cell.name] = f"the cell '{cell.name}' raised {line[:300]}"
                    if line == "NotImplementedError":
                        self._unwritten.add(cell.name)
                    self._name_stop({"kinds": [error], "message": line}, doing)
        # Answers to tests are kept, over all rooms. Those of cells are not.
        self._room.received = self._received
        self._threads = self._room.crowd()

    def _ask(self, message: dict[str, Any], doing: str, seconds: float | None = None) -> dict[str, Any]:
        assert self._room is not None
        return self._room.request(message, _DataOnly(), seconds=seconds or self._seconds(), doing=doing)

    def _left(self) -> float:
        spent = time.monotonic() - self._began if self._began is not None else 0.0
        return self.limits.budget_s - spent

    def _seconds(self, spent: float = 0.0) -> float:
        """How long the next request may take: what one call may, or what is left of the test or the whole.

        Args:
            spent: seconds that earlier calls of the same test took; a tenth of a call is given away, so that
                a call that hangs is told that it hung.
        """
        call, left, seconds = self.limits.call_s, self._left(), self.limits.call_s
        self._cut = ""
        if spent > call / 10:
            seconds, self._cut = call - spent, f"used up the {call:.3g} s for one test"
        if left < seconds:
            seconds, self._cut = left, f"used up the {self.limits.budget_s:.3g} s for the whole notebook"
        return max(0.01, seconds)

    def _cell_seconds(self) -> float:
        """How long the next cell may take: cells that hang, one after another, must leave half for the tests."""
        spare = self.limits.budget_s / 2 - self._hung
        return min(self._seconds(), max(self.limits.call_s / 10, spare))

    def _stopped(self, cause: str) -> str:
        if self._cut and cause.startswith("ran longer"):
            cause = f"{self._cut} in {cause.rpartition(' in ')[2]}"
        self._ended = True
        if cause not in self.stops:
            self.stops.append(cause)
        return cause

    def _name_stop(self, error: Any, doing: str) -> None:
        """The lock lets the code see an exception where it asks for too much; that is named like a stop."""
        cause = stops.of_error(error, doing, self.limits)
        if cause and cause not in self.stops:
            self.stops.append(cause)
        if isinstance(error, dict) and "message" in error:
            error["message"] = _DRAWN.sub("…", text(error["message"]))

    def _explain(self, error: Any, name: str) -> None:
        """A name that is missing because its cell failed: say so."""
        if isinstance(error, dict) and self._errors and self._unwritten == set(self._errors):
            error |= {"missing": True, "message": f"{name} is not written yet"}
        elif isinstance(error, dict):
            why = (
                "; ".join(list(self._errors.values())[:3])
                or "keep its name, and run the cell that defines it"
            )
            error |= {"missing": True, "message": f"{name} is not defined: {why}"}


class _DataOnly:
    """Asks for what is data, and gives nothing else."""

    def export(self, value: object) -> Any:
        raise wire.WireError(f"a {type(value).__name__}")

    def resolve(self, _: Any) -> Any:
        raise wire.WireError("a reference where none was asked for")

    def callback(self, _: dict[str, Any]) -> dict[str, Any]:
        raise wire.WireError("a call where none was given")
