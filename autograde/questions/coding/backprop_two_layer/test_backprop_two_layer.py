from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

NAMES = ("x", "y", "W1", "b1", "W2", "b2")
GRADS = ("dW1", "db1", "dW2", "db2", "dx")
ODD_SIZES = [(5, 3, 4, 2), (2, 4, 3, 6), (7, 2, 6, 3)]  # N, D, H, O: all different in each


# --- the oracles: autograd, and the complex step ---


def drawn(rng, sizes):
    """Arrays for sizes (N, D, H, O); about half of the hidden units are off, some of them by their bias."""
    n, d, h, o = sizes
    shapes = {"x": (n, d), "y": (n, o), "W1": (d, h), "b1": (h,), "W2": (h, o), "b2": (o,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def by_autograd(arrays):
    """The loss and its gradients, by torch; its relu has the derivative 0 at 0."""
    t = {name: torch.from_numpy(array.copy()).requires_grad_(name != "y") for name, array in arrays.items()}
    hidden = torch.relu(t["x"] @ t["W1"] + t["b1"])
    loss = torch.nn.functional.mse_loss(hidden @ t["W2"] + t["b2"], t["y"])
    loss.backward()
    return loss.item(), {name: t[name.removeprefix("d")].grad.numpy() for name in GRADS}


def predicted(arrays):
    """The outputs of the network, of complex arrays too: the real part decides what relu does."""
    z = arrays["x"] @ arrays["W1"] + arrays["b1"]
    return np.where(np.real(z) > 0, z, 0) @ arrays["W2"] + arrays["b2"]


def by_complex_step(arrays):
    """The loss and its gradients, each entry moved by a tiny imaginary number; no derivative is used."""

    def loss(arrays):
        return ((predicted(arrays) - arrays["y"]) ** 2).mean()

    tiny, grads = 1e-200, {}
    for name in GRADS:
        moved = {key: array.astype(complex) for key, array in arrays.items()}
        entries = moved[name.removeprefix("d")]
        grads[name] = np.empty(entries.shape)
        for place in np.ndindex(entries.shape):
            entries[place] += tiny * 1j
            grads[name][place] = loss(moved).imag / tiny
            entries[place] -= tiny * 1j
    return loss(arrays), grads


# --- what was returned ---


def read(answer, what):
    """The loss and the gradients of an answer."""
    is_pair = isinstance(answer, tuple | list) and len(answer) == 2
    assert is_pair, f"{what}: return a pair (loss, grads)"
    loss, grads = answer
    assert isinstance(grads, dict), f"{what}: the second of the pair must be a dict"
    return {**grads, "loss": loss}


def compare(answer, expected, close, what, names=("loss", *GRADS)):
    """The parts of an answer that are named are right to 9 digits of their largest entry."""
    parts = read(answer, what)
    loss, grads = expected
    for name in names:
        assert name in parts, f'{what}: the dict has no key "{name}"'
        wanted = loss if name == "loss" else grads[name]
        atol = 1e-9 * float(np.abs(wanted).max())
        close(parts[name], wanted, rtol=1e-9, atol=atol, what=f"{what}: {name}", dtype=False)


def sizes_of(arrays):
    """The sizes in words."""
    (n, d), (h, o) = arrays["x"].shape, arrays["W2"].shape
    return f"N, D, H, O = {n}, {d}, {h}, {o}"


def called(student, arrays):
    """The learner's loss and gradients."""
    return student.forward_backward(*(arrays[name] for name in NAMES))


def agree(student, cases, close, names=("loss", *GRADS), oracle=by_autograd):
    """The learner's answers to all cases, compared with an oracle's."""
    answers = [called(student, arrays) for arrays in cases]
    for answer, arrays in zip(answers, cases, strict=True):
        compare(answer, oracle(arrays), close, sizes_of(arrays), names)


@pytest.mark.points(1)
@pytest.mark.task("forward_backward")
def test_loss(student, rng, close):
    """The loss is the mean of the squared errors over all N·O entries."""
    agree(student, [drawn(rng, sizes) for sizes in ODD_SIZES], close, ["loss"])


@pytest.mark.points(1)
@pytest.mark.task("forward_backward")
def test_output_layer(student, rng, close):
    """dW2 and db2 are the gradients of the output layer."""
    agree(student, [drawn(rng, sizes) for sizes in ODD_SIZES], close, ["dW2", "db2"])


@pytest.mark.points(1)
@pytest.mark.task("forward_backward")
def test_hidden_layer(student, rng, close):
    """dW1 and db1 are the gradients of the hidden layer: only units that are on pass something back."""
    agree(student, [drawn(rng, sizes) for sizes in ODD_SIZES], close, ["dW1", "db1"])


@pytest.mark.points(1)
@pytest.mark.task("forward_backward")
def test_inputs(student, rng, close):
    """dx is the gradient of the inputs, a row for each example."""
    agree(student, [drawn(rng, sizes) for sizes in ODD_SIZES], close, ["dx"])


@pytest.mark.points(2)
@pytest.mark.task("forward_backward")
def test_square(student, rng, close):
    """Where sizes are equal, so that a wrong transpose or axis still fits, everything is right."""
    cases = [drawn(rng, sizes) for sizes in [(3, 3, 3, 3), (2, 2, 2, 2), (4, 3, 3, 4), (3, 4, 4, 3)]]
    agree(student, cases, close, oracle=by_complex_step)


def at_the_kink(rng, offsets):
    """Arrays of which unit j has the pre-activation offsets[j] exactly, at example j and where W1 is 0."""
    h = len(offsets)
    arrays = drawn(rng, (h, 3, h, 2))
    # Whole numbers: sums are exact in any order, so that what should be 0 is 0.
    arrays["x"] = rng.integers(-4, 5, (h, 3)).astype(float)
    arrays["W1"] = rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], (3, h))
    arrays["b1"] = -(arrays["x"] @ arrays["W1"]).diagonal() + offsets
    return arrays


@pytest.mark.points(1)
@pytest.mark.task("forward_backward")
def test_kink(student, rng, close):
    """The derivative of relu is 0 at exactly 0 and below, and 1 above 0, however close to it."""
    zeros = at_the_kink(rng, np.zeros(5))
    near = at_the_kink(rng, rng.permutation([2.0**-20, -(2.0**-20), 2.0**-40, -(2.0**-40), 0.0]))
    # Columns of 0: the pre-activation is the bias, for every example.
    tiny = at_the_kink(rng, np.zeros(6))
    tiny["W1"][:, :5] = 0
    tiny["b1"][:5] = rng.permutation([0.0, -0.0, 1e-30, -1e-30, 1e-150])
    off = drawn(rng, (4, 3, 5, 2))
    off["b1"] -= 100
    agree(student, [zeros, near, tiny, off], close, oracle=by_complex_step)


@pytest.mark.points(1)
@pytest.mark.task("forward_backward")
def test_sizes(student, rng, close):
    """Shapes hold where N, D, H or O is 1, and 9 digits do whether the numbers are small or large."""
    ones = [(1, 3, 4, 2), (4, 1, 3, 2), (4, 3, 1, 2), (5, 3, 4, 1), (1, 3, 4, 1), (1, 1, 1, 1)]
    cases = [drawn(rng, sizes) for sizes in ones]
    for case in cases:
        case["b1"] += 2  # where there is one hidden unit, it is on
    for scale in (1e-4, 1e-2, 1e3):
        cases.append({name: scale * array for name, array in drawn(rng, (4, 3, 5, 2)).items()})
    agree(student, cases, close)


@pytest.mark.points(1)
@pytest.mark.task("forward_backward")
def test_unchanged(student, rng, close, carried, apparatus):
    """Inputs are left alone, no call remembers another, and what a call returned stays as it was."""
    arrays, others = drawn(rng, (4, 3, 5, 2)), drawn(rng, (4, 3, 5, 2))
    result, (args, _) = carried(student.forward_backward, *(arrays[name].copy() for name in NAMES))
    compare(result, by_autograd(arrays), close, "a call")
    for name, after in zip(NAMES, args, strict=True):
        close(after, arrays[name], rtol=0, atol=0, what=f"{name} after the call")
    both = apparatus.in_turn(
        student.forward_backward, [arrays[name] for name in NAMES], [others[name] for name in NAMES]
    )
    is_answer = isinstance(both, tuple) and len(both) == 3 and isinstance(both[2], list)
    assert is_answer, "two calls gave no result"
    compare(both[1], by_autograd(others), close, "a second call, with new numbers in the same arrays")
    compare(both[0], by_autograd(arrays), close, "what the first call returned, after a second one")
    for name, after in zip(NAMES, both[2], strict=True):
        close(after, others[name], rtol=0, atol=0, what=f"{name} after the second call")


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("forward_backward")
def test_by_hand(student, rng, close, apparatus):
    """The gradients are right and come from your own formulas: torch keeps nothing for a backward pass."""
    arrays = drawn(rng, (4, 3, 5, 2))
    answer = apparatus.watched(student.forward_backward, [arrays[name] for name in NAMES])
    is_answer = isinstance(answer, tuple) and len(answer) == 2
    assert is_answer, "the call gave no result"
    compare(answer[0], by_autograd(arrays), close, "a call")
    assert answer[1] is False, "torch's autograd computes the gradients: write them yourself"


# --- training: nothing is drawn, so that a loop that learns learns here and there ---

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TABLES = {"XOR": (0, 1, 1, 0), "XNOR": (1, 0, 0, 1), "NAND": (1, 1, 1, 0), "x1 and not x2": (0, 0, 1, 0)}
WEIGHTS = ("W1", "b1", "W2", "b2")


class Run:
    """A training, and what came out of it.

    Attributes:
        table: the name of the truth table.
        seed: what train is given.
        x, y: its rows, in an order of their own.
        target: what the network should learn.
        weights: the four that came out, as a dict of arrays; empty before.
        began: those of the first two calls of forward_backward, the same way; fewer where there were fewer calls.
        is_sound: whether forward_backward was right where it was tried.
    """

    def __init__(self, table, seed, *, order=(2, 0, 1, 3), flipped=False):
        self.table, self.seed = table, seed
        order = list(order)
        self.x, self.y = CORNERS[order], np.array(TABLES[table], dtype=float)[order][:, None]
        self.target = 1 - self.y if flipped else self.y
        self.weights, self.began, self.is_sound = {}, [], True

    def __str__(self):
        return f"{self.table} from seed {self.seed}"

    def arrays(self, weights):
        """The inputs of an oracle."""
        return {"x": self.x, "y": self.target, **weights}

    def error(self, target):
        """The largest error of a prediction."""
        with np.errstate(all="ignore"):
            return np.abs(predicted(self.arrays(self.weights)) - target).max()


def train_all(student, apparatus, close, runs, *, flipped=False):
    """Let the learner's train do the runs; what came out are four arrays, and x and y are as they were."""
    if not runs:
        return
    # Sizes as in the training, twice: what is wrong for others only, or once, does not keep it from learning.
    probes = [drawn(np.random.default_rng(number), (4, 2, 5, 1)) for number in range(2)]
    tried = [called(student, probe) for probe in probes]
    is_sound = all(is_right(answer, probe, close) for answer, probe in zip(tried, probes, strict=True))
    inputs = [(run.x, run.y, run.seed) for run in runs]
    results = apparatus.trained(student.train, student.forward_backward, inputs, flipped)
    is_answer = isinstance(results, list) and len(results) == len(runs)
    assert is_answer, "train gave no result"
    for run, result in zip(runs, results, strict=True):
        is_result = isinstance(result, tuple) and len(result) == 4
        assert is_result, "train gave no result"
        weights, began, x, y = result
        run.weights = four(weights, f"{run}: what train returns", is_sound)
        run.began = [dict(zip(WEIGHTS, call, strict=True)) for call in began]
        run.is_sound = is_sound
        for name, after, before in (("x", x, run.x), ("y", y, run.y)):
            assert np.array_equal(after, before), f"train changes {name}"


def is_right(answer, arrays, close):
    """Whether this is the loss and all gradients."""
    try:
        compare(answer, by_autograd(arrays), close, "a call")
    except AssertionError:
        return False
    return True


def four(weights, what, is_sound=True):
    """Weights of a network from 2 inputs to 1 output, as train returns them."""
    is_four = isinstance(weights, tuple | list) and len(weights) == 4
    assert is_four, f"{what}: should be the four arrays (W1, b1, W2, b2)"
    for name, weight in zip(WEIGHTS, weights, strict=True):
        is_array = isinstance(weight, np.ndarray) and weight.dtype.kind in "fiu"
        assert is_array, f"{what}: {name} is no NumPy array of numbers"
    width = weights[0].shape[-1] if weights[0].ndim else 0
    shapes = [weight.shape for weight in weights]
    fits = shapes == [(2, width), (width,), (width, 1), (1,)] and width > 0
    if not is_sound:
        assert fits, f"{what}: the shapes are not right, and forward_backward is not either: mend that first"
    assert fits, f"{what}: the shapes must be (2, H), (H,), (H, 1), (1,)"
    return {name: np.asarray(weight, dtype=float) for name, weight in zip(WEIGHTS, weights, strict=True)}


def is_solved(run):
    """Whether every prediction is near its target."""
    return run.error(run.target) <= 0.1 + 1e-6


def solved(run):
    """Every prediction is near its target; if not, the message says what the weights look like."""
    off = f"{run}: a prediction is off by {run.error(run.target):.2g}"
    assert is_solved(run), f"{why(run)}\n{off}"


def solved_in_the_end(student, apparatus, close, runs, *, flipped=False):
    """Every run is solved, or else its table is from one of two more seeds: a right loop may get stuck."""
    stuck = {run.table: run for run in reversed(runs) if not is_solved(run)}
    for seed in (7, 8):
        more = [Run(table, seed, flipped=flipped) for table in stuck]
        train_all(student, apparatus, close, more, flipped=flipped)
        for run in filter(is_solved, more):
            del stuck[run.table]
    for run in stuck.values():
        solved(run)


def why(run):
    """What is wrong with weights that solve nothing."""
    weights = run.weights
    if run.began and not moved(run):
        return "the weights are those of the first call: nothing moved"
    units = np.vstack([weights["W1"], weights["b1"], weights["W2"].T])
    if units.shape[1] > 1 and np.ptp(units, axis=1).max() < 1e-9:
        return "all hidden units are the same: what started alike stays alike"
    if not run.is_sound:
        return "this does not get there, and forward_backward is not right yet: mend that first"
    if len(run.began) == 2 and any(np.isnan(weight).any() for weight in run.began[1].values()):
        return "the weights are NaN after the first step: what are the gradients where z is 0?"
    if goes_up(run):
        return "the first step goes up: along the gradient and not against it"
    loss, grads = by_autograd(run.arrays(weights))
    if not loss < 100:
        return "the loss grows without bound: each step goes further than the last"
    if run.error(run.target) < 0.5:
        return "every prediction is on the right side of one half, but not within 0.1 of its target"
    if (run.x @ weights["W1"] + weights["b1"] <= 0).all():
        return "all hidden units are off for every row: no gradient passes any more"
    if max(np.abs(grads[f"d{name}"]).max() for name in WEIGHTS) < 1e-3:
        return "the training came to rest where it is wrong: the gradient is next to 0"
    return "the training ended before it was done: the gradient is not near 0"


def moved(run):
    """The names of the weights that are not what they were at the first call."""
    return [name for name in WEIGHTS if not np.array_equal(run.began[0][name], run.weights[name])]


def goes_up(run):
    """Whether the first step follows the gradient, where it can be told."""
    is_told = len(run.began) == 2 and all(
        run.began[0][name].shape == run.began[1][name].shape == run.weights[name].shape for name in WEIGHTS
    )
    if not is_told:
        return False
    first, second = run.began
    _, grads = by_autograd(run.arrays(first))
    return sum((grads[f"d{name}"] * (second[name] - first[name])).sum() for name in WEIGHTS) > 0


@pytest.mark.points(2)
@pytest.mark.task("train")
def test_xor(student, close, apparatus):
    """From each of the seeds 0 to 4 the network learns XOR: every prediction within 0.1."""
    runs = [Run("XOR", seed, order=range(4)) for seed in range(5)]
    train_all(student, apparatus, close, runs)
    for run in runs:
        solved(run)


@pytest.mark.points(1)
@pytest.mark.task("train")
def test_tables(student, close, apparatus):
    """The rows decide what is learned, in any order; the same seed gives the same weights, another one others."""
    cases = [("XNOR", 5), ("XNOR", 6), ("NAND", 5), ("x1 and not x2", 6)]
    runs = [Run(*case) for case in cases]
    again = Run(*cases[0])
    train_all(student, apparatus, close, [*runs, again])
    solved_in_the_end(student, apparatus, close, runs)
    for name in WEIGHTS:
        assert near(runs[0].weights[name], again.weights[name]), "the same seed gives other weights"
    is_same = all(near(a.weights["W1"], b.weights["W1"]) for a, b in pairwise(runs[:2]))
    assert not is_same, "another seed gives the same weights"


def near(one, other):
    """Whether two arrays are the same but for rounding."""
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-3, atol=1e-3))


@pytest.mark.points(2)
@pytest.mark.method
@pytest.mark.task("train")
def test_gradients_decide(student, close, apparatus):
    """It learns from the gradients that forward_backward returns, and trains all of W1, b1, W2 and b2."""
    runs = [Run("XOR", seed, flipped=True) for seed in (0, 1)]
    train_all(student, apparatus, close, runs, flipped=True)
    for run in runs:
        assert run.began, "train never calls the forward_backward that it is given"
        others = run.error(run.y) <= 0.1
        assert not others, (
            "train finds the targets y even where forward_backward works with others: it learns from something else"
        )
        still = [name for name in WEIGHTS if name not in moved(run)]
        assert not still, f"not trained: {', '.join(still)}"
    solved_in_the_end(student, apparatus, close, runs, flipped=True)
    without = Run("XOR", 0)
    weights = apparatus.without_gradients(student.train, student.forward_backward, (without.x, without.y, 0))
    if weights is not None:
        without.weights = four(weights, "what train returns where all gradients are 0")
        assert not is_solved(without), "train learns even where all gradients are 0: it does not follow them"
