from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

# --- task 1 ---


def net(rng, sizes):
    """Weights and biases of linear layers."""
    pairs = list(itertools.pairwise(sizes))
    weights = [torch.from_numpy(rng.standard_normal((b, a)) / math.sqrt(a)) for a, b in pairs]
    return weights, [torch.from_numpy(0.3 * rng.standard_normal(b)) for _, b in pairs]


def batch(rng, n, d, classes):
    """Rows that differ, and labels of which every class has one."""
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    return torch.from_numpy(rng.standard_normal((n, d))), torch.from_numpy(rng.permutation(labels))


def descent(weights, biases, x, y, lr, steps):
    """The losses of gradient descent, with the derivatives written out."""
    w, b, losses = [v.numpy().copy() for v in weights], [v.numpy().copy() for v in biases], []
    target = np.eye(len(b[-1]))[y.numpy()]
    for _ in range(steps + 1):
        inputs = [x.numpy()]
        for i in range(len(w)):
            z = inputs[-1] @ w[i].T + b[i]
            inputs.append(np.tanh(z))
        top = z.max(1, keepdims=True)
        log_p = z - top - np.log(np.exp(z - top).sum(1, keepdims=True))
        losses.append(float(-(target * log_p).sum(1).mean()))
        delta = (np.exp(log_p) - target) / len(target)
        for i in reversed(range(len(w))):
            down = delta @ w[i] * (1 - inputs[i] ** 2)
            w[i] -= lr * delta.T @ inputs[i]
            b[i] -= lr * delta.sum(0)
            delta = down
    return losses


def same_losses(close, found, expected, what):
    """Compare the losses of a run."""
    assert isinstance(found, list | tuple), f"{what}: overfit must return a list of numbers"
    assert all(isinstance(v, float) for v in found), f"{what}: a loss must be a float"
    close(list(found), expected, rtol=1e-7, atol=1e-9, what=what, dtype=False)


def answered(answer):
    """The three parts of what `trained` gives."""
    assert isinstance(answer, tuple), "the call gave no result"
    assert len(answer) == 3, "the call gave no result"
    return answer


@pytest.mark.points(1)
@pytest.mark.task("overfit")
def test_losses(student, rng, close, apparatus):
    """The losses are those of full-batch gradient descent, before every step and after the last."""
    for sizes, n, lr, steps in [((3, 8, 4), 6, 0.5, 12), ((5, 3), 7, 0.2, 4), ((2, 6, 6, 2), 4, 0.3, 1)]:
        weights, biases = net(rng, sizes)
        x, y = batch(rng, n, sizes[0], sizes[-1])
        losses, *_ = answered(apparatus.trained(student.overfit, weights, biases, 0, x, y, lr, steps))
        expected = descent(weights, biases, x, y, lr, steps)
        same_losses(close, losses, expected, f"the losses of {steps} steps")


@pytest.mark.points(1)
@pytest.mark.task("overfit")
def test_left_alone(student, rng, close, apparatus):
    """Old gradients do not enter, and the model's weights and gradients are afterwards what they were."""
    weights, biases = net(rng, (4, 7, 3))
    x, y = batch(rng, 5, 4, 3)
    for stale in (2.5, 0):
        args = (weights, biases, stale, x, y, 0.4, 5)
        losses, params, grads = answered(apparatus.trained(student.overfit, *args))
        expected = descent(weights, biases, x, y, 0.4, 5)
        what = "old gradients" if stale else "no gradients"
        same_losses(close, losses, expected, f"the losses of a model with {what}")
        given = [p for pair in zip(weights, biases, strict=True) for p in pair]
        for p, old, g in zip(params, given, grads, strict=True):
            close(p, old, rtol=0, atol=0, what="a weight of the model after the call")
            if stale:
                assert g is not None, "the model's gradients are gone after the call"
                close(g, torch.full_like(old, stale), rtol=0, atol=0, what="a gradient after the call")
            else:
                assert g is None, "the model has gradients after the call, and had none"


# --- task 2 ---


def spec(rng, **changes):
    """The numbers of a healthy run, with changes."""
    depth, d, classes = int(rng.integers(3, 6)), int(rng.integers(3, 6)), int(rng.integers(3, 6))
    weights, biases = net(rng, (d, *rng.integers(5, 9, depth - 1).tolist(), classes))
    x, y = batch(rng, 12, d, classes)
    kind = int(rng.integers(3))
    rate = float(np.exp(rng.uniform(math.log(0.01), math.log(0.2))))
    found = {
        "weights": weights,
        "biases": biases,
        "x": x,
        "y": y,
        "seed": int(rng.integers(2**31)),
        "kind": kind,
        "lr": [rate] * depth,
        "listed": [1] * depth,
        "needs": [1] * depth,
        "ways": [0] * depth,
        "twin": 0,
        "moves": 1,
        "clear": int(rng.integers(1, 4)),
        "draw": int(rng.integers(2)),
    }
    found["out"], found["loss"] = [(0, 0), (2, 0), (2, 2), (1, 3)][rng.integers(4)]
    return found | changes


def at_one(rng, name, value, at=None):
    """A run with another value at one layer, counted from the end if negative; the run and the layer."""
    found = spec(rng)
    depth = len(found["weights"])
    at = int(rng.integers(depth)) if at is None else at % depth
    found[name] = [value if i == at else v for i, v in enumerate(found[name])]
    return found, at


def frozen(rng, name, at=None):
    """A run with a frozen layer, and its diagnosis."""
    found, at = at_one(rng, name, {"needs": 0, "listed": 0, "lr": 0.0}[name], at)
    return found, ("frozen", at)


def detached(rng, at):
    """A run whose graph is cut, and its diagnosis."""
    found, at = at_one(rng, "ways", 1, at)
    return found, ("detached", at)


def stuck(rng, how):
    """A run in which nothing moves, and its diagnosis."""
    found = spec(rng)
    change = {"lr": {"lr": [0.0] * len(found["lr"])}, "moves": {"moves": 0}, "twin": {"twin": 1}}[how]
    return found | change, ("stuck", None)


def healthy(rng, **changes):
    """A run without a fault, and its diagnosis."""
    return spec(rng, **changes), ("ok", None)


def tiny(rng):
    """A healthy run whose steps are tiny."""
    found = spec(rng, kind=0)
    return found | {"lr": [1e-8] * len(found["lr"])}, ("ok", None)


def diagnosed(student, apparatus, parts, rng, cases):
    """Ask about all runs, in random order, then compare."""
    cases = [cases[i] for i in rng.permutation(len(cases))]
    answers = apparatus.asked(student.diagnose, [one for one, _ in cases])
    assert isinstance(answers, list), "the calls gave no results"
    assert len(answers) == len(cases), "the calls gave no results"
    for number, (found, (_, due)) in enumerate(zip(answers, cases, strict=True), 1):
        what = f"run {number} of {len(cases)}"
        cause, layer = parts(found, "cause", "layer", what=f"{what}: diagnose")
        assert isinstance(cause, str), f"{what}: the cause must be a string"
        assert layer is None or (isinstance(layer, int) and not isinstance(layer, bool)), (
            f"{what}: the layer must be an int or None"
        )
        if due[0] == "ok":
            assert cause == "ok", f"{what} is healthy, and is called {cause!r}"
        assert cause == due[0], f"{what}: {cause!r} is not what is wrong"
        assert layer == due[1], f"{what}: {cause!r} is right, and layer {layer} is not where it is"


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_frozen(student, rng, apparatus, parts):
    """A frozen layer is found, whichever it is and however it was frozen, also where the loss falls all the same."""
    cases = [frozen(rng, name) for name in ("needs", "listed", "lr")]
    cases += [frozen(rng, name, 0) for name in ("needs", "listed", "lr")]
    cases += [frozen(rng, "listed", -1), healthy(rng), tiny(rng)]
    diagnosed(student, apparatus, parts, rng, cases)


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_detached(student, rng, apparatus, parts):
    """A cut graph is told from a frozen layer, and the cut is placed after the right layer."""
    cases = [detached(rng, -2), detached(rng, 0), detached(rng, 1)]
    cases += [frozen(rng, "needs", 0), frozen(rng, "listed", 1), healthy(rng)]
    diagnosed(student, apparatus, parts, rng, cases)


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_stuck(student, rng, apparatus, parts):
    """A run in which nothing moves is told from one that moves slowly, and from one frozen layer."""
    cases = [stuck(rng, how) for how in ("lr", "moves", "twin")]
    cases += [tiny(rng), tiny(rng), frozen(rng, "lr"), detached(rng, 1)]
    diagnosed(student, apparatus, parts, rng, cases)


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_shuffled(student, rng, apparatus, parts):
    """Labels that change their rows are told from a batch that is only put into another order."""
    cases = [(spec(rng, draw=kind), ("shuffled", None)) for kind in (2, 3, 3)]
    cases += [healthy(rng, draw=kind) for kind in (0, 1, 1)]
    diagnosed(student, apparatus, parts, rng, cases)


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_softmax(student, rng, apparatus, parts):
    """A second softmax is found in the model and in the loss; probabilities with a loss for them are healthy."""
    cases = [(spec(rng, out=a, loss=b), ("softmax_twice", None)) for a, b in [(1, 0), (0, 1), (1, 0)]]
    cases += [healthy(rng, out=a, loss=b) for a, b in [(0, 0), (2, 0), (2, 2), (1, 3)]]
    diagnosed(student, apparatus, parts, rng, cases)


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_accumulated(student, rng, apparatus, parts):
    """Gradients that add up are told from momentum, and from gradients that are cleared after the step."""
    cases = [(spec(rng, clear=0, kind=kind), ("accumulated", None)) for kind in (0, 1, 2)]
    cases += [healthy(rng, clear=clear, kind=1) for clear in (1, 2, 3)] + [healthy(rng, clear=3, kind=0)]
    diagnosed(student, apparatus, parts, rng, cases)


# --- task 3 ---


@pytest.mark.points(2)
@pytest.mark.task("floors")
def test_floors(student, rng, close, parts):
    """The three floors: of a healthy run, of a second softmax, of labels that are shuffled in every step."""
    for classes, labels in [
        (10, [3, 1, 4, 1, 5]),
        (3, [0, 0, 0, 2]),
        (2, [1, 0]),
        (7, rng.integers(0, 7, 6).tolist()),
        (50, rng.permutation(50)[:5].tolist()),
        (4, [2]),
    ]:
        y = torch.tensor(labels)
        given = parts(student.floors(y, classes), "healthy", "twice", "shuffled", what="floors")
        what = f"{classes} classes, {len(labels)} labels"
        # What a perfect model's probabilities cost if they are taken for logits.
        twice = F.cross_entropy(torch.eye(classes, dtype=torch.float64)[y], y).item()
        # How often each label stands in the first row, over all permutations.
        first = torch.tensor([order[0] for order in itertools.permutations(labels)])
        share = torch.bincount(first, minlength=classes).double() / len(first)
        shuffled = torch.distributions.Categorical(probs=share).entropy().item()
        names = ("the floor of a healthy run", "the floor of softmax twice", "the floor of shuffled labels")
        for name, found, due in zip(names, given, (0.0, twice, shuffled), strict=True):
            close(found, due, rtol=1e-6, atol=1e-6, what=f"{name}, {what}", dtype=False)
