from __future__ import annotations

import functools
import itertools
import math
import random
from collections import Counter
from numbers import Real

import numpy as np
import pytest

C = 1.4  # the default
NEAR = 1e-5  # a choice closer than this is left to rounding: such a world is drawn again
PLAIN = (type(None), bool, int, float, complex, str, bytes, list, tuple, dict, set)


# --- worlds: what generate and score say ---


class World:
    """A tree without end, or of some depth: what a state holds is drawn for it alone, the same at every call."""

    def __init__(self, rng, *, grid=64, widths=(2, 3), depth=math.inf, ends=0.0):
        self.query = f"q{rng.integers(1000)}: "
        self.salt, self.scores = (int(x) for x in rng.integers(2**62, size=2))
        self.grid, self.widths, self.depth, self.ends = grid, widths, depth, ends
        self.known = {}

    def steps(self, state):
        """The continuations of a state: each a capital and what may follow, in no order."""
        if state not in self.known:
            drawn = random.Random(f"{self.salt} {state}")
            capitals = drawn.sample("ABCDEFGHKLMNPRSTUVWXZ", drawn.choice(self.widths))
            deep = sum(map(str.isupper, state))
            over = deep >= self.depth or (deep > 0 and drawn.random() < self.ends)
            small = [drawn.choice(("", "a", "io", " ", "e\n")) for _ in capitals]
            self.known[state] = [] if over else [a + b for a, b in zip(capitals, small, strict=True)]
        return list(self.known[state])

    def score(self, state):
        """The score of a state: a multiple of 1/grid, a power of two, so that sums are exact."""
        return random.Random(f"{self.scores} {state}").randrange(self.grid + 1) / self.grid


class Table:
    """A world written out: {state: (score, continuations)}, the first state is the query."""

    def __init__(self, tree):
        self.tree, self.query = tree, next(iter(tree))

    def steps(self, state):
        """The continuations of a state; none of one that is not in the tree."""
        return list(self.tree.get(state, (0.0, ()))[1])

    def score(self, state):
        """The score of a state, 0 of one that is not in the tree."""
        return self.tree.get(state, (0.0, ()))[0]


class Watch:
    """generate and score of a world, and what they were asked."""

    def __init__(self, world, iterations):
        self.world, self.iterations = world, iterations
        self.generated, self.scored = [], []

    def generate(self, state):
        """The continuations."""
        self._asked(self.generated, state)
        return self.world.steps(state)

    def score(self, state):
        """The score."""
        self._asked(self.scored, state)
        return self.world.score(state)

    def _asked(self, log, state):
        if type(state) is not str:
            raise TypeError("generate and score are given a state, which is a string")
        log.append(state)
        calls = len(self.generated) + len(self.scored)
        if calls > 20 * self.iterations + 20:
            raise RuntimeError(f"{calls} calls of generate and score in {self.iterations} iterations")


# --- the oracle: no nodes, only counts by path, and rules that others might follow ---


def ucb(value, visits, parent, _, c):
    """The bound of a child that has been visited."""
    return value / visits + c * math.sqrt(math.log(parent) / visits)


RIVALS = {
    "mean only": lambda w, n, *_: w / n,
    "sum": lambda w, n, p, _, c: w + c * math.sqrt(math.log(p) / n),
    "log2": lambda w, n, p, _, c: w / n + c * math.sqrt(math.log2(p) / n),
    "log10": lambda w, n, p, _, c: w / n + c * math.sqrt(math.log10(p) / n),
    "log(p + 1)": lambda w, n, p, _, c: w / n + c * math.sqrt(math.log(p + 1) / n),
    "log(p - 1)": lambda w, n, p, _, c: w / n + c * math.sqrt(math.log(max(p - 1, 1)) / n),
    "n + 1": lambda w, n, p, _, c: w / n + c * math.sqrt(math.log(p) / (n + 1)),
    "mean with n + 1": lambda w, n, p, _, c: w / (n + 1) + c * math.sqrt(math.log(p) / n),
    "2 log": lambda w, n, p, _, c: w / n + c * math.sqrt(2 * math.log(p) / n),
    "no root": lambda w, n, p, _, c: w / n + c * math.log(p) / n,
    "root of log only": lambda w, n, p, _, c: w / n + c * math.sqrt(math.log(p)) / n,
    "no log": lambda w, n, p, _, c: w / n + c * math.sqrt(p / n),
    "puct": lambda w, n, p, _, c: w / n + c * math.sqrt(p) / (1 + n),
    "upside down": lambda w, n, p, _, c: w / n + c * math.sqrt(n / math.log(p + 1)),
    "lower bound": lambda w, n, p, _, c: w / n - c * math.sqrt(math.log(p) / n),
    "all iterations": lambda w, n, _, t, c: w / n + c * math.sqrt(math.log(t) / n),
    "c in the root": lambda w, n, p, _, c: w / n + math.sqrt(c * math.log(p) / n),
    "c = 1.4": lambda w, n, p, t, _: ucb(w, n, p, t, C),
}
LAST, ZERO = "the last of equal ones", "a value of 0 is new"


class Counts:
    """A search without nodes: what was evaluated, and by path how often and with which sum.

    Attributes:
        order: the path that each iteration evaluates, as places among the continuations.
        fair: whether no choice hangs on rounding.
    """

    def __init__(self, world):
        self.world, self.order, self.fair = world, [], True
        self.visits, self.value, self.state = Counter(), Counter(), {(): world.query}

    def count(self, path):
        """An evaluation: it counts for the path and all that lead to it."""
        self.order.append(path)
        for end in range(len(path) + 1):
            self.visits[path[:end]] += 1
            self.value[path[:end]] += self.world.score(self.state[path])

    def kids(self, path):
        """The paths one step longer."""
        steps = self.world.steps(self.state[path])
        kids = [(*path, place) for place in range(len(steps))]
        self.state.update(zip(kids, (self.state[path] + step for step in steps), strict=True))
        return kids

    def opened(self, path):
        """The paths one step longer, if the node there is expanded."""
        return self.kids(path) if self.visits[path] > 1 else []

    def seen(self, path):
        """The paths one step longer that were visited."""
        return [kid for kid in self.kids(path) if self.visits[kid]]

    def nodes(self):
        """The paths of all nodes, level by level."""
        found = [()]
        for path in found:
            found += self.opened(path)
        return found

    def scored(self):
        """The states evaluated, each where it comes first."""
        return firsts(self.state[path] for path in self.order)

    def generated(self):
        """The states asked for continuations, each where it comes first: when it is selected again."""
        asked, seen = [], set()
        for path in self.order:
            if path in seen:
                asked.append(path)  # a terminal leaf
            elif path[-1:] == (0,):
                asked.append(path[:-1])  # just expanded, and its first child evaluated
            seen.add(path)
        return firsts(self.state[path] for path in asked)

    def mean(self, path):
        """The mean value of a path that was visited."""
        return self.value[path] / self.visits[path]

    def best(self):
        """The state at the end of the best children."""
        path = ()
        while kids := self.seen(path):
            path = max(kids, key=self.mean)
            near = [kid for kid in kids if self.mean(path) - self.mean(kid) < NEAR]
            # Equal means of unequal counts: a tie that some would break by the counts.
            one_count = {self.visits[kid] for kid in near} == {self.visits[path]}
            self.fair &= one_count and (len(near) == 1 or self.visits[path] <= 2)
        return self.state[path]

    def misread(self, c):
        """The states that other rules would return, by rule."""

        def walk(rule, kids_of=self.seen):
            path = ()
            while kids := kids_of(path):
                path = max(kids, key=rule)
            return self.state[path]

        def bound(path):
            return ucb(self.value[path], self.visits[path], self.visits[path[:-1]], 0, c)

        evaluated = dict.fromkeys(self.order)
        ends = [path for path in evaluated if not self.seen(path)]
        return {
            "visits": walk(self.visits.__getitem__),
            "sum": walk(self.value.__getitem__),
            "bound": walk(bound),
            "n + 1": walk(lambda path: self.value[path] / (self.visits[path] + 1)),
            "last": walk(self.mean, lambda path: self.seen(path)[::-1]),
            "unvisited": walk(lambda path: self.mean(path) if self.visits[path] else 0.5, self.opened),
            "one step": self.state[max(self.seen(()), key=self.mean, default=())],
            "best score": max((self.state[path] for path in evaluated), key=self.world.score),
            "best mean": self.state[max(evaluated, key=self.mean)],
            "best leaf": self.state[max(ends, key=self.mean)],
        }


class Replay(Counts):
    """The search by its definition.

    Attributes:
        told: which rivals would have chosen otherwise somewhere.
    """

    def __init__(self, world, iterations, c=C, rivals=None):
        super().__init__(world)
        self.iterations, self.c, self.rivals, self.told = iterations, c, rivals or {}, set()
        for _ in range(iterations):
            path = ()
            while self.visits[path] and self.kids(path):
                path = self._chosen(path)
            self.count(path)

    def _chosen(self, path):
        kids = self.kids(path)
        fresh = [kid for kid in kids if not self.visits[kid]]
        if fresh:
            return fresh[0]
        shared = self.visits[path], self.visits[()], self.c
        about = [(self.value[kid], self.visits[kid], *shared) for kid in kids]
        bounds = [ucb(*numbers) for numbers in about]
        top = bounds.index(max(bounds))
        for numbers, bound in zip(about[top + 1 :], bounds[top + 1 :], strict=True):
            if numbers == about[top]:
                self.told.add(LAST)
                # A running mean rounds from the third score on.
                self.fair &= numbers[1] <= 2
            else:
                self.fair &= bounds[top] - bound > NEAR
        self.fair &= all(bounds[top] - bound > NEAR for bound in bounds[:top])
        if next((kid for kid in kids if not self.value[kid]), kids[top]) != kids[top]:
            self.told.add(ZERO)
        for name in self.rivals.keys() - self.told:
            others = [self.rivals[name](*numbers) for numbers in about]
            if max(others) - others[top] > NEAR:
                self.told.add(name)
        return kids[top]


def counted(world, scored):
    """What follows from the learner's own evaluations, in a world without end: each is of another state."""
    counts = Counts(world)
    for state in firsts(scored):
        path = ()
        while path is not None and counts.state[path] != state:
            path = next((kid for kid in counts.kids(path) if state.startswith(counts.state[kid])), None)
        assert path is not None, f"score is asked for {state!r}, which is no state of the tree"
        counts.count(path)
    return counts


def firsts(states):
    """Each state where it comes first."""
    return list(dict.fromkeys(states))


def once(draw):
    """Draw once for a seed, and keep it: a class is graded on one, and so are the known mistakes."""
    kept = functools.lru_cache(maxsize=8)(lambda salt: draw(np.random.default_rng(salt)))
    return lambda rng: kept(int(rng.integers(2**62)))


def telling(make, rivals, told):
    """Replays that together tell every rival from the rule; those that add nothing are left out."""
    left, found = set(rivals), []
    for _ in range(300):
        if not left:
            return found
        replay = make()
        replay.best()
        if replay.fair and left & told(replay):
            left -= told(replay)
            found.append(replay)
    raise RuntimeError(f"no world tells {sorted(left)} from the rule")


def fair(make, accepted):
    """The first replay that hangs on no rounding and is accepted."""
    for _ in range(300):
        replay = make()
        replay.best()
        if replay.fair and accepted(replay):
            return replay
    raise RuntimeError("no world is accepted")


# --- the learner's search ---


def searched(student, parts, world, iterations, **options):
    """The learner's state and root, and what was asked."""
    watch = Watch(world, iterations)
    answer = student.mcts(world.query, watch.generate, watch.score, iterations, **options)
    state, root = parts(answer, "state", "root", what="mcts")
    assert isinstance(state, str), "the first of the pair must be the state, a string"
    assert not isinstance(root, PLAIN), "the second of the pair must be the root, a node"
    return state, root, watch


def children(node):
    """A node's children."""
    found = node.children
    assert not isinstance(found, (str, dict)), "children must be a list of nodes"
    found = list(found or ())
    assert not any(isinstance(child, PLAIN) for child in found), "children must be a list of nodes"
    return found


def level_by_level(root, at_most):
    """The learner's nodes, of a tree that grew too large only so many."""
    nodes = [root]
    for node in nodes:
        if len(nodes) <= at_most:
            nodes += children(node)
    return nodes


def same_tree(close, root, counts):
    """Compare states, visits and values of all nodes."""
    paths = counts.nodes()
    rows = [(node.state, node.visits, node.value) for node in level_by_level(root, len(paths))]
    states, visits, values = (list(column) for column in zip(*rows, strict=True))
    what = "of the nodes, level by level"
    close(states, [counts.state[path] for path in paths], what=f"state {what}")
    close(visits, [counts.visits[path] for path in paths], what=f"visits {what}", dtype=False)
    close(values, [float(counts.value[path]) for path in paths], what=f"value {what}", dtype=False)


def same_order(found, expected, what):
    """Compare logs; of the states the learner's own alone are named."""
    for at, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one == other, f"{what}: number {at + 1} is {one!r}, and should be another state"
    assert len(found) >= len(expected), f"{what}: only {len(found)} states, too few"
    assert len(found) <= len(expected), f"{what}: too many states, {found[len(expected)]!r} is not due"


def follow(student, parts, close, replays, optional):
    """Compare the order of evaluation, and what the root's children say of it."""
    # All are run before any is compared: one search alone does not tell one wrong bound from another.
    found = []
    for replay, options in zip(replays, optional, strict=True):
        _, root, watch = searched(student, parts, replay.world, replay.iterations, **options)
        found.append((firsts(watch.scored), [child.visits for child in children(root)]))
    for replay, options, (scored, visits) in zip(replays, optional, found, strict=True):
        what = f"states evaluated with c = {options['c']}" if options else "states evaluated without a c"
        same_order(scored, replay.scored(), what)
        expected = [replay.visits[kid] for kid in replay.opened(())]
        close(visits, expected, what="visits of the root's children", dtype=False)


# --- task 1 ---


def quick_search(tree):
    """The search of the notebook on a finished tree, until an iteration scores nothing.

    Nothing changes from there on: the same iteration comes again and again.

    Returns:
        The state returned, the leaf of the last iteration, the states that were entered and never scored.
    """
    world = Table(tree)
    visits, value, kids, scored = Counter(), Counter(), {}, set()

    def bound(path):
        return ucb(value[path], visits[path], visits[path[:-1]], 0, C) if visits[path] else math.inf

    while True:
        path = ()
        while kids.get(path):
            path = max(kids[path], key=bound)
        kids[path] = [(*path, step) for step in world.steps(world.query + "".join(path))]
        if not kids[path]:
            break
        first = kids[path][0]
        scored.add(first)
        for end in range(len(first) + 1):
            visits[first[:end]] += 1
            value[first[:end]] += world.score(world.query + "".join(first))
    at = ()
    while kids.get(at):
        at = max(kids[at], key=lambda kid: value[kid] / max(visits[kid], 1))
    entered = {node for node in kids if node} - scored - {path}
    returned, stuck, *unscored = (world.query + "".join(node) for node in (at, path, *entered))
    return returned, stuck, unscored


def is_real(number):
    """Whether this is one plain real number."""
    return isinstance(number, Real) and not isinstance(number, bool)


def witness(student):
    """The learner's witness, its tree checked; a failed assertion says what is wrong with it."""
    found = student.witness()
    assert isinstance(found, dict), "witness() must return a dict"
    missing = {"tree", "stuck", "unscored"} - set(found)
    assert not missing, f'witness() has no key "{min(missing, default="")}"'
    tree = found["tree"]
    assert isinstance(tree, dict), '"tree" must be a dict'
    assert "q" in tree, '"tree" has no state "q", the query'
    assert len(tree) <= 40, '"tree" has more than 40 states'
    for state, entry in tree.items():
        assert isinstance(state, str), '"tree": a state must be a string'
        assert isinstance(entry, (tuple, list)), (
            f'"tree": {state!r} needs a pair: score, list of continuations'
        )
        assert len(entry) == 2, f'"tree": {state!r} needs a pair: score, list of continuations'
        assert is_real(entry[0]), f'"tree": the score of {state!r} must be a number'
        assert 0 <= entry[0] <= 1, f'"tree": the score of {state!r} does not lie from 0 to 1'
        assert isinstance(entry[1], (tuple, list)), f'"tree": the continuations of {state!r} must be a list'
        for step in entry[1]:
            assert isinstance(step, str), f'"tree": a continuation of {state!r} is no string'
            assert step, f'"tree": a continuation of {state!r} is empty'
            whole = step in tree and step.startswith(state) and state + step not in tree
            assert not whole, (
                '"tree": a continuation holds the whole state of the child; give what is added to the parent\'s'
            )
            assert state + step in tree, (
                f'"tree": {state + step!r} is a child of {state!r} and not in the tree'
            )
    reached, states = ["q"], {"q"}
    for state in reached:
        grown = [state + step for step in tree[state][1]]
        assert len(set(grown)) == len(grown), f'"tree": two continuations of {state!r} are equal'
        assert not states & set(grown), '"tree": a state is reached in two ways'
        states |= set(grown)
        reached += grown
    return found, {state: tree[state] for state in reached}


@pytest.mark.points(1)
@pytest.mark.task("witness")
def test_witness(student):
    """On the tree quick_search misses the best answer, with any number of iterations, and a right search finds it."""
    _, tree = witness(student)
    answers = sorted((score, state) for state, (score, steps) in tree.items() if not steps)
    best, others = answers[-1], answers[:-1]
    assert others, '"tree" needs at least two finished answers'
    assert best[0] - others[-1][0] >= 0.1 - 1e-9, '"tree": the best finished answer needs a lead of 0.1'
    assert quick_search(tree)[0] != best[1], "quick_search returns the best answer of your tree"
    found = Replay(Table(tree), 300).best()
    assert found == best[1], (
        "a right search does not return the best answer of your tree either, in 300 iterations"
    )


@pytest.mark.points(1)
@pytest.mark.task("witness")
def test_fault(student):
    """The two places are named: the leaf at which quick_search is stuck, and the state it enters unscored."""
    found, tree = witness(student)
    returned, stuck, unscored = quick_search(tree)
    named = found["stuck"] == returned != stuck
    assert not named, (
        '"stuck" is the state that quick_search returns, not the leaf that every later iteration selects'
    )
    assert found["stuck"] == stuck, '"stuck" is not the leaf that every later iteration selects'
    assert found["unscored"] != "q", '"unscored" is the query: name a child that quick_search made'
    assert unscored, '"unscored": quick_search scores every state of your tree that it expands'
    leaf = any(found["unscored"] == state and not steps for state, (_, steps) in tree.items())
    assert not leaf, '"unscored" is a terminal state, which is never expanded: name one that is'
    assert found["unscored"] in unscored, '"unscored" is no state that is expanded without ever being scored'


# --- task 2 ---


@pytest.mark.points(1)
@pytest.mark.task("mcts")
def test_first_iterations(student, rng, close, parts):
    """The first iteration evaluates the root, the second expands it and evaluates its first child."""
    world = World(rng)
    for iterations in range(1, 5):
        replay = Replay(world, iterations)
        state, root, watch = searched(student, parts, world, iterations)
        same_tree(close, root, replay)
        same_order(firsts(watch.scored), replay.scored(), f"states scored in {iterations} iterations")
        same_order(firsts(watch.generated), replay.generated(), f"states expanded in {iterations} iterations")
        if iterations == 1:
            close(state, world.query, what="the state after the first iteration")


@once
def for_selection(rng):
    """Searches in which every rival would choose otherwise somewhere."""
    rivals = {name: rule for name, rule in RIVALS.items() if name != "c = 1.4"}
    grids = [64, 4]  # coarse scores make ties

    def make():
        grids.reverse()
        return Replay(World(rng, grid=grids[0]), 22, C, rivals)

    return telling(make, {*rivals, LAST, ZERO}, lambda replay: replay.told)


@pytest.mark.points(2)
@pytest.mark.task("mcts")
def test_selection(student, rng, close, parts):
    """Every iteration goes down to the child with the largest bound, of equal ones to the first."""
    replays = for_selection(rng)
    follow(student, parts, close, replays, [{"c": C}] * len(replays))


@once
def for_exploration(rng):
    """Searches with another c, in which 1.4 would choose otherwise."""
    default = {"c = 1.4": RIVALS["c = 1.4"]}
    return [
        fair(lambda c=c: Replay(World(rng), 14, c, default), lambda r: r.told) for c in (0.02, 0.3, 300.0)
    ]


def close_call(rng, gap):
    """A world in which the fifth iteration hangs on whether mean(first child) - mean(second) is above `gap`."""
    second = float(rng.integers(200, 250)) / 1024
    first = second + gap + rng.uniform(-0.02, 0.02)
    tree = {"q": (0.5, ["a", "b"]), "qa": (first, ["c", "d"]), "qb": (second, ["e", "f"])}
    tree |= {"qac": (2 * (second + gap) - first, ["g"]), "qad": (0.5, ["h"]), "qbe": (0.5, ["i"])}
    return Table(tree)


@pytest.mark.points(1)
@pytest.mark.task("mcts")
def test_exploration(student, rng, close, parts):
    """c weighs exploration: 1.4 if it is not given, and near 0 the best mean decides."""
    # After four iterations the first child has two visits, the second one, the root four. The bounds are equal if
    # the means differ by c * (1 - sqrt(1/2)) * sqrt(ln 4): 0.4828 for c = 1.4.
    gaps = [c * (1 - math.sqrt(1 / 2)) * math.sqrt(math.log(4)) for c in (C - 0.007, C + 0.007)]
    default = [Replay(close_call(rng, gap), 5) for gap in gaps]
    given = for_exploration(rng)
    follow(student, parts, close, default + given, [{}, {}, *({"c": replay.c} for replay in given)])


@once
def for_backup(rng):
    """Searches that go four levels down."""
    return [
        fair(
            lambda grid=grid: Replay(World(rng, grid=grid, widths=(1, 2)), 12, 0.5),
            lambda replay: max(map(len, replay.order)) >= 4,
        )
        for grid in (64, 4)
    ]


@pytest.mark.points(1)
@pytest.mark.task("mcts")
def test_backup(student, rng, close, parts):
    """Every node counts the scores of all evaluations below it and sums them, the root's included."""
    for replay in for_backup(rng):
        _, root, watch = searched(student, parts, replay.world, replay.iterations, c=0.5)
        same_tree(close, root, counted(replay.world, watch.scored))
        close([root.visits], [replay.iterations], what="visits of the root", dtype=False)


@once
def for_terminal(rng):
    """Searches that come back three times to leaves near and far, to a first child and to a later one."""

    def told(replay):
        again = {path for path in replay.order if replay.order.count(path) > 2}
        return {(len(path) > 1, path[-1] > 0) for path in again}

    kinds = [(False, False), (False, True), (True, False), (True, True)]
    return telling(lambda: Replay(World(rng, depth=2, ends=0.4), 24), kinds, told)


@pytest.mark.points(1)
@pytest.mark.task("mcts")
def test_terminal(student, rng, close, parts):
    """A terminal leaf is evaluated and backed up every time that it is selected."""
    long = {"q" + 11 * "A": (0.75, [])}
    chain = {"q" + k * "A": (float(rng.integers(65)) / 64, ["A"]) for k in range(11)} | long
    for tree, iterations in (({"q": (0.25, [])}, 4), (chain, 15)):
        replay = Replay(Table(tree), iterations)
        state, root, _ = searched(student, parts, replay.world, replay.iterations)
        same_tree(close, root, replay)
        close(state, replay.best(), what="the state returned")

    for replay in for_terminal(rng):
        _, root, watch = searched(student, parts, replay.world, replay.iterations)
        same_tree(close, root, replay)
        same_order(firsts(watch.scored), replay.scored(), "states evaluated")


@pytest.mark.points(1)
@pytest.mark.task("mcts")
def test_tree(student, rng, close, parts):
    """Each continuation is a child of its own in the order given, equal and empty ones too, and knows its parent."""
    steps = [["b", "a", "b", "ab", "f", "e ", "g", " ", ""], ["d", "c"], ["b", "a"], ["a"]]
    scores = (rng.integers(65, size=4) / 64).tolist()
    world = Table(dict(zip(["q", "qb", "qa", "qab"], zip(scores, steps, strict=True), strict=True)))
    _, root, _ = searched(student, parts, world, 13)
    families = [(root, children(root))]
    for _, kids in families:
        families += [(kid, children(kid)) for kid in kids]
        assert len(families) < 40, "there are too many nodes"
    about = {id(node): (node.state, node.visits, node.value) for node, _ in families}
    assert all(is_real(x) for told in about.values() for x in told[1:]), "visits and value must be numbers"
    for node, kids in families:
        state, visits, value = about[id(node)]
        score, steps = world.score(state), world.steps(state)
        if kids or node is root:
            found = [about[id(kid)] for kid in kids]
            close([kid[0] for kid in found], [state + step for step in steps], what=f"children of {state!r}")
            expected = [1 + sum(kid[1] for kid in found), score + sum(kid[2] for kid in found)]
        else:  # a leaf: only a terminal one may have more visits than one
            expected = [min(visits, 1) if steps else visits, score * visits]
        close([visits, value], expected, what=f"visits and value of {state!r}, by its children", dtype=False)
        for kid in kids:
            above = kid.parent
            assert not isinstance(above, PLAIN), f"the parent of {about[id(kid)][0]!r} is no node"
            what = f"state and visits of the parent of {about[id(kid)][0]!r}"
            close([above.state, above.visits], [state, visits], what=what, dtype=False)
    close([about[id(root)][1], root.parent], [13, None], what="visits and parent of the root", dtype=False)


@once
def for_returned(rng):
    """Searches after which every two ways to choose the result, the right one among them, would differ."""
    grids = [64, 4]

    def make():
        grids.reverse()
        return Replay(World(rng, grid=grids[0]), 15, 0.7)

    def told(replay):
        ways = {"right": replay.best(), **replay.misread(0.7)}
        return {pair for pair in itertools.combinations(ways, 2) if ways[pair[0]] != ways[pair[1]]}

    return telling(make, itertools.combinations(["right", *make().misread(0.7)], 2), told)


@pytest.mark.points(1)
@pytest.mark.task("mcts")
def test_returned(student, rng, close, parts):
    """The state returned lies at the end of the children with the highest mean, of equal ones the first."""
    # All are run before any is compared: one search alone does not tell one wrong choice from another.
    replays = for_returned(rng)
    searches = [searched(student, parts, replay.world, replay.iterations, c=0.7) for replay in replays]
    for replay, (state, _, watch) in zip(replays, searches, strict=True):
        counts = counted(replay.world, watch.scored)
        assert len(counts.order) == replay.iterations, "not every iteration evaluates another node"
        close(state, counts.best(), what="the state returned")

    low, by = (rng.integers(8, 21, size=2) / 64).tolist()
    once_seen, twice_seen = rng.permutation(["a", "b"]).tolist()
    below = {"q" + once_seen: (low + by, ["c"]), "q" + twice_seen: (low + 2 * by, ["d"])}
    below[f"q{twice_seen}d"] = (low, ["e"])  # the second score of that child: their means are equal now
    more_first = {"q": (0.5, [twice_seen, once_seen])} | below
    fewer_first = {"q": (0.5, [once_seen, twice_seen])} | below
    nothing = {"q": (0.0, ["a", "b"]), "qa": (0.0, ["c"]), "qb": (0.0, ["d"])}
    for tree, iterations, due, what in (
        (more_first, 4, f"q{twice_seen}d", "of two children with one mean, the first with more visits"),
        (fewer_first, 4, "q" + once_seen, "of two children with one mean, the first with fewer visits"),
        (nothing, 3, "qa", "where all scores are 0"),
    ):
        state, _, _ = searched(student, parts, Table(tree), iterations)
        close(state, due, what=f"the state returned {what}")


@pytest.mark.points(1)
@pytest.mark.task("mcts")
def test_score_calls(student, rng, parts):
    """score is called once for each evaluation; only a terminal leaf may be asked again or remembered."""
    for world, least in ((World(rng, widths=(1, 3)), 12), (World(rng, depth=2, ends=0.3), 3)):
        _, _, watch = searched(student, parts, world, 12)
        for state, count in Counter(watch.scored).items():
            again = count > 1 and world.steps(state)
            assert not again, f"score is called {count} times for {state!r}, which is not terminal"
        calls = len(watch.scored)
        assert calls <= 12, f"score is called {calls} times in 12 iterations"
        assert calls >= least, f"score is called only {calls} times in 12 iterations"


@pytest.mark.points(1)
@pytest.mark.task("mcts")
def test_generate_calls(student, rng, parts):
    """generate is called once for a node that is expanded: not twice, and not before it is selected again."""
    for world in (World(rng), World(rng, depth=2, ends=0.3)):
        _, _, watch = searched(student, parts, world, 12)
        asked = Counter(watch.generated)
        assert world.query in asked, "generate is never called for the query"
        for state, count in asked.items():
            kids = [state + step for step in world.steps(state)]
            assert count == 1 or not kids, f"generate is called {count} times for {state!r}"
            assert state in watch.scored, f"generate is called for {state!r}, which is never evaluated"
            assert not kids or set(kids) & set(watch.scored), (
                f"generate is called for {state!r}, and none of its children is evaluated"
            )
        given = {state + step for state in asked for step in world.steps(state)}
        for state in dict.fromkeys(watch.scored).keys() - {world.query}:
            assert state in given, f"score is called for {state!r}, which no call of generate gave"


@once
def for_planted(rng):
    """A search in a tree of depth 3 whose better first step has bad answers, and the best answer of all."""

    def make():
        tree = {"q": (0.5, ["a", "b"])}
        bait, good = rng.permutation(["a", "b"]).tolist()
        for first, promise, low in ((bait, 44, 0), (good, 24, 20)):
            tree["q" + first] = (float(rng.integers(promise, promise + 12)) / 64, ["c", "d"])
            for second in "cd":
                state = f"q{first}{second}"
                tree |= {state + third: (float(rng.integers(low, low + 20)) / 64, []) for third in "ef"}
                tree[state] = (float(rng.integers(low, low + 20)) / 64, ["e", "f"])
        tree["q" + good + str(rng.choice(["c", "d"])) + str(rng.choice(["e", "f"]))] = (1.0, [])
        return Replay(Table(tree), 40)

    return fair(make, lambda replay: replay.best() == best_answer(replay.world.tree))


def best_answer(tree):
    """The finished answer with the highest score."""
    return max((state for state in tree if not tree[state][1]), key=lambda state: tree[state][0])


@pytest.mark.points(2)
@pytest.mark.task("mcts")
def test_planted_answer(student, rng, close, parts):
    """The planted best answer is found, where the better first step leads greedy search into a trap."""
    replay = for_planted(rng)
    state, root, _ = searched(student, parts, replay.world, replay.iterations)
    close([root.visits], [replay.iterations], what="visits of the root", dtype=False)
    assert state == best_answer(replay.world.tree), (
        f"{state!r} is not the planted answer, after 40 iterations"
    )


@once
def for_independent(rng):
    """Two searches with other scores for the same states."""

    def rescored():
        other = World(rng)
        other.query, other.salt = first.world.query, first.world.salt
        return Replay(other, 5)

    first = fair(lambda: Replay(World(rng), 5), lambda _: True)
    return first, fair(rescored, lambda replay: replay.best() != first.best())


@pytest.mark.points(1)
@pytest.mark.task("mcts")
def test_independent(student, rng, close, parts):
    """Searches share nothing: other scores for the same states give another search, and the first comes again."""
    first, other = for_independent(rng)
    for what, replay in (("one world", first), ("other scores", other), ("the first world again", first)):
        state, root, watch = searched(student, parts, replay.world, 5)
        found = [root.visits, root.value]
        same_order(firsts(watch.scored), replay.scored(), f"states evaluated in {what}")
        close(found, [5, replay.value[()]], what=f"visits and value of the root in {what}", dtype=False)
        close(state, replay.best(), what=f"the state returned in {what}")
