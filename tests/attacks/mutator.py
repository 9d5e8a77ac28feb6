"""Frames that nobody would send: valid ones, with parts of their trees and bytes exchanged."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import numpy as np
import torch

from autograde import wire

SMALL = 1 << 16  # bytes: what goes through a socket at once
SENT: tuple[Any, ...] = (
    {
        "number": 1,
        "value": [1, "two", 2.5, None, True, 2**70, 1j, b"xyz", (1, {2: "b"}), {3, frozenset({4})}],
    },
    {
        "number": 2,
        "value": {"a": np.arange(6.0).reshape(2, 3), "b": np.float32(1), "c": np.array(["é", "ab"])},
    },
    {
        "number": 3,
        "value": [torch.ones(2, dtype=torch.bfloat16), torch.nn.Parameter(torch.ones(1)), torch.ones(0, 3)],
    },
    {"number": 4, "error": {"type": "ValueError", "kinds": ["ValueError"], "message": "m", "lines": ["l"]}},
    {
        "number": 5,
        "value": {"outputs": [{"output_type": "stream", "name": "stdout", "text": "t"}], "error": ""},
    },
    {"callback": 0, "args": (1, [2]), "kwargs": {"x": 3}},
    {"number": 6, "value": (1.0, (np.ones(2),), {}), "verb": "call"},
    {"number": 7, "verb": "get", "name": "f"},
    {"returned": float("nan")},
)
REFERENCES = (
    ["h", 1, "Model", True, ["Model", "object"]],
    ["f", 0],
    ["h", 1],
    ["h", [], 1, 2, 3],
    ["f"],
    ["h"],
)
ATOMS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 2**64, 10**40, 0.0, -0.0, 1e308, "", "\ud800", "\0", "x" * 300,
    "<f8", "|b1", "<U1", "<U99999", ">i8", "O", "<M8", "float32", "bool", "complex128", "qint8", "0x1f", "-0x1", "nan",
    "inf", "1_0", " 7 ", [], {}, [0], [1], [2, 3], [0, 2**39], [2**39] * 3, [1] * 32, [1] * 33, [0] * 70, [True], ["l"],
    ["l", []], ["t", [1]], ["s", [1, 1]], ["S", [["l", []]]], ["d", [[1, 2]]], ["d", [[1]]], ["d", {"a": 1}], ["b", 0],
    ["b", 1], ["a", "<f8", [1], 0], ["n", "<f8", [], 0], ["n", "<f8", [2], 0], ["T", "float32", [1], 0, True, True],
    ["T", "int8", [0], 0, True, True], ["c", "1", "nan"], ["c", 1,
    [2]], ["i", "f" * 400], ["i", "f" * 4000], ["r", "inf"],
    ["r", []], ["l", 5], ["l", "text"], ["l", {"a": 1}], ["zz", 1], *REFERENCES,
)  # fmt: skip


def exported(value: object) -> wire.Tree:
    """A reference for what is no data, as a room makes it."""
    return ["h", 1, type(value).__name__, True, ["object"]]


class Mutator:
    """An endless supply of frames, the same for the same seed.

    Args:
        seed: of its random numbers.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.corpus = [wire.split(wire.pack(value, exported)) for value in SENT]
        self._last = self.corpus[0]

    def keep(self) -> None:
        """The last frame had an effect that none before it had: change it further, unless it is no JSON."""
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(self._last[0])
            self.corpus.append(self._last)

    def frame(self) -> bytes:
        """The next one."""
        header, payload = self.random.choice(self.corpus)
        change = self._bytes if self.random.random() < 0.15 else self._tree  # most changed bytes are no JSON
        for _ in range(self.random.choice((1, 1, 2, 3, 8))):
            header, payload = change(header, payload)
        self._last = header, payload
        head, body = len(header), len(payload)
        if self.random.random() < 0.03:
            head, body = self.random.choice(
                ((head + 1, body), (head, body + 1), (max(0, head - 1), body), (2**32 - 1, 2**63))
            )
        return wire.HEADER.pack(head, body) + header + payload

    def _bytes(self, header: bytes, payload: bytes) -> tuple[bytes, bytes]:
        at = self.random.randrange(len(header) + 1)
        end = at + self.random.choice((0, 0, 1, 2, 9))
        new = self.random.choice(
            (b"", self.random.randbytes(1), b"[", b"]", b'"', b",", b"9" * 30, b"1e999", b"NaN", b"\\ud800")
        )
        if self.random.random() < 0.2:
            payload = payload[: self.random.randrange(len(payload) + 1)]
        return header[:at] + new + header[end:], payload

    def _tree(self, header: bytes, payload: bytes) -> tuple[bytes, bytes]:
        try:
            tree, sizes = json.loads(header)
        except (ValueError, TypeError, RecursionError):
            return self._bytes(header, payload)
        if self.random.random() < 0.1:
            sizes = self.random.choice(
                (sizes[::-1] if isinstance(sizes, list) else 1, [len(payload)], [-1], [True], {}, None)
            )
        else:
            tree = self._changed(tree)
        try:
            return json.dumps([tree, sizes]).encode()[:SMALL], payload
        except (ValueError, RecursionError):
            return header, payload

    def _changed(self, tree: Any) -> Any:
        """The tree with one place changed, of the places in it any."""
        if not isinstance(tree, list) or not tree or self.random.random() < 0.15:
            return self._new(tree)
        at = self.random.randrange(len(tree))
        action = self.random.random()
        if action < 0.1:
            return [*tree[:at], *tree[at + 1 :]]
        if action < 0.2:
            return [*tree[:at], tree[at], *tree[at:]]
        if action < 0.25:
            return tree * self.random.choice((2, 50))
        return [*tree[:at], self._changed(tree[at]), *tree[at + 1 :]]

    def _new(self, old: Any) -> Any:
        if self.random.random() < 0.1:
            for _ in range(self.random.choice((2, 5, 70))):
                old = [self.random.choice("ltsSd"), [old]]
            return old
        return self.random.choice(ATOMS)
