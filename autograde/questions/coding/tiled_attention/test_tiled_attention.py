from __future__ import annotations

import importlib.util
import math
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
import torch

SINGLE = {"rtol": 1e-4, "atol": 2e-5}
STEEP = {"rtol": 1e-3, "atol": 1e-4}  # with scores of ±300 a weight has a digit less
LARGEST_PTX = 4 * 2**20  # characters; a kernel of this kind has 100 thousand
HALF = {torch.float16: {"rtol": 5e-3, "atol": 5e-3}, torch.bfloat16: {"rtol": 3e-2, "atol": 3e-2}}


def drawn(rng, *shape, dtype=torch.float64):
    """Standard normal numbers."""
    return torch.from_numpy(rng.standard_normal(shape)).to(dtype)


def inputs_for(rng, batch, heads, queries, keys, d, dtype=torch.float32):
    """A query, a key and a value, all different."""
    return tuple(drawn(rng, batch, heads, length, d, dtype=dtype) for length in (queries, keys, keys))


def steered(rng, queries, pulls, d, *leading):
    """A query, a key and a value in float32: for every query the score of key j is near pulls[j]."""
    q = drawn(rng, *leading, queries, d)
    k, v = (drawn(rng, *leading, len(pulls), d) for _ in range(2))
    q[..., 0] = math.sqrt(d)
    k[..., 0] = pulls
    return q.float(), k.float(), v.float()


def pulls_for(keys):
    """Scores that break a running softmax, by what they do: each a tensor (keys,)."""
    steps = torch.arange(keys, dtype=torch.float64) / (keys - 1)
    return {
        "scores that rise from key to key": 6 * steps,
        "scores that rise to 300": 600 * steps - 300,
        "scores that fall from 300": 300 - 600 * steps,
        "scores near −300": -300 + 3 * steps,
        "scores near 300": 300 - 3 * steps,
        "the largest score in the last key": 80.0 * (steps == 1) - 4 * (steps < 0.5),
    }


def rule(queries, keys, causal, kv_len=None, to_length=False):
    """Which keys a query may see: (1 or B, 1, queries, keys). `to_length` aligns with the end of the kv_len keys."""
    i, j = torch.arange(queries)[:, None], torch.arange(keys)
    seen = torch.ones(1, 1, queries, keys, dtype=torch.bool)
    if kv_len is not None:
        lengths = kv_len[:, None, None, None]
        seen = seen & (j < lengths)
        if causal:
            seen = seen & (j <= i + (lengths if to_length else keys) - queries)
    elif causal:
        seen = seen & (j <= i + keys - queries)
    return seen


def oracle(q, k, v, seen=None):
    """The whole table at once, in float64: the output and the log-sum-exp; empty rows are 0 and −inf."""
    q, k, v = q.double(), k.double(), v.double()
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if seen is not None:
        scores = scores.masked_fill(~seen, -math.inf)
    lse = scores.logsumexp(-1)
    weights = torch.exp(scores - lse.masked_fill(lse == -math.inf, 0)[..., None])
    return weights @ v, lse


def gradients(do, q, k, v, seen=None):
    """What autograd says of the oracle: the gradients for q, k and v; and the output and the log-sum-exp."""
    leaves = [x.double().requires_grad_() for x in (q, k, v)]
    # An empty row has a gradient of NaN in a softmax, and of 0 here.
    q, k, v = leaves
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    seen = torch.ones_like(scores, dtype=torch.bool) if seen is None else seen.expand_as(scores)
    empty = ~seen.any(-1, keepdim=True)
    weights = scores.masked_fill(~seen & ~empty, -math.inf).softmax(-1) * ~empty
    o = weights @ v
    lse = scores.detach().masked_fill(~seen, -math.inf).logsumexp(-1)
    return torch.autograd.grad(o, leaves, do.double()), o.detach(), lse


def parts(answer, count, what, names):
    """The things that the learner's code, or the apparatus, returned together."""
    assert isinstance(answer, (tuple, list)), f"{what} must be {names}: it is a {type(answer).__name__}"
    assert len(answer) == count, f"{what} must be {names}: it has {len(answer)} items"
    return answer


def ran(apparatus, function, *tensors, **options):
    """What a function that launches kernels returned, and whether its arguments were left alone."""
    return parts(apparatus.run(function, *tensors, **options), 2, "the call", "a result that can be read")


def counted(apparatus):
    """What was counted in the last call."""
    counts = apparatus.counts()
    is_right = isinstance(counts, dict) and "ready_made" in counts
    assert is_right, "the call gave no result that can be read"
    return counts


def check_forward(close, result, expected, dtype=torch.float32, what="", **tolerance):
    """Compare (o, lse)."""
    o, lse = parts(result, 2, "the result", "a pair (o, lse)")
    tolerance = tolerance or HALF.get(dtype, SINGLE)
    close(o, expected[0].to(dtype), what=f"o{what}", **tolerance)
    close(
        lse, expected[1].float(), what=f"lse{what}", **(tolerance if dtype == torch.float32 else HALF[dtype])
    )


def check_backward(close, result, expected, dtype=torch.float32, what="", **tolerance):
    """Compare (dq, dk, dv)."""
    tolerance = tolerance or HALF.get(dtype, SINGLE)
    found = parts(result, 3, "the result", "a triple (dq, dk, dv)")
    for name, actual, right in zip(("dq", "dk", "dv"), found, expected, strict=True):
        close(actual, right.to(dtype), what=f"{name}{what}", **tolerance)


# --- Task 1 ---


@pytest.mark.points(1)
@pytest.mark.task("blockwise_attention")
def test_blockwise_values(student, rng, close):
    """Tiles give what the whole table gives, for any lengths, blocks and leading dimensions, causal or not."""
    cases = [
        ((), 5, 7, 4, 3, False),
        ((2,), 6, 6, 8, 4, True),
        ((2, 3), 9, 14, 4, 5, True),
        ((3, 1, 2), 10, 4, 6, 2, False),
        ((2, 2), 1, 9, 4, 4, True),
        ((2,), 3, 5, 4, 32, True),
        ((2,), 7, 7, 4, 1, True),
    ]
    for leading, queries, keys, d, block, causal in cases:
        q, k, v = (drawn(rng, *leading, n, d).float() for n in (queries, keys, keys))
        seen = rule(queries, keys, causal)[0, 0]
        what = f"q {tuple(q.shape)}, k {tuple(k.shape)}, block {block}{', causal' * causal}"
        actual = student.blockwise_attention(q, k, v, block=block, causal=causal)
        close(actual, oracle(q, k, v, seen)[0].float(), what=what, **SINGLE)
    q, k, v = (drawn(rng, 2, n, 4) for n in (40, 50, 50))
    close(
        student.blockwise_attention(q, k, v), oracle(q, k, v)[0], what="the default block, float64", **SINGLE
    )


@pytest.mark.points(1)
@pytest.mark.task("blockwise_attention")
def test_blockwise_scores(student, rng, close):
    """Scores of ±300, and a maximum that comes late, are no danger."""
    for what, pulls in pulls_for(23).items():
        q, k, v = steered(rng, 9, pulls, 8, 2)
        close(student.blockwise_attention(q, k, v, block=5), oracle(q, k, v)[0].float(), what=what, **STEEP)
        seen = rule(9, 23, True)[0, 0]
        actual = student.blockwise_attention(q, k, v, block=5, causal=True)
        close(actual, oracle(q, k, v, seen)[0].float(), what=f"{what}, causal", **STEEP)


@pytest.mark.points(1)
@pytest.mark.task("blockwise_attention")
def test_blockwise_gradients(student, rng, close, backward, carried):
    """Autograd finds the gradients of q, k and v through the tiles, and the inputs stay as they were."""
    for leading, queries, keys, block, causal in [((2,), 6, 9, 4, True), ((), 7, 5, 3, False)]:
        q, k, v = (drawn(rng, *leading, n, 4).float() for n in (queries, keys, keys))
        do = drawn(rng, *leading, queries, 4).float()
        expected, o, _ = gradients(do, q, k, v, rule(queries, keys, causal)[0, 0])
        result, (left, _) = carried(student.blockwise_attention, q, k, v, block=block, causal=causal)
        close(result, o.float(), what="the output", **SINGLE)
        for name, before, after in zip("qkv", (q, k, v), left, strict=True):
            close(after, before, rtol=0, atol=0, what=f"{name} after the call")
        output, grads, _ = backward(
            student.blockwise_attention, q, k, v, cotangent=do, wrt=(0, 1, 2), block=block, causal=causal
        )
        close(output, o.float(), what="the output", **SINGLE)
        for place, name in enumerate("qkv"):
            assert grads[place] is not None, f"no gradient arrives at {name}"
            close(grads[place], expected[place].float(), what=f"the gradient for {name}", **SINGLE)


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("blockwise_attention")
def test_blockwise_memory(student, rng, close, apparatus):
    """No tensor of Tq × Tk entries is made, and a query meets at most `block` keys at a time."""
    keys, d, block = 192, 4, 6
    for queries, causal in [(24, False), (24, True), (1, False)]:
        q, k, v = (drawn(rng, n, d).float() for n in (queries, keys, keys))
        answer = apparatus.operations(student.blockwise_attention, q, k, v, block=block, causal=causal)
        result, largest, exponentials, ready_made = parts(answer, 4, "the call", "a result that can be read")
        expected = oracle(q, k, v, rule(queries, keys, causal)[0, 0])[0]
        close(result, expected.float(), what="the output", **SINGLE)
        assert not ready_made, f"ready-made attention ran: {ready_made}"
        # Of one query a table is no larger than the keys, and these may be copied.
        assert queries == 1 or largest < queries * keys, (
            f"a tensor of {largest} numbers was made, and the whole table has {queries * keys}"
        )
        assert exponentials <= queries * block, (
            f"{exponentials} exponentials were taken at once: queries × block is {queries} × {block}"
        )


# --- Task 2 ---


@pytest.mark.points(1)
@pytest.mark.task("tiled_attention")
def test_values(student, rng, close, apparatus):
    """The output and the log-sum-exp are right for every width, and for lengths that fill no tile."""
    for shape in [(2, 3, 5, 7, 32), (1, 1, 70, 131, 64), (1, 1, 33, 1, 128), (1, 1, 1, 150, 32)]:
        q, k, v = inputs_for(rng, *shape)
        result, _ = ran(apparatus, student.tiled_attention, q, k, v)
        check_forward(close, result, oracle(q, k, v), what=f" for (B, H, Tq, Tk, d) = {shape}")


@pytest.mark.points(1)
@pytest.mark.task("tiled_attention")
def test_causal(student, rng, close, apparatus):
    """causal=True aligns the ends; a query that sees no key gives 0, and a log-sum-exp of −inf."""
    for shape in [(1, 2, 40, 40, 32), (1, 1, 20, 90, 64), (1, 1, 140, 70, 32), (1, 1, 70, 150, 32)]:
        q, k, v = inputs_for(rng, *shape)
        result, _ = ran(apparatus, student.tiled_attention, q, k, v, causal=True)
        expected = oracle(q, k, v, rule(*shape[2:4], True))
        check_forward(close, result, expected, what=f" for (B, H, Tq, Tk, d) = {shape}, causal")


@pytest.mark.points(1)
@pytest.mark.task("tiled_attention")
def test_lengths(student, rng, close, apparatus):
    """Every example has its own number of keys, also 0; what lies behind them may be NaN and never shows."""
    for lengths, heads, queries, causal, dtype in [
        ([0, 140, 37, 65], 1, 20, False, torch.int32),
        ([1, 0, 128], 1, 1, False, torch.int64),
        ([37, 70, 0], 2, 30, True, torch.int32),
    ]:
        keys = max(lengths) + (0 if causal else 3)
        kv_len = torch.tensor(lengths, dtype=dtype)
        q, k, v = inputs_for(rng, len(lengths), heads, queries, keys, 32)
        padding = (torch.arange(keys) >= kv_len[:, None])[:, None, :, None]
        given = [x.masked_fill(padding, math.nan) for x in (k, v)]
        result, same = ran(apparatus, student.tiled_attention, q, *given, causal=causal, kv_len=kv_len)
        k, v = (x.masked_fill(padding, 0) for x in (k, v))
        expected = oracle(q, k, v, rule(queries, keys, causal, kv_len))
        if causal:
            other = oracle(q, k, v, rule(queries, keys, causal, kv_len, to_length=True))
            o = parts(result, 2, "the result", "a pair (o, lse)")[0]
            if (
                isinstance(o, torch.Tensor)
                and o.shape == q.shape
                and torch.allclose(o.double(), other[0], atol=1e-3)
            ):
                expected = other
        check_forward(close, result, expected, what=f" with kv_len {lengths}{', causal' * causal}")
        assert same, "the call changed its inputs"


@pytest.mark.points(1)
@pytest.mark.task("tiled_attention")
def test_scores(student, rng, close, apparatus):
    """Scores of ±300, and a maximum that comes in the last tile, are no danger."""
    for what, pulls in pulls_for(140).items():
        q, k, v = steered(rng, 20, pulls, 32, 1, 1)
        result, _ = ran(apparatus, student.tiled_attention, q, k, v)
        check_forward(close, result, oracle(q, k, v), what=f" with {what}", **STEEP)


@pytest.mark.points(1)
@pytest.mark.task("tiled_attention")
def test_precisions(student, rng, close, apparatus):
    """float16 and bfloat16 come back as such, the log-sum-exp in float32, and large values do not overflow."""
    for dtype in (torch.float16, torch.bfloat16):
        q, k, v = inputs_for(rng, 1, 1, 20, 130, 64, dtype=dtype)
        result, _ = ran(apparatus, student.tiled_attention, q, k, v)
        check_forward(close, result, oracle(q, k, v), dtype, what=f" in {dtype}")
    q, k, v = inputs_for(rng, 1, 1, 20, 100, 32)
    q, k, v = (q / 8).half(), k.half(), (3000 + 100 * v).half()
    result, _ = ran(apparatus, student.tiled_attention, q, k, v)
    check_forward(close, result, oracle(q, k, v), torch.float16, what=" with values near 3000")
    q, k, v = inputs_for(rng, 1, 1, 20, 100, 32, dtype=torch.float16)
    q[..., 0], k[:, :, rng.integers(100), 0] = 3000, 3000
    result, _ = ran(apparatus, student.tiled_attention, q, k, v)
    check_forward(close, result, oracle(q, k, v), torch.float16, what=" with scores beyond float16")


@pytest.mark.points(1)
@pytest.mark.task("tiled_attention")
def test_strides(student, rng, close, apparatus):
    """Each input lies in memory as it likes, and is left as it was."""
    for layouts in [("heads last", "padded", "shared"), ("shared", "heads last", "plain")]:
        q, k, v = inputs_for(rng, 2, 2, 20, 40, 32)
        seen = [
            x[:, :1].expand_as(x) if layout == "shared" else x
            for x, layout in zip((q, k, v), layouts, strict=True)
        ]
        result, same = ran(apparatus, student.tiled_attention, q, k, v, layouts=layouts)
        check_forward(close, result, oracle(*seen), what=f" with q, k, v laid out as {', '.join(layouts)}")
        assert same, "the call changed its inputs"


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("tiled_attention")
def test_kernel(student, rng, close, apparatus):
    """A kernel does the work, in tiles whose size does not grow, and skips tiles that no query sees."""
    length = 256
    dots = {}
    for causal in (False, True):
        q, k, v = inputs_for(rng, 1, 1, length, length, 32)
        result, _ = ran(apparatus, student.tiled_attention, q, k, v, causal=causal)
        check_forward(close, result, oracle(q, k, v, rule(length, length, causal)))
        counts = counted(apparatus)
        assert counts["launches"], "no Triton kernel was launched"
        assert counts["dots"], "no tl.dot was computed"
        computed = counts["computed"] + counts["ready_made"]
        assert not computed, f"PyTorch computed what the kernel should: {', '.join(computed)}"
        assert counts["largest"] < length**2, "PyTorch made a tensor of Tq × Tk entries"
        assert counts["tile"] <= 128, (
            f"a program holds a tile with {counts['tile']} queries or keys: at most 128"
        )
        dots[causal] = counts["dots"]
    share = dots[True] / dots[False]
    assert share <= 0.76, f"causal attention still takes {share:.0%} of the multiplications"


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("tiled_attention")
def test_compiles(student, rng, close, apparatus):
    """The kernel compiles for an H100, and fits into its shared memory and its registers."""
    q, k, v = inputs_for(rng, 1, 1, 90, 150, 32, dtype=torch.float16)
    expected = oracle(q, k, v, rule(90, 150, True))
    # Nothing wrong is compiled: that takes ten times as long as running it.
    result, _ = ran(apparatus, student.tiled_attention, q, k, v, causal=True)
    check_forward(close, result, expected, torch.float16)
    answer = apparatus.compiled(student.tiled_attention, q, k, v, causal=True)
    result, made = parts(answer, 2, "the call", "a result that can be read")
    check_forward(close, result, expected, torch.float16)
    assert isinstance(made, list), "the call gave no result that can be read"
    assert made, "no Triton kernel was launched"
    for row in made:
        name, ptx, shared = parts(row, 3, "a kernel", "a result that can be read")
        is_right = isinstance(ptx, str) and len(ptx) <= LARGEST_PTX and isinstance(shared, int)
        assert is_right, f"{name} compiles to more than {LARGEST_PTX // 2**20} MiB of assembly"
        assert shared <= 227 * 1024, f"{name} needs {shared // 1024} KiB of shared memory: an H100 has 227"
        spilled = spills(ptx)
        assert spilled is not None, f"what {name} compiles to is refused by ptxas"
        assert spilled <= 1024, (
            f"{name} spills {spilled} bytes of registers for each thread: smaller tiles, more warps"
        )


def spills(ptx):
    """Bytes of registers that a kernel stores to memory because it has too many, None where it does not assemble.

    0 where there is no ptxas: it comes with Triton.
    """
    found = importlib.util.find_spec("triton")
    ptxas = Path(found.submodule_search_locations[0]) / "backends/nvidia/bin/ptxas" if found else Path()
    if not ptxas.is_file():
        return 0
    with tempfile.TemporaryDirectory(prefix="autograde-ptxas-") as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx, encoding="utf-8")
        command = [ptxas, "-v", "--gpu-name=sm_90a", source, "-o", source.with_suffix(".cubin")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return None
    return sum(map(int, re.findall(r"(\d+) bytes spill stores", done.stderr)))


# --- Task 3 ---


def ran_backward(apparatus, student, do, q, k, v, o, lse, **options):
    """What the learner's backward pass returned, as `ran`; o is rounded to the dtype of q."""
    o, lse = o.to(q.dtype), lse.float()
    return ran(apparatus, student.tiled_attention_backward, do, q, k, v, o, lse, **options)


@pytest.mark.points(1)
@pytest.mark.task("tiled_attention_backward")
def test_backward_values(student, rng, close, apparatus):
    """The three gradients are those of autograd, for all keys or some of them, every width, and half precision."""
    for shape, dtype in [
        ((2, 1, 5, 7, 32), torch.float32),
        ((1, 1, 70, 131, 64), torch.float32),
        ((1, 1, 33, 9, 128), torch.float16),
        ((1, 1, 20, 40, 32), torch.bfloat16),
    ]:
        q, k, v = inputs_for(rng, *shape, dtype=dtype)
        do = drawn(rng, *q.shape, dtype=dtype)
        expected, o, lse = gradients(do, q, k, v)
        result, _ = ran_backward(apparatus, student, do, q, k, v, o, lse)
        check_backward(close, result, expected, dtype, what=f" for (B, H, Tq, Tk, d) = {shape} in {dtype}")
    q, k, v = inputs_for(rng, 1, 1, 20, 90, 32)
    do = drawn(rng, *q.shape, dtype=torch.float32)
    _, o, lse = gradients(do, q, k, v)
    own = slice(rng.integers(20, 40), None)
    weights = torch.exp(q.double() @ k.double().transpose(-2, -1) / math.sqrt(32) - lse[..., None])
    change = (weights * ((do.double() @ v.double().transpose(-2, -1)) - (do * o).sum(-1, keepdim=True)))[
        ..., own
    ]
    change = change / math.sqrt(32)
    expected = (
        change @ k[:, :, own].double(),
        change.transpose(-2, -1) @ q.double(),
        weights[..., own].transpose(-2, -1) @ do.double(),
    )
    result, _ = ran_backward(apparatus, student, do, q, k[:, :, own], v[:, :, own], o, lse)
    check_backward(close, result, expected, what=" for some of the keys that o and lse come from")


@pytest.mark.points(1)
@pytest.mark.task("tiled_attention_backward")
def test_backward_causal(student, rng, close, apparatus):
    """causal=True aligns the ends, empty rows add nothing, scores of ±300 are no danger, inputs may lie anyhow."""
    for shape in [(1, 2, 20, 20, 32), (1, 1, 30, 80, 32), (1, 1, 100, 70, 32)]:
        q, k, v = inputs_for(rng, *shape)
        do = drawn(rng, *q.shape, dtype=torch.float32)
        expected, o, lse = gradients(do, q, k, v, rule(*shape[2:4], True))
        result, same = ran_backward(apparatus, student, do, q, k, v, o, lse, causal=True)
        check_backward(close, result, expected, what=f" for (B, H, Tq, Tk, d) = {shape}, causal")
        assert same, "the call changed its inputs"
    for what in ("scores that rise to 300", "scores near −300"):
        q, k, v = steered(rng, 10, pulls_for(40)[what], 32, 1, 1)
        do = drawn(rng, *q.shape, dtype=torch.float32)
        expected, o, lse = gradients(do, q, k, v)
        result, _ = ran_backward(apparatus, student, do, q, k, v, o, lse)
        check_backward(close, result, expected, what=f" with {what}", rtol=2e-3, atol=2e-2)
    q, k, v, do = (drawn(rng, 1, 1, n, 32, dtype=torch.float16) for n in (10, 20, 20, 10))
    v[..., :2], do[..., 0], do[..., 1] = 300, 300, -300
    expected, o, lse = gradients(do, q, k, v)
    result, _ = ran_backward(apparatus, student, do, q, k, v, o, lse)
    check_backward(close, result, expected, torch.float16, what=" with products of do and o beyond float16")
    layouts = ("heads last", "padded", "heads last", "plain", "heads last")
    q, k, v = inputs_for(rng, 2, 2, 10, 20, 32)
    do = drawn(rng, *q.shape, dtype=torch.float32)
    expected, o, lse = gradients(do, q, k, v)
    result, same = ran_backward(apparatus, student, do, q, k, v, o, lse, layouts=layouts)
    check_backward(close, result, expected, what=" with inputs that lie anyhow")
    assert same, "the call changed its inputs"


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("tiled_attention_backward")
def test_backward_memory(student, rng, close, apparatus):
    """No tensor of Tq × Tk entries is made, and no tile is larger than 128."""
    length = 200
    q, k, v = inputs_for(rng, 1, 1, length, length, 32)
    do = drawn(rng, *q.shape, dtype=torch.float32)
    expected, o, lse = gradients(do, q, k, v)
    result, _ = ran_backward(apparatus, student, do, q, k, v, o, lse)
    check_backward(close, result, expected)
    counts = counted(apparatus)
    assert not counts["ready_made"], f"ready-made attention ran: {', '.join(counts['ready_made'])}"
    limit = 128 * length
    assert counts["largest"] <= limit, (
        f"PyTorch made a tensor of {counts['largest']} numbers: 128 queries or keys × {length} are {limit}"
    )
    assert counts["tile"] <= 128, f"a program holds a tile with {counts['tile']} queries or keys: at most 128"


# --- On a GPU ---


@pytest.mark.points(1)
@pytest.mark.part("cuda")
@pytest.mark.task("tiled_attention")
def test_gpu_values(student, rng, close, apparatus):
    """The real kernel gives what the interpreted one must: every width, dtype, layout, length, and both ways."""
    for shape, dtype, causal in [
        ((2, 3, 200, 333, 32), torch.float16, True),
        ((1, 2, 333, 200, 64), torch.bfloat16, True),
        ((2, 2, 130, 260, 128), torch.float16, False),
        ((1, 2, 100, 150, 64), torch.float32, True),
        ((1, 1, 1, 70, 128), torch.float32, False),
    ]:
        q, k, v = inputs_for(rng, *shape, dtype=dtype)
        seen = rule(*shape[2:4], causal)
        result = apparatus.on_gpu(
            student.tiled_attention, q, k, v, layouts=("heads last", "padded"), causal=causal
        )
        what = f" for (B, H, Tq, Tk, d) = {shape} in {dtype} on the GPU"
        check_forward(close, result, oracle(q, k, v, seen), dtype, what=what)
        do = drawn(rng, *q.shape, dtype=dtype)
        expected, o, lse = gradients(do, q, k, v, seen)
        result = apparatus.on_gpu(
            student.tiled_attention_backward, do, q, k, v, o.to(dtype), lse.float(), causal=causal
        )
        check_backward(close, result, expected, dtype, what=what)
    kv_len = torch.tensor([0, 300, 77])
    q, k, v = inputs_for(rng, 3, 2, 40, 300, 64)
    padding = (torch.arange(300) >= kv_len[:, None])[:, None, :, None]
    given = [x.masked_fill(padding, math.nan) for x in (k, v)]
    result = apparatus.on_gpu(student.tiled_attention, q, *given, kv_len=kv_len)
    expected = oracle(q, k, v.masked_fill(padding, 0), rule(40, 300, False, kv_len))
    check_forward(close, result, expected, what=" with kv_len on the GPU")


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.part("cuda")
@pytest.mark.task("tiled_attention")
def test_gpu_memory(student, close, apparatus):
    """On the GPU a call takes no memory beyond o and lse, and the kernel of your file does the work."""
    answer = apparatus.footprint(student.tiled_attention, (2, 8, 2048, 64), torch.float16)
    part, peak, results, own, everything = parts(answer, 5, "the call", "a result that can be read")
    q, k, v, o, lse = parts(part, 5, "the call", "a result that can be read")
    expected = oracle(q, k, v)
    close(o, expected[0].half(), what="o on the GPU", **HALF[torch.float16])
    close(lse, expected[1].float(), what="lse on the GPU", **HALF[torch.float16])
    # The allocator rounds up each tensor.
    assert peak <= results + 2**20, f"the call takes {peak / 2**20:.0f} MiB, o and lse {results / 2**20:.0f}"
    assert own >= 0.9 * everything > 0, "most of the time on the GPU is not that of a kernel in your file"


def check_speed(student, close, apparatus, least):
    """Compare the time with that of PyTorch's flash attention, and every output with its output."""
    answer = apparatus.race(student.tiled_attention, (2, 16, 4096, 128), torch.bfloat16)
    if answer is None:
        pytest.skip("PyTorch has no flash attention for this GPU: not run here")
    part, worst, ratio = parts(answer, 3, "the calls", "a result that can be read")
    q, k, v, o = parts(part, 4, "the calls", "a result that can be read")
    close(o, oracle(q, k, v)[0].bfloat16(), what="o on the GPU", **HALF[torch.bfloat16])
    assert worst <= 0.05, f"an output differs from that of flash attention by {worst:.3g}"
    assert ratio >= least, (
        f"it runs at {ratio:.0%} of the speed of PyTorch's flash attention here: {least:.0%} is asked"
    )


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.part("cuda")
@pytest.mark.task("tiled_attention")
def test_gpu_half_speed(student, close, apparatus):
    """At length 4096 and width 128 it reaches half of the speed of PyTorch's flash attention on this machine."""
    check_speed(student, close, apparatus, 0.5)


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.part("cuda")
@pytest.mark.task("tiled_attention")
def test_gpu_most_speed(student, close, apparatus):
    """At length 4096 and width 128 it reaches 80 % of the speed of PyTorch's flash attention on this machine."""
    check_speed(student, close, apparatus, 0.8)


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.part("cuda")
@pytest.mark.task("tiled_attention")
def test_gpu_full_speed(student, close, apparatus):
    """At length 4096 and width 128 it is as fast as PyTorch's flash attention on this machine."""
    check_speed(student, close, apparatus, 1.0)
