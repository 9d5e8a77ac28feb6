from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction
from functools import cache

import pytest

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet"]


def words(rng, count):
    """Some words."""
    return " ".join(rng.choice(WORDS, size=count).tolist())


# --- task 1 ---


def number(rng, digits=3):
    """A number without a zero at either end."""
    inner = "".join(str(d) for d in rng.integers(10, size=digits - 2))
    return f"{rng.integers(1, 10)}{inner}{rng.integers(1, 10)}"


def read(student, close, cases):
    """Compare what is read of each text; cases are (text, answer)."""
    # All are read before any is compared: one alone does not tell one wrong way from another.
    found = [student.extract_answer(text) for text, _ in cases]
    for (text, due), answer in zip(cases, found, strict=True):
        what = f"extract_answer({text!r:.120})"
        assert answer is None or isinstance(answer, str), f"{what}: must return a string or None"
        assert due is not None or answer is None, f"{what}: there is no answer, and you return one"
        assert due is None or answer is not None, f"{what}: there is an answer, and you return None"
        close(answer, due, what=what)


@pytest.mark.points(1)
@pytest.mark.task("extract_answer")
def test_marker(student, rng, close):
    """The first number behind the last marker counts, in the same line; without one there is no answer."""
    a, b, c = number(rng, 2), number(rng, 3), number(rng, 4)
    said = words(rng, 3)
    read(
        student,
        close,
        [
            (f"{a} and {b} make {c}. The answer is {c}.", c),
            (f"The answer is {a}. Wait, {b} are gone.\nThe answer is {c}.", c),
            (f"The answer is {a}. No, the answer is {c}.", c),
            (f"The answer is {a}, for {b} and {c} are {said}.", a),
            (f"THE ANSWER IS {b}\n{c} {said}", b),
            (f"Final Answer:{c} ({a})\n\n{said} {b}\n", c),
            (f"answer: {said} {a} {said} {b}", a),
            (f"The answer is: {b}\nThe answer isn't {a}.", b),
            (f"The answer: it is {c}, and the answer issue is {a}", c),
            (f"So the answers are {a}.\nAnswer:\t{b} {said}.", b),
            (f"{a} and {b} make {c}.", None),
            (f"The answer isn't {a}.", None),
            (f"{a}, I answer, is {b}", None),
            (f"The answer is\n{b} {said}", None),
            (f"The answer is {a}. No: {b} is not {said}.\nThe answer is {said}.", None),
            (f"The answer is {said}.\n{c}", None),
            (f"{a} {said}. Answer:", None),
            ("", None),
        ],
    )


@pytest.mark.points(1)
@pytest.mark.task("extract_answer")
def test_one_string_for_each_number(student, rng, close):
    """Equal numbers give equal strings, whatever commas, zeros and signs they are written with, and keep all digits."""
    a, b, c = number(rng, 2), number(rng, 3), number(rng, 4)
    long, endless = number(rng, 30), number(rng, 5000)
    forms = {
        f"{a}.": a,
        f"{a}.0": a,
        f"00{a}": a,
        f"{a}0.00": f"{a}0",
        f"${b},000": f"{b}000",
        f"{b},{a}0,{b}.{a}0": f"{b}{a}0{b}.{a}",
        f"{a},00,000": f"{a}00000",
        f"**{c}.{b}**": f"{c}.{b}",
        f"0.0{a}00": f"0.0{a}",
        f"-{c}": f"-{c}",
        f"(-0{a}.50)": f"-{a}.5",
        f"-0.{b}": f"-0.{b}",
        "0": "0",
        "-0": "0",
        "-0.00": "0",
        "000": "0",
        f"{a}, {b}": a,
        f"{a}.{b}.{c}": f"{a}.{b}",
        f"{c}%": c,
        f"x² = {b} m²": b,
        f"{b}e{a}": b,
        f"{long}": long,
        f"-{long}.{long}000": f"-{long}.{long}",
        f"{endless}": f"{endless}",
    }
    read(student, close, [(f"The answer is {written}", due) for written, due in forms.items()])


# --- task 2 ---


class Model:
    """A scripted model.

    Args:
        given: the answer of each sample, None for a sample without one.

    Attributes:
        question: what it is asked about.
        prompts: what it was given.
        wanted: what it should be given, each time.
    """

    def __init__(self, rng, given):
        said = [words(rng, 2) for _ in given]
        ends = [f"the answer is {a}." if a else "I do not know." for a in given]
        self.texts = [f"By {before}, {end}" for before, end in zip(said, ends, strict=True)]
        self.question = f"How many of {words(rng, 2)}?"
        self.prompts, self.wanted = [], f"Q: {self.question}\nA: Let's think step by step."

    def llm(self, *given):
        """The next sample."""
        if len(given) != 1 or type(given[0]) is not str:
            raise TypeError("llm takes one string, the prompt")
        self.prompts.append(given[0])
        if len(self.prompts) > len(self.texts):
            raise RuntimeError("llm was called more than n times")
        return self.texts[len(self.prompts) - 1]


def winner(given):
    """The answer with the most votes, of several the one that was given first."""
    voting = [a for a in given if a]
    return min(voting, key=lambda a: (-voting.count(a), voting.index(a)), default=None)


def samples_due(given):
    """After how many samples all continuations have the same winner, by trying them all."""
    for drawn in range(1, len(given)):
        seen = given[:drawn]
        others = [*dict.fromkeys(seen), "an answer of its own"]
        futures = itertools.product(others, repeat=len(given) - drawn)
        if winner(seen) and all(winner([*seen, *future]) == winner(seen) for future in futures):
            return drawn
    return len(given)


def vote(student, rng, parts, given):
    """What the learner's vote returns, its form checked, and the model."""
    model = Model(rng, given)
    found = student.self_consistency(model.llm, model.question, len(given))
    what = f"samples {shown(given)}"
    answer, votes = parts(found, "answer", "votes", what=f"{what}: self_consistency")
    assert answer is None or isinstance(answer, str), f"{what}: the answer must be a string or None"
    assert isinstance(votes, dict), f"{what}: the votes must be a dict"
    assert model.prompts, f"{what}: llm was not called"
    return answer, votes, model


def shown(given):
    """The samples as a learner reads them."""
    return ", ".join(a or "none" for a in given)


def compare_votes(student, rng, parts, close, scripts):
    """All of the scripts are played, then compared: the winner, the votes, the number of calls.

    Returns:
        The models.
    """
    played = [vote(student, rng, parts, given) for given in scripts]
    for given, (answer, votes, model) in zip(scripts, played, strict=True):
        drawn, what = samples_due(given), f"samples {shown(given)}"
        close(answer, winner(given), what=f"{what}: the winner")
        calls = len(model.prompts)
        assert calls <= drawn, f"{what}: {calls} calls of llm, though fewer settle it"
        assert calls >= drawn, f"{what}: {calls} calls of llm, though the winner could still change"
        close(votes, dict(Counter(a for a in given[:drawn] if a)), what=f"{what}: the votes")
    return [model for _, _, model in played]


def scripts_of(rng, n, kinds, none, wanted, count):
    """Random samples of which `wanted` is true."""
    found = []
    while len(found) < count:
        names = [str(x) for x in rng.choice(90, size=kinds, replace=False) + 10]
        given = [None if rng.random() < none else names[rng.integers(kinds)] for _ in range(n)]
        if wanted(given):
            found.append(given)
    return found


def tied(given):
    """Whether two answers have the most votes."""
    (_, most), (_, second), *_ = [*Counter(a for a in given if a).most_common(), (None, 0), (None, 0)]
    return most == second


@pytest.mark.points(1)
@pytest.mark.task("self_consistency")
def test_vote(student, rng, parts, close):
    """The most frequent answer wins, and of several the one that was given first; the prompt is the same each time."""
    # Undecided until the last sample, so that nothing rests on stopping.
    late = lambda given: samples_due(given) == len(given)  # noqa: E731
    scripts = [[f"{rng.integers(10, 99)}"]]
    scripts += scripts_of(rng, 5, 3, 0, lambda given: late(given) and not tied(given), 4)
    scripts += scripts_of(rng, 6, 3, 0, lambda given: late(given) and tied(given), 4)
    scripts += scripts_of(rng, 4, 4, 0, lambda given: late(given) and len(set(given)) == 4, 1)
    a, b, c = (str(x) for x in rng.permutation(90)[:3] + 10)
    scripts += [[c, a, b, b, a], [a, b, b, c, c], [b, a, a, c, c], ["9", "10", "10", "9", a]]
    for model in compare_votes(student, rng, parts, close, [given for given in scripts if late(given)]):
        assert len(set(model.prompts)) == 1, "the prompt changes from one sample to the next"
        assert model.prompts[0] != model.question, "the prompt is the bare question"
        assert model.prompts[0] == model.wanted, (
            "a prompt is not 'Q: ', the question, a newline and \"A: Let's think step by step.\""
        )


@pytest.mark.points(1)
@pytest.mark.task("self_consistency")
def test_no_answer(student, rng, parts, close):
    """A sample without an answer is one of the n and has no vote; if none has an answer, there is no winner."""
    late = lambda given: samples_due(given) == len(given)  # noqa: E731
    a, b = (str(x) for x in rng.permutation(90)[:2] + 10)
    scripts = [[None], [None] * 4, [None, None, None, a], [a, None, b, b], [None, a, None, None, b, b]]
    scripts += [[None, "0", a, "0", a], ["0", a, a, None, "0"]]
    scripts += scripts_of(rng, 6, 2, 0.5, lambda given: late(given) and given.count(None) > 2, 4)
    compare_votes(student, rng, parts, close, [given for given in scripts if late(given)])


@pytest.mark.points(1)
@pytest.mark.task("self_consistency")
def test_stop(student, rng, parts, close):
    """Sampling stops as soon as the rest can't change the winner, and not before."""
    a, b = (str(x) for x in rng.permutation(90)[:2] + 10)
    scripts = [[a] * n for n in (2, 3, 6, 7)]
    scripts += [[a, b], [a, b, b, b, a], [a, a, b, b, a, a], [b, a, a, a, b, b], [a, a, b, a, b, b, a]]
    scripts += [[None, a, a, b, b, None], [a, None, None, b], [None, a, b]]
    early = lambda given: samples_due(given) < len(given)  # noqa: E731
    for n, kinds, none in ((5, 2, 0), (6, 3, 0), (6, 2, 0.3), (7, 2, 0.2)):
        scripts += scripts_of(rng, n, kinds, none, early, 3)
    compare_votes(student, rng, parts, close, scripts)


# --- task 3 ---


def by_sequences(probs, n):
    """The probability by going through all sequences of samples, in exact arithmetic."""
    exact, total = [Fraction(p) for p in probs], Fraction(0)
    for given in itertools.product(range(len(probs)), repeat=n):
        if max(dict.fromkeys(given), key=given.count) == 0:  # the first of the most frequent
            total += math.prod(exact[i] for i in given)
    return float(total / sum(exact) ** n)


def by_generating_function(probs, n):
    """The probability by products of polynomials: right answer k times, m - 1 others also k times, the rest less."""
    right, *wrong = [Fraction(p) for p in probs]
    total = Fraction(0)
    for k in range(1, n + 1):
        less = {(0, 0): right**k / math.factorial(k)}  # {(how many others have k, samples beside): weight}
        for p in wrong:
            more = Counter()
            for ((m, beside), weight), c in itertools.product(less.items(), range(k + 1)):
                if beside + c <= n - k:
                    more[m + (c == k), beside + c] += weight * p**c / math.factorial(c)
            less = more
        total += sum(weight / (m + 1) for (m, beside), weight in less.items() if beside == n - k)
    return float(total * math.factorial(n) / (right + sum(wrong)) ** n)


def compare_chances(student, close, cases):
    """All cases are asked before any is compared; cases are (probs, n, expected)."""
    found = [student.p_vote(probs, n) for probs, n, _ in cases]
    for (probs, n, due), p in zip(cases, found, strict=True):
        what = f"p_vote([{', '.join(f'{x:.3g}' for x in probs)}], {n})"
        assert isinstance(p, float | int), f"{what}: must return a float"
        close(float(p), due, rtol=0, atol=1e-9, what=what)


def shares(rng, kinds):
    """Probabilities with sum 1."""
    cuts = sorted(rng.uniform(0.05, 0.95, size=kinds - 1).tolist())
    return [after - before for before, after in zip([0.0, *cuts], [*cuts, 1.0], strict=True)]


@pytest.mark.points(1)
@pytest.mark.task("p_vote")
def test_two_answers(student, rng, close):
    """With two answers and an odd n the vote is a binomial tail: it helps above one half and hurts below."""
    cases = []
    for p in (0.5, 0.8, 0.3, float(rng.uniform(0.51, 0.7)), float(rng.uniform(0.3, 0.49)), 1.0, 0.0):
        for n in (1, 3, 5, 9):
            tail = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n // 2 + 1, n + 1))
            cases.append(([p, 1 - p], n, tail))
    compare_chances(student, close, cases)


@pytest.mark.points(2)
@pytest.mark.task("p_vote")
def test_ties_and_many_answers(student, rng, close):
    """Ties and wrong answers that scatter are counted exactly, as in going through all sequences of samples."""
    cases = []
    for kinds, sizes in ((2, (2, 4, 8)), (3, (1, 2, 3, 5, 6)), (4, (2, 3, 4, 5))):
        probs = shares(rng, kinds)
        cases += [(probs, n, by_sequences(probs, n)) for n in sizes]
    cases.append(([0.25, 0.0, 0.75], 4, by_sequences([0.25, 0.0, 0.75], 4)))
    for probs in ([0.4, 0.2, 0.2, 0.2], [0.4, 0.6], shares(rng, 3), shares(rng, 4)):
        cases += [(probs, n, by_generating_function(probs, n)) for n in (12, 20)]
    compare_chances(student, close, cases)


# --- task 4 ---


class World:
    """States, what can follow them and what they are worth; and what was asked.

    Args:
        after: {state: states that follow}, or a function.
        worth: {state: value}, or a function.
    """

    def __init__(self, after, worth):
        self.after = after if callable(after) else after.__getitem__
        self.worth = worth if callable(worth) else worth.__getitem__
        self.expanded, self.valued = [], []

    def expand(self, *given):
        """The states that follow."""
        return list(self.after(self.noted(self.expanded, given, "expand")))

    def value(self, *given):
        """What a state is worth."""
        return self.worth(self.noted(self.valued, given, "value"))

    def noted(self, log, given, name):
        """The state that is asked about."""
        if len(given) != 1 or type(given[0]) is not str:
            raise TypeError(f"{name} takes one string, the state")
        log.append(given[0])
        if len(log) > 600:
            raise RuntimeError(f"{name} was called more than 600 times")
        return given[0]


def due(world, start, breadth, depth):
    """(path, states expanded, states valued) by the contract: the levels as lists of paths."""
    frontier, met, expanded, valued = [[start]], {start}, [], []
    for _ in range(depth):
        level = []
        for path in frontier:
            expanded.append(path[-1])
            for child in world.after(path[-1]):
                level += [[*path, child]] * (child not in met)
                met.add(child)
        if not level:
            break
        valued += [path[-1] for path in level]
        frontier = []
        while level and len(frontier) < breadth:
            best = max(world.worth(path[-1]) for path in level)
            at = next(i for i, path in enumerate(level) if world.worth(path[-1]) == best)
            frontier.append(level.pop(at))
    return frontier[0], expanded, valued


def search(student, world, start, breadth, depth, what):
    """The learner's path, its form checked."""
    path = student.tot_bfs(world.expand, world.value, start, breadth, depth)
    assert isinstance(path, list | tuple), f"{what}: tot_bfs must return a list of states"
    assert all(isinstance(state, str) for state in path), f"{what}: the path must hold states, strings"
    return list(path)


def compare_searches(student, close, cases):
    """All searches are run, then compared; cases are (what, world, start, breadth, depth)."""
    paths = [search(student, world, *rest, what) for what, world, *rest in cases]
    for (what, world, *rest), path in zip(cases, paths, strict=True):
        wanted, expanded, valued = due(world, *rest)
        close(path, wanted, what=f"{what}: the path")
        twice = [state for state, times in Counter(world.valued).items() if times > 1]
        assert not twice, f"{what}: a state is valued twice"
        unmet = set(world.valued) - set(valued)
        assert not unmet, f"{what}: a state is valued that is not a new one of its level"
        assert len(world.valued) >= len(valued), f"{what}: a new state is not valued"
        again = [state for state, times in Counter(world.expanded).items() if times > 1]
        assert not again, f"{what}: a state is expanded twice"
        assert len(world.expanded) <= len(expanded), f"{what}: too many states are expanded"
        assert world.expanded == expanded, (
            f"{what}: the wrong states are expanded, or not in the frontier's order"
        )


def tree(rng, wide, deep, worth):
    """A tree of states with made-up names; each inner state has 1 to `wide` children."""
    names = iter(f"{rng.choice(WORDS)}{i}" for i in rng.permutation(9000).tolist())
    after, level = {}, [next(names)]
    start = level[0]
    for d in range(deep + 1):
        for state in level:
            after[state] = [next(names) for _ in range(rng.integers(1, wide + 1) if d < deep else 0)]
        level = [child for state in level for child in after[state]]
    values = dict(zip(after, worth(len(after)), strict=True))
    return start, World(after, values)


@pytest.mark.points(2)
@pytest.mark.task("tot_bfs")
def test_levels(student, rng, close):
    """On each level the best states of all parents are kept, and the path leads to the best of the last level."""
    cases = []
    for wide, breadth, depth in ((3, 1, 4), (3, 2, 4), (4, 3, 3), (4, 4, 2), (3, 50, 3), (3, 2, 1)):
        for _ in range(2):
            start, world = tree(rng, wide, 4, lambda n: (rng.permutation(n) - n / 2).tolist())
            what = f"a tree, breadth {breadth}, depth {depth}"
            cases.append((what, world, start, breadth, depth))
    valley = {"a": ["ab"], "ab": ["abc"], "abc": ["abcd"], "abcd": []}
    worth = {"a": 4, "ab": 5, "abc": 3, "abcd": 9}
    cases.append(("values that fall and rise", World(valley, worth), "a", 1, 3))
    compare_searches(student, close, cases)


@pytest.mark.points(1)
@pytest.mark.task("tot_bfs")
def test_ties_and_old_states(student, rng, close):
    """Equal values keep their order, states that were met are not new, and without new states the search ends."""
    cases = []
    for breadth in (1, 2, 3, 40):
        start, world = tree(rng, 4, 3, lambda n: rng.integers(0, 2, size=n).tolist())
        cases.append((f"ties, breadth {breadth}", world, start, breadth, 3))
    for breadth, depth in ((1, 9), (2, 3), (3, 9), (4, 4)):
        for spread in (3, 100):
            names = [f"{rng.choice(WORDS)}{i}" for i in rng.permutation(90)[:14].tolist()]
            after = {s: rng.choice(names, size=rng.integers(0, 5)).tolist() for s in names}
            after[names[0]] = rng.choice(names, size=4).tolist()
            worth = dict(zip(names, rng.integers(-spread, spread, size=14).tolist(), strict=True))
            what = f"states that come again, breadth {breadth}, depth {depth}"
            cases.append((what, World(after, worth), names[0], breadth, depth))
    s, a, b, c, d = (f"{words(rng, 1)}{i}" for i in rng.permutation(90)[:5].tolist())
    worth = dict(zip((s, a, b, c, d), (9, 5, 4, 1, 2), strict=True))
    twice = {s: [a, a, b], a: [c, c], b: [d], c: [], d: []}
    cases.append(("a state that is shown twice", World(twice, worth), s, 2, 2))
    back = {s: [a, b], a: [b, c, s], b: [d], c: [], d: []}
    cases.append(("a state that was cut is shown again", World(back, worth), s, 1, 2))
    both = {s: [a, b], a: [c], b: [d, c], c: [], d: []}
    worth_both = worth | {c: 3, d: 2}
    cases.append(("a state that two states show", World(both, worth_both), s, 2, 2))
    empty = {"": [a, b], a: [c], b: [d], c: [], d: []}
    cases.append(("start is an empty string", World(empty, {**worth, "": 9}), "", 2, 2))
    cases.append(("no state follows", World({"one": []}, {"one": 1}), "one", 2, 3))
    loop = {"one": ["two", "one"], "two": ["one", "two"]}
    cases.append(("a circle", World(loop, {"one": 1, "two": -math.inf}), "one", 1, 5))
    compare_searches(student, close, cases)


def moves(state):
    """The 24 game: all states after two numbers are combined."""
    left = [Fraction(x) for x in state.split()]
    for i, j in itertools.permutations(range(len(left)), 2):
        rest = [x for k, x in enumerate(left) if k not in (i, j)]
        a, b = left[i], left[j]
        made = [a - b, *([a / b] if b else []), *([a + b, a * b] if i < j else [])]
        yield from (" ".join(str(x) for x in [*rest, x]) for x in made)


@cache
def within_reach(numbers):
    """All values that a sorted tuple of numbers can make, by splitting it in two: the brute solver."""
    if len(numbers) == 1:
        return frozenset(numbers)
    found = set()
    for size in range(1, len(numbers)):
        for chosen in itertools.combinations(range(len(numbers)), size):
            one = within_reach(tuple(numbers[i] for i in chosen))
            other = within_reach(tuple(x for i, x in enumerate(numbers) if i not in chosen))
            for a, b in itertools.product(one, other):
                found |= {a + b, a - b, a * b, *([a / b] if b else [])}
    return frozenset(found)


def solvable(state):
    """Whether 24 can still be made."""
    return 24 in within_reach(tuple(sorted(Fraction(x) for x in state.split())))


def ends_right(path, start, steps, what):
    """Whether the path is one of legal moves that ends in 24."""
    assert path[:1] == [start], f"{what}: the path must begin with start"
    for before, after in itertools.pairwise(path):
        assert after in set(moves(before)), f"{what}: a state of the path does not follow from the one before"
    assert len(path) == steps + 1, f"{what}: the path has {len(path)} states"
    return path[-1] == "24"


@pytest.mark.points(1)
@pytest.mark.task("tot_bfs")
def test_24(student, rng):
    """The 24 game is solved where it can be: by a perfect value greedily, by breadth where only the end has one."""
    hands = {True: [], False: []}
    while min(len(found) for found in hands.values()) < 3:
        hand = " ".join(str(x) for x in rng.integers(1, 10, size=4))
        hands[solvable(hand)].append(hand)
    cases = [
        (hand, 1, 3, lambda state: int(solvable(state))) for found in hands.values() for hand in found[:3]
    ]
    cases += [(hand, 600, 2, lambda state: float(state == "24")) for hand in ("4 7 8", "4 2 3", "9 9 8")]
    played = [
        (hand, steps, search(student, World(moves, worth), hand, breadth, steps, f"24 from {hand}"))
        for hand, breadth, steps, worth in cases
    ]
    for hand, steps, path in played:
        what = f"24 from {hand}"
        found = ends_right(path, hand, steps, what)
        assert found or not solvable(hand), f"{what}: there is a way, and the path does not end in 24"
