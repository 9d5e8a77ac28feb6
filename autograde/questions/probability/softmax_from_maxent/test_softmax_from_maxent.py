from __future__ import annotations

import math

import numpy as np
import pytest
import torch


def entropy(p):
    """In nats."""
    return float(torch.special.entr(torch.tensor(p)).sum())


def largest(E, mean):
    """The largest entropy found by climbing: Newton steps in p itself, along the two conditions, no exponentials."""
    x, u = (E - E.min()) / np.ptp(E), (mean - E.min()) / np.ptp(E)
    n, flat = len(x), x.mean()
    end = np.where(x == (0 if u < flat else 1), 1.0, 0.0)
    end /= end.sum()
    share = (u - end @ x) / (flat - end @ x)
    p = share / n + (1 - share) * end  # positive everywhere, with the right mean
    conditions = np.stack([np.ones(n), x])
    for _ in range(100):
        gradient = -np.log(p)
        multipliers = np.linalg.solve(conditions * p @ conditions.T, conditions @ (p * gradient))
        step = p * (gradient - multipliers @ conditions)
        size = min(1.0, 0.9 / max(np.max(-step / p), 1e-300))
        while size > 1e-6 and entropy(p + size * step) < entropy(p) - 1e-14:
            size /= 2
        p = p + size * step
    return p


def energies(rng, n):
    """Energies in any order, no two of which are nearly equal: gaps of different sizes."""
    return rng.permutation(np.cumsum(rng.uniform(0.2, 1, n))) - rng.uniform(0, 3)


@pytest.mark.points(1)
@pytest.mark.task("boltzmann")
def test_boltzmann(student, rng, close, carried):
    """The weights fall by the factor exp(-beta) for each unit of energy, for beta of any sign."""
    for n, beta in [(3, 0.7), (6, -1.3), (4, 0), (1, 2.0), (5, 4.0), (5, 0.01)]:
        E = energies(rng, n)
        actual, (args, _) = carried(student.boltzmann, E.copy(), beta)
        expected = torch.softmax(torch.tensor(-beta * E), 0).numpy()
        close(
            actual,
            expected,
            rtol=1e-8,
            atol=1e-14,
            what=f"boltzmann of {n} states, beta = {beta}",
            dtype=False,
        )
        close(args[0], E, rtol=0, atol=0, what="E after the call")


@pytest.mark.points(1)
@pytest.mark.task("boltzmann")
def test_boltzmann_limits(student, rng, close):
    """Large beta E stays finite and right; at plus and minus infinity the lowest and highest states share evenly."""
    for size, beta in [(1e4, 100.0), (-1e4, 100.0), (1e4, -30.0), (1e3, 1e3)]:
        E = size + rng.permutation(np.array([0, 1, 1, 2.5, 4])) / abs(beta)
        expected = torch.softmax(torch.tensor(-beta * (E - E.min())), 0).numpy()
        what = f"boltzmann with energies of about {size:g}, beta = {beta:g}"
        close(student.boltzmann(E, beta), expected, rtol=1e-6, atol=1e-9, what=what, dtype=False)
    far = rng.permutation(np.array([-400.0, 0.0, 1.0, 400.0]))
    for beta in (5.0, -5.0):
        expected = torch.softmax(torch.tensor(-beta * far), 0).numpy()
        what = "boltzmann of states far apart"
        close(student.boltzmann(far, beta), expected, rtol=1e-8, atol=1e-14, what=what, dtype=False)
    near = np.nextafter([-3.0, 7.0], 0)  # the closest that there are
    E = rng.permutation(np.array([-3.0, 0.0, 2.0, 7.0, 7.0, 7.0, -3.0, *near]))
    for beta, edge in ((math.inf, -3.0), (-math.inf, 7.0)):
        chosen = np.equal(E, edge)
        expected = chosen / chosen.sum()
        what = f"boltzmann at beta = {beta}"
        close(student.boltzmann(E, beta), expected, rtol=1e-8, atol=0, what=what, dtype=False)


@pytest.mark.points(2)
@pytest.mark.task("maxent")
def test_maxent(student, rng, close):
    """Entropy is as large as it gets for a mean below the plain average, at it and above it."""
    for n, place in [(2, 0.3), (3, 0.15), (5, 0.4), (4, 0.8), (7, 0.95), (6, None)]:
        E = energies(rng, n)
        mean = float(E.mean() if place is None else E.min() + place * np.ptp(E))
        actual = student.maxent(E, mean)
        where = "the plain average" if place is None else f"{place:.0%} of the range"
        what = f"maxent of {n} states, the mean at {where}"
        close(actual, largest(E, mean), rtol=0, atol=2e-6, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("maxent")
def test_maxent_units(student, rng, close, carried):
    """Other units and another zero of the energy give the same distribution, and E is left as it was."""
    x = energies(rng, 5)
    for unit, zero in [(1.001e-3 / np.ptp(x), 0.0), (200.0, 0.0), (1.0, 500.0), (1.0, -500.0)]:
        for place in (0.1, 0.85):
            E = unit * x + zero
            mean = float(E.min() + place * np.ptp(E))
            actual, (args, _) = carried(student.maxent, E.copy(), mean)
            what = f"maxent of energies times {unit:g} plus {zero:g}, the mean at {place:.0%} of the range"
            close(actual, largest(E, mean), rtol=0, atol=2e-6, what=what, dtype=False)
            close(args[0], E, rtol=0, atol=0, what="E after the call")
    E = rng.permutation(np.linspace(0, 1e-3, 21))
    for mean in (1.2e-5, 9.88e-4):
        what = f"maxent of 21 energies from 0 to 0.001, the mean {mean:g}"
        close(student.maxent(E, mean), largest(E, mean), rtol=0, atol=2e-6, what=what, dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("maxent")
def test_maxent_edges(student, rng, close, raises):
    """Equal energies and means near an end are right; a mean at or beyond an end raises ValueError."""
    E = rng.permutation(np.array([0.0, 0.0, 1.0, 3.0, 3.0, 3.0, 2.0]))
    for mean in (0.04, 0.5, 2.95):
        actual = student.maxent(E, mean)
        what = f"maxent with equal energies, the mean {mean}"
        close(actual, largest(E, mean), rtol=0, atol=2e-6, what=what, dtype=False)
    E = np.append(E, 0.003)
    close(
        student.maxent(E, 0.03),
        largest(E, 0.03),
        rtol=0,
        atol=2e-6,
        what="maxent with a small gap",
        dtype=False,
    )
    for mean in (-0.5, 0.0, 3.0, 4.5):
        with raises(ValueError):
            student.maxent(E, mean)


@pytest.mark.points(1)
@pytest.mark.task("read_beta")
def test_read_beta(student, rng, close):
    """Beta is found for any number of states, of any sign, and with equal energies, the first two too."""
    for n, beta in [(2, 1.5), (3, -0.4), (6, 0.02), (5, 3.0), (4, 0.0)]:
        E = energies(rng, n)
        if n > 3:
            E[1] = E[0]
        p = torch.softmax(torch.tensor(-beta * E), 0).numpy()
        close(student.read_beta(E, p), beta, rtol=0, atol=1e-6, what=f"beta of {n} states", dtype=False)
    E = energies(rng, 5)
    p = largest(E, float(E.min() + 0.3 * np.ptp(E)))
    first, second = np.argsort(E)[[0, -1]]
    beta = math.log(p[first] / p[second]) / (E[second] - E[first])
    close(student.read_beta(E, p), beta, rtol=0, atol=2e-6, what="beta of a maximum of entropy", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("read_beta")
def test_no_beta(student, rng, close, raises):
    """Where ln p is no straight line in E: ValueError; one state off, rare or not, equal energies with different p."""
    E = energies(rng, 5)
    p = torch.softmax(torch.tensor(-0.8 * E), 0).numpy()
    close(student.read_beta(E, p), 0.8, rtol=0, atol=1e-6, what="beta of 5 states", dtype=False)
    rare = np.array([0.0, 20, 21, 22])
    p_rare = torch.softmax(torch.tensor(-rare), 0).numpy()
    close(student.read_beta(rare, p_rare), 1.0, rtol=0, atol=1e-6, what="beta of rare states", dtype=False)
    for k in range(5):
        off = p * np.where(np.arange(5) == k, 1.05, 1)
        with raises(ValueError):
            student.read_beta(E, off / off.sum())
    with raises(ValueError):  # one of three that are hardly ever seen
        student.read_beta(rare, p_rare * [1, 1, 1.01, 1])
    with raises(ValueError):
        student.read_beta(np.array([0.0, 0.0, 1.0]), np.array([0.5, 0.3, 0.2]))
    with raises(ValueError):
        student.read_beta(np.array([2.0, 1.0, 0.0]), np.array([0.2, 0.3, 0.5]))
