from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

NAMES = ("W_q", "W_k", "W_v", "W_o")
# Well above what another order of the same operations changes, and far below what any mistake changes.
LOOSE = {"rtol": 1e-4, "atol": 1e-5, "dtype": False}


def drawn(rng, *shape):
    """Standard normal numbers in float64."""
    return torch.from_numpy(rng.standard_normal(shape))


def weights_for(rng, d_model, bias=True):
    """A state dict of the four projections."""
    weights = {f"{name}.weight": drawn(rng, d_model, d_model) / math.sqrt(d_model) for name in NAMES}
    if bias:
        weights |= {f"{name}.bias": drawn(rng, d_model) / 2 for name in NAMES}
    return weights


def built(student, weights, heads, *, double=True, **options):
    """The learner's module with these weights."""
    mha = student.MultiHeadAttention(len(weights["W_q.weight"]), heads, **options)
    if double:
        mha.double()
    mha.load_state_dict(weights)
    return mha


def pulled(weights, heads):
    """These weights with biases that bring the scores near 10⁵, and near −10⁵ in every other head."""
    d_model = len(weights["W_q.bias"])
    d_head = d_model // heads
    # The biases alone give a score of size² · d_head / √d_head = 10⁵, the same for all keys of a query: the keys'
    # features sum to 0 in each head, so that their differences stay ordinary.
    size = torch.full((d_model,), math.sqrt(1e5 / math.sqrt(d_head)), dtype=torch.float64)
    odd = torch.arange(d_model) // d_head % 2 == 1
    of_keys = weights["W_k.weight"].unflatten(0, (heads, d_head))
    of_keys = (of_keys - of_keys.mean(1, keepdim=True)).flatten(0, 1)
    return weights | {"W_q.bias": size, "W_k.bias": torch.where(odd, -size, size), "W_k.weight": of_keys}


def inputs_for(rng, batch, queries, keys, d_model):
    """A query, a key and a value, all different."""
    return tuple(drawn(rng, batch, length, d_model) for length in (queries, keys, keys))


def oracle(weights, heads, query, key, value, allowed=None):
    """PyTorch's own multi-head attention, with an explicit mask in place of `causal`."""
    batch, queries, d_model = query.shape
    forbidden = None
    if allowed is not None:
        forbidden = ~allowed.expand(batch, heads, queries, key.shape[1]).flatten(0, 1)
    biases = [weights[f"{name}.bias"] for name in NAMES[:3] if f"{name}.bias" in weights]
    output, _ = F.multi_head_attention_forward(
        *(x.transpose(0, 1) for x in (query, key, value)),
        embed_dim_to_check=d_model,
        num_heads=heads,
        in_proj_weight=torch.cat([weights[f"{name}.weight"] for name in NAMES[:3]]),
        in_proj_bias=torch.cat(biases) if biases else None,
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=weights["W_o.weight"],
        out_proj_bias=weights.get("W_o.bias"),
        need_weights=False,
        attn_mask=forbidden,
    )
    return output.transpose(0, 1)


def some_allowed(rng, *shape):
    """A random mask in which every row has an allowed key."""
    mask = rng.random(shape) < 0.5
    np.put_along_axis(mask, rng.integers(shape[-1], size=(*shape[:-1], 1)), True, axis=-1)
    return torch.from_numpy(mask)


def past(queries, keys):
    """Which keys a query may see, the ends aligned."""
    return torch.arange(keys) <= torch.arange(queries)[:, None] + keys - queries


def lengths_mask(rng, batch, keys):
    """Padding of another length in every example, as (B, 1, 1, Tk)."""
    lengths = torch.from_numpy(rng.permutation(np.arange(1, keys))[:batch])
    return (torch.arange(keys) < lengths[:, None])[:, None, None]


@pytest.mark.points(1)
@pytest.mark.task("multi_head_attention")
def test_values(student, rng, close):
    """Self-attention and cross-attention give what PyTorch gives, for any lengths and numbers of heads."""
    cases = [(2, 5, 5, 16, 2), (3, 4, 6, 12, 3), (2, 6, 3, 10, 5), (1, 1, 4, 6, 1)]
    for batch, queries, keys, d_model, heads in cases:
        weights = weights_for(rng, d_model)
        query, key, value = inputs_for(rng, batch, queries, keys, d_model)
        mha = built(student, weights, heads)
        what = f"cross-attention with {heads} heads on query {tuple(query.shape)}, key {tuple(key.shape)}"
        close(mha(query, key, value), oracle(weights, heads, query, key, value), what=what, **LOOSE)
        what = f"self-attention with {heads} heads on {tuple(query.shape)}"
        close(mha(query, query, query), oracle(weights, heads, query, query, query), what=what, **LOOSE)


@pytest.mark.points(1)
@pytest.mark.task("multi_head_attention")
def test_parameters(student, rng, close, raises):
    """bias=False means no bias anywhere, and a d_model that the heads do not divide raises ValueError."""
    weights = weights_for(rng, 12, bias=False)
    query, key, value = inputs_for(rng, 2, 4, 5, 12)
    mha = built(student, weights, 2, bias=False)
    expected = oracle(weights, 2, query, key, value)
    close(mha(query, key, value), expected, what="attention with bias=False", **LOOSE)
    for d_model, heads in [(10, 4), (4, 8)]:
        with raises(ValueError):
            student.MultiHeadAttention(d_model, heads)


@pytest.mark.points(2)
@pytest.mark.task("multi_head_attention")
def test_gradients(student, rng, close, backward):
    """The gradients for query, key, value and all eight parameters are right, with and without a mask."""
    for heads, mask in [(3, None), (2, some_allowed(rng, 2, 1, 4, 5))]:
        weights = weights_for(rng, 12)
        inputs = inputs_for(rng, 2, 4, 5, 12)
        cotangent = drawn(rng, 2, 4, 12)
        leaves = [x.clone().requires_grad_() for x in (*inputs, *weights.values())]
        named = dict(zip(weights, leaves[3:], strict=True))
        output = oracle(named, heads, *leaves[:3], mask)
        expected = torch.autograd.grad(output, leaves, cotangent)
        mha = built(student, weights, heads)
        close(mha(*inputs, mask=mask), output.detach(), what="the output", **LOOSE)
        output_there, grads, of_parameters = backward(
            mha, *inputs, cotangent=cotangent, wrt=(0, 1, 2), module=mha, mask=mask
        )
        close(output_there, output.detach(), what="the output", **LOOSE)
        found = [grads[place] for place in range(3)] + [of_parameters.get(name) for name in weights]
        for name, actual, gradient in zip(("query", "key", "value", *weights), found, expected, strict=True):
            assert actual is not None, f"no gradient arrives at {name}"
            close(actual, gradient, what=f"the gradient for {name}", **LOOSE)


@pytest.mark.points(2)
@pytest.mark.task("multi_head_attention")
def test_mask(student, rng, close):
    """A mask of any shape holds for its example and head, and what it forbids has weight 0 whatever the scores."""
    batch, heads, queries, keys, d_model = 3, 3, 4, 6, 12
    shapes = [
        (queries, keys),
        (batch, 1, queries, keys),
        (batch, 1, queries, queries),
        (1, heads, queries, keys),
        (batch, heads, queries, keys),
        (batch, 1, 1, keys),
        (heads, queries, keys),
    ]
    weights = weights_for(rng, d_model)
    query, key, value = inputs_for(rng, batch, queries, keys, d_model)
    mha = built(student, weights, heads)
    for shape in shapes:
        mask = some_allowed(rng, *shape)
        inputs = (query, key[:, : shape[-1]], value[:, : shape[-1]])
        expected = oracle(weights, heads, *inputs, mask)
        close(mha(*inputs, mask), expected, what=f"attention with a mask {shape}", **LOOSE)
    # Scores of 10⁵ and of −10⁵: below most finite numbers that one might give to a forbidden key.
    extreme = pulled(weights, heads)
    mask = some_allowed(rng, batch, heads, queries, keys)
    expected = oracle(extreme, heads, query, key, value, mask)
    what = "attention with a mask and scores near ±100000"
    close(built(student, extreme, heads)(query, key, value, mask), expected, what=what, **LOOSE)
    # Padding that holds large numbers: a score of 10⁵ must not come through either.
    mask = lengths_mask(rng, batch, keys)
    padding = ~mask[:, 0, 0, :, None]
    key, value = (x + 1e5 * padding * drawn(rng, *x.shape) for x in (key, value))
    expected = oracle(weights, heads, query, key, value, mask)
    what = "padding that holds large numbers"
    close(mha(query, key, value, mask=mask), expected, what=what, **LOOSE)


@pytest.mark.points(2)
@pytest.mark.task("multi_head_attention")
def test_causal(student, rng, close):
    """causal=True hides the future with the ends aligned, also with fewer queries than keys and with a mask."""
    for queries, keys in [(5, 5), (3, 6), (1, 4)]:
        weights = weights_for(rng, 8)
        query, key, value = inputs_for(rng, 2, queries, keys, 8)
        expected = oracle(weights, 2, query, key, value, past(queries, keys))
        what = f"causal attention of {queries} queries over {keys} keys"
        close(built(student, weights, 2)(query, key, value, causal=True), expected, what=what, **LOOSE)
    extreme = pulled(weights_for(rng, 8), 2)
    query, key, value = inputs_for(rng, 2, 4, 6, 8)
    expected = oracle(extreme, 2, query, key, value, past(4, 6))
    what = "causal attention with scores near ±100000"
    close(built(student, extreme, 2)(query, key, value, causal=True), expected, what=what, **LOOSE)
    for shape in [(2, 1, 1, 6), (2, 1, 4, 6), (4, 6)]:
        weights = weights_for(rng, 8)
        query, key, value = inputs_for(rng, 2, 4, 6, 8)
        mask = some_allowed(rng, *shape)
        # Something to see, something hidden in the past, something shown in the future: "and", "or" and either differ.
        mask[..., 0], mask[..., 1], mask[..., -1] = True, False, True
        expected = oracle(weights, 2, query, key, value, mask & past(4, 6))
        actual = built(student, weights, 2)(query, key, value, mask=mask, causal=True)
        close(actual, expected, what=f"causal attention with a mask {shape}", **LOOSE)


@pytest.mark.points(1)
@pytest.mark.task("multi_head_attention")
def test_dropout(student, rng, close):
    """In training each attention weight is dropped on its own, anew each time, the rest divided by 1 − dropout."""
    batch, heads, queries, keys, rate = 8, 4, 32, 8, 0.3
    d_model = heads * 2 * keys
    # Values and W_o are chosen so that each head puts out its weights, twice: (w, w).
    weights = weights_for(rng, d_model)
    for name in ("W_v", "W_o"):
        weights[f"{name}.weight"] = torch.eye(d_model, dtype=torch.float64)
        weights[f"{name}.bias"] = torch.zeros(d_model, dtype=torch.float64)
    query, key, _ = inputs_for(rng, batch, queries, keys, d_model)
    value = torch.eye(keys, dtype=torch.float64).repeat(1, 2 * heads).expand(batch, keys, d_model)
    plain = oracle(weights, heads, query, key, value)
    mha = built(student, weights, heads, dropout=rate)
    mha.eval()
    close(mha(query, key, value), plain, what="attention in evaluation", **LOOSE)
    mha.train()
    actual = mha(query, key, value)
    is_right = isinstance(actual, torch.Tensor) and actual.shape == plain.shape and actual.is_floating_point()
    assert is_right, "in training the result must have the same type and shape as in evaluation"
    expected = plain / (1 - rate)
    kept = actual.double() > expected / 2
    close(actual, torch.where(kept, expected, 0.0), what="attention with dropout in training", **LOOSE)
    pair = kept.unflatten(-1, (heads, 2, keys))
    assert torch.equal(pair[..., 0, :], pair[..., 1, :]), (
        "features of one head lose different keys: dropout belongs on the attention weights"
    )
    # N = 8192 weights, each kept with probability 0.7. Hoeffding: a mean of n independent numbers from 0 to 1 is
    # off by more than sqrt(ln(2/a) / 2n) with probability at most a. Five checks, each with a = 1e-6 / 5.
    kept = pair[..., 0, :].double()
    limit = math.sqrt(math.log(2 * 5 / 1e-6) / (2 * kept.numel()))
    share = 1 - kept.mean().item()
    assert abs(share - rate) <= limit, "the share of weights that are dropped is not `dropout`"
    # Neighbours along each axis, in N/2 disjoint pairs: alike with probability 0.7² + 0.3².
    limit = math.sqrt(math.log(2 * 5 / 1e-6) / kept.numel())
    for axis, name in enumerate(("examples", "queries", "heads", "keys")):
        first, second = kept.unflatten(axis, (-1, 2)).unbind(axis + 1)
        alike = (first == second).double().mean().item()
        assert abs(alike - (1 - 2 * rate * (1 - rate))) <= limit, f"{name} do not lose weights independently"
    again = mha(query, key, value)
    assert not torch.equal(again, actual), "a second call in training drops the very same weights"


@pytest.mark.points(1)
@pytest.mark.task("multi_head_attention")
def test_evaluation(student, rng, close):
    """In evaluation there is no dropout: the same answer each time, as if dropout were 0."""
    weights = weights_for(rng, 12)
    query, key, value = inputs_for(rng, 2, 5, 7, 12)
    expected = oracle(weights, 2, query, key, value)
    mha = built(student, weights, 2, dropout=0.4)
    mha.eval()
    for what in ("the first call", "the second call"):
        close(mha(query, key, value), expected, what=f"attention in evaluation, {what}", **LOOSE)


@pytest.mark.points(1)
@pytest.mark.task("multi_head_attention")
def test_precision(student, rng, close):
    """A float64 module keeps all its digits, and a float32 module gives float32."""
    weights = weights_for(rng, 12)
    inputs = inputs_for(rng, 2, 5, 7, 12)
    mask = torch.ones(2, 1, 5, 7, dtype=torch.bool)
    # d_head = 6: its root is no float32, so that a scale in float32 shows.
    expected = oracle(weights, 2, *inputs)
    actual = built(student, weights, 2)(*inputs, mask=mask)
    close(actual, expected, rtol=1e-9, atol=1e-10, what="attention in float64")
    single = {name: x.float() for name, x in weights.items()}
    actual = built(student, single, 2, double=False)(*(x.float() for x in inputs), mask=mask)
    close(actual, expected.float(), what="attention in float32")


@pytest.mark.points(1)
@pytest.mark.task("multi_head_attention")
def test_side_effects(student, rng, close, carried):
    """A call leaves its inputs as they were, and changes nothing for later calls or other instances."""
    weights, others = weights_for(rng, 12), weights_for(rng, 12)
    query, key, value = inputs_for(rng, 2, 4, 6, 12)
    mask = torch.ones(2, 1, 4, 6, dtype=torch.bool)
    given = (query, key, value, mask)
    mha, other = built(student, weights, 3), built(student, others, 2)
    result, (left, _) = carried(mha, *given, causal=True)
    expected = oracle(weights, 3, query, key, value, past(4, 6))
    close(result, expected, what="attention beside another instance", **LOOSE)
    for name, before, after in zip(("query", "key", "value", "mask"), given, left, strict=True):
        close(after, before, rtol=0, atol=0, what=f"{name} after the call")
    close(other(*given), oracle(others, 2, *given), what="the other instance, with its own weights", **LOOSE)
    for queries, keys in [(2, 3), (4, 5)]:
        inputs = inputs_for(rng, 3, queries, keys, 12)
        expected = oracle(weights, 3, *inputs, past(queries, keys))
        close(mha(*inputs, causal=True), expected, what="a later call with other lengths", **LOOSE)


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("multi_head_attention")
def test_by_hand(student, rng, close, apparatus):
    """It is written by hand: no ready-made attention runs, and no tensor goes through another precision."""
    for double, dtype in [(True, torch.float64), (False, torch.float32)]:
        weights = {name: x.to(dtype) for name, x in weights_for(rng, 12).items()}
        query, key, value = (x.to(dtype) for x in inputs_for(rng, 2, 4, 6, 12))
        mask = torch.ones(2, 1, 4, 6, dtype=torch.bool)
        mha = built(student, weights, 3, double=double)
        watched = apparatus.watched(mha, query, key, value, mask=mask)
        assert type(watched) is tuple, "the call gave no result"
        result, ready_made, precisions = watched
        expected = oracle(weights, 3, query, key, value)
        close(result, expected, what=f"attention in {dtype}", rtol=1e-4, atol=1e-5, dtype=False)
        assert not ready_made, f"ready-made attention ran: {', '.join(ready_made)}"
        assert not precisions, f"a tensor of {dtype} was copied to {', '.join(precisions)} on the way"


def numpy_oracle(q, k, v, mask=None):
    """Output and weights by PyTorch's attention; the weights are its output for the identity as values."""
    q, k, v = (torch.from_numpy(x) for x in (q, k, v))
    mask = None if mask is None else torch.from_numpy(mask)
    identity = torch.eye(k.shape[-2], dtype=k.dtype).expand(*k.shape[:-1], k.shape[-2])
    return tuple(F.scaled_dot_product_attention(q, k, x, mask).numpy() for x in (v, identity))


def numpy_inputs(rng, *lead, queries=4, keys=6):
    """q, k and v with d = 5 and d_v = 3."""
    sizes = ((queries, 5), (keys, 5), (keys, 3))
    return tuple(rng.standard_normal((*lead, length, width)) for length, width in sizes)


@pytest.mark.points(1)
@pytest.mark.task("attention_numpy")
def test_numpy(student, rng, close, parts):
    """Output and weights are right for any leading dimensions, to 9 digits, also for large scores."""
    # All sizes of (5,) are 5: a product of the wrong axes gives numbers there, by which it is recognised.
    sizes = [((), 4, 6), ((5,), 5, 5), ((2, 3), 4, 6), ((1, 2), 1, 1)]
    cases = [numpy_inputs(rng, *lead, queries=queries, keys=keys) for lead, queries, keys in sizes]
    for q, k, v in cases:
        output, weights = parts(student.attention(q, k, v), "output", "weights", what="attention")
        expected = numpy_oracle(q, k, v)
        close(output, expected[0], what=f"the output for q {q.shape}, k {k.shape}", rtol=1e-9, atol=1e-12)
        close(weights, expected[1], what=f"the weights for q {q.shape}, k {k.shape}", rtol=1e-9, atol=1e-12)
    # One query per slice has a score of about 4000, the others stay ordinary.
    q, k, v = numpy_inputs(rng, 2, 3)
    k[..., 0, :] = rng.choice([-1.0, 1.0], 5)
    q[..., 1, :] = 2000 * k[..., 0, :]
    output, weights = parts(student.attention(q, k, v), "output", "weights", what="attention")
    expected = numpy_oracle(q, k, v)
    close(output, expected[0], what="the output with scores in the thousands", rtol=1e-6, atol=1e-9)
    close(weights, expected[1], what="the weights with scores in the thousands", rtol=1e-6, atol=1e-9)


@pytest.mark.points(1)
@pytest.mark.task("attention_numpy")
def test_numpy_mask(student, rng, close, carried, parts):
    """A forbidden key has weight exactly 0, whatever the scores, and the inputs stay as they were."""
    for shape in [(4, 6), (2, 1, 1, 6), (3, 4, 6), (2, 3, 4, 6)]:
        q, k, v = numpy_inputs(rng, 2, 3)
        mask = some_allowed(rng, *shape).numpy()
        given = (q, k, v, mask)
        answer, (left, _) = carried(student.attention, *given)
        output, weights = parts(answer, "output", "weights", what="attention")
        expected = numpy_oracle(*given)
        close(output, expected[0], what=f"the output with a mask {shape}", rtol=1e-9, atol=1e-12)
        # atol=0: next to an expected 0 only a 0 will do
        close(weights, expected[1], what=f"the weights with a mask {shape}", rtol=1e-9, atol=0)
        for name, before, after in zip(("q", "k", "v", "mask"), given, left, strict=True):
            close(after, before, rtol=0, atol=0, what=f"{name} after the call")
    # Allowed keys with scores near −10⁵ beside forbidden ones near 10⁵, and the other way round.
    q, k, v = numpy_inputs(rng, 2, 3)
    k -= k.mean(-1, keepdims=True)  # differences between keys stay ordinary
    # Three of six keys in each example, so that there is always a forbidden one.
    mask = rng.permuted(np.tile(np.arange(6) < 3, (2, 1)), axis=1)[:, None, None]
    far = math.sqrt(1e5 / math.sqrt(5))
    signs = np.where(mask, -1.0, 1.0) * np.array([1.0, -1.0])[:, None, None, None]
    q, k = q + far, k + far * signs.swapaxes(-2, -1)
    output, weights = parts(student.attention(q, k, v, mask), "output", "weights", what="attention")
    expected = numpy_oracle(q, k, v, mask)
    close(output, expected[0], what="the output with a mask and scores near ±100000", rtol=1e-6, atol=1e-9)
    close(weights, expected[1], what="the weights with a mask and scores near ±100000", rtol=1e-6, atol=1e-9)
