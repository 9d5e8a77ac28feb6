from __future__ import annotations

import numpy as np
import pytest
import torch


def factors(student, parts, W, r):
    """The learner's two factors, or a failed assertion."""
    given = parts(student.truncate(W, r), "B", "A", what="truncate")
    for name, value, shape in zip("BA", given, [(W.shape[0], r), (r, W.shape[1])], strict=True):
        assert isinstance(value, np.ndarray), f"{name} must be a NumPy array"
        assert value.shape == shape, f"{name} must have the shape {shape}, not {value.shape}"
        assert value.dtype.kind in "iuf", f"{name} must hold real numbers"
    return given


def with_values(rng, d, m, values):
    """A matrix with these singular values."""
    k = len(values)
    U, _ = np.linalg.qr(rng.standard_normal((d, k)))
    V, _ = np.linalg.qr(rng.standard_normal((m, k)))
    return U @ np.diag(values) @ V.T


@pytest.mark.points(2)
@pytest.mark.task("truncate")
def test_truncate(student, rng, close, parts):
    """The product keeps the r largest singular values, for tall, wide and square matrices."""
    for d, m in [(6, 4), (4, 7), (5, 5)]:
        values = np.sort(rng.uniform(1, 2, min(d, m)).cumsum())[::-1]
        W = with_values(rng, d, m, values)
        U, S, Vt = torch.linalg.svd(torch.tensor(W))
        for r in (1, 2, min(d, m)):
            B, A = factors(student, parts, W, r)
            expected = (U[:, :r] @ torch.diag(S[:r]) @ Vt[:r]).numpy()
            what = f"B @ A for a matrix of shape {(d, m)} and rank {r}"
            close(B.astype(np.float64) @ A, expected, rtol=1e-7, atol=1e-8, what=what)


@pytest.mark.points(1)
@pytest.mark.task("truncate")
def test_error(student, rng, close, carried, raises, parts):
    """The error is what the other singular values leave; W stays as it was; a rank that is none raises ValueError."""
    W = with_values(rng, 6, 5, [9.0, 5.0, 2.0, 2.0, 0.0])  # of rank 4, with a tie
    for r, rest in [(1, 33**0.5), (2, 8**0.5), (3, 2.0), (4, 0.0)]:
        B, A = factors(student, parts, W, r)
        actual = float(np.linalg.norm(W - B.astype(np.float64) @ A))
        close(actual, rest, rtol=1e-6, atol=1e-9, what=f"the Frobenius norm of W - B @ A for rank {r}")
    _, (args, _) = carried(student.truncate, W.copy(), 2)
    close(args[0], W, rtol=0, atol=0, what="W after the call")
    for r in (0, 6, -1):
        with raises(ValueError):
            student.truncate(W, r)


def layer(student, rng, out, into, r, alpha):
    """The learner's layer with random factors, and these."""
    W, A, B = (torch.tensor(rng.standard_normal(shape)) for shape in [(out, into), (r, into), (out, r)])
    lora = student.LoRALinear(W, r, alpha)
    lora.load_state_dict({"A": A, "B": B}, strict=False)
    return lora, W, A, B


def effective(W, A, B, r, alpha):
    """The weight of the plain layer that does the same."""
    return W + alpha / r * torch.einsum("or,ri->oi", B, A)


@pytest.mark.points(1)
@pytest.mark.task("LoRALinear")
def test_start(student, rng, close, apparatus):
    """At first the layer does what it did before, on its own copy of the weight; A is random and B is zero."""
    for dtype in (torch.float64, torch.float32):
        W = torch.tensor(rng.standard_normal((5, 7)), dtype=dtype)
        x = torch.tensor(rng.standard_normal((3, 7)), dtype=dtype)
        lora, other = student.LoRALinear(W, 2, 8), student.LoRALinear(W, 2, 8)
        close(lora(x), torch.nn.functional.linear(x, W), rtol=1e-4, atol=1e-5, what="the output at the start")
        later = apparatus.overwritten(student.LoRALinear, W.clone(), 2, 8, x)
        what = "the output after the tensor that was passed in has been set to zero"
        close(later, torch.nn.functional.linear(x, W), rtol=1e-4, atol=1e-5, what=what)
        found = dict(lora.state_dict())
        missing = {"A", "B", "weight"} - set(found)
        assert not missing, f"the state_dict lacks {', '.join(sorted(missing))}"
        close(found["weight"], W, rtol=0, atol=0, what="weight")
        close(found["B"], torch.zeros(5, 2, dtype=dtype), rtol=0, atol=0, what="B at the start")
        A = found["A"]
        assert tuple(A.shape) == (2, 7), f"A must have the shape (2, 7), not {tuple(A.shape)}"
        assert A.dtype == dtype, f"A must be {dtype}, as the weight is"
        assert bool((A != 0).all()), "A is zero at the start, and then B gets no gradient"
        assert len(A.unique()) == A.numel(), "the entries of A are not drawn at random"
        again = other.state_dict()["A"]
        assert not torch.equal(A, again), "two layers have the same A: draw it anew for each"


@pytest.mark.points(2)
@pytest.mark.task("LoRALinear")
def test_forward(student, rng, close):
    """The output is that of the merged weight, for any ranks, scales and leading dimensions, and square layers."""
    for out, into, r, alpha, lead in [
        (5, 7, 2, 8, (3,)),
        (6, 6, 3, 1.5, (2, 4)),
        (4, 9, 4, 16, ()),
        (3, 5, 1, 2, (2,)),
    ]:
        lora, W, A, B = layer(student, rng, out, into, r, alpha)
        x = torch.tensor(rng.standard_normal((*lead, into)))
        expected = torch.nn.functional.linear(x, effective(W, A, B, r, alpha))
        what = f"the output for {into} to {out} features, r = {r}, alpha = {alpha}"
        close(lora(x), expected, rtol=1e-7, atol=1e-9, what=what)


@pytest.mark.points(1)
@pytest.mark.task("LoRALinear")
def test_gradients(student, rng, close, backward):
    """A and B get the gradients that calculus says, the frozen weight gets none, and x gets its own."""
    lora, W, A, B = layer(student, rng, 5, 7, 2, 6)
    x, g = torch.tensor(rng.standard_normal((3, 7))), torch.tensor(rng.standard_normal((3, 5)))
    ours = [v.clone().requires_grad_() for v in (x, A, B)]
    output = torch.nn.functional.linear(ours[0], effective(W, ours[1], ours[2], 2, 6))
    of_x, of_a, of_b = torch.autograd.grad(output, ours, g)
    outputs, gradients, parameters = backward(lora, x, cotangent=g, wrt=(0,), module=lora)
    close(outputs, output.detach(), rtol=1e-7, atol=1e-9, what="the output")
    close(parameters.get("B"), of_b, rtol=1e-7, atol=1e-9, what="the gradient of B", gradient=True)
    close(parameters.get("A"), of_a, rtol=1e-7, atol=1e-9, what="the gradient of A", gradient=True)
    close(gradients[0], of_x, rtol=1e-7, atol=1e-9, what="the gradient of x", gradient=True)
    assert parameters.get("weight") is None, "the pretrained weight gets a gradient: it is not frozen"
    extra = sorted(set(parameters) - {"A", "B", "weight"})
    assert not extra, f"there are further parameters: {', '.join(extra)}"


@pytest.mark.points(1)
@pytest.mark.task("LoRALinear")
def test_merged(student, rng, close):
    """The merged weight does the same in a plain layer, and the layer's own weight stays as it was."""
    for out, into, r, alpha in [(5, 7, 2, 8), (4, 4, 3, 0.75)]:
        lora, W, A, B = layer(student, rng, out, into, r, alpha)
        what = f"merged() for {into} to {out} features, r = {r}, alpha = {alpha}"
        for _ in range(2):
            merged = lora.merged()
            assert isinstance(merged, torch.Tensor), "merged() must return a tensor"
            close(merged.detach(), effective(W, A, B, r, alpha), rtol=1e-7, atol=1e-9, what=what)
        close(dict(lora.state_dict()).get("weight"), W, rtol=0, atol=0, what="weight after merged()")


@pytest.mark.points(1)
@pytest.mark.task("LoRALinear")
def test_cost(student, rng, close, apparatus):
    """A forward pass makes no matrix of the size of the weight."""
    lora, W, A, B = layer(student, rng, 40, 50, 2, 4)
    x = torch.tensor(rng.standard_normal((3, 50)))
    given = apparatus.largest(lora, x)
    assert isinstance(given, tuple), "LoRALinear must return a module that can be called"
    assert len(given) == 2, "LoRALinear must return a module that can be called"
    output, largest = given
    close(
        output,
        torch.nn.functional.linear(x, effective(W, A, B, 2, 4)),
        rtol=1e-7,
        atol=1e-9,
        what="the output",
    )
    close(largest < 40 * 50, True, what="whether every new tensor is smaller than the weight")


@pytest.mark.points(1)
@pytest.mark.task("breakeven_rank")
def test_breakeven(student, rng, close):
    """The largest rank with fewer numbers is found, also where equality is just not fewer, and for thin matrices."""
    pairs = [(4, 4), (6, 3), (12, 4), (1, 5), (2, 2), (1, 1), (4096, 4096), (4096, 11008)]
    pairs += [tuple(int(x) for x in rng.integers(2, 200, 2)) for _ in range(6)]
    for d, m in pairs:
        expected = max(r for r in range(d) if r * (d + m) < d * m)
        close(student.breakeven_rank(d, m), expected, what=f"breakeven_rank({d}, {m})")
