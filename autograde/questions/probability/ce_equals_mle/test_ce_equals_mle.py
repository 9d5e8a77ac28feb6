from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F


def loss(logits, labels, reduction="mean", ignore=-100):
    """The cross-entropy by torch in float64."""
    labels = torch.as_tensor(labels, dtype=torch.int64)
    logits = torch.as_tensor(logits, dtype=torch.float64)
    return F.cross_entropy(logits, labels, reduction=reduction, ignore_index=ignore)


def examples(rng, n, c, size=2.0):
    """Logits of n examples, and a label for each."""
    return rng.uniform(-size, size, (n, c)), rng.integers(0, c, n)


@pytest.mark.points(1)
@pytest.mark.task("log_likelihood")
def test_log_likelihood(student, rng, close, carried):
    """The log-probabilities of the right classes are summed, and the arguments are left as they were."""
    for n, c in [(1, 3), (5, 2), (4, 4), (7, 10), (3, 1)]:
        logits, labels = examples(rng, n, c)
        actual, (args, _) = carried(student.log_likelihood, logits.copy(), labels.copy())
        expected = -float(loss(logits, labels, "sum"))
        what = f"the log-likelihood of {n} labels, {c} classes"
        close(actual, expected, rtol=1e-9, atol=1e-12, what=what, dtype=False)
        close(args[0], logits, rtol=0, atol=0, what="the logits after the call")


@pytest.mark.points(1)
@pytest.mark.task("log_likelihood")
def test_log_likelihood_extremes(student, rng, close):
    """The likelihood of 3000 labels underflows and its logarithm does not; logits of ±1000 stay finite and right."""
    logits, labels = examples(rng, 3000, 5)
    expected = -float(loss(logits, labels, "sum"))
    actual = student.log_likelihood(logits, labels)
    close(actual, expected, rtol=1e-9, what="the log-likelihood of 3000 labels", dtype=False)
    logits, labels = examples(rng, 8, 6, 3)
    logits += 997 * np.array([1, -1, 0, 1, -1, 0, 1, -1])[:, None]
    logits[6:] = rng.uniform(-1000, 1000, (2, 6))
    labels[6:] = logits[6:].argmin(axis=1)
    actual = student.log_likelihood(logits, labels)
    what = "the log-likelihood with logits up to ±1000"
    close(actual, -float(loss(logits, labels, "sum")), rtol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("cross_entropy")
def test_cross_entropy(student, rng, close):
    """The loss is the mean over the examples, for any number of them."""
    for n, c in [(1, 4), (6, 3), (5, 5), (40, 7)]:
        logits, labels = examples(rng, n, c)
        what = f"the loss of {n} examples, {c} classes"
        actual = student.cross_entropy(logits, labels)
        close(actual, float(loss(logits, labels)), rtol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("cross_entropy")
def test_ignored(student, rng, close, raises, carried):
    """Padding does not count and stays in place, whatever number marks it; where nothing counts: ValueError."""
    for ignore, c in [(-100, 5), (-1, 3), (255, 4), (-100, 120)]:
        logits, labels = examples(rng, 12, c)
        labels[rng.permutation(12)[:5]] = ignore
        expected = float(loss(logits, labels, ignore=ignore))
        if ignore == -100:
            actual = student.cross_entropy(logits, labels)
        else:
            actual = student.cross_entropy(logits, labels, ignore=ignore)
        what = f"the loss of 7 examples and 5 with the label {ignore}, {c} classes"
        close(actual, expected, rtol=1e-9, what=what, dtype=False)
    _, (args, _) = carried(student.cross_entropy, logits.copy(), labels.copy())
    close(args[0], logits, rtol=0, atol=0, what="the logits after the call")
    close(args[1], labels, what="the labels after the call")
    with raises(ValueError):
        student.cross_entropy(logits, np.full(12, -100))


def descended(labels, c, lr, steps):
    """The same descent with gradients by autograd."""
    z = torch.zeros(c, dtype=torch.float64, requires_grad=True)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(z.expand(len(labels), c), labels), z)
        z = (z - lr * gradient).detach().requires_grad_()
    return torch.softmax(z, 0).detach().numpy()


@pytest.mark.points(1)
@pytest.mark.task("fit")
def test_first_steps(student, rng, close):
    """The first steps go where autograd's gradient of the mean loss leads, also with classes that never occur."""
    for c, lr, steps in [(3, 0.5, 1), (5, 2.0, 3), (4, 0.1, 8), (2, 1.0, 0)]:
        labels = np.append(rng.integers(0, c - 1, 9), 0)  # the last class never occurs, and 0 does
        expected = descended(labels, c, lr, steps)
        what = f"the probabilities after {steps} steps with lr = {lr}"
        close(student.fit(labels, c, lr, steps), expected, rtol=1e-5, atol=1e-8, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("fit")
def test_end(student, rng, close):
    """After many steps the probabilities are the frequencies of the labels."""
    for c in (2, 4):
        labels = rng.permutation(np.append(np.arange(c), rng.integers(0, c - 1, 11 - c)))
        frequencies = np.bincount(labels, minlength=c) / len(labels)
        what = f"the probabilities of {c} classes after 600 steps"
        close(student.fit(labels, c, 1.0, 600), frequencies, rtol=1e-5, what=what, dtype=False)


def lowest(contexts, labels):
    """Minus the logarithm of the largest likelihood there is, an exact fraction, over N."""
    alone = Counter(contexts)
    best = Fraction(1)
    for (x, _), n in Counter(zip(contexts, labels, strict=True)).items():
        best *= Fraction(n, alone[x]) ** n
    return (math.log(best.denominator) - math.log(best.numerator)) / len(labels)


@pytest.mark.points(1)
@pytest.mark.task("lowest_loss")
def test_lowest_loss(student, rng, close):
    """Equal inputs with different labels set the floor: numbers, strings and tuples, also side by side."""
    for n, many in [(6, 2), (25, 4), (60, 12)]:
        numbers = [int(x) for x in many * rng.uniform(0, 1, n) ** 2]  # some inputs come more often
        labels = [int(y) for y in rng.integers(0, 3, n) + np.array(numbers) % 2]
        labels[:2], numbers[:2] = [0, 3], [0, 0]
        kinds = (numbers, [f"input {x}" for x in numbers], [(x // 2, str(x % 2)) for x in numbers])
        for contexts in kinds:
            what = f"the lowest loss of {n} examples"
            actual = student.lowest_loss(contexts, labels)
            close(actual, lowest(contexts, labels), rtol=1e-9, what=what, dtype=False)
    contexts = [1, "1", 1, "1", (1,), 1, ("1", 2), (1,), ("1",)]
    labels = [-1, 3, 0, 3, 5, 0, 5, 7, 7]
    actual = student.lowest_loss(contexts, labels)
    what = "the lowest loss of inputs of different kinds"
    close(actual, lowest(contexts, labels), rtol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("lowest_loss")
def test_lowest_loss_extremes(student, rng, close):
    """With a single input it is the entropy of the labels; with inputs that are all different it is 0."""
    labels = [int(y) for y in rng.integers(0, 4, 30)] + [0, 1, 1]
    frequencies = np.bincount(labels) / len(labels)
    entropy = torch.distributions.Categorical(probs=torch.tensor(frequencies)).entropy()
    what = "the lowest loss with a single input"
    close(student.lowest_loss(["x"] * 33, labels), float(entropy), rtol=1e-9, what=what, dtype=False)
    what = "the lowest loss where all inputs are different"
    close(student.lowest_loss(list(range(33)), labels), 0.0, rtol=0, atol=1e-12, what=what, dtype=False)
    close(
        student.lowest_loss([5], [2]),
        0.0,
        rtol=0,
        atol=1e-12,
        what="the lowest loss of one example",
        dtype=False,
    )
