from __future__ import annotations

import math

import numpy as np
import pytest
import torch

# --- task 1 ---


def ratio(a):
    """The mean entropy of the rows over ln n, by torch's own distribution."""
    rows = a.reshape(-1, a.shape[-1])
    return (torch.distributions.Categorical(probs=rows).entropy() / math.log(a.shape[-1])).mean().item()


def weights(rng, *shape, size=2.0):
    """Rows of positive numbers of sum 1."""
    return torch.from_numpy(size * rng.standard_normal(shape)).softmax(-1)


@pytest.mark.points(1)
@pytest.mark.task("entropy_ratio")
def test_ratio(student, rng, close):
    """The mean over all rows of the entropy of a row, over ln n, for any leading dimensions."""
    for shape in [(5, 5), (2, 4, 7), (2, 3, 4, 6), (1, 2), (3, 1, 9)]:
        a = weights(rng, *shape)
        what = f"the ratio for weights of shape {shape}"
        close(student.entropy_ratio(a), ratio(a), rtol=1e-9, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("entropy_ratio")
def test_zeros(student, rng, close):
    """Weights of exactly 0 add nothing: a causal mask, a row with one 1, and uniform rows."""
    for heads, n in [(2, 6), (3, 4)]:
        past = torch.ones(n, n).tril() > 0
        scores = torch.from_numpy(rng.standard_normal((heads, n, n)))
        a = scores.masked_fill(~past, -math.inf).softmax(-1)
        rows = [
            -sum(p * math.log(p) for p in row if p > 0) / math.log(n) for row in a.reshape(-1, n).tolist()
        ]
        what = f"the ratio under a causal mask, n = {n}"
        close(student.entropy_ratio(a), float(np.mean(rows)), rtol=1e-9, what=what, dtype=False)
        mixed = torch.cat([torch.eye(n, dtype=torch.float64), torch.full((3, n), 1 / n).double()])
        what = "the ratio of n rows with one 1 and three uniform rows"
        close(student.entropy_ratio(mixed), 3 / (n + 3), rtol=1e-7, what=what, dtype=False)


# --- task 2 ---


def layer(rng, kind="ok"):
    """The numbers of a layer and its tokens: weights, positions, the factor of the scores, divisor, axis, x."""
    d, d_model = int(rng.choice([64, 100, 144])), 24
    batch, n = int(rng.integers(2, 5)), int(rng.integers(10, 17))

    def projection(gain):
        weight = gain / math.sqrt(d_model) * rng.standard_normal((d, d_model))
        return [torch.from_numpy(weight), torch.from_numpy(0.3 * rng.standard_normal(d))]

    q, k = projection(1.5), projection(1.0)
    x = torch.from_numpy(rng.standard_normal((batch, n, d_model)))
    added = torch.from_numpy(rng.standard_normal((n, d_model)))
    factor, divisor, axis = d**-0.5, 1.0, -1
    x, added = x * 0.5**0.5, added * 0.5**0.5
    distant = float(rng.uniform(25, 100))
    if kind == "no places":
        x, added = x * 2**0.5, 0 * added
    elif kind == "repeated":
        x = x[:, :1].repeat(1, n, 1)
    elif kind == "no_position":
        x, added = (x * 2**0.5)[:, :1].repeat(1, n, 1), 0 * added
    elif kind == "same one everywhere":
        x, added, kind = x[:1, :1].repeat(batch, n, 1), added[:1].repeat(n, 1), "no_position"
    elif kind == "balanced":
        small = float(rng.uniform(0.001, 0.01))
        q, k = [w * small for w in q], [w / small for w in k]
    elif kind == "constant query":
        q = [0 * q[0], q[1] * 5]
    elif kind == "large over d":
        factor, q = 1 / d, [w * d**0.5 for w in q]
    elif kind == "scale":
        factor = 1 / d
    elif kind == "hot scores":
        factor, kind = factor / distant, "temperature"
    elif kind == "hot softmax":
        divisor, kind = distant, "temperature"
    elif kind == "zero_query":
        q = [0 * w for w in q]
    elif kind == "same_keys":
        k = [0 * k[0], k[1] * float(rng.choice([1, 300]))]
    elif kind == "hot constant query":
        q, divisor = [0 * q[0], q[1] * 5], distant
    elif kind == "hot no places":
        x, added, divisor = x * 2**0.5, 0 * added, distant
    elif kind == "hot repeated":
        x, factor = x[:, :1].repeat(1, n, 1), factor / distant
    elif kind == "hot balanced":
        q, k, factor = [w * 0.005 for w in q], [w * 200 for w in k], factor / distant
    elif kind == "tiny both":
        q, k = [w * 0.1 for w in q], [w * 0.1 for w in k]
    elif kind == "tiny query":
        small = 10 ** rng.uniform(-6, -3)
        q = [w * small for w in q]
    elif kind == "tiny key":
        k = [w * 0.001 for w in k]
    elif kind == "tiny key with bias":
        k = [k[0] * 0.001, k[1]]
    elif kind == "over queries":
        axis = -2
    elif kind == "over batch":
        axis = 0
    names = {"hot": "temperature", "tiny": "tiny_init", "over": "wrong_axis"}
    causes = ("scale", "temperature", "zero_query", "same_keys", "no_position")
    due = names.get(kind.split()[0], kind if kind in causes else "ok")
    return [q, k, added, factor, divisor, axis, x], due


HEALTHY = ("ok", "no places", "repeated", "balanced", "constant query", "large over d")


def diagnosed(student, apparatus, rng, kinds):
    """Ask about layers of these kinds, in random order, then compare."""
    cases = [layer(rng, kinds[i]) for i in rng.permutation(len(kinds))]
    answers = apparatus.asked(student.diagnose, [case for case, _ in cases])
    assert isinstance(answers, list), "the calls gave no results"
    assert len(answers) == len(cases), "the calls gave no results"
    for number, (found, (_, due)) in enumerate(zip(answers, cases, strict=True), 1):
        what = f"layer {number} of {len(cases)}"
        assert isinstance(found, str), f"{what}: diagnose must return a string"
        if due == "ok":
            assert found == "ok", f"{what} is healthy, and is called {found!r}"
        assert found == due, f"{what}: {found!r} is not what is wrong"


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_size(student, rng, apparatus):
    """Scores that are too small: by d in place of its root, by a temperature in either place, by small weights."""
    kinds = [
        "scale",
        "hot scores",
        "hot softmax",
        "tiny both",
        "tiny query",
        "tiny key",
        "scale",
        "hot scores",
        "hot balanced",
    ]
    diagnosed(student, apparatus, rng, [*kinds, "ok", "no places"])


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_constant(student, rng, apparatus):
    """Rows of equal scores: queries of 0, keys that never differ, equal tokens at places that nothing tells apart."""
    kinds = ["zero_query", "same_keys", "same_keys", "no_position", "zero_query", "same one everywhere"]
    kinds += ["repeated", "no places", "tiny key", "tiny query", "tiny key with bias"]
    kinds += ["hot constant query", "hot no places", "hot repeated"]
    diagnosed(student, apparatus, rng, kinds)


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_axis(student, rng, apparatus):
    """A softmax over the queries or over the batch is found by what does not sum to 1."""
    diagnosed(
        student, apparatus, rng, ["over queries", "over batch", "over queries", "scale", "same_keys", "ok"]
    )


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_healthy(student, rng, apparatus):
    """What looks odd and does no harm is healthy: small queries with large keys, equal queries, 1/d."""
    kinds = [*HEALTHY, "large over d", "balanced", "tiny both", "hot softmax", "same_keys"]
    diagnosed(student, apparatus, rng, kinds)


# --- task 3 ---


def cooled(student, s, target, what):
    """The learner's temperature, checked by the entropy that it gives."""
    found = student.temperature_for(s, target)
    if isinstance(found, torch.Tensor | np.ndarray) and found.ndim == 0:
        found = found.item()
    assert isinstance(found, int | float), f"{what}: no number came back"
    assert not isinstance(found, bool), f"{what}: no number came back"
    assert 0 < found < math.inf, f"{what}: a temperature is positive and finite"
    reached = ratio((s / found).softmax(-1))
    assert abs(reached - target) <= 2e-6, f"{what}: the ratio at this temperature is {reached:.6g}"


@pytest.mark.points(2)
@pytest.mark.task("temperature_for")
def test_temperature(student, rng):
    """At the temperature the ratio is the target, for scores of any size and any shape."""
    for shape, size, target in [
        ((6, 6), 1.0, 0.8),
        ((2, 5, 8), 1e-5, 0.6),
        ((2, 2, 4, 10), 3000.0, 0.9),
        ((3, 12), 0.1, 0.3),
        ((1, 2), 1.0, 0.5),
        ((4, 7), 1.0, 0.99),
    ]:
        s = torch.from_numpy(size * rng.standard_normal(shape) + size * rng.standard_normal())
        cooled(student, s, target, f"scores of about {size:g}, shape {shape}, target {target}")


@pytest.mark.points(1)
@pytest.mark.task("temperature_for")
def test_no_temperature(student, rng):
    """No temperature sharpens rows of equal scores; with some of them it reaches what the others allow."""
    s = torch.from_numpy(rng.standard_normal((4, 8)))
    s[:2] = 7.0
    cooled(student, s, 0.7, "half of the rows of equal scores, target 0.7")
    ties = torch.from_numpy(rng.standard_normal((3, 9)))
    ties[:, [2, 5, 7]] = ties.max() + 1
    cooled(student, ties, 0.6, "three equal largest scores of nine, target 0.6")
    for scores, target, what in [
        (torch.full((5, 6), float(rng.uniform(-9, 9))).double(), 0.9, "rows of equal scores"),
        (s, 0.4, "half of the rows of equal scores, target 0.4"),
        (ties, 0.4, "three equal largest scores of nine, target 0.4"),
    ]:
        found = student.temperature_for(scores, target)
        assert found is None, f"{what}: no temperature reaches it, and {found!r} came back"
