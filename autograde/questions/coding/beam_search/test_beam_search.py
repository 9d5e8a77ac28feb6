from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

# Cases in which a decision rests on less are not asked: rounding must not turn it, in float32 either.
MARGIN = 2e-3
LOOSE = {"rtol": 2e-6, "atol": 2e-6, "dtype": False}


class World:
    """A language with a distribution of its own after every prefix; it can be asked as a step function.

    Args:
        levels: log-probabilities of the next token after 0, 1, 2, ... generated ones: (V,), (V, V), (V, V, V), ...
            What comes after more tokens than these no right search asks; it is told the first row.
        bos: the token that every prefix begins with.
        eos: the token that ends a sequence.
    """

    def __init__(self, levels, bos, eos):
        self.levels, self.bos, self.eos = levels, bos, eos
        self.size = len(levels[0])
        self.asked = []

    def __call__(self, tokens):
        """The log-probabilities of what comes after these tokens, as a step function gives them."""
        prefix = whole_numbers(tokens)
        if not prefix or prefix[0] != self.bos or not all(0 <= token < self.size for token in prefix[1:]):
            raise ValueError("step_fn takes one hypothesis: a list of integer tokens that begins with bos")
        self.asked.append(prefix)
        n = len(prefix) - 1
        row = self.levels[n][tuple(prefix[1:])] if n < len(self.levels) else self.levels[0]
        return torch.from_numpy(row.copy())

    def logp(self, tokens):
        """The log-probability of tokens that begin with bos."""
        places = range(1, len(tokens))
        return float(sum(self.levels[n - 1][tuple(tokens[1 : n + 1])] for n in places))


@dataclass
class Case:
    """A question to the learner's search, and the answer."""

    world: World
    width: int
    steps: int
    alpha: float
    tokens: list
    logp: float

    def __str__(self):
        plural = "" if self.steps == 1 else "s"
        return (
            f"width {self.width}, {self.steps} new token{plural}, V = {self.world.size}, alpha {self.alpha:g}"
        )


def whole_numbers(values):
    """A list of ints from a flat list, tuple, array or tensor of integers; [] where it is something else."""
    if isinstance(values, np.ndarray | torch.Tensor):
        values = values.tolist()
    if not isinstance(values, list | tuple):
        return []
    values = [
        x.item() if isinstance(x, np.generic | torch.Tensor) and math.prod(x.shape) == 1 else x
        for x in values
    ]
    return list(values) if all(type(x) is int for x in values) else []


def number(value):
    """A float from a number, or from an array or tensor that holds one; None where it is something else."""
    if isinstance(value, np.ndarray | np.generic | torch.Tensor) and math.prod(value.shape) == 1:
        value = value.item()
    return float(value) if type(value) in (int, float) else None


def log_softmax(logits):
    """Log-probabilities along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def drawn(rng, size, steps, *, scales=(1.5, 1.5), ends=0.0, hidden=False):
    """A random world of `size` tokens for sequences of `steps`.

    Args:
        scales: of the logits at the first and at the last step.
        ends: is added to the logit of eos.
        hidden: after some prefix the last token is all but certain.
    """
    bos, eos = rng.choice(size, 2, replace=False).tolist()
    levels = []
    for n, scale in enumerate(np.linspace(*scales, steps)):
        logits = scale * rng.standard_normal((size,) * (n + 1))
        logits[..., eos] += ends
        levels.append(logits)
    if hidden:
        levels[-1][tuple((eos + rng.integers(1, size, steps)) % size)] += 12.0
    return World([log_softmax(logits) for logits in levels], bos, eos)


@dataclass
class Found:
    """What a search comes to.

    Attributes:
        tokens, logp: the hypothesis that wins.
        margin: the smallest difference that a decision rested on.
        finals: all that compete at the end, as pairs (logp, tokens).
        worst: the lowest logp that is kept, step by step; -inf where there is room for more.
        ahead: the largest logp in the beam, after each step; -inf where it is empty.
    """

    tokens: list
    logp: float
    margin: float
    finals: list
    worst: list
    ahead: list


def searched(world, width, steps, alpha=0.0, *, refill=False):
    """Beam search over the whole tree of prefixes at once, as arrays; all that tie for the last place stay.

    Args:
        refill: against the contract, the places of finished hypotheses go to the next best unfinished ones.
    """
    alive, margin, finals, worst, ahead = np.zeros(()), math.inf, [], [], []

    def enter(scores):
        for place in np.argwhere(np.isfinite(scores)):
            finals.append((float(scores[tuple(place)]), [world.bos, *place.tolist()]))

    def cut(scores):
        order = np.sort(scores[np.isfinite(scores)])[::-1]
        last = order[width - 1] if len(order) >= width else -math.inf
        gap = order[width - 1] - order[width] if len(order) > width else math.inf
        return np.where(scores >= last - 1e-9, scores, -math.inf), last, gap

    for level in world.levels[:steps]:
        scores = alive[..., None] + level
        kept, last, gap = cut(scores)
        worst.append(last)
        margin = min(margin, gap)
        ended = np.full_like(kept, -math.inf)
        ended[..., world.eos] = kept[..., world.eos]
        enter(ended)
        alive = scores if refill else kept
        alive[..., world.eos] = -math.inf
        if refill:
            alive = cut(alive)[0]
        ahead.append(alive.max())
    enter(alive)
    finals.sort(key=lambda final: score(*final, alpha), reverse=True)
    if len(finals) > 1:
        margin = min(margin, score(*finals[0], alpha) - score(*finals[1], alpha))
    return Found(finals[0][1], finals[0][0], margin, finals, worst, ahead)


def score(logp, tokens, alpha):
    """What decides at the end."""
    return logp / (len(tokens) - 1) ** alpha


def exhausted(world, steps, alpha):
    """The best of all sequences, looked at one after the other."""

    def sequences(tokens):
        if len(tokens) > steps or (len(tokens) > 1 and tokens[-1] == world.eos):
            yield tokens
        else:
            for token in range(world.size):
                yield from sequences([*tokens, token])

    finals = [(world.logp(tokens), tokens) for tokens in sequences([world.bos])]
    finals.sort(key=lambda final: score(*final, alpha), reverse=True)
    margin = score(*finals[0], alpha) - score(*finals[1], alpha)
    return Found(finals[0][1], finals[0][0], margin, finals, [], [])


def case_where(wanted, rng, width, steps, alpha=0.0, **kind):
    """A case that nobody can call close; `wanted` says of its world and of what is found whether it will do."""
    while True:
        world = drawn(rng, steps=steps, **kind)
        found = searched(world, width, steps, alpha)
        if found.margin > MARGIN and (wanted is None or wanted(world, found)):
            return Case(world, width, steps, alpha, found.tokens, found.logp)


def answers_to(student, cases):
    """What the learner's search returns, for all cases before any is looked at."""
    search = student.beam_search
    return [search(c.world, c.world.bos, c.world.eos, c.width, c.steps, c.alpha) for c in cases]


def pair(answer, what):
    """The tokens and the number of an answer, whatever they are."""
    is_pair = isinstance(answer, tuple | list) and len(answer) == 2
    assert is_pair, f"{what}: return a pair (tokens, logp)"
    tokens, logp = whole_numbers(answer[0]), number(answer[1])
    assert tokens, f"{what}: tokens must be a flat list of integers"
    assert logp is not None, f"{what}: logp must be a number"
    return tokens, logp


def read(answer, case, close):
    """The tokens and the log-probability of an answer that is a hypothesis of the case's world."""
    tokens, logp = pair(answer, case)
    assert tokens[0] == case.world.bos, f"{case}: tokens must begin with bos"
    generated = tokens[1:]
    assert 1 <= len(generated) <= case.steps, f"{case}: {len(generated)} tokens are generated"
    assert all(0 <= token < case.world.size for token in generated), f"{case}: a token that does not exist"
    assert case.world.eos not in generated[:-1], f"{case}: the sequence goes on after eos"
    close(logp, case.world.logp(tokens), what=f"{case}: logp of the tokens that you return", **LOOSE)
    return tokens, case.world.logp(tokens)


def compare(answers, cases, close):
    """Every answer is the hypothesis that wins its case."""
    for answer, case in zip(answers, cases, strict=True):
        tokens, logp = read(answer, case, close)
        if tokens == case.tokens:
            continue
        complete = len(tokens) - 1 == case.steps or tokens[-1] == case.world.eos
        assert complete, f"{case}: the hypothesis stops before eos and before max_new_tokens"
        if score(logp, tokens, case.alpha) > score(case.logp, case.tokens, case.alpha):
            raise AssertionError(
                f"{case}: better than what this beam can find; what is kept that should not be?"
            )
        raise AssertionError(f"{case}: a better hypothesis was within reach; where was it lost?")


def busiest(prefixes):
    """The largest number of prefixes that have one length."""
    lengths = [len(prefix) for prefix in prefixes]
    return max(map(lengths.count, lengths), default=0)


def agree(student, cases, close):
    """The learner's search finds what wins, in all cases."""
    compare(answers_to(student, cases), cases, close)


@pytest.mark.points(1)
@pytest.mark.task("beam_search")
def test_greedy(student, rng, close):
    """With width 1 it is greedy search: the likeliest token each time, until eos or max_new_tokens."""
    cases = []
    for ended in (False, True, False, True):
        while True:
            world = drawn(rng, 5, 4, ends=1.0 if ended else 0.0)
            tokens, margin = [world.bos], math.inf
            while len(tokens) < 5 and (len(tokens) == 1 or tokens[-1] != world.eos):
                row = world.levels[len(tokens) - 1][tuple(tokens[1:])]
                second, first = np.sort(row)[-2:]
                margin = min(margin, first - second)
                tokens.append(int(row.argmax()))
            if margin > MARGIN and (2 < len(tokens) < 5) == ended:
                break
        cases.append(Case(world, 1, 4, 0.0, tokens, world.logp(tokens)))
    agree(student, cases, close)


@pytest.mark.points(1)
@pytest.mark.task("beam_search")
def test_exhaustive(student, rng, close):
    """With room for every hypothesis it finds the best of all sequences."""

    def by_its_order(world, found):
        """Whether the winner begins with two tokens that are likelier the other way round; a beam of V finds it."""
        if len(found.tokens) < 4:
            return False
        bos, one, other, _ = found.tokens
        is_behind = world.logp([bos, other, one]) > world.logp([bos, one, other]) + MARGIN
        return is_behind and searched(world, world.size, 3).tokens == found.tokens

    cases = []
    even = {"scales": (0.3, 0.3), "ends": -4.0, "hidden": True}
    for size, steps, alpha, wanted, kind in [
        (5, 1, 0.0, None, {}),
        (4, 3, 0.0, None, {}),
        (3, 4, 1.0, None, {}),
        (4, 3, 0.6, None, {}),
        (4, 3, 0.0, by_its_order, even),
    ]:
        while True:
            world = drawn(rng, size, steps, **kind)
            found = exhausted(world, steps, alpha)
            if found.margin > MARGIN and (wanted is None or wanted(world, found)):
                break
        cases.append(Case(world, size**steps, steps, alpha, found.tokens, found.logp))
    agree(student, cases, close)


@pytest.mark.points(2)
@pytest.mark.task("beam_search")
def test_narrow(student, rng, close):
    """A narrow beam keeps the best candidates of all hypotheses together, exactly beam_width of them."""
    cases = []
    # Each is decided by the beam's width: one that is narrower, or wider, by 1 finds something else.
    for width, steps, other in [(2, 4, 1), (2, 4, 3), (2, 5, 1), (2, 5, 3), (3, 4, 2), (3, 4, 4)]:

        def decided_by_width(world, found, other=other, steps=steps):
            return searched(world, other, steps).tokens != found.tokens

        cases.append(case_where(decided_by_width, rng, width, steps, size=4, scales=(0.4, 4.0), ends=-1.0))
    agree(student, cases, close)


@pytest.mark.points(2)
@pytest.mark.task("beam_search")
def test_finished(student, rng, close):
    """Finished hypotheses leave the beam, are kept, and at the end compete with the unfinished ones."""
    cases = []
    for width in (2, 3, 4):
        for length, ends in [(2, 1.0), (3, 0.5), (4, -0.5)]:

            def of_length(world, found, length=length):
                ended = found.tokens[-1] == world.eos
                others = any((tokens[-1] == world.eos) != ended for _, tokens in found.finals)
                return others and len(found.tokens) - 1 == length and ended == (length < 4)

            cases.append(case_where(of_length, rng, width, 4, size=4, ends=ends))
    for width in (2, 3):

        def behind_for_a_while(_world, found):
            return max(found.worst[len(found.tokens) - 1 :], default=-math.inf) > found.logp

        cases.append(case_where(behind_for_a_while, rng, width, 4, size=4, scales=(1.5, 0.1), ends=-1.0))
    for width in (2, 3):

        def never_first(world, found):
            """Whether the winner is not the best of its own step, and another finished one is, later."""
            n = len(found.tokens) - 1
            later = [(logp, len(t) - 1) for logp, t in found.finals if t[-1] == world.eos and len(t) - 1 > n]
            return found.logp < found.ahead[n - 1] and any(logp > found.ahead[m - 1] for logp, m in later)

        cases.append(case_where(never_first, rng, width, 4, size=4, ends=0.5))
    agree(student, cases, close)


WEAK = 5  # the miscount that falls short by the least


def miscounts(logp, tokens, eos, alpha):
    """Scores of a final hypothesis, by ways to account for the length that are ruled out."""
    n, ended = len(tokens) - 1, tokens[-1] == eos
    return (
        logp,
        logp / n,
        logp / (n + 1) ** alpha,
        logp / max(1, n - ended) ** alpha,
        logp / (n if ended else n + 1) ** alpha,
        logp / ((5 + n) / 6) ** alpha,
        logp + alpha * n,
        logp / n**alpha if ended else -math.inf,
        logp / n**alpha if ended else logp,
    )


@pytest.mark.points(2)
@pytest.mark.task("beam_search")
def test_alpha(student, rng, close):
    """The winner has the largest logp / n ** alpha, n the tokens generated; what is returned is logp itself."""
    cases = []

    def by(way, world, found, alpha):
        """What wins by a miscount."""
        return max(found.finals, key=lambda final: miscounts(*final, world.eos, alpha)[way])[1]

    for way in range(9):
        alpha, width = (0.5, 0.7, 1.5)[way % 3], 2 + way % 2

        def miscounted(world, found, way=way, alpha=alpha):
            return by(way, world, found, alpha) != found.tokens

        cases.append(case_where(miscounted, rng, width, 4, alpha, size=4, ends=0.5))
    for width, alpha in [(2, 2.0), (3, 2.0)]:

        def refilled(world, found, width=width, alpha=alpha):
            return searched(world, width, 4, alpha, refill=True).tokens != found.tokens

        cases.append(case_where(refilled, rng, width, 4, alpha, size=4, ends=1.0))
    for width, alpha in [(2, 2.0), (3, 1.5)]:

        def behind_by_logp(world, found, width=width):
            ended = [logp for logp, tokens in found.finals if tokens[-1] == world.eos]
            return found.tokens[-1] == world.eos and sum(logp > found.logp for logp in ended) >= width

        cases.append(case_where(behind_by_logp, rng, width, 4, alpha, size=4, ends=1.0))
    for width in (2, 3):

        def behind_at_the_end(world, found):
            """Whether only its eos puts the winner behind a shorter one, by logp."""
            ended = [logp for logp, t in found.finals if t[-1] == world.eos and len(t) < len(found.tokens)]
            is_ended = found.tokens[-1] == world.eos
            return is_ended and world.logp(found.tokens[:-1]) > max(ended, default=math.inf) > found.logp

        cases.append(case_where(behind_at_the_end, rng, width, 4, 1.5, size=4, ends=0.5))
    for width, alpha, scales in [(2, 2.0, (1.5, 1.5)), (3, 3.0, (1.5, 1.5)), (2, 1.0, (0.4, 4.0))]:

        def overtaken(world, found, alpha=alpha):
            """Whether a finished one is ahead of the beam as it is, one more token counted, and loses."""
            ended = [final for final in found.finals if final[1][-1] == world.eos]
            return any(
                score(*final, alpha) > found.ahead[n - 1] / (n + 1) ** alpha
                for final in ended
                for n in range(len(final[1]) - 1, len(found.tokens) - 1)
            )

        cases.append(case_where(overtaken, rng, width, 5, alpha, size=4, scales=scales, ends=0.0))

    def both_overtaken(world, found):
        """Whether two finished ones are ahead of the beam as it is, and lose."""
        ended = [(score(*f, 2.0), len(f[1]) - 1) for f in found.finals if f[1][-1] == world.eos]
        steps = range(1, len(found.tokens) - 1)
        return any(sum(m <= n and x > found.ahead[n - 1] / n**2.0 for x, m in ended) >= 2 for n in steps)

    cases.append(case_where(both_overtaken, rng, 2, 5, 2.0, size=4, scales=(1.0, 1.0), ends=0.5))
    for width in (2, 3):

        def clearly_better(world, found):
            """Whether one that goes on wins over a likelier finished one, and would by a weaker penalty too."""
            is_behind = any(logp > found.logp and tokens[-1] == world.eos for logp, tokens in found.finals)
            return found.tokens[-1] != world.eos and is_behind and by(WEAK, world, found, 3.0) == found.tokens

        cases.append(case_where(clearly_better, rng, width, 4, 3.0, size=4, ends=-1.0))
    agree(student, cases, close)


@pytest.mark.points(1)
@pytest.mark.task("beam_search")
def test_calls(student, rng, close):
    """At each step step_fn is asked at most beam_width times, about unfinished hypotheses that can still grow."""
    cases = [case_where(None, rng, width, 4, size=5, ends=0.5) for width in (2, 3, 4, 1)]
    agree(student, cases, close)
    for case in cases:
        asked = case.world.asked
        assert not any(case.world.eos in prefix[1:] for prefix in asked), "step_fn was asked what follows eos"
        assert max(map(len, asked)) <= case.steps, "step_fn was asked what follows the last token"
        assert busiest(asked) <= case.width, (
            f"{case}: step_fn was called more than beam_width times at one step"
        )


@pytest.mark.points(1)
@pytest.mark.task("beam_search")
def test_wide(student, rng, close):
    """The beam may be wider than the vocabulary, and wider than there are candidates."""
    cases = []
    for size, width, steps in [(2, 5, 3), (2, 4, 6)]:
        cases.append(case_where(None, rng, width, steps, size=size))
    for size, width, steps in [(3, 7, 4), (3, 5, 5), (4, 6, 3)]:

        def needs_more_than_the_vocabulary(world, found, size=size, steps=steps):
            return searched(world, size, steps).tokens != found.tokens

        kind = {"size": size, "scales": (0.3, 0.3), "ends": -4.0, "hidden": True}
        cases.append(case_where(needs_more_than_the_vocabulary, rng, width, steps, **kind))
    agree(student, cases, close)


@pytest.mark.points(1)
@pytest.mark.task("beam_search")
def test_ties(student, rng, close):
    """Hypotheses of equal logp are all there; where they tie for the last place, any of them will do."""
    cases = []
    for width in (2, 3):
        while True:
            world = drawn(rng, 4, 3, ends=-1.0)
            one, other = (token for token in np.argsort(-world.levels[0])[:2])
            row = world.levels[0].copy()
            row[other] = row[one]
            world.levels[0] = log_softmax(row)
            found = searched(world, width, 3)
            is_tied = (
                world.eos not in (one, other) and len(found.tokens) > 2 and found.tokens[1] in (one, other)
            )
            if found.margin > MARGIN and is_tied:
                break
        # The same with the two names swapped, so that whichever of the two is lost, once it is the one that wins.
        names = np.arange(4)
        names[[one, other]] = other, one
        levels = [level[np.ix_(*[names] * level.ndim)] for level in world.levels]
        swapped = [world.bos, *names[found.tokens[1:]].tolist()]
        cases.append(Case(world, width, 3, 0.0, found.tokens, found.logp))
        cases.append(Case(World(levels, world.bos, world.eos), width, 3, 0.0, swapped, found.logp))
    agree(student, cases, close)
    # All tokens but eos alike, so that every choice among equals comes to the same logp.
    row = np.zeros(5)
    row[0] = -8.0
    row = log_softmax(row)
    even = Case(
        World([np.broadcast_to(row, (5,) * (n + 1)) for n in range(5)], 1, 0), 3, 4, 0.0, [], 4 * row[1]
    )
    [answer] = answers_to(student, [even])
    _, logp = read(answer, even, close)
    close(logp, even.logp, what=f"{even}, all tokens but eos alike: logp", **LOOSE)
    prefixes = {tuple(prefix) for prefix in even.world.asked}
    assert busiest(prefixes) <= even.width, "hypotheses that tie for the last place are all kept"


@pytest.mark.points(1)
@pytest.mark.task("beam_search")
def test_tiny(student, rng, close, apparatus):
    """Tokens of -inf stay impossible, and those and sequences of exp(-1000) possible."""

    def wider_is_better(world, found):
        return searched(world, 3, 4).tokens != found.tokens

    cases = [case_where(wider_is_better, rng, 1, 4, size=4)]
    for width in (2, 3, 6):
        while True:
            world = drawn(rng, 4, 4)
            for n, level in enumerate(world.levels):
                level[rng.random(level.shape) < 0.4] = -math.inf
                level[..., (world.eos + 1) % 4] = np.maximum(level[..., (world.eos + 1) % 4], -3.0)
                world.levels[n] = log_softmax(level)
            found = searched(world, width, 4)
            if found.margin > MARGIN and len(found.tokens) > 2:
                break
        cases.append(Case(world, width, 4, 0.0, found.tokens, found.logp))
    agree(student, cases, close)
    # A long one, where it needs no wire: greedy, so that the next token is that of the largest entry.
    logits = 0.2 * rng.standard_normal((50, 50))
    logits[:, 1] = -math.inf
    table = log_softmax(logits)
    tokens = [0]
    while len(tokens) <= 320:
        tokens.append(int(table[tokens[-1]].argmax()))
    logp = float(table[tokens[:-1], tokens[1:]].sum())
    watched = apparatus.watched(student.beam_search, torch.from_numpy(table), 0, 1, (1,), 320)
    answers, _ = unpacked(watched)
    what = "width 1, 320 new tokens, V = 50"
    found, logp_found = pair(answers[0], what)
    close(logp_found, logp, what=f"{what}: logp", rtol=1e-5, atol=0.0, dtype=False)
    assert found == tokens, f"{what}: not the likeliest token each time"
    table, tokens = late_winner(rng)
    watched = apparatus.watched(
        student.beam_search, torch.from_numpy(table), tokens[0], tokens[-1], (2,), 340
    )
    answers, _ = unpacked(watched)
    what = "width 2, 340 new tokens, a log-probability of -1000 after bos"
    found, logp_found = pair(answers[0], what)
    assert found == tokens, f"{what}: it is in the best sequence all the same"
    close(logp_found, -1000.0, what=f"{what}: logp", rtol=1e-5, atol=0.0, dtype=False)


def late_winner(rng):
    """A table of log-probabilities on which a start with -1000 wins after all, and the sequence that wins.

    After bos, one token is all but certain, and from there on each costs log 28, in 330 steps more than 1000. The
    other, of exp(-1000), is followed by eos for certain.
    """
    table = np.full((32, 32), -math.inf)
    bos, eos, certain, unlikely, *others = rng.permutation(32).tolist()
    table[bos, [certain, unlikely]] = 0.0, -1000.0
    table[certain, others[0]] = table[unlikely, eos] = table[eos, eos] = 0.0
    table[np.ix_(others, others)] = -math.log(len(others))
    return table, [bos, unlikely, eos]


@pytest.mark.points(1)
@pytest.mark.method
@pytest.mark.task("beam_search")
def test_unchanged(student, rng, close, apparatus):
    """What step_fn returns is left as it is: it may be a row of a table that is needed again."""
    size, steps, widths = 5, 4, (3, 2, 1)
    while True:
        logits = 1.5 * rng.standard_normal((size, size))
        np.fill_diagonal(logits, -math.inf)
        table = log_softmax(logits)
        bos, eos = rng.choice(size, 2, replace=False).tolist()
        world = markov(table, bos, eos, steps)
        found = [searched(world, width, steps) for width in widths]
        if min(best.margin for best in found) > MARGIN:
            break
    watched = apparatus.watched(student.beam_search, torch.from_numpy(table), bos, eos, widths, steps)
    answers, table_after = unpacked(watched)
    cases = [
        Case(world, width, steps, 0.0, best.tokens, best.logp)
        for width, best in zip(widths, found, strict=True)
    ]
    compare(answers, cases, close)
    close(
        table_after,
        torch.from_numpy(table),
        rtol=0,
        atol=0,
        what="the table that step_fn reads from, afterwards",
    )


def unpacked(watched):
    """The answers and the table that the apparatus gives."""
    is_pair = isinstance(watched, tuple) and len(watched) == 2 and isinstance(watched[0], list) and watched[0]
    assert is_pair, "the search gave no result"
    return watched


def markov(table, bos, eos, steps):
    """A world in which the next token depends on the last one alone; row i of the table is what follows i."""
    size = len(table)
    return World([table[bos], *(np.broadcast_to(table, (size,) * n) for n in range(2, steps + 2))], bos, eos)


@pytest.mark.points(2)
@pytest.mark.task("losing_table")
def test_losing_table(student):
    """Every beam up to beam_width misses the best sequence by a factor of 1.1, and one that is wider by 1 finds it."""
    widths = (1, 2, 3, 5)
    tables = [student.losing_table(beam_width) for beam_width in widths]
    for beam_width, returned in zip(widths, tables, strict=True):
        what = f"losing_table({beam_width})"
        table = numbers(returned, what)
        with np.errstate(divide="ignore"):
            world = markov(np.log(table), 0, 1, 3)
        best = searched(world, len(table) ** 3, 3).logp
        for width in range(1, beam_width + 1):
            behind = best - searched(world, width, 3).logp
            beam = "greedy search" if width == 1 else f"a beam of width {width}"
            assert behind > 1e-6, f"{what}: {beam} finds the best sequence"
            assert behind > math.log(1.1) - 1e-6, (
                f"{what}: {beam} finds a sequence that is nearly as likely as the best"
            )
        behind = best - searched(world, beam_width + 1, 3).logp
        assert behind < 1e-6, f"{what}: a beam of width {beam_width + 1} misses the best sequence"


def numbers(table, what):
    """A table of probabilities as an array; AssertionError where it is none."""
    if isinstance(table, list | tuple):
        rows = [row.tolist() if isinstance(row, np.ndarray | torch.Tensor) else row for row in table]
        is_square = all(isinstance(row, list | tuple) and len(row) == len(rows) for row in rows)
        assert is_square, f"{what}: as many columns as rows"
        entries = [[number(x) for x in row] for row in rows]
        assert None not in [x for row in entries for x in row], f"{what}: an entry is not a number"
        table = np.array(entries)
    if isinstance(table, torch.Tensor) and not table.is_complex():
        table = table.double().numpy()
    is_table = isinstance(table, np.ndarray) and table.dtype.kind in "fiu" and table.ndim == 2
    assert is_table, f"{what}: return a table of numbers"
    assert table.shape[0] == table.shape[1], f"{what}: as many columns as rows"
    assert 2 <= len(table) <= 16, f"{what}: 2 to 16 tokens"
    table = table.astype(float)
    assert not (table < 0).any(), f"{what}: an entry is negative; are these logarithms?"
    assert (table < 1 + 1e-5).all(), f"{what}: an entry is more than 1, or no number"
    read = np.arange(len(table)) != 1  # what follows eos is never asked
    rows, columns = (np.allclose(table.sum(axis=axis)[read], 1, atol=1e-5) for axis in (1, 0))
    assert rows or not columns, f"{what}: the columns sum to 1, and not the rows"
    assert rows, f"{what}: a row does not sum to 1"
    return table
