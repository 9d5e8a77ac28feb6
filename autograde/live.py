"""A learner's live objects in this process, asked over the same frames as a room."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from autograde import wire
from autograde.endpoint import Endpoint, described, rebuilt


class Live:
    """A sitting with live objects of this process: the same frames, no process between.

    Args:
        namespace: the learner's names.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._asker: wire.Asker | None = None
        self.endpoint = Endpoint(namespace, self._callback, interrupts=True)

    def begin(self, seed: int) -> None:
        """Reset the process's random numbers; the caller restores them."""
        self.endpoint.do_forget()
        self.endpoint.do_seed(seed)

    def request(self, message: dict[str, Any], asker: wire.Asker, doing: str) -> dict[str, Any]:  # noqa: ARG002  what a room names in a cause
        """Carry out one request here; KeyboardInterrupt passes through."""
        self._asker = asker
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
        answer = _through(asker.callback(call), asker.export, self.endpoint.resolve)
        if "raised" in answer:
            raise rebuilt(answer["raised"])
        return answer["returned"]


def _through(message: Any, export: wire.Export, resolve: wire.Resolve) -> Any:
    frame = wire.pack(message, export)
    head, _ = wire.HEADER.unpack_from(frame)
    start = wire.HEADER.size
    return wire.unpack(frame[start : start + head], frame[start + head :], resolve)


@contextmanager
def globals_kept() -> Iterator[None]:
    """Restore the random states, grad mode, default dtype and threads of this process afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    grad, dtype, threads = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    torch.set_num_threads(1)  # as the grader does: small calls, many of them
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
