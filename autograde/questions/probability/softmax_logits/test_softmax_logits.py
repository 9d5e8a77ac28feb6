from __future__ import annotations

from numbers import Real

import numpy as np
import pytest
import torch

SLACK = 1e-6  # a witness that lies on a margin counts, in float32 too


def oracle(x, axis=-1, temperature=1.0):
    """The probabilities in float64, by torch."""
    return torch.softmax(torch.as_tensor(np.array(x, dtype=np.float64)) / temperature, dim=axis).numpy()


@pytest.mark.points(1)
@pytest.mark.task("softmax")
def test_every_slice(student, rng, close):
    """Each slice along the axis becomes a distribution, for any shape and axis."""
    for shape in [(5,), (3, 4), (4, 4), (3, 1), (2, 3, 4)]:
        for axis in range(-len(shape), len(shape)):
            x = 2 * rng.standard_normal(shape)
            what = f"softmax of an array of shape {shape} along axis {axis}"
            close(student.softmax(x, axis=axis), oracle(x, axis), rtol=1e-5, what=what, dtype=False)
    strided = rng.standard_normal((4, 6, 3)).transpose(2, 0, 1)[:, ::2]
    close(student.softmax(strided), oracle(strided), rtol=1e-5, what="softmax of strided logits", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("softmax")
def test_large_logits(student, rng, close):
    """Logits of ±10,000 stay finite and right, also with slices far apart."""
    for size, dtype, rtol in [(1e4, np.float64, 1e-6), (200, np.float32, 1e-4)]:
        near = rng.uniform(-2, 2, (5, 6))
        spread = np.array([-1, 1, 0, -1, 1, 0.5])
        far = np.array([np.ones(6), -np.ones(6), np.zeros(6), rng.permutation(spread), np.ones(6)])
        x = near + far * (size - 2)
        x[4] = size  # all equal: uniform
        x = x.astype(dtype)
        what = f"softmax of {np.dtype(dtype)} logits up to ±{size:g}"
        close(student.softmax(x), oracle(x), rtol=rtol, atol=1e-9, what=what, dtype=False)
        close(student.softmax(x.T, axis=0), oracle(x.T, 0), rtol=rtol, atol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("softmax")
def test_large_logits_temperature(student, rng, close):
    """Logits of ±10,000 stay finite and right at other temperatures, also next to a masked one."""
    # Only ties and gaps of thousands: the temperature itself decides nothing here.
    rows = [
        [1, 1, 0.5, 0.5, 0, -1],
        [-0.5, -0.5, -0.5, -1, -1, -1],
        [-1, -1, -1, -1, -np.inf, -np.inf],
        [0.4] * 6,
    ]
    x = rng.permuted(1e4 * np.array(rows), axis=1)
    for temperature in [0.5, 20]:
        actual = student.softmax(x, temperature=temperature)
        what = f"softmax of logits up to ±10000 with temperature {temperature}"
        close(actual, oracle(x, -1, temperature), rtol=1e-6, atol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("softmax")
def test_masked(student, rng, close):
    """A logit of -inf gets a probability of exactly 0, and the others share the rest."""
    x = rng.uniform(-3, 3, (4, 6))
    for row, masked in enumerate([0, 1, 3, 5]):
        x[row, rng.permutation(6)[:masked]] = -np.inf
    # atol=0: next to an expected 0 only a 0 will do
    close(student.softmax(x), oracle(x), rtol=1e-5, atol=0, what="softmax with masked logits", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("softmax")
def test_temperature(student, rng, close, raises):
    """The temperature divides the logits, and one of 0 or below raises ValueError."""
    x = rng.uniform(-2, 2, (3, 5))
    for temperature in [3, 0.5, 0.02, 50.0, float(rng.uniform(0.6, 0.9))]:
        actual = student.softmax(x, temperature=temperature)
        what = f"softmax with temperature {temperature:.3g}"
        close(actual, oracle(x, -1, temperature), rtol=1e-4, atol=1e-9, what=what, dtype=False)
    for refused in [-1.5, 0, 0.0]:
        with raises(ValueError):
            student.softmax(x, temperature=refused)


@pytest.mark.points(1)
@pytest.mark.task("softmax")
def test_precision(student, rng, close):
    """Float32 stays float32, float64 keeps its digits, integers give float64."""
    x = rng.uniform(-3, 3, (3, 5))
    close(student.softmax(x), oracle(x), rtol=1e-10, atol=0, what="softmax of float64 logits")
    single = x.astype(np.float32)
    expected = oracle(single).astype(np.float32)
    close(student.softmax(single), expected, rtol=1e-4, what="softmax of float32 logits")
    whole = rng.integers(-5, 6, (3, 5))
    close(student.softmax(whole), oracle(whole), rtol=1e-10, atol=0, what="softmax of integer logits")


@pytest.mark.points(1)
@pytest.mark.task("softmax")
def test_input_unchanged(student, rng, close, carried):
    """The result is right and the input is left as it was."""
    x = rng.uniform(-3, 3, (3, 5))
    before = x.copy()
    result, (args, _) = carried(student.softmax, x.copy())
    close(result, oracle(before), rtol=1e-5, what="softmax", dtype=False)
    close(args[0], before, rtol=0, atol=0, what="the input after the call")
    before[0, 2] = -np.inf
    _, (args, _) = carried(student.softmax, before.copy(), axis=0, temperature=2.0)
    close(args[0], before, rtol=0, atol=0, what="the input after a call with temperature 2")


def witness(student, key):
    """The learner's witness under this key, or a failed assertion that says what is missing."""
    found = student.bad_normalizers()
    assert isinstance(found, dict), "bad_normalizers() must return a dict"
    assert key in found, f'bad_normalizers() has no key "{key}"'
    return found[key]


def is_real(value):
    """Whether this is one plain real number."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def vector(value, name):
    """The logits of a witness in float64, or a failed assertion that says what they are not."""
    if isinstance(value, (list, tuple)):
        assert all(is_real(v) for v in value), f"{name}: the list must hold plain real numbers only"
    else:
        assert isinstance(value, np.ndarray), f"{name}: the logits must be a list or a NumPy array"
        assert value.dtype.kind in "iuf", f"{name}: the array must hold real numbers"
        assert value.ndim == 1, f"{name}: the array must have one dimension, not {value.ndim}"
    assert 2 <= len(value) <= 10, f"{name}: give 2 to 10 logits, not {len(value)}"
    assert all(-100 <= v <= 100 for v in value), f"{name}: the logits must lie from -100 to 100"
    return np.array([float(v) for v in value])


@pytest.mark.points(1)
@pytest.mark.task("bad_normalizers")
def test_ratio(student):
    """The witness against x / sum(x) gets a negative probability."""
    x = vector(witness(student, "ratio"), '"ratio"')
    total = x.sum()
    assert abs(total) >= 0.1 - SLACK, '"ratio": the sum of the logits is too close to 0'
    assert not np.all(x < 0), '"ratio": all logits are negative, so is their sum: what sign has a ratio?'
    assert np.any(x < 0), '"ratio": no logit is negative, so no ratio is'
    lowest = (x / total).min()
    assert lowest <= -0.01 + SLACK, '"ratio": x / sum(x) has no entry of -0.01 or below on your x'


@pytest.mark.points(1)
@pytest.mark.task("bad_normalizers")
def test_square(student):
    """The witness against x² / sum(x²) gives the smaller of two logits the larger probability."""
    x = vector(witness(student, "square"), '"square"')
    assert np.any(x != 0), '"square": the logits are all 0, and 0/0 has no order'
    assert np.any(x < 0), '"square": no logit is negative, and squaring keeps the order of the others'
    q = (x / np.abs(x).max()) ** 2
    q = q / q.sum()
    larger = x[:, None] - x[None, :] >= 0.1 - SLACK
    turned = q[None, :] - q[:, None] >= 0.01 - SLACK
    tied = np.isclose(q[:, None], q[None, :])
    assert not np.any(larger & tied) or np.any(larger & turned), (
        '"square": equal squares are a tie, not an order turned round'
    )
    assert np.any(larger & turned), '"square": no two logits of x change their order by the margins asked'


@pytest.mark.points(1)
@pytest.mark.task("bad_normalizers")
def test_scale(student):
    """The witness of scaling changes a probability by 0.1 or more."""
    pair = witness(student, "scale")
    assert isinstance(pair, (list, tuple)), '"scale": give a pair (x, c)'
    assert len(pair) == 2, f'"scale": give a pair (x, c), not {len(pair)} values'
    x, c = vector(pair[0], '"scale"'), pair[1]
    assert is_real(c), '"scale": the factor c must be a plain number'
    assert 0.1 - SLACK <= c <= 10 + SLACK, '"scale": the factor c must lie from 0.1 to 10'
    change = np.abs(oracle(float(c) * x) - oracle(x)).max()
    enough = change >= 0.1 - SLACK
    assert enough or np.ptp(x) > 0, '"scale": the logits are all equal, and stay so when they are scaled'
    assert enough or oracle(x).max() < 0.95, '"scale": one logit has nearly all of the probability already'
    assert enough, '"scale": no probability changes by 0.1 or more on your x and c'
