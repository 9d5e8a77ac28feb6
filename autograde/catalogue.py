"""How a question's reference and its known mistakes behave under one seed: found out once, kept in files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from autograde import mistakes, wire
from autograde.digest import digest
from autograde.mistakes import Change
from autograde.private import FOLDER, write
from autograde.question import Question
from autograde.recognition import Behaviour
from autograde.student import Observation

KNOWN = FOLDER / "known"


class Catalogue:
    """The behaviours of one question under one seed.

    Several processes that need them at the same time share the work: each begins somewhere else, keeps what it
    has found out in a file of its own, and takes what the others have.

    Args:
        question: whose.
        seed: the question's seed.
        working: the folder of the gradebook; the files are kept in it, mode 700 (they hold answers). None: nowhere.
        run: finds out how the reference, changed by this much, behaves: in every test, or in the one that is named.
    """

    def __init__(
        self,
        question: Question,
        seed: int,
        working: Path | None,
        run: Callable[[Sequence[Change], str | None], Behaviour],
    ) -> None:
        self._changes: dict[str, Sequence[Change]] = {"": ()}
        self._changes |= {change.name: (change,) for change in mistakes.mistakes(question)}
        self._run = run
        self._behaviours: dict[str, Behaviour] = {}
        self._parts: dict[str, tuple[str, Behaviour]] = {}  # what is known of one test, until all is known
        self._home = (
            None if working is None else _home(working / KNOWN, question, digest(question, b"", seed))
        )

    def reference(self) -> Behaviour:
        """How the reference behaves."""
        return self._behaviour("")

    def behaviours(self, changes: Sequence[Change], test: str | None = None) -> list[Behaviour]:
        """How known mistakes behave, in every test or at least in this one."""
        names = [change.name for change in changes]
        random.Random(os.getpid()).shuffle(names)  # noqa: S311  so that two processes do not do the same
        found = {name: self._behaviour(name, test) for name in names}
        return [found[change.name] for change in changes]

    def _behaviour(self, name: str, test: str | None = None) -> Behaviour:
        whole = self._behaviours.get(name)
        if whole is None and test is not None and name in self._parts and self._parts[name][0] == test:
            return self._parts[name][1]
        whole = whole or self._kept(name)
        if whole is None and test is not None and name not in self._parts:
            part = self._kept(name, test) or self._found(name, test)
            self._parts[name] = test, part
            return part
        # In every test; also where a second one was asked for: there will be a third.
        self._behaviours[name] = whole or self._found(name)
        return self._behaviours[name]

    def _found(self, name: str, test: str | None = None) -> Behaviour:
        behaviour = self._run(self._changes[name], test)
        if self._home is not None:
            with contextlib.suppress(OSError, wire.WireError):  # not kept: found out again the next time
                write(self._file(name, test), _packed(behaviour))
        return behaviour

    def _kept(self, name: str, test: str | None = None) -> Behaviour | None:
        if self._home is None:
            return None
        try:
            return _unpacked(self._file(name, test).read_bytes())
        except (OSError, wire.WireError):
            return None

    def _file(self, name: str, test: str | None) -> Path:
        assert self._home is not None
        return self._home / ".".join((name or "=", *([test] if test else ())))  # no mistake is called "="


def _home(folder: Path, question: Question, name: str) -> Path:
    """The folder of one question as it is now; what was kept of it as it was before is removed."""
    home = folder / question.slug / name
    if not home.exists() and home.parent.is_dir():
        for old in home.parent.iterdir():
            shutil.rmtree(old, ignore_errors=True)
    return home


def _packed(behaviour: Behaviour) -> bytes:
    seen = {
        test: (one.answers, sorted(one.names), one.rtol, one.atol) for test, one in behaviour.seen.items()
    }
    # A handle is like no other thing, and crosses as such.
    frame = wire.pack((behaviour.failed, behaviour.passed, seen, dict(behaviour.said)), lambda _: ["h"])
    return hashlib.sha256(frame).digest() + frame


def _unpacked(kept: bytes) -> Behaviour:
    frame = kept[32:]
    if hashlib.sha256(frame).digest() != kept[:32]:  # one wrong bit could tell learners a wrong mistake
        raise wire.WireError("damaged")
    failed, passed, seen, said = wire.unpack(*wire.split(frame), lambda _: object())
    observed = {
        test: Observation(answers, names=set(names), rtol=rtol, atol=atol)
        for test, (answers, names, rtol, atol) in seen.items()
    }
    return Behaviour(failed, passed, observed, said)
