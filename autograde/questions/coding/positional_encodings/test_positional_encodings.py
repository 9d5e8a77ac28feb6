from __future__ import annotations

import numpy as np
import pytest
import torch

# What an entry may be off by, for each position from 0 on: angles in float32 stay ten times below.
ROUNDING = 1e-6
BANDS = (4, 32, 256, 2048)


def table(length, d_model, base=10_000.0):
    """The encodings in float64: pair i turns on the unit circle, by base^(-2i / d_model) at each position."""
    pair = np.arange((d_model + 1) // 2)
    points = np.exp(1j * np.outer(np.arange(length), np.power(base, -2 * pair / d_model)))
    both = np.stack([points.imag, points.real], axis=-1).reshape(length, -1)
    return torch.from_numpy(both[:, :d_model].copy())


def same_rows(close, actual, expected, what):
    """Compare (…, positions, features) with float32 rounding that grows with the position."""
    expected, length = expected.float(), expected.shape[-2]
    close(actual, expected, rtol=0, atol=ROUNDING * max(length, BANDS[0]), what=what)
    for end in BANDS:
        if end < length:
            first = f"{what}, positions 0 to {end - 1}"
            close(actual[..., :end, :], expected[..., :end, :], rtol=0, atol=ROUNDING * end, what=first)


def drawn(rng, *shape):
    """Standard normal numbers in float32."""
    return torch.from_numpy(rng.standard_normal(shape)).float()


def tokens(rng, *shape):
    """A batch whose last token, where there are several, is all zeros: it stands at a position like any other."""
    x = drawn(rng, *shape)
    x[-1, 1:][-1:] = 0
    return x


def sizes(x):
    """A batch, as it is called in messages."""
    return f"{x.shape[0]} × {x.shape[1]} tokens of {x.shape[2]} features"


# --- sinusoidal ---


@pytest.mark.points(1)
@pytest.mark.task("sinusoidal")
def test_values(student, rng, close):
    """Sines in even columns and cosines in odd ones, a pair to each frequency, for base 10000."""
    for length, d_model in [(50, 16), (7, 64), (1, 6), (int(rng.integers(20, 60)), 2), (12, 12)]:
        what = f"sinusoidal({length}, {d_model})"
        same_rows(close, student.sinusoidal(length, d_model), table(length, d_model), what)


@pytest.mark.points(1)
@pytest.mark.task("sinusoidal")
def test_odd(student, close):
    """With an odd d_model the last column is a sine alone, and the frequencies are those of d_model itself."""
    for length, d_model in [(9, 5), (20, 7), (40, 3), (11, 11)]:
        what = f"sinusoidal({length}, {d_model})"
        same_rows(close, student.sinusoidal(length, d_model), table(length, d_model), what)


@pytest.mark.points(1)
@pytest.mark.task("sinusoidal")
def test_base(student, rng, close):
    """Any base counts, by place and by name."""
    drawn_base = float(rng.uniform(20, 500))
    for length, d_model, base in [(30, 8, 100.0), (25, 12, drawn_base), (20, 10, 1e6), (20, 10, 30.0)]:
        what = f"sinusoidal({length}, {d_model}) with base {base:.6g}"
        same_rows(close, student.sinusoidal(length, d_model, base=base), table(length, d_model, base), what)
        same_rows(close, student.sinusoidal(length, d_model, base), table(length, d_model, base), what)


@pytest.mark.points(1)
@pytest.mark.task("sinusoidal")
def test_far(student, close):
    """Up to position 10000 the angles are as exact as float32 can hold."""
    what = "sinusoidal(10001, 6)"
    same_rows(close, student.sinusoidal(10_001, 6), table(10_001, 6), what)


# --- SinusoidalPE ---


@pytest.mark.points(1)
@pytest.mark.task("sinusoidal_pe")
def test_adds_table(student, rng, close):
    """Every example gets the first S rows added, for texts of any length up to max_len, in training and evaluation."""
    for d_model, options, batches in [
        (8, (8,), [(1, 8), (2, 8), (3, 5)]),
        (6, (20,), [(3, 2), (2, 20), (25, 3), (1, 1), (4, 7)]),
        (5, (9,), [(2, 4), (3, 9)]),
        (4, (), [(2, 3), (1, 5000)]),
        (2, (5100,), [(1, 5100)]),
    ]:
        module = student.SinusoidalPE(d_model, *options)
        rows = table(options[0] if options else 5000, d_model)
        for number, (batch, length) in enumerate(batches):
            module.train(number % 2 == 0)
            x = tokens(rng, batch, length, d_model)
            same_rows(close, module(x), x + rows[:length], f"the output for {sizes(x)}")


@pytest.mark.points(1)
@pytest.mark.task("sinusoidal_pe")
def test_table_passes(student, rng, close, carried, backward):
    """A call leaves x as it was, and the gradient passes to x as it came."""
    d_model = 8
    module = student.SinusoidalPE(d_model, max_len=12)
    for batch, length in [(3, 5), (2, 12)]:
        x, cotangent = drawn(rng, batch, length, d_model), drawn(rng, batch, length, d_model)
        right = x + table(length, d_model)
        output, (left, _) = carried(module, x)
        same_rows(close, output, right, f"the output for {sizes(x)}")
        close(left[0], x, rtol=0, atol=0, what="x after the call")
        output, grads, _ = backward(module, x, cotangent=cotangent, wrt=(0,))
        same_rows(close, output, right, f"the output for {sizes(x)}")
        close(grads[0], cotangent, what="the gradient for x")


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("sinusoidal_pe")
def test_buffer(student, rng, close, apparatus):
    """The module works with a buffer that requires no gradient, and has no parameters."""
    d_model = 6
    module = student.SinusoidalPE(d_model, max_len=10)
    x = drawn(rng, 2, 7, d_model)
    same_rows(close, module(x), x + table(7, d_model), f"the output for {sizes(x)}")
    found = apparatus.registered(module, x)
    is_right = isinstance(found, tuple) and len(found) == 4
    assert is_right, "the module is no nn.Module"
    parameters, buffers, requires_grad, is_used = found
    assert parameters == 0, "the module has a parameter: nothing here is learned"
    assert buffers > 0, "the module has no buffer: what is not registered stays behind at module.to(device)"
    assert is_used, "the module has a buffer, and what it adds comes from elsewhere"
    assert not requires_grad, "a buffer requires a gradient: nothing here is learned"


# --- LearnedPE ---


def filled(student, apparatus, weight):
    """The learner's module, with this weight."""
    module = student.LearnedPE(*weight.shape)
    shape = apparatus.filled(module, weight)
    assert shape is not None, "weight is no tensor"
    assert shape == tuple(weight.shape), "weight must have the shape (max_len, d_model)"
    return module


@pytest.mark.points(1)
@pytest.mark.task("learned_pe")
def test_adds_weight(student, rng, close, carried, apparatus):
    """Every example gets the first S rows that weight has by now, x is left as it was, and modules share nothing."""
    weights = [drawn(rng, *shape) * 3 for shape in [(10, 6), (4, 12), (10, 6)]]
    modules = [filled(student, apparatus, weight) for weight in weights]
    for number, (batch, length) in enumerate(
        [(1, 3), (3, 2), (2, 4), (11, 3), (1, 1), (2, 10), (3, 4), (4, 7)]
    ):
        if number == 5:  # as after a step of training
            weights[0] = drawn(rng, 10, 6)
            apparatus.filled(modules[0], weights[0])
        for module, weight in zip(modules, weights, strict=True):
            module.train(batch % 2 == 0)
            if length <= len(weight):
                x = tokens(rng, batch, length, weight.shape[1])
                output, (left, _) = carried(module, x)
                close(output, x + weight[:length], what=f"the output for {sizes(x)}")
                close(left[0], x, rtol=0, atol=0, what="x after the call")


@pytest.mark.points(2)
@pytest.mark.task("learned_pe")
def test_gradients(student, rng, close, backward, apparatus):
    """The rows that were used get the sum over the batch as their gradient, the others 0, and x gets its own."""
    for max_len, d_model, batch, length in [(9, 6, 3, 4), (5, 8, 2, 5), (6, 4, 7, 1)]:
        weight = drawn(rng, max_len, d_model)
        module = filled(student, apparatus, weight)
        x, cotangent = drawn(rng, batch, length, d_model), drawn(rng, batch, length, d_model)
        output, grads, of_parameters = backward(module, x, cotangent=cotangent, wrt=(0,), module=module)
        close(output, x + weight[:length], what=f"the output for {sizes(x)}")
        close(grads[0], cotangent, what="the gradient for x")
        assert len(of_parameters) == 1, f"the module has {len(of_parameters)} parameters, should have one"
        (gradient,) = of_parameters.values()
        expected = torch.zeros_like(weight)
        expected[:length] = torch.einsum("bsd->sd", cotangent)
        close(gradient, expected, what="the gradient of weight")
        close(gradient[length:], expected[length:], rtol=0, atol=0, what="that of the rows not used")
        assert apparatus.is_weight_trained(module), (
            "weight is not the parameter: an optimizer would not change it"
        )


@pytest.mark.points(1)
@pytest.mark.task("learned_pe")
def test_too_long(student, rng, close, raises, apparatus):
    """A text of max_len tokens has its rows, and a longer one raises ValueError."""
    for max_len, longer, training in [(6, 7, True), (1, 3, False), (4, 12, True)]:
        weight = drawn(rng, max_len, 4)
        module = filled(student, apparatus, weight)
        module.train(training)
        x = drawn(rng, 8, max_len, 4)
        close(module(x), x + weight, what=f"the output for {sizes(x)}")
        with raises(ValueError):
            module(drawn(rng, 2, longer, 4))


# --- shift_matrix ---


@pytest.mark.points(2)
@pytest.mark.task("shift_matrix")
def test_shift(student, rng, close):
    """The matrix takes every encoding k positions on, and back for a negative k, for any base."""
    drawn_base = float(rng.uniform(20, 500))
    for k, d_model, options in [
        (1, 8, {}),
        (3, 2, {}),
        (0, 4, {}),
        (-5, 6, {}),
        (int(rng.integers(20, 60)), 12, {}),
        (2, 10, {"base": drawn_base}),
        (-700, 4, {"base": 50.0}),
    ]:
        frequencies = torch.from_numpy(
            np.power(options.get("base", 10_000.0), -np.arange(0, d_model, 2) / d_model)
        )
        # Moving by 1 at each instant is a rotation of each pair; moving by k is its exponential.
        generator = torch.block_diag(*(torch.tensor([[0.0, w], [-w, 0.0]]).double() for w in frequencies))
        what = f"shift_matrix({k}, {d_model})" + (f" with base {options['base']:.6g}" if options else "")
        atol = ROUNDING * (1 + abs(k))
        expected = torch.matrix_exp(k * generator)
        matrix = student.shift_matrix(k, d_model, **options)
        close(matrix, expected, rtol=0, atol=atol, what=what, dtype=False)
        assert not matrix.is_complex(), f"{what} is complex: float32 or float64 is asked for"


# --- extrapolation ---


def errors(rows, k, trained):
    """The best matrix's relative errors on the pairs seen and unseen, one pair after another."""
    starts = range(len(rows) - k)
    seen = [p for p in starts if p + k < trained]
    unseen = [p for p in starts if p + k >= trained]
    rows = rows.double().numpy()
    solution, *_ = np.linalg.lstsq(
        np.stack([rows[p] for p in seen]), np.stack([rows[p + k] for p in seen]), rcond=None
    )

    def relative(pairs):
        lost = sum(np.sum((rows[p] @ solution - rows[p + k]) ** 2) for p in pairs)
        return float(np.sqrt(lost / sum(np.sum(rows[p + k] ** 2) for p in pairs)))

    return relative(seen), relative(unseen)


def number(value):
    """A tensor without dimensions as the number that it holds; anything else as it is."""
    return value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 else value


@pytest.mark.points(2)
@pytest.mark.task("extrapolation")
def test_errors(student, rng, close, carried):
    """The errors within and beyond the trained length are right, for sines, random rows and both, and table stays."""
    waves = table(60, 6, 30.0)
    noise = drawn(rng, 30, 5)
    mixture = torch.cat([waves[:40], drawn(rng, 20, 6).double()])
    cases = [("random rows", noise, 1, 20), ("random rows", drawn(rng, 45, 4).double(), 3, 25)]
    small = drawn(rng, 26, 3) * torch.tensor([0.1, 0.02, 0.004])  # next to these, no penalty is small
    cases += [("small random rows", small, 2, 25), ("sines", waves, 4, 40)]
    cases += [("sines up to the trained length, then random rows", mixture, 4, 40)]
    for name, rows, k, trained in cases:
        result, (left, _) = carried(student.extrapolation, rows, k, trained)
        is_right = isinstance(result, (tuple, list)) and len(result) == 2
        assert is_right, "what is returned is no pair (seen, unseen)"
        for what, actual, right in zip(("seen", "unseen"), result, errors(rows, k, trained), strict=True):
            what = f"{what} for {name}, k = {k}, trained = {trained} of {len(rows)}"
            close(number(actual), right, rtol=1e-3, atol=1e-4, what=what)
        close(left[0], rows, rtol=0, atol=0, what="table after the call")
