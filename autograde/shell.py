"""The shell in which a learner's cells run in the room: IPython without history, files or a kernel."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MethodType
from typing import Any, ClassVar

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type

MAX_TEXT = 100_000  # characters of one output that are kept
MAX_RICH = 3 * 2**20  # characters of rich outputs (figures) that are kept, over all cells


class TooMuchOutput(BaseException):
    """More printed than a notebook could show; not an Exception, so that a bare `except Exception` lets it by."""


class Outputs:
    """The outputs of the running cell, as nbformat writes them."""

    def __init__(self) -> None:
        self.limit = sys.maxsize
        self.overflow: Callable[[], None] = _raise_too_much
        self.printed = 0
        self.rich = 0
        self.items: list[dict[str, Any]] = []
        self.file = -1  # a descriptor that gets what a cell shows at once: that outlives the process
        self._in_cell = False

    def start(self) -> None:
        """Begin a cell."""
        self.items, self._in_cell = [], self.file >= 0
        if self._in_cell:
            with suppress(OSError):
                os.ftruncate(self.file, 0)
                os.lseek(self.file, 0, os.SEEK_SET)

    def finish(self) -> list[dict[str, Any]]:
        """End the cell: what it showed."""
        items, self.items, self._in_cell = self.items, [], False
        return items

    def stream(self, name: str, text: str) -> None:
        """Append what was printed; past the limit the run ends."""
        if not text:
            return
        last = self.items[-1] if self.items else None
        if last is None or last["output_type"] != "stream" or last["name"] != name:
            last = {"output_type": "stream", "name": name, "text": ""}
            self.items.append(last)
        room = MAX_TEXT - len(last["text"])
        if room > 0:
            kept = text[:room] + ("\n… output cut …\n" if len(text) > room else "")
            last["text"] += kept
            self._copy({**last, "text": kept})
        self._count(text)

    def show(self, kind: str, data: dict[str, Any], count: int | None = None) -> None:
        """Append a rich output; figures beyond a total size are named and left out."""
        plain = {str(k): v for k, v in data.items() if isinstance(v, str)}
        size = sum(map(len, plain.values()))
        said = plain.get("text/plain", "")
        self.rich += size
        if self.rich > MAX_RICH:
            plain = {"text/plain": f"… output of {size} characters left out …"}
        item: dict[str, Any] = {"output_type": kind, "data": plain, "metadata": {}}
        if kind == "execute_result":
            item["execution_count"] = count
        self.items.append(item)
        self._copy({**item, "data": dict(plain)})
        self._count(said)

    def _count(self, text: str) -> None:
        self.printed += len(text)
        if self.printed > self.limit:
            self.overflow()

    def _copy(self, item: dict[str, Any]) -> None:
        if self._in_cell:
            _strip(item)
            with suppress(OSError, ValueError):
                os.write(self.file, json.dumps(item).encode() + b"\n")

    def error(self, kind: str, message: str, lines: list[str]) -> None:
        """Append an error with its traceback."""
        lines, message = [line[:MAX_TEXT] for line in lines[:200]], message[:MAX_TEXT]
        self.items.append(
            {"output_type": "error", "ename": kind[:100], "evalue": message, "traceback": lines}
        )


class _Stream:
    """A text stream whose writes become outputs."""

    encoding = "utf-8"
    errors = "replace"
    closed = False

    def __init__(self, outputs: Outputs, name: str) -> None:
        self._outputs = outputs
        self.name = name

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._outputs.stream(self.name, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError("this stream has no file descriptor")


class _Publisher(DisplayPublisher):
    outputs: ClassVar[Outputs]

    def publish(self, data: Any, metadata: Any = None, **_: Any) -> None:  # noqa: ARG002
        self.outputs.show("display_data", data)

    def clear_output(self, wait: bool = False) -> None:  # noqa: ARG002
        self.outputs.items.clear()


class _Hook(DisplayHook):
    outputs: ClassVar[Outputs]

    def write_output_prompt(self) -> None:
        """The prompt is the notebook's."""

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:  # noqa: ARG002
        self.outputs.show("execute_result", format_dict, self.prompt_count)


# How a cell is run: a cell that replaces one of these, on the class or on the shell, changes nothing.
_OWN = {
    name: value for name, value in vars(InteractiveShell).items() if "run_" in name or "transform" in name
}


class Shell(InteractiveShell):
    """An InteractiveShell that keeps outputs as data; one for a process."""

    display_pub_class = Type(_Publisher)
    displayhook_class = Type(_Hook)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # In the instance's own dict they come before whatever the class is given later.
        self.__dict__.update(
            {name: MethodType(value, self) for name, value in _OWN.items() if callable(value)}
        )

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _OWN:
            super().__setattr__(name, value)

    def init_history(self) -> None:
        """Without history there is no database and no thread to be forked."""
        from IPython.core.history import HistoryManager

        HistoryManager.enabled = False
        super().init_history()

    def enable_gui(self, gui: Any = None) -> None:
        """Inline figures need no event loop."""

    def enable_matplotlib(self, gui: Any = None) -> Any:  # noqa: ARG002
        """Whatever is asked for, figures are inline."""
        return super().enable_matplotlib("inline")

    def ask_exit(self) -> None:
        """exit() ends what calls it, not the room."""
        raise SystemExit("exit() ends the notebook")

    def system(self, cmd: str) -> None:  # noqa: ARG002
        """`!command`: without a terminal and processes its own errors would say little."""
        raise PermissionError(errno.EPERM, "commands of the shell are closed while grading")

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        try:
            message = str(evalue)
        except Exception:  # noqa: BLE001  a learner's __str__ may raise anything
            message = ""
        self.cell_outputs.error(getattr(etype, "__name__", "Exception"), message, [str(line) for line in stb])


def make() -> Shell:
    """The process's shell, figures inline."""
    outputs = Outputs()
    _Publisher.outputs = _Hook.outputs = outputs
    # `Quiet` keeps InteractiveShell from writing a profile; colours would be escape codes in the feedback.
    Shell.colors = "nocolor"
    shell = Shell.instance()
    shell.cell_outputs = outputs
    shell.run_line_magic("matplotlib", "inline")
    return shell  # type: ignore[no-any-return]


@contextmanager
def captured(shell: Shell, limit: int, overflow: Callable[[], None], file: int) -> Iterator[None]:
    """Send what is printed to the shell's outputs, for as long as the process serves.

    Args:
        shell: the process's shell.
        limit: characters that may be printed.
        overflow: called where they are more.
        file: a descriptor that gets what a cell shows, at once and as JSON lines.
    """
    outputs = shell.cell_outputs
    outputs.limit, outputs.overflow, outputs.file = limit, overflow, file
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Stream(outputs, "stdout"), _Stream(outputs, "stderr")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def run_cell(shell: Shell, source: str) -> dict[str, Any]:
    """Run one cell.

    Returns:
        `outputs` in nbformat's form, `error` the name of what it raised or "", `line` its message.
    """
    outputs = shell.cell_outputs
    outputs.start()
    result = shell.run_cell(source, store_history=True)
    error = result.error_before_exec or result.error_in_exec
    line = "" if error is None else traceback.format_exception_only(type(error), error)[-1].strip()[:500]
    items = outputs.finish()
    for item in items:
        _strip(item)
    name = "" if error is None else type(error).__name__[:100]
    return {"outputs": items, "error": name, "line": without_paths(line)}


_PLACES = sorted(
    {
        (str(Path(path)), label)
        for key, label in (
            ("purelib", "site-packages"),
            ("platlib", "site-packages"),
            ("stdlib", "python"),
            ("platstdlib", "python"),
        )
        for path in (sysconfig.get_path(key), str(Path(sysconfig.get_path(key)).resolve()))
    }
    | {
        (str(Path(__file__).resolve().parent), "autograde"),
        (str(Path(__file__).resolve().parent.parent), "site-packages"),
        (sys.prefix, "python"),
    },
    key=lambda row: -len(row[0]),
)


def _strip(item: dict[str, Any]) -> None:
    """Take this machine's folders out of one output."""
    for key in ("text", "evalue"):
        if key in item:
            item[key] = without_paths(item[key])
    if "traceback" in item:
        item["traceback"] = [without_paths(line) for line in item["traceback"]]
    plain = item.get("data", {}).get("text/plain")
    if plain is not None:
        item["data"]["text/plain"] = without_paths(plain)


def without_paths(text: str) -> str:
    """The text without this machine's folders: they tell a learner nothing, and others too much."""
    if "/" not in text:
        return text
    for path, label in _PLACES:
        text = text.replace(path, label)
    # Not Path.cwd(): the learner may have changed it, to "/" for one.
    text = re.sub(r"/[^\s'\":,)]*/autograde-room-\w+", ".", text)
    return re.sub(r"/(?:home|Users|root|srv|opt|tmp|work)/[^\s'\":,)]*/", "…/", text)


def _raise_too_much() -> None:
    raise TooMuchOutput
