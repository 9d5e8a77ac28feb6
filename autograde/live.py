"""A learner's live objects in this process, asked over the same frames as a room."""

from __future__ import annotations

import contextlib
import io
import math
import os
import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from autograde import wire
from autograde.endpoint import Endpoint, described, rebuilt
from autograde.errors import GraderError
from autograde.hidden import HiddenTest
from autograde.overrun import Overrun, limited


class Live:
    """A sitting with live objects of this process: the same frames, no process between.

    What the learner's code does to torch's random numbers, grad mode and default dtype stays on its own side,
    as it does in a room.

    Args:
        namespace: the learner's names.
        limit: seconds that a request may take, where the names are those of a known mistake; a learner's own work
            is not stopped here.
    """

    patience = math.inf  # the tests run in their order

    def __init__(self, namespace: dict[str, Any], limit: float | None = None) -> None:
        self._limit = limit
        self._asker: wire.Asker | None = None
        self._away = _torch_state()
        self.endpoint = Endpoint(namespace, self._callback, interrupts=True)

    def lacks(self, test: HiddenTest) -> str:
        """A part "cuda" needs a GPU, and kernels that run on it."""
        if test.part != "cuda":
            return ""
        if not torch.cuda.is_available():
            return "needs a CUDA GPU: not run here"
        if os.environ.get("TRITON_INTERPRET") == "1":
            return "needs a CUDA GPU, and here Triton interprets its kernels on the CPU: not run here"
        return ""

    def begin(self, seed: int) -> None:
        """Reset the learner's random numbers; the caller restores those of the process."""
        with self._theirs():
            self.endpoint.do_begin(seed)

    def request(self, message: dict[str, Any], asker: wire.Asker, doing: str) -> dict[str, Any]:
        """Carry out one request here; KeyboardInterrupt passes through.

        Raises:
            GraderError: a known mistake took longer than its limit.
        """
        if self._limit is None:
            return self._answer(message, asker)
        try:
            with limited(self._limit):
                return self._answer(message, asker)
        except Overrun:
            raise GraderError(f"a known mistake ran longer than {self._limit:.3g} s in {doing}") from None

    def _answer(self, message: dict[str, Any], asker: wire.Asker) -> dict[str, Any]:
        self._asker = asker
        with self._theirs():
            answer = self.endpoint.answer(_through(message, asker.export, self.endpoint.resolve))
            try:
                return dict(_through(answer, self.endpoint.export, asker.resolve))
            except KeyboardInterrupt:
                raise
            except Exception as error:  # noqa: BLE001  an object that lies may raise anything when it is read
                return {"error": described(error)}

    def _callback(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        asker = self._asker
        assert asker is not None
        call = _through(
            {"callback": number, "args": args, "kwargs": kwargs}, self.endpoint.export, asker.resolve
        )
        with self._theirs():  # back to ours
            answer = asker.callback(call)
        answer = _through(answer, asker.export, self.endpoint.resolve)
        if "raised" in answer:
            raise rebuilt(answer["raised"])
        return answer["returned"]

    @contextlib.contextmanager
    def _theirs(self) -> Iterator[None]:
        """Exchange the two sides' states of torch, and exchange them back."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        here = _torch_state()
        _restore(self._away)
        self._away = here


_TorchState = tuple[torch.Tensor, bool, torch.dtype]


def _torch_state() -> _TorchState:
    return torch.get_rng_state(), torch.is_grad_enabled(), torch.get_default_dtype()


def _restore(state: _TorchState) -> None:
    torch.set_rng_state(state[0])
    torch.set_grad_enabled(state[1])
    torch.set_default_dtype(state[2])


def _through(message: Any, export: wire.Export, resolve: wire.Resolve) -> Any:
    return wire.unpack(*wire.split(wire.pack(message, export)), resolve)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """What the learner's functions print while they are tested would bury the card."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def globals_kept() -> Iterator[None]:
    """Restore the random states, grad mode, default dtype and threads of this process afterwards."""
    python, numpy, state = random.getstate(), np.random.get_state(), _torch_state()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the grader does: small calls, many of them
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        _restore(state)
        torch.set_num_threads(threads)
