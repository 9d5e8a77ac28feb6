from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch


def oracle(p, base=2.0):
    """The entropy by torch; its probabilities are cut off at 2e-16, which no test here comes near."""
    nats = torch.distributions.Categorical(probs=torch.tensor(p, dtype=torch.float64)).entropy()
    return float(nats) / math.log(base)


def distribution(rng, n):
    """Probabilities of different sizes, none of them tiny, in any order."""
    weights = rng.uniform(0.05, 1, n) ** 2
    return rng.permutation(weights / weights.sum())


def conditional(joint):
    """H(Y given X) in bits, row by row."""
    rows = [(row.sum(), row) for row in joint if row.sum() > 0]
    return sum(float(weight) * oracle(row / weight) for weight, row in rows)


def lengths(n, longest):
    """All non-decreasing lists of n word lengths that a code can have (Kraft), with nothing to spare."""

    def further(left, count, shortest):
        if count == 0:
            if left == 0:
                yield ()
            return
        for length in range(shortest, longest + 1):
            if Fraction(1, 2**length) <= left <= Fraction(count, 2**length):
                for rest in further(left - Fraction(1, 2**length), count - 1, length):
                    yield (length, *rest)

    return list(further(Fraction(1), n, 1))


def shortest(p):
    """The smallest average length over all codes there are: long words for rare symbols."""
    likely = sorted((float(x) for x in p), reverse=True)
    return min(
        math.fsum(x * y for x, y in zip(likely, code, strict=True)) for code in lengths(len(p), len(p) - 1)
    )


@pytest.mark.points(1)
@pytest.mark.task("entropy")
def test_bits(student, rng, close, carried):
    """The entropy is the expected surprise in bits; for n equal probabilities log2 n; p is left as it was."""
    for n in (2, 3, 10, 60):
        p = distribution(rng, n)
        actual, (args, _) = carried(student.entropy, p.copy())
        close(actual, oracle(p), rtol=1e-9, what=f"the entropy of {n} outcomes in bits", dtype=False)
        close(args[0], p, rtol=0, atol=0, what="p after the call")
        actual = student.entropy(np.full(n, 1 / n))
        close(actual, math.log2(n), rtol=1e-9, what=f"the entropy of {n} equal probabilities", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("entropy")
def test_base(student, rng, close):
    """The base chooses the unit: nats, tens and others."""
    p = distribution(rng, 7)
    for base in (math.e, 10, 3, 1.5, 256):
        actual = student.entropy(p, base=base)
        close(actual, oracle(p, base), rtol=1e-9, what=f"the entropy with base {base:.4g}", dtype=False)
    close(student.entropy(p, 10), oracle(p, 10), rtol=1e-9, what="entropy(p, 10)", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("entropy")
def test_zeros(student, rng, close, carried):
    """Outcomes of probability 0 add nothing and stay 0, a certain outcome has the entropy 0, tiny ones count."""
    p = distribution(rng, 5)
    padded = rng.permutation(np.append(p, [0.0, 0.0, 0.0]))
    actual, (args, _) = carried(student.entropy, padded.copy())
    close(actual, oracle(p), rtol=1e-9, what="the entropy with zeros among p", dtype=False)
    close(args[0], padded, rtol=0, atol=0, what="p with zeros, after the call")
    for tiny in (1e-11, 1e-14):  # 10 of them; -(1 - s) log(1 - s) is s, to these digits
        p = np.append(np.full(10, tiny), 1 - 10 * tiny)
        expected = 10 * tiny * (1 - math.log(tiny)) / math.log(2)
        actual = student.entropy(p)
        what = f"the entropy of ten outcomes of {tiny:g} and a likely one"
        close(actual, expected, rtol=5e-3, atol=0, what=what, dtype=False)
    for n in (1, 3):
        certain = np.zeros(n)
        certain[rng.integers(n)] = 1
        close(
            student.entropy(certain),
            0.0,
            rtol=0,
            atol=1e-15,
            what="the entropy of a certain outcome",
            dtype=False,
        )


@pytest.mark.points(1)
@pytest.mark.task("entropy")
def test_refused(student, rng, close, raises):
    """A negative entry and a sum other than 1 raise ValueError; rounding in the sum does not."""
    p = distribution(rng, 6)
    close(
        student.entropy(p * (1 + 1e-8)), oracle(p), rtol=1e-6, what="the entropy of a rounded p", dtype=False
    )
    for wrong in (p * 1.00005, p * 0.99995, np.append(p, [0.2, -0.2]), np.zeros(3), np.array([2.0, -1.0])):
        with raises(ValueError):
            student.entropy(wrong)


@pytest.mark.points(1)
@pytest.mark.task("conditional")
def test_conditional(student, rng, close, carried):
    """The rows' entropies are averaged, each weighed by how likely its row is."""
    for n, m in [(3, 5), (5, 2), (4, 4), (1, 6)]:
        joint = distribution(rng, n * m).reshape(n, m)
        actual, (args, _) = carried(student.conditional_entropy, joint.copy())
        close(actual, conditional(joint), rtol=1e-9, what=f"H(Y given X) of a {n} × {m} table", dtype=False)
        close(args[0], joint, rtol=0, atol=0, what="the table after the call")


@pytest.mark.points(1)
@pytest.mark.task("conditional")
def test_conditional_extremes(student, rng, close):
    """Independent: all of H(Y) is left. Y decided by X: nothing is. Rows and entries of 0 count nothing."""
    x, y = distribution(rng, 4), distribution(rng, 3)
    actual = student.conditional_entropy(np.outer(x, y))
    close(actual, oracle(y), rtol=1e-9, what="H(Y given X) of independent variables", dtype=False)
    decided = np.zeros((4, 3))
    decided[np.arange(4), rng.integers(0, 3, 4)] = x
    actual = student.conditional_entropy(decided)
    close(actual, 0.0, rtol=0, atol=1e-12, what="H(Y given X) where X decides Y", dtype=False)
    joint = np.zeros((5, 4))
    joint[[0, 2, 3], :3] = distribution(rng, 9).reshape(3, 3)
    actual = student.conditional_entropy(joint)
    close(actual, conditional(joint), rtol=1e-9, what="H(Y given X) with rows of zeros", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("code_length")
def test_best_code(student, rng, close, carried):
    """No code is shorter: checked against all codes for up to 7 symbols, in any order."""
    for n in (2, 3, 5, 6, 7):
        flat, steep = distribution(rng, n), rng.permutation(2.2 ** -np.arange(n))
        for p in (flat, steep / steep.sum()):
            actual, (args, _) = carried(student.code_length, p.copy())
            close(actual, shortest(p), rtol=1e-9, what=f"the average length for {n} symbols", dtype=False)
            close(args[0], p, rtol=0, atol=0, what="p after the call")
    p = np.array([15, 7, 6, 6, 5]) + rng.uniform(
        -0.1, 0.1, 5
    )  # halves from the top down are not the best here
    p = rng.permutation(p / p.sum())
    close(
        student.code_length(p), shortest(p), rtol=1e-9, what="the average length for 5 symbols", dtype=False
    )


@pytest.mark.points(1)
@pytest.mark.task("code_length")
def test_code_and_entropy(student, rng, close):
    """Powers of 1/2 take exactly their entropy, equal ones are right for any n up to 1000, one symbol takes 0 bits."""
    for depth in (3, 7):
        p = rng.permutation(2.0 ** -np.append(np.arange(1, depth), [depth - 1]))
        actual = student.code_length(p)
        close(actual, oracle(p), rtol=1e-9, what=f"the average length for {depth} powers of 1/2", dtype=False)
    for n in (4, 5, 1000, int(rng.integers(20, 120))):  # n equal ones: words of two lengths, k and k + 1
        k = int(math.log2(n))
        expected = k + 2 * (n - 2**k) / n
        what = f"the average length for {n} equal symbols"
        close(student.code_length(np.full(n, 1 / n)), expected, rtol=1e-9, what=what, dtype=False)
    close(student.code_length(np.ones(1)), 0.0, rtol=0, atol=0, what="the length for one symbol", dtype=False)
