from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F


def divergence(p, q):
    """KL(p || q) by torch, which takes the logarithms of q first; where p is 0 there is nothing to add."""
    p, q = (torch.tensor(x, dtype=torch.float64)[torch.tensor(p > 0)] for x in (p, q))
    return float(F.kl_div(q.log(), p, reduction="sum"))


def surprise(p, q):
    """The cross-entropy, as entropy plus KL."""
    entropy = torch.distributions.Categorical(probs=torch.tensor(p, dtype=torch.float64)).entropy()
    return float(entropy) + divergence(p, q)


def distribution(rng, n):
    """Probabilities of different sizes, none of them tiny."""
    weights = rng.uniform(0.05, 1, n) ** 2
    return rng.permutation(weights / weights.sum())


def padded(rng, n):
    """p and q with n outcomes that both allow, two that only q allows, and two that both rule out."""
    p, q = distribution(rng, n), distribution(rng, n + 2)
    order = rng.permutation(n + 4)
    return np.append(p, np.zeros(4))[order], np.append(q, np.zeros(2))[order]


@pytest.mark.points(1)
@pytest.mark.task("cross_entropy")
def test_cross_entropy(student, rng, close, carried):
    """The surprise is that of q, weighed by p; p and q are left as they were."""
    for n in (2, 3, 8, 50):
        p, q = distribution(rng, n), distribution(rng, n)
        actual, (args, _) = carried(student.cross_entropy, p.copy(), q.copy())
        what = f"the cross-entropy of {n} outcomes"
        close(actual, surprise(p, q), rtol=1e-9, what=what, dtype=False)
        close(student.cross_entropy(p, p), surprise(p, p), rtol=1e-9, what=f"{what}, q = p", dtype=False)
        close(args[0], p, rtol=0, atol=0, what="p after the call")
        close(args[1], q, rtol=0, atol=0, what="q after the call")


@pytest.mark.points(1)
@pytest.mark.task("cross_entropy")
def test_cross_entropy_zeros(student, rng, close, carried):
    """What never happens adds nothing, what was ruled out and happens is infinite, tiny predictions count."""
    p, q = padded(rng, 5)
    what = "the cross-entropy with zeros"
    actual, (args, _) = carried(student.cross_entropy, p.copy(), q.copy())
    close(actual, surprise(p, q), rtol=1e-9, what=what, dtype=False)
    close(args[0], p, rtol=0, atol=0, what="p with zeros, after the call")
    close(args[1], q, rtol=0, atol=0, what="q with zeros, after the call")
    for tiny in (1e-12, 1e-300):
        p, q = distribution(rng, 3), np.array([tiny, 0.3, 0.7 - tiny])
        what = f"the cross-entropy with a prediction of {tiny:g}"
        close(student.cross_entropy(p, q), surprise(p, q), rtol=1e-9, what=what, dtype=False)
    p, q = distribution(rng, 4), np.append(distribution(rng, 3), 0.0)
    what = "the cross-entropy where q rules out what happens"
    close(student.cross_entropy(p, q), math.inf, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("kl")
def test_kl(student, rng, close):
    """KL is what q costs on top of the entropy of p: right in both directions, and 0 for q = p."""
    for n in (2, 3, 8, 50):
        p, q = distribution(rng, n), distribution(rng, n)
        what = f"kl of {n} outcomes"
        close(student.kl(p, q), divergence(p, q), rtol=1e-9, atol=1e-12, what=what, dtype=False)
        close(student.kl(q, p), divergence(q, p), rtol=1e-9, atol=1e-12, what=what, dtype=False)
        close(student.kl(p, p), 0.0, atol=1e-12, what=f"{what}, q = p", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("kl")
def test_kl_zeros(student, rng, close, carried):
    """A term with p = 0 is 0, a tiny prediction counts, q = 0 < p is infinite; p and q are left as they were."""
    p, q = padded(rng, 4)
    actual, (args, _) = carried(student.kl, p.copy(), q.copy())
    close(actual, divergence(p, q), rtol=1e-9, what="kl with zeros", dtype=False)
    close(args[0], p, rtol=0, atol=0, what="p with zeros, after the call")
    close(args[1], q, rtol=0, atol=0, what="q with zeros, after the call")
    close(student.kl(q, p), math.inf, what="kl where q rules out what happens", dtype=False)
    one_hot = np.zeros(5)
    one_hot[3] = 1
    q = distribution(rng, 5)
    close(student.kl(one_hot, q), -math.log(q[3]), rtol=1e-9, what="kl of a one-hot p", dtype=False)
    p, q = distribution(rng, 3), np.array([1e-300, 0.3, 0.7])
    what = "kl with a prediction of 1e-300"
    close(student.kl(p, q), divergence(p, q), rtol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("two_directions")
def test_two_directions(student, parts):
    """p is close to q in one direction, and far in the other."""
    given = parts(student.two_directions(), "p", "q", what="two_directions")
    found = []
    for name, value in zip("pq", given, strict=True):
        assert isinstance(value, (list, tuple, np.ndarray)), f"{name} must be a list or a NumPy array"
        array = np.asarray(value)
        assert array.dtype.kind in "iuf", f"{name} must hold real numbers"
        assert array.ndim == 1, f"{name} must have one dimension, not {array.ndim}"
        assert 2 <= len(array) <= 10, f"{name} must have 2 to 10 entries, not {len(array)}"
        array = array.astype(np.float64)
        assert np.all((array >= 0.001 - 1e-9) & (array <= 1)), f"{name} must have entries from 0.001 to 1"
        assert abs(array.sum() - 1) <= 1.1e-6, f"{name} must sum to 1"
        found.append(array)
    p, q = found
    assert len(p) == len(q), "p and q must have the same length"
    there, back = divergence(p, q), divergence(q, p)
    assert not (back <= 0.5 and there >= 1), (
        "p and q are the wrong way round: KL(p || q) must be the small one"
    )
    assert not (there <= 0.5 and back <= 0.5), "p and q are close in both directions"
    assert not (there >= 1 and back >= 1), "p and q are far in both directions"
    assert there <= 0.5 + 1e-6, f"KL(p || q) is {there:.4f}, and must be at most 0.5"
    assert back >= 1 - 1e-6, f"KL(q || p) is {back:.4f}, and must be at least 1"


def pair(rng, size, b, n, dtype=torch.float64):
    """Logits of a student and of a teacher."""
    return [torch.tensor(rng.uniform(-size, size, (b, n)), dtype=dtype) for _ in range(2)]


def loss(student_logits, teacher_logits):
    """The mean of KL(teacher || student) in float64, one example at a time."""
    rows = zip(student_logits.double(), teacher_logits.double(), strict=True)
    q_p = [tuple(torch.distributions.Categorical(logits=row) for row in both) for both in rows]
    return torch.stack([torch.distributions.kl_divergence(p, q) for q, p in q_p]).mean()


@pytest.mark.points(1)
@pytest.mark.task("distillation")
def test_distillation(student, rng, close, carried):
    """The loss is the mean over the examples of KL(teacher || student), and no logits are changed."""
    for b, n in [(1, 2), (4, 7), (5, 5), (3, 1)]:
        logits = pair(rng, 2, b, n)
        what = f"the loss of {b} examples with {n} classes"
        close(student.distillation_loss(*logits), loss(*logits), rtol=1e-7, atol=1e-12, what=what)
        same = student.distillation_loss(logits[0], logits[0] + 1)
        close(
            same, torch.zeros((), dtype=torch.float64), atol=1e-12, what=f"{what}, a student like its teacher"
        )
    logits = pair(rng, 3, 6, 4, torch.float32)
    what = "the loss of float32 logits"
    actual, (args, _) = carried(student.distillation_loss, *(x.clone() for x in logits))
    close(actual, loss(*logits).float(), rtol=1e-4, what=what)
    for name, before, after in zip(("student", "teacher"), logits, args, strict=True):
        close(after, before, rtol=0, atol=0, what=f"the {name}'s logits after the call")


@pytest.mark.points(1)
@pytest.mark.task("distillation")
def test_distillation_gradients(student, rng, close, backward):
    """The student gets (softmax - p) / B as gradient, and the teacher none."""
    for b, n in [(3, 5), (4, 4)]:
        logits = pair(rng, 2, b, n)
        output, grads, _ = backward(
            student.distillation_loss, *logits, cotangent=torch.ones((), dtype=torch.float64), wrt=(0, 1)
        )
        close(output, loss(*logits), rtol=1e-7, what="the loss", dtype=False)
        learning = logits[0].clone().requires_grad_()
        (expected,) = torch.autograd.grad(loss(learning, logits[1]), learning)
        close(grads[0], expected, rtol=1e-7, atol=1e-12, what="the student's gradient", dtype=False)
        if grads[1] is not None:
            zeros = torch.zeros_like(expected)
            close(grads[1], zeros, rtol=0, atol=1e-12, what="the teacher's gradient", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("distillation")
def test_distillation_large(student, rng, close):
    """Logits of ±200 stay finite and right, also where the probabilities underflow."""
    for dtype, rtol in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        logits = pair(rng, 200, 4, 6, dtype)
        for k, row in enumerate(rng.permuted(np.tile(np.arange(6), (4, 1)), axis=1)):
            logits[0][k, row[0]], logits[0][k, row[1]] = 200, -200
            logits[1][k, row[1]], logits[1][k, row[0]] = 200, -200  # the student is as wrong as can be
        what = f"the loss of {dtype} logits up to ±200".replace("torch.", "")
        close(student.distillation_loss(*logits), loss(*logits).to(dtype), rtol=rtol, what=what)
