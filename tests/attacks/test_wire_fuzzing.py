"""Nothing that arrives on the wire crashes its reader, holds it up or takes more memory than is stated."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import SEED
from forgery import SOCKET
from fuzzer import Findings, cap, fuzz, run
from mutator import SMALL, Mutator

from autograde import wire
from autograde.errors import StudentError
from autograde.grading import Grader
from autograde.sitting import RoomSitting
from autograde.student import Student
from autograde.submission import Cell

LARGE = wire.MAX_HEADER // 2  # bytes of the headers that are measured: enough to tell what each becomes
SLACK = 32 * 2**20  # what a process takes for other things: pages of libraries seen for the first time


def many(item: str) -> bytes:
    """A header of equal items, where # is the number of an item's buffer."""
    count = (LARGE - 60) // (len(item) + (8 if "#" in item else 1))
    items = ",".join(item.replace("#", str(n)) for n in range(count))
    return f'[["l",[{items}]],[{",".join(["0"] * ("#" in item) * count)}]]'.encode()


# Headers that become most, by what they hold.
LARGEST: dict[str, Callable[[], bytes]] = {
    "sets": lambda: many('["s",[1,2,3,4,5]]'),
    "dicts": lambda: many('["d",[[1,1]]]'),
    "arrays": lambda: many('["a","|b1",[0],#]'),
    "tensors": lambda: many('["T","bool",[0],#,0,0]'),
    "bytes": lambda: many('["b",#]'),
    "sizes of nothing": lambda: b'[["l",[]],[' + b"0," * (LARGE // 2 - 10) + b"0]]",
    "brackets": lambda: b"[" * LARGE,
    "no tags": lambda: b"[[" + b"[]," * (LARGE // 3 - 10) + b"[]],[]]",
    "digits": lambda: b"[" + b"9" * (LARGE - 10) + b",[]]",
}


def test_frames_without_end_of_the_mutator() -> None:
    """Thousands of changed frames give a value or are refused, on both sides, within memory and time."""
    seen = fuzz(SEED, count=2500)
    assert seen.total() == 5000
    assert len(seen) > 45  # it comes to many places, not to the first refusal alone
    assert {"dict", "str", "Tensor", "set", "function", "stopped: an unknown dtype"} <= set(seen)


def test_mutator_is_the_same_again() -> None:
    """The same seed gives the same frames, so that what was found can be found again."""
    assert [Mutator(3).frame() for _ in range(2)] == [Mutator(3).frame() for _ in range(2)]
    one, other = Mutator(3), Mutator(4)
    assert [one.frame() for _ in range(20)] != [other.frame() for _ in range(20)]


def test_fuzzer_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that lets another exception out, or takes memory without end, is a finding."""
    frame = wire.pack({"number": 1, "value": [1, 2]}, lambda _: None)
    assert run(frame) == ["list", "dict"]
    monkeypatch.setitem(wire._DECODERS, "l", lambda *_: 1 / 0)
    with pytest.raises(Findings, match="ZeroDivisionError"):
        run(frame)
    monkeypatch.setitem(wire._DECODERS, "l", lambda *_: len(bytes(2**24)))
    tracemalloc.start()
    try:
        with pytest.raises(Findings, match="of memory"):
            run(frame)
    finally:
        tracemalloc.stop()


def resident(what: str) -> int:
    """Bytes of a field of this process's status: VmRSS, VmHWM."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(what))


def peak(read: Callable[[], object]) -> int:
    """Bytes by which reading something grows a process, measured in one of its own."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest so far is forgotten
            before = resident("VmRSS")
            with contextlib.suppress(wire.WireError):
                read()
            os.write(theirs, str(resident("VmHWM") - before).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    os.waitpid(pid, 0)
    grown = os.read(ours, 100)
    os.close(ours)
    return int(grown)


@pytest.mark.parametrize("name", LARGEST)
def test_large_headers(name: str) -> None:
    """A large header becomes no more than what is stated, torch's own memory included."""
    header = LARGEST[name]()
    assert LARGE * 0.75 < len(header) <= LARGE
    assert peak(lambda: wire.unpack(header, b"", lambda _: None)) <= cap(len(header), 0) + SLACK


@pytest.mark.parametrize(
    "tree", [["b", 0], ["a", "|u1", [2**26], 0], ["T", "uint8", [2**26], 0, False, False]]
)
def test_large_payload(tree: list[object]) -> None:
    """A payload that comes through a socket is held three times at most: in parts, joined and copied."""
    size = 2**26
    header = json.dumps([tree, [size]]).encode()

    def read() -> None:
        ours, theirs = socket.socketpair()

        def write() -> None:
            theirs.sendall(wire.HEADER.pack(len(header), size) + header)
            part = bytes(2**20)
            for _ in range(size // len(part)):
                theirs.sendall(part)

        threading.Thread(target=write).start()
        wire.unpack(*wire.receive(ours), lambda _: None)

    assert size < peak(read) <= cap(len(header), size) + SLACK


def test_hostile_room(grader: Grader) -> None:
    """A room that answers with forged frames is ended with a named cause or believed, and the one after it answers."""
    mutator = Mutator(SEED)
    frames = [frame for frame in (mutator.frame() for _ in range(12)) if len(frame) < SMALL]
    before, causes = resident("VmRSS"), []
    for frame in frames:
        forge = f"{SOCKET}\ndef f():\n    own_socket().sendall({frame!r}); return 1\ndef g(): return 5\n"
        sitting = RoomSitting(grader.zygote, (Cell(0, "c", "learner", forge),), grader.limits)
        try:
            for ask in (lambda student: student.f(), lambda student: student.g(), lambda _: None):
                with contextlib.suppress(StudentError):
                    sitting.begin(1)
                    ask(Student(sitting))
            sitting.begin(1)
            assert Student(sitting).g() == 5
        finally:
            sitting.close()
        causes += sitting.stops
    assert len(causes) > len(frames) / 2
    assert all(
        cause.startswith(("sent an answer", "closed the connection", "ran longer")) for cause in causes
    )
    assert resident("VmRSS") - before < SLACK + 3 * cap(SMALL, 0)
