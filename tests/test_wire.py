"""What crosses the wire arrives bit for bit; what must not cross is refused, whoever sends it."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograde import wire
from autograde.wire import WireError

NUMPY = (
    "?",
    "i1",
    "i2",
    "i4",
    "i8",
    "u1",
    "u2",
    "u4",
    "u8",
    "f2",
    "f4",
    "f8",
    "g",
    "F",
    "D",
    "G",
    ">i4",
    ">f8",
)
TORCH = (
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
SHAPES = ((), (0,), (3,), (2, 3), (2, 0, 4), (1, 1, 1, 1))


def no_export(value: object) -> Any:
    """Send data only."""
    raise WireError(f"a {type(value).__name__}")


def no_resolve(tree: Any) -> Any:
    """Take data only."""
    raise WireError("a reference")


def parts(frame: bytes) -> tuple[bytes, bytes]:
    """The header and payload of a frame."""
    head, body = wire.HEADER.unpack_from(frame)
    start = wire.HEADER.size
    assert len(frame) == start + head + body
    return frame[start : start + head], frame[start + head :]


def sent(value: object) -> Any:
    """The value as the other side gets it."""
    return wire.unpack(*parts(wire.pack(value, no_export)), no_resolve)


def forged(tree: Any, sizes: Any = (), payload: bytes = b"") -> Any:
    """What becomes of a frame that somebody wrote by hand."""
    return wire.unpack(json.dumps([tree, sizes]).encode(), payload, no_resolve)


def same(a: Any, b: Any) -> bool:
    """Equal in type, in structure and in every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    return bool(a == b)


def same_array(a: Any, b: Any) -> bool:
    """Equal in type, dtype, shape and bytes."""
    return bool(
        type(a) is type(b)
        and a.dtype == b.dtype
        and a.shape == b.shape
        and np.asarray(a).tobytes() == np.asarray(b).tobytes()
    )


# --- data --------------------------------------------------------------------------------------------------

keys = (
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.tuples(st.integers(), st.text())
)
leaves = keys | st.floats() | st.complex_numbers() | st.sets(keys) | st.frozensets(keys)
nested = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(keys, inner),
    max_leaves=25,
)


@settings(deadline=None, max_examples=150)
@given(nested)
def test_plain_data(value):
    """Nested Python data arrives with its types and every bit of its floats."""
    assert same(sent(value), value)


def test_set_of_frozensets():
    """A set whose members are sets arrives: frozen stays frozen."""
    value = {frozenset({1, 2}), frozenset()}
    assert same(sent(value), value)
    assert same(sent({frozenset({1}): "a"}), {frozenset({1}): "a"})


@pytest.mark.parametrize(
    "value", [2**63 - 1, -(2**63), 2**63, -(2**200), 10**3900], ids=lambda v: f"{v.bit_length()}"
)
def test_large_integers(value):
    """An integer of any size arrives."""
    assert sent(value) == value


def test_subclasses_become_plain():
    """A str, int, float, list or dict of the learner's own class arrives as the plain type, whatever it claims."""

    class Text(str):
        __slots__ = ()

        def __eq__(self, other):
            return True

        __hash__ = str.__hash__

        def __str__(self):
            return "right"

    class Number(int):
        def __index__(self):
            return 42

        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    class Real(float):
        def __float__(self):
            return 42.0

    class Items(list):
        def __iter__(self):
            return iter([42])

        def __len__(self):
            return 42

    class Table(dict):
        def items(self):
            return [("answer", 42)]

    arrived = sent([Text("wrong"), Number(1), Real(1.5), Items([0]), Table(a=0)])
    assert same(arrived, ["wrong", 1, 1.5, [0], {"a": 0}])


def test_text_without_surrogates():
    """Text with half a character in it arrives as text that can be written to a file, from hostile senders too."""
    assert sent("a\ud800b") == "a?b"
    assert forged("a\ud800b") == "a?b"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NUMPY)
def test_arrays(name, shape):
    """An array of every dtype and shape arrives with its dtype, its shape and its bytes."""
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(name)
    arrived = sent(array)
    assert same_array(arrived, array)
    assert arrived.flags.writeable


def test_array_views():
    """Strided, reversed, transposed, broadcast, Fortran-ordered and read-only arrays arrive by their values."""
    base = np.arange(24.0).reshape(4, 6)
    frozen = base.copy()
    frozen.flags.writeable = False
    views = [
        base[:, ::2],
        base[::-1],
        base.T,
        np.broadcast_to(base, (3, 4, 6)),
        np.asfortranarray(base),
        frozen,
    ]
    assert all(same_array(sent(view), view) for view in views)


def test_array_of_text():
    """Arrays of str and bytes arrive."""
    for array in (
        np.array(["", "ab", "é😀"]),
        np.array([b"x", b"yz"]),
        np.array([], dtype="U"),
        np.array("one"),
    ):
        assert same_array(sent(array), array)


@pytest.mark.parametrize("order", "<>")
def test_array_of_no_text(order):
    """What is no character in an array of text arrives as a question mark: it could be neither printed nor stored."""
    codes = np.array([0x61, 0xD800, 0xFFFFFFFF, 0x10FFFF], dtype=f"{order}u4")
    assert sent(codes.view(f"{order}U1")).tolist() == ["a", "?", "?", "\U0010ffff"]


def test_array_scalars():
    """A NumPy scalar arrives as a scalar of its own dtype."""
    for scalar in (
        np.float32(0.1),
        np.int16(-3),
        np.bool_(True),
        np.complex64(1j),
        np.float64("nan"),
        np.str_("ab"),
    ):
        assert same_array(sent(scalar), scalar)


def test_odd_floats():
    """NaN payloads, infinities, negative zero and subnormal numbers keep every bit in an array."""
    bits = np.array([0x7FF8000000000123, 0xFFF0000000000000, 0x8000000000000000, 1], dtype=np.uint64)
    assert sent(bits.view(np.float64)).view(np.uint64).tolist() == bits.tolist()


def test_array_subclasses_become_plain():
    """A masked array and an array that lies about its shape arrive as the bytes they hold."""

    class Liar(np.ndarray):
        shape = (7,)

        def __eq__(self, other):
            return True

        __hash__ = None

        def tobytes(self):
            return b"forged"

    for value in (np.ma.array([1.0, 2.0], mask=[0, 1]), np.zeros(2).view(Liar)):
        arrived = sent(value)
        assert type(arrived) is np.ndarray
        assert arrived.tobytes() == np.ndarray.tobytes(value)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TORCH, ids=lambda d: str(d).removeprefix("torch."))
def test_tensors(dtype, shape):
    """A tensor of every dtype and shape arrives equal."""
    tensor = torch.arange(math.prod(shape)).reshape(shape).to(dtype)
    arrived = sent(tensor)
    assert type(arrived) is torch.Tensor
    assert (arrived.dtype, arrived.shape, arrived.requires_grad) == (dtype, tensor.shape, False)
    assert torch.equal(arrived, tensor)


def test_tensor_views():
    """Conjugated, negated, expanded, transposed and sliced tensors arrive by their values, and can be written."""
    base = torch.arange(12.0).reshape(3, 4)
    turned = torch.complex(base, base + 1)
    for view in (turned.conj(), turned.conj().imag, base[:1].expand(5, 4), base.T, base[:, 1::2]):
        arrived = sent(view)
        assert torch.equal(arrived, view)
        arrived.add_(1)


def test_tensor_flags():
    """requires_grad and being a Parameter arrive; what was computed arrives as a leaf."""
    parameter = torch.nn.Parameter(torch.ones(2))
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    computed = parameter * 2
    imaginary = torch.ones(2, dtype=torch.complex64, requires_grad=True)
    arrived = sent([parameter, frozen, computed, imaginary])
    assert [type(t) for t in arrived] == [torch.nn.Parameter, torch.nn.Parameter, torch.Tensor, torch.Tensor]
    assert [t.requires_grad for t in arrived] == [True, False, True, True]
    assert all(t.is_leaf for t in arrived)


def test_tensor_subclass_becomes_plain():
    """A tensor subclass that lies to every function is read as the data it holds."""

    class Liar(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return torch.full((2,), 42.0)

    arrived = sent(torch.zeros(2).as_subclass(Liar))
    assert type(arrived) is torch.Tensor
    assert arrived.tolist() == [0.0, 0.0]


# --- what is no data ---------------------------------------------------------------------------------------


def looped() -> list[Any]:
    """A list that contains itself."""
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (torch.eye(2).to_sparse(), "sparse"),
        (torch.empty(2, device="meta"), "meta"),
        (np.array([object()]), "dtype"),
        (np.array(["2026-01-01"], dtype="datetime64[D]"), "dtype"),
        (np.zeros(2, dtype=[("a", "f8")]), "dtype"),
        (looped(), "itself"),
        (np.zeros(wire.MAX_PAYLOAD + 1, dtype=np.uint8), "MiB"),
        (["x" * 1000] * 5000, "use an array"),
        (10**9000, "an integer of more than 13000 bits"),
        (object(), "object"),
    ],
    ids=["sparse", "meta", "objects", "dates", "records", "loop", "large", "many", "integer", "object"],
)
def test_refused(value, says):
    """What can't be sent as data is refused with a message that names it."""
    with pytest.raises(WireError, match=says):
        sent(value)


# --- frames that lie ---------------------------------------------------------------------------------------


def survives(header: bytes, payload: bytes) -> None:
    """Unpacking gives a value or a WireError, and nothing else."""
    with contextlib.suppress(WireError):
        wire.unpack(header, payload, no_resolve)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.binary(max_size=50))
def test_random_bytes(header, payload):
    """Random bytes are refused."""
    survives(header, payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
tagged = st.tuples(
    st.sampled_from([*"ltsSdanTbcirhf", "x"]),
    st.lists(
        json_values | st.sampled_from(["<f8", "float32", "|u1", "<U3", [2], [0, 2**39], "0x1"]), max_size=5
    ),
).map(lambda pair: [pair[0], *pair[1]])


@settings(deadline=None, max_examples=300)
@given(tagged | st.lists(tagged).map(lambda items: ["l", items]), st.binary(max_size=40))
def test_wrong_trees(tree, payload):
    """Known tags around what does not belong there are refused."""
    survives(json.dumps([tree, [len(payload)]]).encode(), payload)


VALID = [1, "two", {"a": np.arange(3.0)}, torch.ones(2, dtype=torch.bfloat16), b"xyz", (1j, {4}), 2**70]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_mutated_frames(data):
    """A valid frame with some bytes changed, dropped or added is read or refused."""
    header, payload = parts(wire.pack(VALID, no_export))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(header)))
        header = header[:at] + data.draw(st.binary(max_size=3)) + header[at + data.draw(st.integers(0, 3)) :]
    survives(header, payload[data.draw(st.integers(0, 2)) :])


@pytest.mark.parametrize(
    ("tree", "sizes", "payload"),
    [
        (["a", "<f8", [2], 0], [8], bytes(8)),
        (["a", "<f8", [-1], 0], [8], bytes(8)),
        (["a", "<f8", [True], 0], [8], bytes(8)),
        (["a", "<f8", [1.0], 0], [8], bytes(8)),
        (["a", "<f8", "1", 0], [8], bytes(8)),
        (["a", "<f8", [1] * 40, 0], [8], bytes(8)),
        (["a", "<f8", [0, 2**39, 2**39], 0], [0], b""),
        (["a", "O", [1], 0], [8], bytes(8)),
        (["a", "<U0", [2**39], 0], [0], b""),
        (["a", "<M8[ns]", [1], 0], [8], bytes(8)),
        (["a", "<f8,<f8", [1], 0], [16], bytes(16)),
        (["T", "float32", [3], 0, False, False], [4], bytes(4)),
        (["T", "qint8", [4], 0, False, False], [4], bytes(4)),
        (["T", "int64", [1], 0, True, True], [8], bytes(8)),
        (["b", 1], [1], b"x"),
        (["b", -1], [1], b"x"),
        (["b", 0], [2], b"x"),
        (["b", 0], [-1, 2], b"x"),
        (["b", 0], [True], b"x"),
        (["l", [["b", 0], ["b", 0]]], [1], b"x"),
        (["s", [["l", []]]], [], b""),
        (["d", [[["d", []], 1]]], [], b""),
        (["i", "5" * 10], [], b"x"),
        (["i", 5], [], b""),
        (["i", "5" * 4000], [], b""),
        (["h", 1], [], b""),
        (["zzz"], [], b""),
        ([], [], b""),
        ({}, [], b""),
        ([["l"], 1], [], b""),
    ],
    ids=lambda value: json.dumps(value)[:40] if not isinstance(value, bytes) else "",
)
def test_forged_frames(tree, sizes, payload):
    """Wrong shapes, dtypes, sizes, places and tags are refused."""
    with pytest.raises(WireError):
        forged(tree, sizes, payload)


@pytest.mark.parametrize("depth", [66, 1000, 200_000])
def test_deep_nesting(depth):
    """Deep nesting is refused before it can exhaust the stack."""
    header = b"[" + b'["l",[' * depth + b"]]" * depth + b",[]]"
    with pytest.raises(WireError):
        wire.unpack(header, b"", no_resolve)


def test_huge_decimal():
    """An integer with more digits than Python reads is refused."""
    with pytest.raises(WireError):
        wire.unpack(b"[" + b"9" * 100_000 + b",[]]", b"", no_resolve)


def test_colliding_keys():
    """A set or a dict whose keys all have one hash, to keep the grader busy for hours, is refused."""
    keys = [["i", hex(n * (2**61 - 1))] for n in range(20_000)]
    with pytest.raises(WireError, match="slow"):
        forged(["s", keys])
    with pytest.raises(WireError, match="slow"):
        forged(["d", [[key, None] for key in keys]])


def test_one_buffer_many_times():
    """A frame that names one buffer many times costs no more memory than it has bytes."""
    size, times = 2**20, 1000
    header = json.dumps([["l", [["b", 0]] * times], [size]]).encode()
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            wire.unpack(header, bytes(size), no_resolve)
        assert tracemalloc.get_traced_memory()[1] < 20 * size
    finally:
        tracemalloc.stop()


# --- sockets -----------------------------------------------------------------------------------------------


def test_frames_over_a_socket():
    """Frames arrive one after another, and the end of the other side is told apart."""
    ours, theirs = socket.socketpair()
    with ours:
        for value in (1, np.arange(1000)):
            wire.send(theirs, wire.pack(value, no_export))
        theirs.close()
        assert wire.unpack(*wire.receive(ours), no_resolve) == 1
        assert wire.unpack(*wire.receive(ours), no_resolve).sum() == 499500
        with pytest.raises(wire.Closed):
            wire.receive(ours)
        with pytest.raises(wire.Closed):
            wire.send(ours, b"x" * 10)


@pytest.mark.parametrize(
    ("head", "body"), [(wire.MAX_HEADER + 1, 0), (0, wire.MAX_PAYLOAD + 1), (2**32 - 1, 2**64 - 1)]
)
def test_claimed_sizes(head, body):
    """A frame that claims too much is refused by its sizes: none of it is read."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.HEADER.pack(head, body) + b"rest")
        with pytest.raises(WireError, match="larger than allowed"):
            wire.receive(ours)
        assert ours.recv(10) == b"rest"


def test_nothing_where_something_was_promised():
    """A socket that is ready and gives nothing, as out-of-band bytes make it, holds nobody up."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        with pytest.raises(wire.WireError, match="out of band"):
            wire.receive(ours)


def test_claimed_size_costs_nothing():
    """A frame that claims much and sends little takes the memory of what it sent."""
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(wire.HEADER.pack(2, wire.MAX_PAYLOAD) + b"{}" + b"few")
        theirs.close()
        tracemalloc.start()
        try:
            with pytest.raises(wire.Closed):
                wire.receive(ours)
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()


def test_wait_gives_up():
    """Whoever waits for a frame is asked before each read and can give up in the middle of one."""
    ours, theirs = socket.socketpair()
    asked = []

    def wait() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise TimeoutError

    with ours, theirs:
        theirs.sendall(wire.HEADER.pack(100, 0) + b"half")
        with pytest.raises(TimeoutError):
            wire.receive(ours, wait)
