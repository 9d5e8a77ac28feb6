from __future__ import annotations

import json
import math
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

NEAR = 1e-6  # choices closer than this, and not equal, are left to rounding: such a world is drawn again
MOVES = ["north", "south", "east", "west"]
ROOMS = ["hall", "cave", "roof", "yard", "well", "barn", "lane"]


# --- worlds ---


def outcome(state, probability, reward):
    """An outcome as a model writes it."""
    return {"state": state, "probability": probability, "reward": reward}


JUNK = 14  # kinds of outcomes that can't be used


def junk(kind, known):
    """An outcome that can't be used; `known` is a state that there is."""
    return [
        outcome("Atlantis", 0.5, 9),
        outcome(f"{known} ", 0.5, 9),
        outcome(known, 0, 9),
        outcome(known, -0.5, 9),
        outcome(known, True, 9),
        outcome(known, "0.5", 9),
        outcome(known, math.inf, 9),
        outcome(known, 0.5, -math.inf),
        outcome(known, 0.5, False),
        outcome(known, 0.5, None),
        {"state": known, "probability": 0.5},
        outcome([known], 0.5, 9),
        outcome(known, 0.5, math.nan),
        known,
    ][kind]


def text_of(outcomes):
    """A prediction as a model writes it; infinite numbers as JSON can hold them."""
    return json.dumps({"outcomes": outcomes}).replace("Infinity", "1e999")


class World:
    """States, actions, estimates, and what a model says of each pair, known here without reading the text.

    Args:
        exact: whether all probabilities are powers of two, so that sums are exact.

    Attributes:
        outcomes: {(state, action): [(probability, state, reward)]}, [] where the text can't be used.
        text: {(state, action): text}.
        real: {(state, action): (state, reward)}.
    """

    def __init__(self, rng, *, exact=True, wrong=0.4, unusable=0.15, ties=False):
        self.states = [f"{word}{rng.integers(1000)}" for word in ROOMS]
        self.actions = {s: rng.permutation(MOVES)[: rng.integers(2, 4)].tolist() for s in self.states}
        self.actions[self.states[-1]] = []
        spread = 1 if ties else 8
        self.value = {s: int(rng.integers(-spread, spread + 1)) for s in self.states}
        self.outcomes, self.text, self.real, self.exact = {}, {}, {}, exact
        for pair in [(s, a) for s in self.states for a in self.actions[s]]:
            if rng.random() < unusable:
                self.outcomes[pair] = []
                self.text[pair] = rng.choice(
                    ["It gets dark.", '{"outcomes": []}', '{"outcomes": 3}', ""]
                ).item()
            else:
                self.predict(rng, pair, exact, spread)
            to = [t for _, t, _ in self.outcomes[pair]]
            if not to or rng.random() < wrong:
                to = self.states
            self.real[pair] = str(rng.choice(to)), int(rng.integers(-spread, spread + 1))

    def predict(self, rng, pair, exact, spread):
        """Draw what the model says of a pair."""
        drawn = rng.integers(1, 10, size=rng.integers(1, 3)).tolist()
        weights = [[2], [1, 3], [2, 2]][int(rng.integers(3))] if exact else drawn
        to = rng.choice(self.states, size=len(weights)).tolist()
        rewards = rng.integers(-spread, spread + 1, size=len(weights)).tolist()
        total = sum(weights)
        self.outcomes[pair] = [(w / total, t, r) for w, t, r in zip(weights, to, rewards, strict=True)]
        written = [outcome(t, w / 8, r) for w, t, r in zip(weights, to, rewards, strict=True)]
        for _ in range(int(rng.integers(3))):
            kind, known = int(rng.integers(JUNK)), str(rng.choice(self.states))
            written.insert(int(rng.integers(len(written) + 1)), junk(kind, known))
        self.text[pair] = text_of(written)


def looked_ahead(world, outcomes, depth):
    """Q of every pair at a depth, by backward induction over all states at once."""
    states = {s: i for i, s in enumerate(world.states)}
    usable = [pair for pair in outcomes if outcomes[pair]]
    move, gain = np.zeros((len(usable), len(states))), np.zeros(len(usable))
    for row, pair in enumerate(usable):
        for p, t, r in outcomes[pair]:
            move[row, states[t]] += p
            gain[row] += p * r
    base = np.array([world.value[s] for s in world.states], float)
    values = base
    for _ in range(depth):
        q = gain + move @ values
        values = base.copy()
        for s in {pair[0] for pair in usable}:
            values[states[s]] = max(x for x, pair in zip(q, usable, strict=True) if pair[0] == s)
    return dict(zip(usable, q.tolist(), strict=True))


def chosen(world, outcomes, state, depth):
    """The action that is due and its value, and whether the choice does not hang on rounding."""
    q = looked_ahead(world, outcomes, depth)
    own = [(a, q[state, a]) for a in world.actions[state] if (state, a) in q]
    if not own:
        return None, float(world.value[state]), True
    best = max(x for _, x in own)
    close_to = [x for _, x in own if best - x < NEAR]
    fair = set(close_to) == {best} and (world.exact or len(close_to) == 1)
    return next(a for a, x in own if x == best), best, fair


def in_reach(outcomes, state, depth, actions):
    """The pairs that a plan may ask about."""
    pairs, front = set(), {state}
    for _ in range(depth):
        now = {(s, a) for s in front for a in actions[s]}
        pairs |= now
        front = {t for pair in now for _, t, _ in outcomes[pair]}
    return pairs


class Oracle:
    """The model behind the wire, and what it was asked."""

    def __init__(self, world):
        self.world, self.asked = world, []

    def llm(self, state, action):
        """The text of a prediction."""
        self.asked.append((state, action))
        if len(self.asked) > 300:
            raise RuntimeError("llm was asked more than 300 times")
        return self.world.text[state, action]


def same_calls(asked, allowed, what):
    """Compare what the model was asked with what may be asked."""
    for pair, count in Counter(asked).items():
        assert count == 1, f"{what}: llm is asked {count} times about {pair}"
        assert pair in allowed, f"{what}: llm is asked about {pair}, which is not needed"


# --- task 1 ---


@pytest.mark.points(1)
@pytest.mark.task("trusted_steps")
def test_trusted_steps(student, rng, close):
    """All predictions of so many steps are right with the probability asked for, and of one step more they are not."""
    cases = [(0.1, 0.5), (0.9, 0.5), (0.3, 0.69), (0.3, 0.71), (0.0001, 0.9)]
    cases += list(zip(rng.uniform(0.002, 0.4, 8).tolist(), rng.uniform(0.02, 0.98, 8).tolist(), strict=True))
    found = [student.trusted_steps(*case) for case in cases]
    for (error, target), steps in zip(cases, found, strict=True):
        what = f"trusted_steps({error:.6g}, {target:.6g})"
        due, chance = -1, Decimal(1)
        while chance >= Decimal(target):
            due, chance = due + 1, chance * (1 - Decimal(error))
        assert type(steps) is int, f"{what}: must return an integer"
        close(steps, due, what=what)


# --- task 2 ---


def triples(found, what):
    """The outcomes that read_prediction gives, as lists; AssertionError where they are something else."""
    assert isinstance(found, list | tuple), f"{what}: must return a list of triples"
    for one in found:
        is_triple = isinstance(one, list | tuple) and len(one) == 3
        assert is_triple, f"{what}: {one!r:.60} is no triple (probability, state, reward)"
    return [list(one) for one in found]


def same_outcomes(student, close, cases):
    """Compare the outcomes of texts: (what, text, states, expected)."""
    # All are read before any is compared: one alone does not tell one wrong way from another.
    read = [triples(student.read_prediction(text, states), what) for what, text, states, _ in cases]
    for (what, _, _, expected), found in zip(cases, read, strict=True):
        close([one[1] for one in found], [t for _, t, _ in expected], what=f"{what}: the states")
        for at, (one, due) in enumerate(zip(found, expected, strict=True)):
            close(one[0], float(due[0]), rtol=1e-12, what=f"{what}: probability {at + 1}", dtype=False)
            close(one[2], float(due[2]), rtol=0, atol=0, what=f"{what}: reward {at + 1}", dtype=False)


@pytest.mark.points(1)
@pytest.mark.task("read_prediction")
def test_outcomes(student, rng, close):
    """Usable outcomes keep their order and rewards, the others are dropped, and probabilities sum to 1 after that."""
    cases = []
    for exact in (True, False):
        world = World(rng, exact=exact, unusable=0)
        for pair in list(world.text)[:8]:
            states = world.states if len(cases) % 2 else world.actions
            cases.append((f"prediction {len(cases) + 1}", world.text[pair], states, world.outcomes[pair]))
    a, b = world.states[:2]
    p, r = float(rng.uniform(0.1, 0.9)), float(rng.uniform(-2, 2))
    right = [(p, a, r), (3 * p, a, 0), (4 * p, b, -1), (1000, a, 1)]
    total = sum(weight for weight, *_ in right)
    written = [outcome(t, weight, reward) for weight, t, reward in right]
    written[2]["why"] = "other keys are ignored"
    for kind in range(JUNK):
        written.insert(int(rng.integers(len(written) + 1)), junk(kind, b))
    expected = [(weight / total, t, reward) for weight, t, reward in right]
    same_outcomes(student, close, [*cases, ("a long prediction", text_of(written), world.states, expected)])


@pytest.mark.points(1)
@pytest.mark.task("read_prediction")
def test_unusable_text(student, rng, close):
    """A text without usable outcomes gives an empty list, whatever is wrong with it."""
    states = [f"hall{rng.integers(100)}", f"cave{rng.integers(100)}"]
    right = json.dumps({"outcomes": [outcome(states[0], 0.5, 1)], "sure": True})
    same_outcomes(student, close, [("a right text", right, states, [(1, states[0], 1)])])
    texts = {
        "prose": f"You are in the {states[0]}.",
        "no text": "",
        "a text that is cut off": right[:-2],
        "a list": f"[{right}]",
        "null": "null",
        "a number": "3",
        "a string": json.dumps(right),
        "no outcomes": '{"outcome": []}',
        "outcomes that are null": '{"outcomes": null}',
        "outcomes that are an object": json.dumps({"outcomes": outcome(states[0], 1, 1)}),
        "outcomes that are a string": json.dumps({"outcomes": states[0]}),
        "an empty list": '{"outcomes": []}',
        "states that do not exist": json.dumps(
            {"outcomes": [outcome("Narnia", 1, 1), outcome(states[0] + " ", 1, 1)]}
        ),
        "probabilities of 0": json.dumps(
            {"outcomes": [outcome(states[0], 0, 1), outcome(states[1], 0.0, 1)]}
        ),
        "a number of 5000 digits": '{"outcomes": [], "n": ' + "9" * 5000 + "}",
        "brackets without end": "[" * 100_000,
    }
    for what, text in texts.items():
        assert triples(student.read_prediction(text, states), what) == [], f"{what}: must give an empty list"


# --- task 3 ---


def planned(student, parts, close, world, state, depth, what, *, check_calls=True):
    """Compare a plan."""
    oracle = Oracle(world)
    found = student.plan(oracle.llm, state, world.actions, world.value, depth)
    found = parts(found, "action", "number", what=f"{what}: plan")
    action, value, _ = chosen(world, world.outcomes, state, depth)
    close(found[1], float(value), rtol=1e-9, atol=1e-9, what=f"{what}: the expected value", dtype=False)
    close(found[0], action, what=f"{what}: the action")
    if check_calls:
        same_calls(oracle.asked, in_reach(world.outcomes, state, depth, world.actions), what)


def fair_worlds(rng, count, depth, wanted=None, **kind):
    """Worlds with a state each, in which no choice hangs on rounding."""
    found = []
    for _ in range(2000):
        if len(found) == count:
            return found
        world = World(rng, **kind)
        state = str(rng.choice(world.states[:-1]))
        action, _, fair = chosen(world, world.outcomes, state, depth)
        if fair and action and (wanted is None or wanted(world, state)):
            found.append((world, state))
    raise RuntimeError("no world is accepted")


@pytest.mark.points(2)
@pytest.mark.task("plan")
def test_values(student, rng, close, parts):
    """The best action and its expected value are those of an exhaustive search, at depths from 1 to 6."""

    def deep(world, state):
        plans = [chosen(world, world.outcomes, state, d)[0] for d in (1, 2, 3)]
        return len(set(plans)) > 1

    for depth in (1, 2, 3, 4, 6):
        for world, state in fair_worlds(rng, 2, depth, deep, exact=False, unusable=0):
            planned(student, parts, close, world, state, depth, f"depth {depth}", check_calls=False)


@pytest.mark.points(1)
@pytest.mark.task("plan")
def test_ends_and_ties(student, rng, close, parts):
    """Actions without a prediction are left out, states without any are worth their estimate, first of equals wins."""

    def tied(world, state, depth):
        q = looked_ahead(world, world.outcomes, depth)
        own = [q[state, a] for a in world.actions[state] if (state, a) in q]
        return own.count(max(own)) > 1

    for depth in (1, 2, 4):
        some = fair_worlds(rng, 3, depth, unusable=0.45, ties=True)
        for world, state in some + fair_worlds(
            rng, 1, depth, lambda *at, d=depth: tied(*at, d), unusable=0.3, ties=True
        ):
            planned(student, parts, close, world, state, depth, f"depth {depth}", check_calls=False)
    end = world.states[-1]
    planned(student, parts, close, world, end, 3, "a state where everything ends")
    for pair in world.outcomes:
        if pair[0] == state:
            world.outcomes[pair], world.text[pair] = [], "No idea."
    planned(student, parts, close, world, state, 3, "a state without any prediction", check_calls=False)


@pytest.mark.points(1)
@pytest.mark.task("plan")
def test_calls(student, rng, close, parts):
    """The model is asked once at most about a pair, and only about what can be reached within the depth."""

    def small(world, state):
        everything = set(world.outcomes)
        return in_reach(world.outcomes, state, 2, world.actions) < everything

    for depth in (1, 2, 5):
        for world, state in fair_worlds(rng, 2, depth, small, unusable=0.2):
            planned(student, parts, close, world, state, depth, f"depth {depth}")
    other = World(rng, unusable=0)
    other.states, other.actions = world.states, world.actions
    other.value = {s: v + 1 for s, v in world.value.items()}
    other.outcomes = {k: [(p, t, r + 1) for p, t, r in v] for k, v in world.outcomes.items()}
    other.text = {k: text_of([outcome(t, p, r) for p, t, r in v]) for k, v in other.outcomes.items()}
    planned(student, parts, close, other, state, depth, "another model of the same states")


# --- task 4 ---


class Reality(Oracle):
    """The real world and the model of it, and what happened."""

    def __init__(self, world, state):
        super().__init__(world)
        self.state, self.done = state, []

    def step(self, action):
        """Carry out an action."""
        if (self.state, action) not in self.world.real:
            raise ValueError(f"there is no action {action!r:.40} in {self.state}")
        self.done.append((self.state, action, len(self.asked)))
        if len(self.done) > 60:
            raise RuntimeError("more than 60 actions were carried out")
        self.state, reward = self.world.real[self.state, action]
        return self.state, reward


def lived(world, state, depth, max_steps):
    """What is due: the dict, which pairs may be asked about by then at each step, and whether it is fair."""
    known, allowed, states, done, total, surprises, fair = dict(world.outcomes), [], [state], [], 0, 0, True
    while len(done) < max_steps:
        action, _, sure = chosen(world, known, state, depth)
        fair &= sure
        tried = set(zip(states, done, strict=False))
        allowed.append(in_reach(known, state, depth, world.actions) - tried)
        if action is None:
            break
        after, reward = world.real[state, action]
        surprises += after not in [t for _, t, _ in known[state, action]]
        known[state, action] = [(1.0, after, reward)]
        states.append(after)
        done.append(action)
        total += reward
        state = after
    due = {"states": states, "actions": done, "reward": total, "surprises": surprises}
    return due, allowed, fair


def same_life(student, close, world, state, depth, max_steps, what):
    """Compare a run in the world."""
    reality = Reality(world, state)
    args = reality.step, reality.llm, state, world.actions, world.value, depth, max_steps
    found = student.explore(*args)
    assert isinstance(found, dict), f"{what}: explore must return a dict"
    due, allowed, _ = lived(world, state, depth, max_steps)
    missing = sorted(set(due) - set(found))
    assert not missing, f"{what}: the dict lacks the key {missing[0]!r}"
    actions = [action for _, action, _ in reality.done]
    for at, (one, wanted) in enumerate(zip(actions, due["actions"], strict=False)):
        assert one == wanted, f"{what}: action {at + 1} is {one!r}, and another one is due"
    assert len(actions) >= len(due["actions"]), f"{what}: {len(actions)} actions are carried out, too few"
    assert len(actions) <= len(due["actions"]), f"{what}: {len(actions)} actions are carried out, too many"
    for key in due:
        close(found[key], due[key], what=f"{what}: {key!r}", dtype=False)
    same_calls(reality.asked, set().union(*allowed), what)
    starts = [0, *(asked for _, _, asked in reality.done)]
    for pairs, begin, end in zip(allowed, starts, [*starts[1:], len(reality.asked)], strict=False):
        for pair in reality.asked[begin:end]:
            assert pair in pairs, f"{what}: llm is asked about {pair}, which is not needed then"


def lives(rng, count, depth, max_steps, wanted, **kind):
    """Worlds and first states whose runs hang on no rounding and are as wanted."""
    found = []
    for _ in range(3000):
        if len(found) == count:
            return found
        world = World(rng, **kind)
        state = str(rng.choice(world.states[:-1]))
        due, _, fair = lived(world, state, depth, max_steps)
        if fair and wanted(due):
            found.append((world, state))
    raise RuntimeError("no world is accepted")


@pytest.mark.points(1)
@pytest.mark.task("explore")
def test_painted_door(student, rng, close):
    """What was seen counts from then on: an action that did not do what was predicted is not tried for ever."""

    def again(due):
        pairs = list(zip(due["states"], due["actions"], strict=False))
        return due["surprises"] > 1 and len(set(pairs)) > 4

    # First, because to learn nothing and to learn surprises alone differ here for certain.
    hall, cellar, end = (f"{word}{rng.integers(1000)}" for word in ("hall", "cellar", "treasure"))
    maze = World(rng)
    maze.states, maze.actions = (
        [hall, cellar, end],
        {hall: ["east", "south"], cellar: ["dig", "wait"], end: []},
    )
    maze.value = {hall: 0, cellar: 0, end: 10}
    told = {(hall, "east"): (end, 0), (hall, "south"): (cellar, -1)}
    told |= {(cellar, "dig"): (end, -1), (cellar, "wait"): (hall, 0)}
    maze.outcomes = {pair: [(1.0, *to)] for pair, to in told.items()}
    maze.text = {pair: text_of([outcome(t, 1, r)]) for pair, (t, r) in told.items()}
    maze.real = told | {(hall, "east"): (hall, 0)}
    same_life(student, close, maze, hall, 2, 9, "a painted door")
    for depth in (1, 3):
        for world, state in lives(rng, 2, depth, 9, again, wrong=0.8, unusable=0.1):
            same_life(student, close, world, state, depth, 9, f"a model that is often wrong, depth {depth}")


@pytest.mark.points(1)
@pytest.mark.task("explore")
def test_run(student, rng, close):
    """Each plan starts from where the world really is; states, actions, reward and surprises are those of the run."""

    def eventful(due):
        return (
            len(set(due["states"])) > 2
            and due["surprises"] > 0
            and due["surprises"] < len(due["actions"]) - 1
        )

    for depth in (2, 4):
        for world, state in lives(rng, 2, depth, 8, eventful, wrong=0.4):
            same_life(student, close, world, state, depth, 8, f"a run at depth {depth}")


@pytest.mark.points(1)
@pytest.mark.task("explore")
def test_ends(student, rng, close):
    """The run ends after max_steps actions, or where no action is left, at once if there is none."""
    for most in (1, 3):
        for world, state in lives(rng, 1, 2, most, lambda due, n=most: len(due["actions"]) == n, wrong=0.3):
            same_life(student, close, world, state, 2, most, f"at most {most} actions")

    def ended(due):
        return 2 < len(due["actions"]) < 8

    ((world, state),) = lives(rng, 1, 2, 8, ended, wrong=0.3, unusable=0.3)
    same_life(student, close, world, state, 2, 8, "a run that comes to an end")
    same_life(student, close, world, world.states[-1], 2, 5, "a run that begins at the end")
