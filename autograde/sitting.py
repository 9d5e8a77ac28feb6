"""One submission in the room, for as long as its time lasts: opened, and opened again after a stop."""

from __future__ import annotations

import time
from typing import Any

from autograde import wire
from autograde.errors import StudentError, text, texts
from autograde.lock import Limits
from autograde.outputs import clean, printed, stopped
from autograde.room import Broken, Room, Stopped, Zygote
from autograde.submission import Cell

NO_MEMORY = ("MemoryError", "_ArrayMemoryError")


class RoomSitting:
    """One submission in the room: opened when needed, opened again after a stop, until its time is used up."""

    def __init__(self, zygote: Zygote, cells: tuple[Cell, ...], limits: Limits) -> None:
        self.zygote, self.cells, self.limits = zygote, cells, limits
        self.outputs: dict[int, tuple[dict[str, Any], ...]] = {}
        self.stops: list[str] = []
        self._errors: dict[str, str] = {}
        self._skipped: set[int] = set()
        self._room: Room | None = None
        self._began: float | None = None
        self._short = False  # whether the last request had less than call_s left
        self.broken: Broken | None = None  # the sandbox failed: whatever the tests said then is worth nothing

    def begin(self, seed: int) -> None:
        """Have a live room with the cells run and its random numbers reset."""
        try:
            self._ready()
            self._ask({"verb": "forget"}, "the notebook")
            self._ask({"verb": "seed", "seed": seed}, "the notebook")
        except Stopped as stop:  # it ended between two tests: a thread, say
            raise StudentError(self._stopped(str(stop)), stopped=True) from None
        except Broken as error:
            self.broken = error
            raise

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
            answer = self._room.request(message, asker, seconds=self._seconds(), doing=doing)
        except Broken as error:
            self.broken = error
            raise
        except Stopped as stop:
            raise StudentError(self._stopped(str(stop)), stopped=True) from None
        self._name_stop(answer.get("error"), doing)
        if message["verb"] == "get" and "error" in answer:
            self._explain(answer["error"], doing)
        return answer

    def show(self, cells: tuple[Cell, ...]) -> None:
        """Run cells whose outputs the feedback shows and that no point rests on, where the room still lives."""
        for cell in cells:
            if self._room is None or self._room.cause or self.stops or self._left() <= 0:
                self.outputs[cell.index] = (printed("not run: the process had stopped"),)
                continue
            try:
                answer = self._ask({"verb": "cell", "source": cell.source}, f"the cell '{cell.name}'")
            except Stopped as stop:
                self.outputs[cell.index] = (stopped(str(stop)),)
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
            try:
                answer = self._ask({"verb": "cell", "source": cell.source}, doing)
            except Stopped as stop:
                cause = self._stopped(str(stop))
                self._skipped.add(cell.index)
                self._errors[cell.name] = cause
                self.outputs[cell.index] = (stopped(cause),)
                return
            ran = answer.get("value")
            if isinstance(ran, dict):
                self.outputs.setdefault(cell.index, clean(ran.get("outputs")))
                if ran.get("error"):
                    self._errors[cell.name] = f"the cell '{cell.name}' raised {text(ran.get('line'))[:300]}"
                    self._name_stop({"kinds": [ran["error"]], "message": ran.get("line")}, doing)

    def _ask(self, message: dict[str, Any], doing: str) -> dict[str, Any]:
        assert self._room is not None
        return self._room.request(message, _DataOnly(), seconds=self._seconds(), doing=doing)

    def _left(self) -> float:
        spent = time.monotonic() - self._began if self._began is not None else 0.0
        return self.limits.budget_s - spent

    def _seconds(self) -> float:
        """How long the next request may take: what one call may, or what is left of the whole."""
        left = self._left()
        self._short = left < self.limits.call_s
        return max(0.01, min(self.limits.call_s, left))

    def _stopped(self, cause: str) -> str:
        if self._short and cause.startswith("ran longer"):
            cause = f"used up the {self.limits.budget_s:.3g} s for the whole notebook in {cause.rpartition(' in ')[2]}"
        if cause not in self.stops:
            self.stops.append(cause)
        return cause

    def _name_stop(self, error: Any, doing: str) -> None:
        """The lock lets the code see an exception where it asks for too much; that is named like a stop."""
        if not isinstance(error, dict):
            return
        message, kinds = text(error.get("message")), texts(error.get("kinds"))
        cause = ""
        if any(kind in NO_MEMORY for kind in kinds) or "can't allocate memory" in message:
            cause = f"asked for more than {self.limits.memory / 2**30:.3g} GiB in {doing}"
        elif "PermissionError" in kinds:
            cause = f"tried what is closed while grading (files, network, processes) in {doing}"
        if cause and cause not in self.stops:
            self.stops.append(cause)

    def _explain(self, error: Any, name: str) -> None:
        """A name that is missing because its cell failed: say so."""
        if isinstance(error, dict):
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
