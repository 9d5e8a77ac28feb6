from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

NAMES = ("W_q", "W_k", "W_v", "W_o")
# Well above what another order of the same operations changes, and far below what any mistake changes.
LOOSE = {"rtol": 1e-4, "atol": 1e-5, "dtype": False}


def drawn(rng, *shape):
    """Standard normal numbers in float64."""
    return torch.from_numpy(rng.standard_normal(shape))


def weights_for(rng, d_model):
    """Weights and biases of the four projections."""
    weights = {f"{name}.weight": drawn(rng, d_model, d_model) / math.sqrt(d_model) for name in NAMES}
    return weights | {f"{name}.bias": drawn(rng, d_model) / 2 for name in NAMES}


def built(student, apparatus, weights, heads, positions=None):
    """The learner's module with these weights, and the weights without the biases that it does not have."""
    d_model = len(weights["W_q.weight"])
    if positions is None:
        module = student.CachedAttention(d_model, heads)
    else:
        module = student.CachedAttention(d_model, heads, positions=positions)
    unknown = apparatus.loaded(module, weights)
    assert isinstance(unknown, list), "load_state_dict is that of nn.Module"
    for name in NAMES:
        assert f"{name}.weight" not in unknown, f"{name} must be an nn.Linear(d_model, d_model)"
    return module, {name: x for name, x in weights.items() if name not in unknown}


def oracle(weights, heads, x, positions=None, past=None):
    """PyTorch's own attention of all tokens at once: the output, and the cache.

    `past` is a cache that did not come from x, and stands before it.
    """
    start = 0 if past is None else past[0].shape[2]
    if positions is not None:
        x = x + positions[start : start + x.shape[1]]

    def linear(name, x):
        return F.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    q, k, v = (torch.stack(linear(name, x).chunk(heads, dim=-1), dim=1) for name in NAMES[:3])
    if past is not None:
        k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
    seen = torch.arange(k.shape[2]) <= torch.arange(q.shape[2])[:, None] + start
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return linear("W_o", torch.cat(mixed.unbind(1), dim=-1)), (k, v)


def pair(result, what="what forward returns", names="(out, cache)"):
    """The two things that the learner's code returned."""
    assert isinstance(result, (tuple, list)), f"{what} is no pair {names}: it is a {type(result).__name__}"
    assert len(result) == 2, f"{what} is no pair {names}: it has {len(result)} items"
    return result


def same_cache(close, cache, expected, what="", **tolerance):
    """Check the keys and the values of a cache."""
    for name, actual, right in zip("KV", pair(cache, "the cache", "(K, V)"), expected, strict=True):
        close(actual, right, what=f"{name} of the cache{what}", **(tolerance or LOOSE))


def chunks_of(x, sizes):
    """The tokens in chunks of these sizes."""
    assert sum(sizes) == x.shape[1]
    return x.split(list(sizes), dim=1)


def cut(rng, length, pieces):
    """Sizes of random chunks, each at least one token."""
    ends = sorted(rng.choice(range(1, length), pieces - 1, replace=False).tolist())
    return [end - start for start, end in zip([0, *ends], [*ends, length], strict=True)]


def fed(apparatus, module, chunks):
    """Outputs and caches of the learner's module, chunk after chunk."""
    moves = [(module, number - 1 if number else None, x) for number, x in enumerate(chunks)]
    return results_of(apparatus.played(moves), len(moves))


def results_of(results, count):
    """The results of moves, checked to be as many pairs."""
    assert isinstance(results, list), "the calls gave no results"
    pairs = [pair(result) for result in results]
    assert len(pairs) == count, "the calls gave no results"
    return pairs


def check_chunks(close, results, chunks, expected, cache):
    """Check the output of every chunk, and the last cache."""
    sizes = [x.shape[1] for x in chunks]
    right = expected.split(sizes, dim=1)
    for number, ((output, _), part) in enumerate(zip(results, right, strict=True)):
        start = sum(sizes[:number])
        what = f"the output for {sizes[number]} new after {start} cached"
        close(output, part, what=what, **LOOSE)
    same_cache(close, results[-1][1], cache, " at the end")


@pytest.mark.points(1)
@pytest.mark.task("cached_attention")
def test_without_cache(student, rng, close, apparatus):
    """Without a cache it is causal self-attention, for any numbers of heads and tokens."""
    for batch, length, d_model, heads in [
        (2, 5, 12, 3),
        (3, 6, 10, 2),
        (1, 4, 8, 1),
        (2, 3, 6, 6),
        (2, 1, 8, 2),
    ]:
        x = drawn(rng, batch, length, d_model)
        module, weights = built(student, apparatus, weights_for(rng, d_model), heads)
        output, _ = pair(module(x))
        expected, _ = oracle(weights, heads, x)
        what = f"attention of {length} tokens with {heads} heads of {d_model // heads}"
        close(output, expected, what=what, **LOOSE)


@pytest.mark.points(1)
@pytest.mark.task("cached_attention")
def test_contents(student, rng, close, apparatus):
    """The cache holds keys and values as projected, (B, H, total, d_head) each, oldest first."""
    for batch, d_model, heads, sizes in [(2, 12, 3, (3, 2)), (3, 10, 2, (4, 1, 3)), (1, 8, 4, (1, 1, 6))]:
        x = drawn(rng, batch, sum(sizes), d_model)
        module, weights = built(student, apparatus, weights_for(rng, d_model), heads)
        cache = None
        end = 0
        for part in chunks_of(x, sizes):
            _, cache = pair(module(part, cache))
            end += part.shape[1]
            _, right = oracle(weights, heads, x[:, :end])
            same_cache(close, cache, right, f" after {end} tokens")
            cache = tuple(cache)


@pytest.mark.points(1)
@pytest.mark.task("cached_attention")
def test_decoding(student, rng, close, apparatus):
    """A prompt and then one token after another give what the whole text at once gives."""
    for batch, prompt, steps, d_model, heads in [(2, 4, 6, 12, 3), (2, 1, 5, 10, 5), (1, 140, 3, 8, 2)]:
        x = drawn(rng, batch, prompt + steps, d_model)
        module, weights = built(student, apparatus, weights_for(rng, d_model), heads)
        chunks = chunks_of(x, (prompt, *[1] * steps))
        expected = oracle(weights, heads, x)
        check_chunks(close, fed(apparatus, module, chunks), chunks, *expected)


@pytest.mark.points(2)
@pytest.mark.task("cached_attention")
def test_chunks(student, rng, close, apparatus):
    """Chunks of any sizes, in training and evaluation, give what the whole text gives: none sees a later token."""
    length = 11
    for batch, d_model, heads, sizes, training in [
        (2, 12, 3, (4, 4, 3), True),
        (3, 10, 2, (1, 7, 3), False),
        (2, 6, 3, cut(rng, length, 3), True),
        (2, 8, 2, cut(rng, length, 5), False),
    ]:
        x = drawn(rng, batch, length, d_model)
        module, weights = built(student, apparatus, weights_for(rng, d_model), heads)
        module.train(training)
        chunks = chunks_of(x, sizes)
        expected = oracle(weights, heads, x)
        check_chunks(close, fed(apparatus, module, chunks), chunks, *expected)


@pytest.mark.points(2)
@pytest.mark.task("cached_attention")
def test_positions(student, rng, close, apparatus):
    """Positions are added before all three projections, and go on where the cache ends."""
    for d_model, heads, spare, texts in [
        (12, 3, 4, [(2, (9,)), (2, (1, 3, 1, 4))]),
        (10, 2, 0, [(3, (4, 1, 1, 3)), (1, (2, 1))]),
    ]:
        positions = drawn(rng, 9 + spare, d_model)
        module, weights = built(student, apparatus, weights_for(rng, d_model), heads, positions)
        for batch, sizes in texts:
            x = drawn(rng, batch, sum(sizes), d_model)
            chunks = chunks_of(x, sizes)
            expected = oracle(weights, heads, x, positions)
            check_chunks(close, fed(apparatus, module, chunks), chunks, *expected)


@pytest.mark.points(1)
@pytest.mark.task("cached_attention")
def test_given_cache(student, rng, close, apparatus):
    """The cache that is given says all: any keys and values, of any length, at any time."""
    d_model, heads = 12, 3
    table = drawn(rng, 16, d_model)
    instances = {False: built(student, apparatus, weights_for(rng, d_model), heads)}
    instances[True] = built(student, apparatus, weights_for(rng, d_model), heads, table)
    # The last is longer than the room that people set aside for a text, or for a mask.
    for batch, past, new, placed in [(2, 5, 3, True), (3, 2, 1, True), (1, 7, 2, True), (1, 2100, 2, False)]:
        module, weights = instances[placed]
        positions = table if placed else None
        x = drawn(rng, batch, new, d_model)
        cache = tuple(drawn(rng, batch, heads, past, d_model // heads) for _ in range(2))
        output, cache_after = pair(module(x, cache=cache))
        expected, right = oracle(weights, heads, x, positions, cache)
        what = f" for {new} new tokens over a given cache of {past}"
        close(output, expected, what=f"the output{what}", **LOOSE)
        same_cache(close, cache_after, right, what)


@pytest.mark.points(2)
@pytest.mark.task("cached_attention")
def test_turns(student, rng, close, apparatus):
    """Several texts go on in turns, two of them from one cache, and none disturbs another or the cache."""
    d_model, heads, batch = 12, 2, 2
    one, weights = built(student, apparatus, weights_for(rng, d_model), heads)
    two, others = built(student, apparatus, weights_for(rng, d_model), heads)
    calls = [  # module, the call whose cache it continues, new tokens, name
        (one, None, 4, "the first text"),
        (one, 0, 1, "branch A of the first text"),
        (two, None, 4, "a text on another instance"),
        (one, 0, 1, "branch B of the first text"),
        (one, None, 4, "a second text on the same instance"),
        (one, 1, 1, "branch A, continued"),
        (one, 1, 1, "branch A, continued in another way"),
        (two, 2, 1, "the text on another instance, continued"),
        (one, 3, 1, "branch B, continued"),
        (one, 4, 1, "the second text, continued"),
        (one, 0, 2, "branch C of the first text"),
    ]
    moves = [(module, parent, drawn(rng, batch, new, d_model)) for module, parent, new, _ in calls]
    results, texts = results_of(apparatus.played(moves), len(moves)), []
    for (module, parent, x), (_, _, new, name), (output, cache) in zip(moves, calls, results, strict=True):
        texts.append(x if parent is None else torch.cat([texts[parent], x], dim=1))
        expected, right = oracle(weights if module is one else others, heads, texts[-1])
        close(output, expected[:, -new:], what=f"the output of {name}", **LOOSE)
        same_cache(close, cache, right, f" of {name}, after all calls")


@pytest.mark.points(1)
@pytest.mark.task("cached_attention")
def test_left_alone(student, rng, close, carried, apparatus):
    """A call leaves x and the cache that it was given as they were."""
    d_model, heads = 10, 2
    positions = drawn(rng, 12, d_model)
    module, weights = built(student, apparatus, weights_for(rng, d_model), heads, positions)
    for batch, past, new in [(2, 0, 4), (2, 4, 1), (3, 3, 1)]:
        x = drawn(rng, batch, new, d_model)
        cache = tuple(drawn(rng, batch, heads, past, d_model // heads) for _ in range(2)) if past else None
        result, (left, _) = carried(module, x, cache)
        expected, right = oracle(weights, heads, x, positions, cache)
        output, cache_after = pair(result)
        close(output, expected, what="the output", **LOOSE)
        same_cache(close, cache_after, right)
        close(left[0], x, rtol=0, atol=0, what="x after the call")
        if past:
            same_cache(close, left[1], cache, " that was given, after the call", rtol=0, atol=0)


@pytest.mark.points(1)
@pytest.mark.task("cached_attention")
def test_precision(student, rng, close, apparatus):
    """A float64 module keeps all its digits, and a float32 module gives float32, cache included."""
    d_model, heads = 12, 3
    positions, x = drawn(rng, 9, d_model), drawn(rng, 2, 7, d_model)
    drawn_weights = weights_for(rng, d_model)
    for dtype, tolerance in [(torch.float64, {"rtol": 1e-9, "atol": 1e-10}), (torch.float32, {})]:
        module, weights = built(
            student,
            apparatus,
            {name: w.to(dtype) for name, w in drawn_weights.items()},
            heads,
            positions.to(dtype),
        )
        names = {name: drawn_weights[name] for name in weights}
        expected, right = oracle(names, heads, x, positions)
        cache = None
        for start, end in [(0, 5), (5, 6), (6, 7)]:
            output, cache = pair(module(x[:, start:end].to(dtype), cache))
            close(output, expected[:, start:end].to(dtype), what=f"the output in {dtype}", **tolerance)
            cache = tuple(pair(cache, "the cache", "(K, V)"))
        for name, actual, part in zip("KV", cache, right, strict=True):
            close(actual, part.to(dtype), what=f"{name} of the cache in {dtype}", **tolerance)


@pytest.mark.points(1)
@pytest.mark.task("cached_attention")
def test_large_scores(student, rng, close, apparatus):
    """Scores of 10⁵ stay finite, and what is forbidden has weight 0 even then."""
    d_model, heads = 12, 3
    # All near 2000, so that one maximum for all rows would do; far apart; all far below 0, and forbidden keys further.
    for center, factor in [(2000, 1), (0, 300), (-1e5, 50)]:
        weights = weights_for(rng, d_model)
        for name, sign in (("W_q", 1), ("W_k", math.copysign(1, center))):
            weights[f"{name}.weight"] *= factor
            weights[f"{name}.bias"] += sign * math.sqrt(abs(center) / math.sqrt(d_model // heads))
        module, weights = built(student, apparatus, weights, heads)
        x = drawn(rng, 2, 8, d_model)
        chunks = chunks_of(x, (3, 1, 4))
        expected = oracle(weights, heads, x)
        check_chunks(close, fed(apparatus, module, chunks), chunks, *expected)


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("cached_attention")
def test_work(student, rng, close, apparatus):
    """A call projects the tokens that are new, and nothing else."""
    d_model, heads, batch, sizes = 34, 2, 2, (30, 1, 1)  # no length is d_model: see the apparatus
    x, positions = drawn(rng, batch, sum(sizes), d_model), drawn(rng, 64, d_model)
    module, weights = built(student, apparatus, weights_for(rng, d_model), heads, positions)
    chunks = chunks_of(x, sizes)
    counted = apparatus.projected(module, chunks)
    assert isinstance(counted, tuple), "the calls gave no results"
    assert len(counted) == 2, "the calls gave no results"
    expected = oracle(weights, heads, x, positions)
    check_chunks(close, results_of(counted[0], len(chunks)), chunks, *expected)
    for new, past, rows in zip(sizes, (0, 30, 31), counted[1], strict=True):
        assert rows == 0, (
            f"{new} new after {past} cached: the four weights were applied to {rows:.0f} rows together, "
            f"and {4 * batch * new} are enough"
        )


SIZES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SIZES["float8_e4m3fn"] = torch.float8_e4m3fn


def allocated(layers, batch, heads, length, d_head, dtype):
    """Bytes of the keys and values of all layers, as PyTorch would allocate them."""
    shape = (layers, 2, batch, heads, length, d_head)
    return torch.empty(shape, dtype=SIZES[dtype], device="meta").untyped_storage().nbytes()


@pytest.mark.points(1)
@pytest.mark.task("cache_bytes")
def test_bytes(student, rng, close, carried):
    """The bytes of all layers are exact: for MHA, GQA and MQA, for each dtype, and for sizes of real models."""
    # One thing wrong at a time: shared heads first, then as many as of the queries, then other dtypes.
    cases = [("float16", kv_heads, own) for kv_heads in (4, 12, 1, None) for own in (True, False)]
    cases += [(dtype, 3, own) for dtype in SIZES for own in (True, False)] + [("bfloat16", 3, "huge")]
    for dtype, kv_heads, own in cases:
        layers, batch = rng.choice(range(2, 50), 2, replace=False).tolist()
        # One more, or whole blocks of 16, are two other lengths.
        length = 16 * int(rng.integers(63, 12_500)) + int(rng.integers(1, 15))
        quotient = 8 * int(rng.integers(2, 20))
        if own == "huge":  # odd factors, their product above 2⁵³: no float holds it
            layers, batch, length = 61, *(2 * rng.integers(10**6, 2 * 10**6, 2) + 1).tolist()
        config = {
            "model_type": "llama",
            "vocab_size": 32000,
            "max_position_embeddings": 512,
            "sliding_window": 256,
            "num_hidden_layers": layers,
            "num_attention_heads": 12,
            # With a head_dim of its own, a model need not have a whole quotient.
            "hidden_size": 12 * quotient + (5 if own else 0),
            "dtype": dtype,
        }
        config |= {} if kv_heads is None else {"num_key_value_heads": kv_heads}
        # Odd, so never the quotient.
        d_head = 2 * int(rng.integers(15, 150)) + 1 if own else quotient
        config |= {"head_dim": d_head} if own else {}
        answer, (left, _) = carried(student.cache_bytes, config, batch, length)
        heads = "no num_key_value_heads" if kv_heads is None else f"{kv_heads} of 12 heads for K and V"
        what = f"cache_bytes in {dtype}, {heads}, {'a' if own else 'no'} head_dim"
        what += ", a number too large for a float" * (own == "huge")
        close(answer, allocated(layers, batch, kv_heads or 12, length, d_head, dtype), what=what)
        close(left[0], config, what="config after the call")
