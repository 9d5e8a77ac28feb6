from __future__ import annotations

import numpy as np
import pytest
import torch

DTYPES = {4: torch.float32, 2: torch.bfloat16, 1: torch.int8}


def allocated(config, batch, length, number_bytes=2):
    """The bytes of tensors for the keys and values of all layers, made without memory behind them."""
    kept = min(length, length if config["window"] is None else config["window"])
    shape = (batch, config["kv_heads"], kept, config["head_dim"])
    total = 0
    for _ in range(config["layers"]):
        keys, values = (torch.empty(shape, dtype=DTYPES[number_bytes], device="meta") for _ in range(2))
        total += keys.untyped_storage().nbytes() + values.untyped_storage().nbytes()
    return total


def model(rng, window=None):
    """A model whose numbers are all different, with fewer KV heads than query heads."""
    kv_heads = int(rng.integers(3, 9))
    return {
        "layers": int(rng.integers(10, 60)),
        "heads": kv_heads * int(rng.integers(2, 6)),
        "kv_heads": kv_heads,
        "head_dim": int(rng.integers(9, 30)) * 8,
        "window": window,
    }


@pytest.mark.points(1)
@pytest.mark.task("cache_bytes")
def test_bytes(student, rng, close):
    """The bytes are those of tensors really allocated: any batch and length, float32, bfloat16 and int8."""
    for number_bytes in (4, 2, 1):
        config, batch, length = model(rng), int(rng.integers(2, 40)), int(rng.integers(100, 9000))
        expected = allocated(config, batch, length, number_bytes)
        actual = student.cache_bytes(config, batch, length, number_bytes=number_bytes)
        what = f"the cache of {batch} sequences of {length} tokens, number_bytes={number_bytes}"
        close(actual, expected, what=what)
    config = model(rng)
    close(
        student.cache_bytes(config, 3, 500), allocated(config, 3, 500), what="the cache with 2 bytes a number"
    )
    close(student.cache_bytes(config, 3, 0), 0, what="the cache of sequences without tokens")
    close(student.cache_bytes(config, 0, 500), 0, what="the cache of no sequence")


@pytest.mark.points(1)
@pytest.mark.task("cache_bytes")
def test_kv_heads(student, rng, close):
    """What counts is the number of KV heads: all, one, or some of the query heads."""
    for kv_heads in (24, 1, 6):
        config = {**model(rng), "heads": 24, "kv_heads": kv_heads}
        expected = allocated(config, 5, 700)
        close(student.cache_bytes(config, 5, 700), expected, what=f"the cache with {kv_heads} KV heads of 24")


@pytest.mark.points(1)
@pytest.mark.task("cache_bytes")
def test_window(student, rng, close):
    """With a window the cache grows up to it and then stays as it is."""
    config = model(rng, window=int(rng.integers(200, 900)))
    for length in (50, config["window"] - 1, config["window"], config["window"] + 1, 5000):
        expected = allocated(config, 4, length)
        what = f"the cache of {length} tokens with a window of {config['window']}"
        close(student.cache_bytes(config, 4, length), expected, what=what)


@pytest.mark.points(2)
@pytest.mark.task("max_batch")
def test_max_batch(student, rng, close):
    """One sequence more would not fit: with room to spare, at an exact fit, and where nothing fits."""
    for number_bytes, window in ((2, None), (1, None), (4, 300)):
        config, length = model(rng, window), int(rng.integers(400, 5000))
        one, weights = allocated(config, 1, length, number_bytes), int(rng.integers(10**9, 10**10))
        batch = int(rng.integers(3, 60))
        for extra, expected in ((int(one * rng.uniform(0.6, 0.9)), batch), (0, batch), (-1, batch - 1)):
            memory = weights + batch * one + extra
            actual = student.max_batch(config, memory, weights, length, number_bytes=number_bytes)
            what = f"the largest batch of {length} tokens, window={window}, number_bytes={number_bytes}"
            close(actual, expected, what=what)
        for memory in (weights, weights + one - 1, weights // 2):
            actual = student.max_batch(config, memory, weights, length, number_bytes=number_bytes)
            close(actual, 0, what="the largest batch where nothing fits")


@pytest.mark.points(2)
@pytest.mark.task("break_even")
def test_break_even(student, rng, close):
    """One token less would be too few: for any batch, at an exact tie, with numbers of 1, 2 and 4 bytes."""
    for number_bytes in (2, 1, 4):
        config, batch = model(rng), int(rng.integers(2, 20))
        token, length = allocated(config, batch, 1, number_bytes), int(rng.integers(200, 90000))
        below = int(token * rng.uniform(0.2, 0.8))
        for weights, expected in ((length * token, length), (length * token - below, length), (below, 1)):
            actual = student.break_even(config, weights, batch, number_bytes=number_bytes)
            close(actual, expected, what=f"the length at break-even, a batch of {batch}")
    weights = allocated(config, 1, 777) + 1
    close(student.break_even(config, weights, 1), 778, what="the length at break-even, a batch of 1")


@pytest.mark.points(1)
@pytest.mark.task("break_even")
def test_break_even_window(student, rng, close):
    """With a window there is a length if its tokens are enough, and None if they are not."""
    config = model(rng, window=500)
    token = allocated(config, 3, 1)
    for weights, expected in ((500 * token, 500), (300 * token - 5, 300)):
        actual = student.break_even(config, weights, 3)
        close(actual, expected, what="the length at break-even with a window of 500")
    for weights in (500 * token + 1, 700 * token, int(1e6 * token * np.pi)):
        actual = student.break_even(config, weights, 3)
        assert actual is None, (
            "break_even must return None where the window keeps the cache below the weights"
        )
