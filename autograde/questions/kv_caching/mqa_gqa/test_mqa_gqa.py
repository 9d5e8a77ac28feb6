from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

CLOSE = {"rtol": 1e-8, "atol": 1e-10}


def drawn(rng, *shape):
    """A tensor of float64."""
    return torch.tensor(rng.standard_normal(shape))


def inputs(rng, heads, groups, queries, keys, batch=2, d=5):
    """Queries, keys and values."""
    return [drawn(rng, batch, heads, queries, d), *(drawn(rng, batch, groups, keys, d) for _ in range(2))]


def oracle(q, k, v, causal=False):
    """One query head at a time by torch's attention, with the KV head of its group."""
    share, queries, keys = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    places = torch.arange(keys - queries, keys)[:, None] if causal else keys
    seen = (torch.arange(keys) <= places).expand(queries, keys)
    heads = [
        F.scaled_dot_product_attention(q[:, h], k[:, h // share], v[:, h // share], attn_mask=seen)
        for h in range(q.shape[1])
    ]
    return torch.stack(heads, dim=1)


@pytest.mark.points(2)
@pytest.mark.task("attention")
def test_groups(student, rng, close):
    """Neighbouring query heads share a KV head: some groups, one (MQA), as many as heads (MHA)."""
    for heads, groups, queries, keys in [
        (6, 2, 3, 4),
        (8, 4, 5, 5),
        (6, 3, 2, 7),
        (5, 1, 3, 3),
        (4, 4, 6, 2),
    ]:
        q, k, v = inputs(rng, heads, groups, queries, keys)
        what = f"attention of {heads} query heads with {groups} KV heads"
        close(student.grouped_attention(q, k, v), oracle(q, k, v), what=what, **CLOSE)
    q, k, v = inputs(rng, 6, 2, 3, 4)
    q *= 2000
    close(student.grouped_attention(q, k, v), oracle(q, k, v), what="attention with huge scores", **CLOSE)


@pytest.mark.points(1)
@pytest.mark.task("attention")
def test_causal(student, rng, close):
    """A causal query sees its own token and earlier ones, also with a cache: one query, several, all."""
    for heads, groups, queries, keys in [
        (4, 2, 3, 7),
        (6, 3, 5, 5),
        (4, 1, 1, 6),
        (3, 3, 2, 3),
        (2, 1, 1, 1),
    ]:
        q, k, v = inputs(rng, heads, groups, queries, keys)
        what = f"causal attention of {queries} queries with {keys} keys"
        close(student.grouped_attention(q, k, v, causal=True), oracle(q, k, v, True), what=what, **CLOSE)
    q, k, v = inputs(rng, 4, 2, 4, 6)
    q *= 2000
    what = "causal attention with huge scores"
    close(student.grouped_attention(q, k, v, causal=True), oracle(q, k, v, True), what=what, **CLOSE)


@pytest.mark.points(1)
@pytest.mark.task("attention")
def test_gradients(student, rng, close, backward):
    """A KV head collects the gradients of all query heads of its group."""
    given = inputs(rng, 6, 2, 3, 5)
    cotangent = drawn(rng, 2, 6, 3, 5)
    leaves = [x.clone().requires_grad_() for x in given]
    output = oracle(*leaves, True)
    expected = torch.autograd.grad(output, leaves, cotangent)
    found, grads, _ = backward(
        student.grouped_attention, *given, cotangent=cotangent, wrt=(0, 1, 2), causal=True
    )
    close(found, output.detach(), what="the output", **CLOSE)
    for place, name in enumerate("qkv"):
        close(grads[place], expected[place], what=f"the gradient for {name}", **CLOSE)


@pytest.mark.points(1)
@pytest.mark.task("attention")
def test_refused(student, rng, close, carried, raises):
    """Float32 stays float32, arguments are left as they were, groups that do not divide the heads are refused."""
    given = [x.float() for x in inputs(rng, 6, 3, 4, 4)]
    expected = oracle(*(x.double() for x in given)).float()
    actual, (args, _) = carried(student.grouped_attention, *(x.clone() for x in given))
    close(actual, expected, rtol=1e-4, atol=1e-5, what="attention in float32")
    for name, before, after in zip("qkv", given, args, strict=True):
        close(after, before, rtol=0, atol=0, what=f"{name} after the call")
    for heads, groups in [(6, 4), (3, 6), (7, 2)]:
        q, k, v = inputs(rng, heads, groups, 2, 3)
        with raises(ValueError):
            student.grouped_attention(q, k, v)


@pytest.mark.points(1)
@pytest.mark.task("pool")
def test_pool(student, rng, close, carried):
    """Each new head is the mean of its group's, row by row, for weights and biases."""
    for heads, groups, d, rest in [
        (4, 2, 3, (5,)),
        (6, 2, 4, ()),
        (6, 3, 2, (12,)),
        (5, 1, 3, (4,)),
        (3, 3, 2, ()),
    ]:
        weight = drawn(rng, heads * d, *rest)
        share = heads // groups
        expected = torch.zeros(groups * d, *rest, dtype=torch.float64)
        for h in range(heads):
            for i in range(d):
                expected[h // share * d + i] += weight[h * d + i] / share
        actual, (args, _) = carried(student.pool_heads, weight.clone(), heads, groups)
        kind = "weight" if rest else "bias"
        close(actual, expected, what=f"the {kind} of {heads} heads pooled to {groups}", **CLOSE)
        close(args[0], weight, rtol=0, atol=0, what="the weight after the call")


@pytest.mark.points(1)
@pytest.mark.task("pool")
def test_pool_exact(student, rng, close):
    """Where the heads of a group are equal, the pooled model gives what the full one gave."""
    heads, groups, d, width, share = 6, 2, 3, 10, 3
    x, q = drawn(rng, 2, 4, width), drawn(rng, 2, heads, 4, d)
    weights = [
        drawn(rng, groups, 1, d, width).expand(-1, share, -1, -1).reshape(heads * d, width) for _ in range(2)
    ]

    def cut(y, n):
        return y.reshape(2, 4, n, d).transpose(1, 2)

    expected = oracle(q, *(cut(x @ w.T, heads) for w in weights))
    pooled = [student.pool_heads(w, heads, groups) for w in weights]
    for w, original in zip(pooled, weights, strict=True):
        distinct = original.reshape(groups, share, d, width)[:, 0].flatten(0, 1)
        close(w, distinct, what="the weight of equal heads, pooled", **CLOSE)
    actual = oracle(q, *(cut(x @ w.T, groups) for w in pooled))
    close(actual, expected, what="attention with the pooled weights", **CLOSE)


def allocated(layers, groups, head_dim, batch, length, dtype):
    """The bytes of tensors for the keys and values of all layers, made without memory behind them."""
    shape = (2, layers, batch, groups, length, head_dim)
    return torch.empty(shape, dtype=dtype, device="meta").untyped_storage().nbytes()


@pytest.mark.points(2)
@pytest.mark.task("choose")
def test_that_fit(student, rng, close):
    """The largest divisor whose tensors fit: between divisors, at an exact fit, with room for all and for none."""
    cases = [
        (12, 5.5),
        (64, 33.9),
        (40, 9.2),
        (12, 11.9),
        (7, 6.5),
        (6, 50.0),
        (30, 6.0),
        (30, 10.0),
        (1, 1.0),
    ]
    for heads, room in cases:
        layers, head_dim = int(rng.integers(5, 90)), 8 * int(rng.integers(5, 20))
        batch, length = int(rng.integers(2, 30)), int(rng.integers(100, 9000))
        for number_bytes, dtype in ((2, torch.float16), (1, torch.int8)):
            one = allocated(layers, 1, head_dim, batch, length, dtype)
            budget = int(room * one)
            divisors = [g for g in range(1, heads + 1) if heads % g == 0]
            fits = [g for g in divisors if allocated(layers, g, head_dim, batch, length, dtype) <= budget]
            arguments = (heads, layers, head_dim, batch, length)
            actual = student.kv_heads_that_fit(*arguments, budget, number_bytes=number_bytes)
            close(
                actual,
                max(fits),
                what=f"the KV heads of {heads}, room for {room}, number_bytes={number_bytes}",
            )
    actual = student.kv_heads_that_fit(*arguments, one - 1, number_bytes=1)
    assert actual is None, "kv_heads_that_fit must return None where a single KV head does not fit"
