from __future__ import annotations

import math

import numpy as np
import pytest
import torch

ROWS, WIDTH = 6, 5


def drawn(rng, *shape, scale=1.0):
    """Normal numbers in float32."""
    return torch.from_numpy(scale * rng.standard_normal(shape)).float()


def layer(rng):
    """A linear layer after a tanh, its outputs of ordinary size."""
    return [("b",), ("a", drawn(rng, WIDTH, WIDTH, scale=WIDTH**-0.5), drawn(rng, WIDTH, scale=0.3))]


def padding(rng, some):
    """1 for a row that counts and 0 for padding, of which there is some or none."""
    rows = torch.ones(ROWS)
    if some:
        rows[torch.from_numpy(rng.permutation(ROWS)[: int(rng.integers(1, 4))].copy())] = 0.0
    return rows


def visible(rng, empty):
    """Which row sees which; one row sees nothing, or each sees something and not everything."""
    mask = torch.from_numpy(rng.random((ROWS, ROWS)) < 0.5)
    for row in range(ROWS):
        mask[row, int(rng.integers(ROWS))] = True
    mask[0, :3] = torch.tensor([True, False, False])
    if empty:
        mask[int(rng.integers(ROWS))] = False
    return mask


def pick(rng, *options):
    """One of them."""
    return options[int(rng.integers(len(options)))]


def unit(rng, kind, wrong=False, way=None):
    """Modules of one kind, healthy or wrong in one of its ways; a fault is in the last of them.

    A module more or less at the beginning: its place in the block says nothing about what it is.
    """
    start = [("d", torch.ones(ROWS))] * int(rng.integers(3)) + layer(rng)
    if kind == "half":
        size = 10 ** rng.uniform(6, 7) if wrong else 10 ** rng.uniform(0, 3)
        return [*start, ("c", drawn(rng, WIDTH, WIDTH, scale=size))]
    if kind == "exp":
        return [*start, ("g", float(rng.uniform(300, 900) if wrong else rng.uniform(1, 8)))]
    if kind == "norm":
        some, eps = (True, 0.0) if wrong else pick(rng, (True, 1e-5), (False, 0.0))
        return [*start, ("d", padding(rng, some)), ("e", eps)]
    if kind == "length":
        some, eps = (True, 0.0) if wrong else pick(rng, (True, 1e-12), (False, 0.0))
        return [*start, ("d", padding(rng, some)), ("j", eps)]
    if kind == "log":
        if wrong:
            zeros = [("h", 2000.0)], [("h", 2.0), ("d", padding(rng, True))]
            return [*start, *(pick(rng, *zeros) if way is None else zeros[way]), ("i", 0.0)]
        scale, eps = pick(rng, (2.0, 0.0), (2000.0, 1e-6))
        return [*start, ("h", scale), ("i", eps)]
    if kind == "zero":
        bad = (False, 1), (True, 3)
        empty, way = (
            pick(rng, (False, 0), (True, 2)) if not wrong else pick(rng, *bad) if way is None else bad[way]
        )
        return [*start, ("f", visible(rng, empty), way)]
    assert kind == "empty"
    empty, way = (True, 0) if wrong else pick(rng, (False, 0), (True, 2))
    return [*start, ("f", visible(rng, empty), way)]


FORWARD = {
    "half": "overflow",
    "exp": "overflow",
    "norm": "div_zero",
    "log": "log_zero",
    "zero": "masked_inf",
    "empty": "empty_row",
}
CAUSES = FORWARD | {"length": "sqrt_zero"}


def blocks_of(rng, wrong=None, hidden=False, way=None):
    """The modules of a network with every kind of unit; the name of the module at fault or None."""
    kinds = [str(kind) for kind in rng.permutation(["half", "exp", "norm", "log", "empty", "length"])]
    if wrong == "zero":
        kinds[kinds.index("empty")] = "zero"
    stem = ("a", drawn(rng, WIDTH, WIDTH, scale=WIDTH**-0.5), drawn(rng, WIDTH, scale=0.3))
    blocks, place = [[stem]], None
    for kind in kinds:
        parts = unit(rng, kind, kind == wrong, way)
        if kind == wrong:
            place = f"{len(blocks)}.{len(parts) - 1}"
        blocks.append(parts + [("k",)] * hidden)
    head = ("a", drawn(rng, 2, WIDTH, scale=WIDTH**-0.5), drawn(rng, 2, scale=0.3))
    return [*blocks, [("b",), head]], place


def bad_rows(rng, value):
    """An x with one bad entry; the row."""
    x = drawn(rng, ROWS, WIDTH)
    row = int(rng.integers(ROWS))
    x[row, int(rng.integers(WIDTH))] = value
    return x, row


def pairs(parts, answers, count, names, function):
    """The pairs that the learner's function returned."""
    assert isinstance(answers, list), "the calls gave no results"
    assert len(answers) == count, "the calls gave no results"
    return [tuple(parts(found, *names, what=function)) for found in answers]


# --- task 1 ---


def same_places(student, apparatus, parts, rng, cases):
    """Ask about all networks, then compare."""
    cases = [cases[i] for i in rng.permutation(len(cases))]
    answer = apparatus.located(student.first_bad, [case for case, _ in cases])
    assert isinstance(answer, tuple), "the calls gave no results"
    answers, left, changed = answer
    answers = pairs(parts, answers, len(cases), ("name", "phase"), "first_bad")
    for number, (found, (_, due)) in enumerate(zip(answers, cases, strict=True), 1):
        assert found == due, f"network {number} of {len(cases)}: {found} is not where it begins"
    assert left == 0, "hooks are left on the model after the call"
    assert changed == 0, "x or the model's parameters are not what they were before the call"


def network(rng, wrong=None, hidden=False):
    """A network with an input, and where its first bad number is."""
    blocks, place = blocks_of(rng, wrong, hidden)
    phase = None if wrong is None else "backward" if wrong == "length" else "forward"
    return (blocks, drawn(rng, ROWS, WIDTH)), (place, phase)


@pytest.mark.points(1)
@pytest.mark.task("first_bad")
def test_forward(student, rng, apparatus, parts):
    """The first module that makes a NaN or an infinity is named, also where a later one hides it."""
    cases = [network(rng, wrong, hidden) for wrong in FORWARD for hidden in (False, True)]
    same_places(student, apparatus, parts, rng, cases)


@pytest.mark.points(1)
@pytest.mark.task("first_bad")
def test_backward(student, rng, apparatus, parts):
    """Where all outputs are finite and a gradient is not, the module is named behind which it was still finite."""
    cases = [network(rng, "length") for _ in range(5)]
    cases.append((([[*unit(rng, "length", wrong=True)[-2:]]], drawn(rng, ROWS, WIDTH)), ("0.1", "backward")))
    x = drawn(rng, ROWS, WIDTH) * padding(rng, True)[:, None]
    cases.append((([[("j", 0.0)], *blocks_of(rng)[0]], x), ("0.0", "backward")))
    same_places(student, apparatus, parts, rng, [*cases, network(rng, "norm"), network(rng)])


@pytest.mark.points(1)
@pytest.mark.task("first_bad")
def test_input_and_none(student, rng, apparatus, parts):
    """A bad input is no module's fault, and a network without bad numbers has no place; no hooks are left."""
    cases = [network(rng), network(rng, hidden=True), network(rng, "exp"), network(rng, "length")]
    for value in (math.nan, math.inf, -math.inf):
        blocks, _ = blocks_of(rng)
        cases.append(((blocks, bad_rows(rng, value)[0]), (None, "input")))
    blocks, _ = blocks_of(rng)
    cases.append(((blocks, drawn(rng, ROWS, WIDTH, scale=1e4)), (None, None)))
    same_places(student, apparatus, parts, rng, cases)


# --- task 2 ---


def run(rng, wrong=None, rate=0.001, size=1.0, way=None):
    """A run, and its diagnosis."""
    blocks, place = blocks_of(rng, wrong, way=way)
    case = (blocks, drawn(rng, ROWS, WIDTH), drawn(rng, ROWS, 2, scale=size), rate)
    return case, ("ok", None) if wrong is None else (CAUSES[wrong], place)


def diagnosed(student, apparatus, parts, rng, cases):
    """Ask about all runs, in random order, then compare."""
    cases = [cases[i] for i in rng.permutation(len(cases))]
    answers = apparatus.asked(student.diagnose, [case for case, _ in cases])
    answers = pairs(parts, answers, len(cases), ("cause", "place"), "diagnose")
    for number, (found, (_, due)) in enumerate(zip(answers, cases, strict=True), 1):
        what = f"run {number} of {len(cases)}"
        if due[0] == "ok":
            assert found[0] == "ok", f"{what} is healthy, and is called {found[0]!r}"
        assert found[0] == due[0], f"{what}: {found[0]!r} is not what is wrong"
        assert found[1] == due[1], f"{what}: {found[0]!r} is right, and {found[1]!r} is not where it is"


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_masks(student, rng, apparatus, parts):
    """A mask by multiplication is told from a row that may see nothing, and a finite mask is healthy."""
    cases = [run(rng, "zero", way=0), run(rng, "zero", way=1)]
    cases += [run(rng, wrong) for wrong in ("empty", "empty", "norm", "half")]
    diagnosed(student, apparatus, parts, rng, [*cases, run(rng), run(rng)])


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_arithmetic(student, rng, apparatus, parts):
    """Overflow of a half and of an exponential, the logarithm of 0, and 0/0 are told apart by what the module does."""
    cases = [run(rng, wrong, way=way) for wrong in ("half", "exp", "log", "norm") for way in (0, 1)]
    diagnosed(student, apparatus, parts, rng, [*cases, run(rng), run(rng, "length")])


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_data(student, rng, apparatus, parts):
    """A bad number in the data is found in its row, also where the loss stays finite; large numbers are healthy."""
    cases = []
    for value in (math.nan, math.inf, -math.inf):
        (blocks, _, y, rate), _ = run(rng)
        x, row = bad_rows(rng, value)
        cases.append(((blocks, x, y, rate), ("bad_row", row)))
    (blocks, x, y, rate), due = run(rng)
    x[int(rng.integers(ROWS))] *= 1e4
    diagnosed(
        student, apparatus, parts, rng, [*cases, ((blocks, x, y, rate), due), run(rng, "log"), run(rng)]
    )


def growing(rng, steps):
    """A run whose loss overflows in about so many steps: the last layer alone learns, from features of ±1."""
    signs = torch.from_numpy(rng.choice([-50.0, 50.0], WIDTH)).float()
    stem = ("a", torch.zeros(WIDTH, WIDTH), signs)
    head = ("a", drawn(rng, 2, WIDTH, scale=WIDTH**-0.5), drawn(rng, 2, scale=0.3))
    # The gradient of the mean squared error goes by the error times (WIDTH + 1).
    factor = 10 ** (38.5 / 2 / steps)
    return [[stem], [("b",), head]], drawn(rng, ROWS, WIDTH), drawn(rng, ROWS, 2), (1 + factor) / (WIDTH + 1)


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_later(student, rng, apparatus, parts):
    """A bad gradient in the first step is told from steps that are too large, and a large finite loss is healthy."""
    cases = [run(rng, "length") for _ in range(3)]
    for rate in (1e3, 1e5):
        case, _ = run(rng, rate=rate)
        cases.append((case, ("lr", None)))
    cases.append((growing(rng, rng.uniform(14, 16)), ("lr", None)))
    cases.append((growing(rng, rng.uniform(30, 40)), ("ok", None)))
    cases += [run(rng), run(rng, rate=1e-9, size=100.0)]
    diagnosed(student, apparatus, parts, rng, cases)


# --- task 3 ---


@pytest.mark.points(1)
@pytest.mark.task("repair")
def test_lengths(student, rng, close, backward):
    """Lengths are exact, of tiny rows too, and a row of zeros has length 0 and a gradient of zeros."""
    for n, d in [(6, 3), (1, 4)]:
        x = rng.standard_normal((n, d))
        if n > 1:
            x[1], x[4] = 0.0, 0.0
            x[2] *= 1e-7
            x[3] *= 1e5
        g = rng.standard_normal(n)
        length = np.linalg.norm(x, axis=1)
        gradient = np.where(length[:, None] > 0, g[:, None] * x / np.maximum(length[:, None], 1e-300), 0.0)
        cotangent = torch.from_numpy(g)
        value, grads, _ = backward(student.lengths, torch.from_numpy(x.copy()), cotangent=cotangent, wrt=(0,))
        close(value, torch.from_numpy(length), rtol=1e-9, atol=0, what=f"the lengths of {n} rows")
        assert grads.get(0) is not None, "no gradient arrives at x"
        close(grads[0], torch.from_numpy(gradient), rtol=1e-9, atol=1e-12, what=f"the gradient, {n} rows")


def clean(z, y, mask):
    """The loss of the rows that count, and its gradient, with padding left out from the beginning."""
    kept = z[mask].clone().requires_grad_()
    log_p = kept - torch.logsumexp(kept, dim=1, keepdim=True)
    loss = -log_p[torch.arange(len(kept)), y[mask]].mean()
    loss.backward()
    gradient = torch.zeros_like(z)
    gradient[mask] = kept.grad
    return loss.detach(), gradient


def logits(rng, n, classes, size=1.0):
    """Logits, labels and a mask that leaves out some rows."""
    z = torch.from_numpy(size * rng.standard_normal((n, classes)))
    y = torch.from_numpy(rng.integers(0, classes, n))
    mask = torch.from_numpy(rng.permutation(np.arange(n) < (n + 1) // 2))
    return z, y, mask


def same_loss(student, close, backward, what, z, y, mask, expected):
    """Compare the loss and its gradient."""
    one = torch.tensor(1.0, dtype=torch.float64)
    loss, grads, _ = backward(student.masked_loss, z.clone(), y, mask, cotangent=one, wrt=(0,))
    close(loss, expected[0], rtol=1e-9, atol=1e-12, what=f"the loss, {what}")
    assert grads.get(0) is not None, f"no gradient arrives at z, {what}"
    close(grads[0], expected[1], rtol=1e-9, atol=1e-12, what=f"the gradient, {what}")


@pytest.mark.points(1)
@pytest.mark.task("repair")
def test_masked_loss(student, rng, close, backward):
    """The loss and its gradient are those of the rows that count, also with logits of ±10000."""
    for n, classes, size in [(6, 4, 1.0), (5, 3, 1e4), (3, 7, 200.0)]:
        z, y, mask = logits(rng, n, classes, size)
        same_loss(student, close, backward, f"logits of about {size:g}", z, y, mask, clean(z, y, mask))


@pytest.mark.points(1)
@pytest.mark.task("repair")
def test_padding(student, rng, close, backward):
    """NaN, infinities and labels out of range in the padding leave the clean loss; without a row it is 0."""
    for value in (math.nan, math.inf, -math.inf):
        z, y, mask = logits(rng, 7, 4)
        expected = clean(z, y, mask)
        z[~mask], y[~mask] = value, int(rng.choice([-1, 99]))
        same_loss(student, close, backward, f"padding of {value}", z, y, mask, expected)
    z, y, mask = logits(rng, 7, 4)
    expected = clean(z, y, mask)
    z[~mask], y[~mask] = torch.tensor([-math.inf, 1.0, math.nan, math.inf], dtype=torch.float64), -1
    same_loss(student, close, backward, "padding of all kinds", z, y, mask, expected)
    z, y, mask = logits(rng, 4, 3)
    nothing = torch.tensor(0.0, dtype=torch.float64), torch.zeros_like(z)
    z[1], y[1] = math.nan, -100
    same_loss(student, close, backward, "no row that counts", z, y, torch.zeros_like(mask), nothing)
