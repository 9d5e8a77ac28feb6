"""One submission in the room, for as long as its time lasts: opened, and opened again after a stop."""

from __future__ import annotations

import time
from collections.abc import Callable
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
        self._began = 0.0
        self.broken: Broken | None = None  # the sandbox failed: whatever the tests said then is worth nothing

    def begin(self, seed: int) -> None:
        """Have a live room with the cells run and its random numbers reset."""
        self._began = self._began or time.monotonic()
        seconds = self._left()
        try:
            self._ready()
            self._ask({"verb": "forget"}, "the notebook")
            self._ask({"verb": "seed", "seed": seed}, "the notebook")
        except Stopped as stop:  # it ended between two tests: a thread, say
            raise StudentError(self._stopped(str(stop), seconds), stopped=True) from None
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

    def request(
        self,
        message: dict[str, Any],
        export: wire.Export,
        resolve: wire.Resolve,
        callback: Callable[[dict[str, Any]], dict[str, Any]],
        doing: str,
    ) -> dict[str, Any]:
        """Carry out one request of a test in the room; StudentError names the cause of a stop."""
        if self._room is None or self._room.cause:
            raise StudentError(f"the process had stopped before {doing}", stopped=True)
        seconds = self._left()
        try:
            answer = self._room.request(
                message,
                export,
                resolve,
                callback,
                seconds=max(0.01, min(self.limits.call_s, seconds)),
                doing=doing,
            )
        except Broken as error:
            self.broken = error
            raise
        except Stopped as stop:
            cause = self._stopped(str(stop), seconds)
            raise StudentError(cause, stopped=True) from None
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
        for cell in self.cells:
            if cell.index in self._skipped:
                continue
            doing = f"the cell '{cell.name}'"
            seconds = self._left()
            try:
                answer = self._ask({"verb": "cell", "source": cell.source}, doing)
            except Stopped as stop:
                cause = self._stopped(str(stop), seconds)
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
        seconds = max(0.01, min(self.limits.call_s, self._left()))
        return self._room.request(
            message, _no_export, _no_resolve, _no_callback, seconds=seconds, doing=doing
        )

    def _left(self) -> float:
        return self._began + self.limits.budget_s - time.monotonic()

    def _stopped(self, cause: str, seconds: float) -> str:
        if cause.startswith("ran longer") and seconds < self.limits.call_s:
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


def _no_export(value: object) -> Any:
    raise wire.WireError(f"a {type(value).__name__}")


def _no_resolve(_: Any) -> Any:
    raise wire.WireError("a reference where none was asked for")


def _no_callback(_: dict[str, Any]) -> dict[str, Any]:
    raise wire.WireError("a call where none was given")
