from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

# --- task 1 ---


def descent(x, y, x_val, y_val, rates):
    """The two losses of linear regression by gradient descent from 0, before each step."""
    w, train, val = np.zeros(x.shape[1]), [], []
    for rate in rates:
        train.append(float(np.mean((x @ w - y) ** 2)))
        val.append(float(np.mean((x_val @ w - y_val) ** 2)))
        w = w - rate * 2 / len(x) * x.T @ (x @ w - y)
    return train, val


def told(kind, train, val):
    """The losses of a kind in which something else went on: a far start, a swell, a drift, a jump."""
    if "far start" in kind:
        train[:4], val[:4] = train[:4] * [8, 4, 2, 1.2], val[:4] * [8, 4, 2, 1.2]
    if kind == "swell":
        bump = 1.7 ** np.array([1, 2, 3, 4, 3, 2, 1])
        train[60:67], val[60:67] = train[60:67] * bump, val[60:67] * bump
        val[67:] *= 1.04
    if kind == "drift":
        train[-9:] *= 1.6 ** np.arange(1, 10)
    if kind == "spike at the end":
        train[-2:], val[-2:] = train[-2:] * [60, 50], val[-2:] * [60, 50]
    if kind == "small spike":
        train[20:23] *= [5, 4, 2]
    if "offset" in kind:
        train, val = 0.01 * train, 0.01 * val
    if kind == "odd epoch":
        val[20] *= 6
    return train.tolist(), val.tolist()


def drawn(rng, kind):
    """The run of one kind, as it comes."""
    few = "overfit" in kind or kind == "large numbers"
    n, d, noise, epochs = (16, 14, 2.0, 200) if few else (120, 6, 0.4, 80)
    w = rng.standard_normal(d) / math.sqrt(d) * 2

    def targets(x):
        y = x @ w + noise * rng.standard_normal(len(x))
        if "nonlinear" in kind:
            y = y - x @ w + 2 * x[:, 0] * x[:, 1]
        return y + (0.3 * x[:, 0] ** 2 if "shift" in kind else 0.0)

    x, x_val = rng.standard_normal((n, d)), rng.standard_normal((40, d))
    if "shift" in kind:
        columns = {"shift of all": d, "shift of most": d - 1}.get(kind, 1)
        if kind == "wide shift":
            x_val[:, 0] *= 3
        x_val[:, :columns] += rng.choice([-3.5, 3.5])
    if kind == "narrow":
        x_val *= 0.1
    if kind == "same inputs":
        x_val = x[:40].copy()
    if kind == "twins":
        x[: n // 2] = x[n // 2 :]
    y, y_val = targets(x), targets(x_val)
    if "leak" in kind:
        at = rng.permutation(40)[
            : int(rng.integers(6, 15) if kind in ("leak", "leak and shift") else rng.integers(12, 41))
        ]
        source = rng.integers(0, n, len(at))
        if kind == "leak in place":
            at = source = np.arange(16)
        x_val[at], y_val[at] = x[source], y[source]
    if kind == "two in common":
        x_val[[7, 21]], y_val[[7, 21]] = x[[30, 11]], y[[30, 11]]
    rates = np.full(epochs, 1e-3 if "few steps" in kind else 0.08)
    if kind == "lr_spike":
        top = np.linalg.eigvalsh(2 / n * x.T @ x).max()
        rates[int(rng.integers(8, 30))] = rng.uniform(60, 200) / top
    train, val = descent(x, y, x_val, y_val, rates)
    train, val = told(kind, np.array(train), np.array(val))
    if "large" in kind:
        x, x_val = 1e3 * x + 1e3, 1e3 * x_val + 1e3
    if "offset" in kind:
        y, y_val = 0.1 * y + 30, 0.1 * y_val + 30
    return {"x_train": x, "y_train": y, "x_val": x_val, "y_val": y_val, "train": train, "val": val}


DUE = {
    "few steps": "underfit",
    "nonlinear": "underfit",
    "nonlinear, far start": "underfit",
    "few steps, offset": "underfit",
    "drift": "underfit",
    "overfit, far start": "overfit",
    "narrow": "ok",
    "same inputs": "ok",
    "two in common": "ok",
    "swell": "ok",
    "odd epoch": "ok",
    "spike at the end": "lr_spike",
    "small spike": "lr_spike",
    "leak and shift": "leak",
    "wide shift": "shift",
    "large shift": "shift",
    "leak and overfit": "leak",
    "leak in place": "leak",
    "shift and overfit": "shift",
    "shift of most": "shift",
    "shift of all": "shift",
    "twins": "ok",
    "large numbers": "overfit",
}


def run(rng, kind):
    """A run of a kind that lies well on its side of every line; and its diagnosis."""
    due = DUE.get(kind, kind)
    for _ in range(500):
        found = drawn(rng, kind)
        x, x_val, train, val = found["x_train"], found["x_val"], np.array(found["train"]), found["val"]
        spike = (train[1:] / train[:-1]).max()
        shift = (np.abs(x_val.mean(0) - x.mean(0)) / x.std(0)).max()
        rest = train[-1] / found["y_train"].var()
        rise = val[-1] / min(val)
        if due in ("leak", "shift"):
            is_clear = shift > 2.4 if due == "shift" else True
        else:
            is_clear = shift < 1.6 and (spike > 4 if due == "lr_spike" else spike < 2)
            if due != "lr_spike":
                is_clear &= rest > 0.6 if due == "underfit" else rest < 0.4
            if due in ("overfit", "ok"):
                is_clear &= rise > 1.4 if due == "overfit" else rise < 1.1
        if is_clear:
            return found, due
    raise RuntimeError(f"no clear run of the kind {kind}")


def diagnosed(student, rng, kinds):
    """Ask about runs of these kinds, in random order, then compare."""
    cases = [run(rng, kinds[i]) for i in rng.permutation(len(kinds))]
    answers = [student.diagnose(found) for found, _ in cases]
    for number, (found, (_, due)) in enumerate(zip(answers, cases, strict=True), 1):
        what = f"run {number} of {len(cases)}"
        assert isinstance(found, str), f"{what}: diagnose must return a string"
        if due == "ok":
            assert found == "ok", f"{what} is healthy, and is called {found!r}"
        assert found == due, f"{what}: {found!r} is not what is wrong"


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_fit(student, rng):
    """Too little and too much are told apart, and from a healthy run with twins among its training rows."""
    kinds = ["overfit", "overfit", "few steps", "nonlinear", "ok", "ok", "twins", "large numbers"]
    kinds += ["overfit, far start", "nonlinear, far start", "few steps, offset", "drift", "narrow"]
    diagnosed(student, rng, kinds)


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_leak(student, rng):
    """Validation rows that stand in the training set are found wherever they stand, whatever the curves say."""
    kinds = ["leak", "leak", "leak in place", "leak and overfit", "leak and overfit", "leak and shift"]
    diagnosed(student, rng, [*kinds, "ok", "overfit", "twins", "same inputs", "two in common"])


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_shift(student, rng):
    """Validation data from elsewhere are told from overfitting, though the validation loss is high in both."""
    diagnosed(
        student,
        rng,
        [
            "shift",
            "shift of most",
            "shift of all",
            "wide shift",
            "large shift",
            "shift and overfit",
            "shift and overfit",
            "overfit",
            "large numbers",
            "ok",
        ],
    )


@pytest.mark.points(1)
@pytest.mark.task("diagnose")
def test_spike(student, rng):
    """A jump of the training loss is found though the loss comes down again."""
    diagnosed(
        student,
        rng,
        ["lr_spike", "small spike", "spike at the end", "ok", "overfit", "few steps", "swell", "odd epoch"],
    )


# --- task 2 ---


def stopped(val, patience):
    """Best and last epoch, by the definition at every epoch."""
    for last in range(len(val)):
        before = [v for v in val[: max(last - patience + 1, 0)] if not math.isnan(v)]
        recent = [v for v in val[max(last - patience + 1, 0) : last + 1] if not math.isnan(v)]
        if before and (not recent or min(recent) >= min(before)):
            break
    seen = [math.inf if math.isnan(v) else v for v in val[: last + 1]]
    return seen.index(min(seen)), last


def pair(parts, found, what):
    """The pair that the learner returned, as integers."""
    found = parts(found, "best", "last", what="best_epoch")
    found = [int(v) if isinstance(v, np.integer) else v for v in found]
    assert all(type(v) is int for v in found), f"{what}: an epoch must be an int"
    return tuple(found)


def same_epochs(student, parts, cases):
    """Ask for all cases, then compare."""
    answers = [student.best_epoch(val, patience) for val, patience in cases]
    for (val, patience), answer in zip(cases, answers, strict=True):
        what = f"{len(val)} epochs, patience {patience}"
        found, due = pair(parts, answer, what), stopped(val, patience)
        assert found[0] == due[0], f"{what}: {found[0]} is not the best epoch until the stop"
        assert found[1] == due[1], f"{what}: {found[1]} is not the last epoch"


@pytest.mark.points(1)
@pytest.mark.task("best_epoch")
def test_stop(student, rng, parts):
    """Training stops after patience epochs without a new best, and what would come later is not seen."""
    cases = []
    for patience in (1, 2, 3, 7):
        for _ in range(4):
            steps = rng.standard_normal(30)
            cases.append(((3 + 0.4 * np.cumsum(steps) - 0.05 * np.arange(30)).tolist(), patience))
    cases.append(([5.0, 4.0, 4.5, 4.4, 4.3, 1.0, 2.0], 3))
    same_epochs(student, parts, [*cases, ([3.0, 2.0, 1.0, 0.5], 2), ([2.0], 1), ([1.0, 2.0, 3.0, 4.0], 10)])


@pytest.mark.points(1)
@pytest.mark.task("best_epoch")
def test_ties(student, rng, parts):
    """A loss that equals the best is no improvement, and a NaN is none either."""
    cases = []
    for patience in (1, 2, 4):
        for _ in range(5):
            cases.append((rng.integers(1, 5, 12).astype(float).tolist(), patience))
            with_nan = rng.integers(1, 8, 12).astype(float)
            with_nan[1 + rng.permutation(11)[:4]] = math.nan
            cases.append((with_nan.tolist(), patience))
    same_epochs(student, parts, [*cases, ([2.0, math.nan, 1.0, math.nan, math.nan], 2), ([1.0, 1.0, 1.0], 2)])


# --- task 3 ---


def enumerated(train, test, f_train, f_test, sigma, lam):
    """Bias and variance over all signs of the noise: one fit for each, by least squares with added rows."""
    n, p = train.shape
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=n))).T
    rows = np.vstack([train, math.sqrt(lam) * np.eye(p)])
    y = np.vstack([f_train[:, None] + sigma * signs, np.zeros((p, signs.shape[1]))])
    predictions = test @ np.linalg.lstsq(rows, y, rcond=None)[0]
    return np.mean((predictions.mean(1) - f_test) ** 2), predictions.var(1).mean()


def same_errors(student, close, parts, rng, n, degree, lam, sigma):
    """Compare bias and variance of a polynomial fit."""
    x, t = np.sort(rng.uniform(-1, 1, n)), np.linspace(-1, 1, 11)
    phase = rng.uniform(0, 2)
    train, test = (np.polynomial.legendre.legvander(v, degree) for v in (x, t))
    f_train, f_test = np.sin(3 * x + phase), np.sin(3 * t + phase)
    found = student.expected_errors(train, test, f_train, f_test, sigma, lam)
    what = f"{n} points, degree {degree}, lam {lam}"
    found = parts(found, "squared bias", "variance", what="expected_errors")
    due = enumerated(train, test, f_train, f_test, sigma, lam)
    for name, actual, right in zip(("the squared bias", "the variance"), found, due, strict=True):
        close(actual, float(right), rtol=1e-6, atol=1e-10, what=f"{name}, {what}", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("expected_errors")
def test_ridge(student, rng, close, parts):
    """Squared bias and variance of a ridge fit are those of all fits over all signs of the noise."""
    for n, degree, lam, sigma in [(8, 3, 0.1, 0.5), (7, 6, 0.01, 0.2), (9, 2, 3.0, 1.0), (4, 6, 0.5, 0.3)]:
        same_errors(student, close, parts, rng, n, degree, lam, sigma)


@pytest.mark.points(1)
@pytest.mark.task("expected_errors")
def test_least_squares(student, rng, close, parts):
    """Without a penalty it is least squares, and without noise there is no variance."""
    for n, degree, sigma in [(8, 2, 0.5), (9, 4, 0.3), (6, 1, 0.0)]:
        same_errors(student, close, parts, rng, n, degree, 0.0, sigma)
    same_errors(student, close, parts, rng, 7, 4, 0.2, 0.0)
