"""The data-only protocol between a grader and a learner's process.

A frame is `!IQ` (header bytes, payload bytes), a JSON header and raw buffers. The header holds one value as a
tree of JSON scalars and tagged lists; arrays and tensors are dtype, shape and a buffer. Nothing is pickled.
What is not data crosses as a reference, by the two functions that each side gives: `export` and `resolve`.

Whoever sent it, a frame is read within 64 bytes of memory for each of its header and 3 for each of its payload,
1 GiB for the largest that is taken.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import socket
import struct
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

HEADER = struct.Struct("!IQ")
MAX_HEADER = 4 * 2**20
MAX_PAYLOAD = 256 * 2**20
MAX_DEPTH = 64
MAX_BITS = 13_000  # of an integer: Python writes out no more than 4300 digits
MAX_CHARACTER = 0x10FFFF
MAX_COLLISIONS = 1000  # keys of one set or dict with equal hashes

Tree = Any
Export = Callable[[object], Tree]
Resolve = Callable[[Tree], object]


class Asker(Protocol):
    """The asking side of a wire: what it does with references, and with calls of what it gave."""

    def export(self, value: object) -> Tree:
        """The reference by which what is not data crosses; WireError where it can't."""

    def resolve(self, tree: Tree) -> object:
        """What a reference from the other side means."""

    def callback(self, call: dict[str, Any]) -> dict[str, Any]:
        """Run a callable that was given: `returned` or `raised`."""


# No strings of length 0: they claim any number of items without any data.
_NUMPY = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[US][1-9]\d{0,4})")
_TORCH = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.complex64,
        torch.complex128,
    )
}


class WireError(Exception):
    """A value can't be sent, or a frame is not what it must be."""


class Closed(Exception):
    """The other side is gone."""


# --- values to trees ------------------------------------------------------------------------------------


class _Encoder:
    def __init__(self, export: Export) -> None:
        self.export = export
        self.buffers: list[bytes] = []
        self.size = 0

    def buffer(self, data: bytes) -> int:
        self.size += len(data)
        if self.size > MAX_PAYLOAD:
            raise WireError(f"more than {MAX_PAYLOAD // 2**20} MiB of data")
        self.buffers.append(data)
        return len(self.buffers) - 1

    def tree(self, value: object, depth: int = 0) -> Tree:
        if depth > MAX_DEPTH:
            raise WireError(f"data nested more than {MAX_DEPTH} deep (a list that contains itself?)")
        if value is None or value is True or value is False:
            return value
        encode = _EXACT.get(type(value))
        if encode is not None:
            return encode(self, value, depth + 1)
        for kind, encode in _ENCODERS:
            if isinstance(value, kind):
                return encode(self, value, depth + 1)
        return self.export(value)


def _float(_: _Encoder, value: float, __: int) -> Tree:
    plain = float.__float__(value)
    return plain if math.isfinite(plain) else ["r", str(plain)]


def _int(_: _Encoder, value: int, __: int) -> Tree:
    plain = int.__index__(value)
    if int.bit_length(plain) > MAX_BITS:
        raise WireError(f"an integer of more than {MAX_BITS} bits")
    return plain if abs(plain) < 2**63 else ["i", hex(plain)]


def _mapping(encoder: _Encoder, value: dict[Any, Any], depth: int) -> Tree:
    return ["d", [[encoder.tree(k, depth), encoder.tree(v, depth)] for k, v in dict.items(value)]]


def _array(encoder: _Encoder, value: Any, _: int) -> Tree:
    plain = np.asarray(value)
    if not _NUMPY.fullmatch(plain.dtype.str):
        raise WireError(f"an array of dtype {str(plain.dtype)[:60]}")
    tag = "n" if isinstance(value, np.generic) else "a"
    return [tag, plain.dtype.str, list(plain.shape), encoder.buffer(plain.tobytes())]


def _tensor(encoder: _Encoder, value: torch.Tensor, _: int) -> Tree:
    # Of a subclass nothing of its own is asked, neither its attributes nor its __torch_function__.
    with torch._C.DisableTorchFunctionSubclass():
        layout, *odd = (
            getattr(torch.Tensor, name).__get__(value) for name in ("layout", "is_meta", "is_quantized")
        )
        if layout is not torch.strided or any(odd):
            raise WireError(f"a {str(layout).removeprefix('torch.')} or meta tensor without plain data")
        bare = torch.Tensor.as_subclass(value, torch.Tensor)
        name = str(bare.dtype).removeprefix("torch.")
        if name not in _TORCH:
            raise WireError(f"a tensor of dtype {name[:60]}")
        plain = bare.detach().cpu().resolve_conj().resolve_neg()
        # NumPy has no bfloat16, and no use for what a bit means.
        data = (plain.view(torch.int16) if plain.dtype is torch.bfloat16 else plain).numpy().tobytes()
        flags = [isinstance(value, torch.nn.Parameter), bool(bare.requires_grad)]
        return ["T", name, list(plain.shape), encoder.buffer(data), *flags]


_ENCODERS: tuple[tuple[Any, Callable[[_Encoder, Any, int], Tree]], ...] = (
    ((np.ndarray, np.generic), _array),
    (torch.Tensor, _tensor),
    (float, _float),
    (int, _int),
    (str, lambda _, v, __: _text(str.__str__(v))),
    (list, lambda e, v, n: ["l", [e.tree(x, n) for x in list.__iter__(v)]]),
    (tuple, lambda e, v, n: ["t", [e.tree(x, n) for x in tuple.__iter__(v)]]),
    (dict, _mapping),
    (set, lambda e, v, n: ["s", [e.tree(x, n) for x in set.__iter__(v)]]),
    (frozenset, lambda e, v, n: ["S", [e.tree(x, n) for x in frozenset.__iter__(v)]]),
    (complex, lambda _, v, __: ["c", repr(complex(v).real), repr(complex(v).imag)]),
    (bytes, lambda e, v, _: ["b", e.buffer(bytes(v))]),
    (bytearray, lambda e, v, _: ["b", e.buffer(bytes(v))]),
)

# What is most often sent, found without asking for each kind in turn.
_EXACT = {kind: encode for kind, encode in _ENCODERS if isinstance(kind, type)} | {
    np.ndarray: _array,
    torch.nn.Parameter: _tensor,
}


# --- trees to values ------------------------------------------------------------------------------------


class _Decoder:
    def __init__(self, sizes: list[int], payload: bytes, resolve: Resolve) -> None:
        self.sizes = sizes
        self.payload = memoryview(payload)
        self.resolve = resolve
        self.used = self.at = 0

    def value(self, tree: Tree, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise WireError("data nested too deep")
        if isinstance(tree, str):
            return _text(tree)
        if tree is None or isinstance(tree, bool | int | float):
            return tree
        tag, *rest = tree
        if tag in ("h", "f"):
            return self.resolve(tree)
        return _DECODERS[tag](self, rest, depth + 1)

    def many(self, trees: list[Tree], depth: int) -> list[Any]:
        return [self.value(tree, depth) for tree in trees]

    def keys(self, trees: list[Tree], depth: int) -> list[Any]:
        """The members of a set."""
        keys = self.many(trees, depth)
        _unlike(keys)
        return keys

    def mapping(self, pairs: list[Any], depth: int) -> dict[Any, Any]:
        items = [(self.value(key, depth), self.value(value, depth)) for key, value in pairs]
        _unlike([key for key, _ in items])
        return dict(items)

    def buffer(self, index: Any) -> memoryview:
        """The next buffer. Each is used once, in order, so that copies add up to no more than was sent."""
        if type(index) is not int or index != self.used:
            raise WireError("buffers out of order")
        size, at = self.sizes[index], self.at
        self.used, self.at = index + 1, at + size
        return self.payload[at : self.at]

    def array(self, rest: list[Any]) -> Any:
        name, shape, index = rest
        if not isinstance(name, str) or not _NUMPY.fullmatch(name):
            raise WireError("an unknown dtype")
        dtype, data = np.dtype(name), self.buffer(index)
        self._fits(shape, dtype.itemsize, data)
        if not data.nbytes:
            return np.empty(shape, dtype)
        flat = np.frombuffer(bytearray(data), dtype=dtype)
        if dtype.kind == "U":
            _written(flat.view(dtype.str[0] + "u4"))
        return flat.reshape(shape)

    def tensor(self, rest: list[Any]) -> torch.Tensor:
        name, shape, index, parameter, grad = rest
        dtype, data = _TORCH[name], self.buffer(index)
        self._fits(shape, dtype.itemsize, data)
        tensor = (
            torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)
            if data.nbytes
            else torch.empty(shape, dtype=dtype)
        )
        if parameter is True:
            return torch.nn.Parameter(tensor, requires_grad=grad is True)
        return (
            tensor.requires_grad_()
            if grad is True and (dtype.is_floating_point or dtype.is_complex)
            else tensor
        )

    @staticmethod
    def _fits(shape: Any, itemsize: int, data: memoryview) -> None:
        sizes = isinstance(shape, list) and len(shape) <= 32
        if not sizes or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
            raise WireError("not a shape")
        if math.prod(shape) * itemsize != data.nbytes:
            raise WireError("a shape that does not fit its data")


_DECODERS: dict[str, Callable[[_Decoder, list[Any], int], Any]] = {
    "l": lambda d, r, n: d.many(r[0], n),
    "t": lambda d, r, n: tuple(d.many(r[0], n)),
    "s": lambda d, r, n: set(d.keys(r[0], n)),
    "S": lambda d, r, n: frozenset(d.keys(r[0], n)),
    "d": lambda d, r, n: d.mapping(r[0], n),
    "a": lambda d, r, _: d.array(r),
    "n": lambda d, r, _: d.array(r)[()],
    "T": lambda d, r, _: d.tensor(r),
    "b": lambda d, r, _: bytes(d.buffer(r[0])),
    "c": lambda _, r, __: complex(float(r[0]), float(r[1])),
    "i": lambda _, r, __: _integer(r[0]),
    "r": lambda _, r, __: float(r[0]),
}


def _integer(digits: str) -> int:
    if len(digits) > MAX_BITS // 4 + 4:
        raise WireError("an integer too large to be written out")
    return int(digits, 16)


def _unlike(keys: list[Any]) -> None:
    """Refuse keys of which many have one hash: a table of them takes a time that grows with their square."""
    if len(keys) - len({hash(key) for key in keys}) > MAX_COLLISIONS:
        raise WireError("a set or dict made to be slow")


def _text(value: str) -> str:
    """The text without lone surrogates, which no file can hold."""
    return value.encode("utf-8", "replace").decode("utf-8")


def _written(codes: Any) -> None:
    """Put a question mark, as in text, in place of what is no character, or half of one: nothing could print it."""
    codes[(codes > MAX_CHARACTER) | ((codes >= 0xD800) & (codes < 0xE000))] = ord("?")


# --- frames ---------------------------------------------------------------------------------------------


def pack(value: object, export: Export) -> bytes:
    """One frame that holds the value; WireError says what in it can't be sent."""
    encoder = _Encoder(export)
    tree = encoder.tree(value)
    header = json.dumps([tree, [len(b) for b in encoder.buffers]], allow_nan=False).encode("ascii")
    if len(header) > MAX_HEADER:
        raise WireError(f"more than {MAX_HEADER // 2**20} MiB of Python objects: use an array")
    return b"".join((HEADER.pack(len(header), encoder.size), header, *encoder.buffers))


def split(frame: bytes) -> tuple[bytes, bytes]:
    """The header and payload of a whole frame; WireError where it is not whole."""
    if len(frame) < HEADER.size:
        raise WireError("not a frame: too short")
    head, body = HEADER.unpack_from(frame)
    payload = HEADER.size + head
    if len(frame) != payload + body:
        raise WireError("not a frame: torn")
    return frame[HEADER.size : payload], frame[payload:]


def unpack(header: bytes, payload: bytes, resolve: Resolve) -> Any:
    """The value in a frame's two parts; whatever is wrong with it, WireError."""
    try:
        tree, sizes = json.loads(header)
        if not all(type(n) is int and n >= 0 for n in sizes) or sum(sizes) != len(payload):
            raise WireError("buffers that do not fit the frame")
        return _Decoder(sizes, payload, resolve).value(tree)
    except WireError:
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
        MemoryError,
        RuntimeError,  # RecursionError is one
    ) as error:
        raise WireError(f"not a frame: {type(error).__name__}") from None


def send(sock: socket.socket, frame: bytes, wait: Callable[[], None] = lambda: None) -> None:
    """Send one frame; Closed where the other side is gone.

    Args:
        sock: the socket.
        frame: what `pack` made.
        wait: called before each write; returns when something can be written, raises to give up.
    """
    left = memoryview(frame)
    try:
        while left:
            wait()
            with contextlib.suppress(BlockingIOError):
                left = left[sock.send(left) :]
    except (BrokenPipeError, ConnectionResetError):
        raise Closed from None


def receive(sock: socket.socket, wait: Callable[[], None] = lambda: None) -> tuple[bytes, bytes]:
    """The header and payload of the next frame, sizes checked before anything is read.

    Args:
        sock: the socket.
        wait: called before each read; returns when there is something to read, raises to give up.
    """
    head, body = HEADER.unpack(_exactly(sock, HEADER.size, wait))
    if head > MAX_HEADER or body > MAX_PAYLOAD:
        raise WireError("a frame larger than allowed")
    return _exactly(sock, head, wait), _exactly(sock, body, wait)


def _exactly(sock: socket.socket, size: int, wait: Callable[[], None]) -> bytes:
    parts, left = [], size
    while left:
        wait()
        try:
            # A claimed size costs nothing until its bytes arrive.
            part = sock.recv(min(left, 2**20))
        except ConnectionResetError:
            part = b""
        except BlockingIOError:
            raise WireError("bytes out of band") from None
        if not part:
            raise Closed
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
