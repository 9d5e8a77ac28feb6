"""Frames nobody would send, against the decoder of the wire: from the room to the grader, and the other way.

    python tests/attacks/fuzzer.py --seconds 60 [--seed 1]

The frames are valid ones with parts of their trees and bytes exchanged; one that is refused in a new way, or gives
a value of a new kind, is kept and changed further. Where atheris is installed it steers by coverage instead.
Whatever comes must give a value or be refused, within the memory that `wire` states and a time that nobody waits for.
"""

from __future__ import annotations

import argparse
import inspect
import resource
import signal
import socket
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

from mutator import SENT, SMALL, Mutator, exported

from autograde import outputs, wire
from autograde.endpoint import Endpoint
from autograde.errors import StudentError
from autograde.student import Remote, Student, carried

LONGEST = 20  # seconds that one small frame may take before it counts as a hang
SLACK = 2**20  # bytes that Python itself may take meanwhile


def cap(header: int, payload: int) -> int:
    """Bytes of memory that a frame of such a header and payload may take to be read, as `wire` states it."""
    return 64 * header + 3 * payload


class Frames:
    """A link whose answers are forged: everything behind the room's end of the socket."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame

    def request(self, _: dict[str, Any], asker: wire.Asker, doing: str) -> dict[str, Any]:
        """The forged answer, taken as `Room.request` takes one."""
        try:
            answer = through_a_socket(self.frame, asker.resolve)
            if isinstance(answer, dict) and "callback" in answer:
                wire.pack(asker.callback(answer), asker.export)
        except (wire.WireError, wire.Closed) as error:
            raise StudentError(f"stopped: {error}", stopped=True) from None
        if not isinstance(answer, dict) or not ("value" in answer or "error" in answer):
            raise StudentError(f"out of order in {doing}", stopped=True)
        return answer


def through_a_socket(frame: bytes, resolve: wire.Resolve) -> Any:
    """The value of a frame that somebody sends and hangs up."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.setblocking(False)
            theirs.send(frame)
        return wire.unpack(*wire.receive(ours), resolve)


def as_grader(frame: bytes) -> object:
    """What a hidden test gets of this answer: a value that packs again, or StudentError."""
    student = Student(Frames(frame))
    value = student.f
    if isinstance(value, Remote):
        carried(value, 1)
    if isinstance(value, dict):
        outputs.clean(value.get("outputs"))
    return sent_again(value)


def as_room(frame: bytes) -> object:
    """What the room makes of this request, short of carrying it out."""
    endpoint = Endpoint({"f": len}, lambda *_: None)
    endpoint.export(len)
    return sent_again(through_a_socket(frame, endpoint.resolve))


def sent_again(value: object) -> object:
    """The value: what was read can be sent, or is refused by name."""
    again = wire.split(wire.pack(value, exported))
    wire.unpack(*again, lambda _: None)
    return value


class Findings(Exception):
    """A frame did what none may do."""


SIDES: tuple[Callable[[bytes], object], ...] = (as_grader, as_room)


def run(frame: bytes) -> list[str]:
    """What a frame does on both sides, in a word each; Findings where that may not be."""
    done = []
    for side in SIDES:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        try:
            effect = type(side(frame)).__name__
        except (StudentError, wire.WireError, wire.Closed) as refused:
            effect = "".join(c for c in str(refused) if not c.isdigit())[:80]
        except BaseException as error:
            raise Findings(f"{side.__name__}: {type(error).__name__}: {error} on {frame!r}") from error
        grown = tracemalloc.get_traced_memory()[1] - before
        if grown > 2 * cap(len(frame), 0) + SLACK:  # read, and packed again
            raise Findings(f"{side.__name__}: {grown} bytes of memory on {frame!r}")
        done.append(effect)
    return done


def hang(*_: object) -> None:
    """One frame took too long."""
    raise TimeoutError(f"more than {LONGEST} s")


def fuzz(seed: int, *, seconds: float = 0, count: int = 0) -> Counter[str]:
    """Run frames until either is over: how often each effect was seen; Findings ends it."""
    mutator, seen, end = Mutator(seed), Counter[str](), time.monotonic() + seconds
    signal.signal(signal.SIGALRM, hang)
    tracemalloc.start()
    try:
        while seen.total() < 2 * count or (seconds and time.monotonic() < end):
            frame = mutator.frame()
            signal.setitimer(signal.ITIMER_REAL, LONGEST)
            effects = run(frame)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if not all(effect in seen for effect in effects):
                mutator.keep()
            seen.update(effects)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        tracemalloc.stop()
    return seen


def by_coverage(atheris: Any, seed: int, seconds: float) -> None:
    """Let atheris choose the frames; does not return."""
    mutator = Mutator(seed)

    def mutated(data: bytes, size: int, its_seed: int) -> bytes:
        mutator.random.seed(its_seed)
        if mutator.random.random() < 0.3:
            return bytes(atheris.Mutate(data, size))
        try:
            mutator.corpus = [wire.split(data)]
        except wire.WireError:
            mutator.corpus = [wire.split(wire.pack(mutator.random.choice(SENT), exported))]
        return mutator.frame()[:size]

    def tried(data: bytes) -> None:
        run(bytes(data))

    tracemalloc.start()
    for place in (wire, wire._Decoder, wire._Encoder):
        for function in filter(inspect.isfunction, vars(place).values()):
            atheris.instrument_func(function)
    limits = [f"-max_total_time={seconds:.0f}", f"-timeout={LONGEST}", f"-max_len={SMALL}", f"-seed={seed}"]
    atheris.Setup([sys.argv[0], *limits], tried, custom_mutator=mutated)
    atheris.Fuzz()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Fuzz the decoder of the wire.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without atheris, also where it is installed")
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        atheris = None
        print("atheris is not installed (pip install atheris): frames are chosen without looking at coverage")
    if atheris is not None and not options.plain:
        by_coverage(atheris, options.seed, options.seconds)
    began = time.monotonic()
    seen = fuzz(options.seed, seconds=options.seconds)
    for effect, times in seen.most_common():
        print(f"{times:>9}  {effect}")
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    rate = seen.total() / 2 / (time.monotonic() - began)
    print(
        f"{seen.total() // 2} frames on both sides, {rate:.0f} a second, "
        f"at most {resident:.0f} MiB resident, no finding"
    )


if __name__ == "__main__":
    main()
