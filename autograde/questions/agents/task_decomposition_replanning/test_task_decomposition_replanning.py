from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

import numpy as np
import pytest

WORDS = ["book", "call", "draft", "fetch", "merge", "pay", "pack", "plan", "read", "send", "sort", "test"]
ERRORS = [ValueError, RuntimeError, TimeoutError, ZeroDivisionError, LookupError]


def names(rng, count):
    """Names of steps, in no order of the alphabet."""
    return [f"{rng.choice(WORDS)}{i}" for i in rng.permutation(900)[:count].tolist()]


def random_plan(rng, count, density):
    """A plan without a cycle; the order of its entries is not that of the needs."""
    steps = names(rng, count)
    deps = {}
    for i in rng.permutation(count).tolist():
        needs = [steps[j] for j in range(i) if rng.random() < density]
        deps[steps[i]] = [needs[j] for j in rng.permutation(len(needs))]
    return deps


# --- task 1 ---


def heights(deps):
    """The height of each step, by powers of the matrix of needs: paths of k edges exist where the k-th is not 0."""
    place = {step: i for i, step in enumerate(deps)}
    needed_by = np.zeros((len(deps), len(deps)), int)
    for step, needs in deps.items():
        for need in needs:
            needed_by[place[need], place[step]] = 1
    found, paths = np.ones(len(deps), int), needed_by
    for k in range(2, len(deps) + 1):
        found[paths.any(axis=1)] = k
        paths = (paths @ needed_by > 0).astype(int)
    return {step: int(found[i]) for step, i in place.items()}


def waves_due(deps, workers):
    """The waves by the contract."""
    height, place, waves = heights(deps), {step: i for i, step in enumerate(deps)}, []
    while len(put := [step for wave in waves for step in wave]) < len(deps):
        ready = [step for step in deps if step not in put and not set(deps[step]) - set(put)]
        waves.append([])
        while ready and len(waves[-1]) < workers:
            waves[-1].append(min(ready, key=lambda step: (-height[step], place[step])))
            ready.remove(waves[-1][-1])
    return waves


def same_waves(student, close, cases):
    """All plans are put in order before any is compared."""
    found = [student.schedule(deps, workers) for deps, workers in cases]
    for (deps, workers), waves in zip(cases, found, strict=True):
        what = f"a plan of {len(deps)} steps, {workers} worker{'s' * (workers > 1)}"
        assert isinstance(waves, list | tuple), f"{what}: schedule must return a list of waves"
        assert all(isinstance(wave, list | tuple) for wave in waves), f"{what}: each wave must be a list"
        waves = [list(wave) for wave in waves]
        flat = [step for wave in waves for step in wave]
        assert all(isinstance(step, str) for step in flat), f"{what}: a wave holds something that is no step"
        assert len(set(flat)) == len(flat), f"{what}: a step is in two waves"
        assert set(flat) == set(deps), f"{what}: the waves don't hold the steps of the plan"
        assert all(len(wave) <= workers for wave in waves), f"{what}: a wave has more steps than workers"
        for i, wave in enumerate(waves):
            put = {step for earlier in waves[:i] for step in earlier}
            assert all(put.issuperset(deps[s]) for s in wave), (
                f"{what}: a step comes before one that it needs"
            )
        for i, (wave, wanted) in enumerate(zip(waves, waves_due(deps, workers), strict=False), 1):
            assert set(wave) == set(wanted), f"{what}: wave {i} does not hold the ready steps that come first"
            assert wave == wanted, f"{what}: wave {i} holds the right steps in another order"
        close(len(waves), len(waves_due(deps, workers)), what=f"{what}: the number of waves")


@pytest.mark.points(2)
@pytest.mark.task("schedule")
def test_waves(student, rng, close):
    """Each wave holds the ready steps with the longest chains behind them, at most one for each worker."""
    cases = [({}, 2), ({"one": []}, 3)]
    for workers, density in itertools.product((1, 2, 3, 20), (0, 0.15, 0.3, 0.6)):
        cases.append((random_plan(rng, int(rng.integers(7, 14)), density), workers))
    same_waves(student, close, cases)


def with_cycle(rng, length, beside):
    """A plan with a cycle, and steps beside it; some of them need one of the cycle."""
    ring = names(rng, length)
    deps = {step: [need] for step, need in zip(ring, [*ring[1:], ring[0]], strict=True)}
    deps |= {f"{step}.": [] if i % 2 else [ring[0]] for i, step in enumerate(names(rng, beside))}
    order = rng.permutation(len(deps)).tolist()
    return {list(deps)[i]: deps[list(deps)[i]] for i in order}


@pytest.mark.points(1)
@pytest.mark.task("schedule")
def test_no_order(student, rng, close, raises):
    """A cycle anywhere, a step that needs itself and a need that is not in the plan raise ValueError."""
    long = names(rng, 40)
    chain = {step: [need] for step, need in zip(long[1:], long, strict=False)} | {long[0]: []}
    same_waves(student, close, [(chain, 1), (dict(reversed(chain.items())), 3)])
    with raises(ValueError):
        student.schedule(with_cycle(rng, 3, 0), 2)
    with raises(ValueError):
        student.schedule(with_cycle(rng, 2, 4), 1)
    with raises(ValueError):
        student.schedule(with_cycle(rng, 1, 3), 3)
    one, two, nobody = names(rng, 3)
    with raises(ValueError):
        student.schedule({one: [], two: [one, nobody]}, 2)


# --- task 2 ---


def fits(deps, workers, waves):
    """Whether the plan can be carried out in so many waves, by giving each step a wave, one after another."""
    steps = list(TopologicalSorter(deps).static_order())
    wave, load = {}, Counter()

    def place(i):
        if i == len(steps):
            return True
        for at in range(1 + max((wave[need] for need in deps[steps[i]]), default=-1), waves):
            if load[at] < workers:
                wave[steps[i]] = at
                load[at] += 1
                if place(i + 1):
                    return True
                load[at] -= 1
        return False

    return place(0)


def fewest_due(deps, workers):
    """The smallest number of waves, by trying from the bound upwards."""
    bound = max(-(-len(deps) // workers), max(heights(deps).values(), default=0))
    return next(waves for waves in itertools.count(bound) if fits(deps, workers, waves))


def same_fewest(student, close, cases):
    """All are asked before any is compared."""
    found = [student.fewest_waves(deps, workers) for deps, workers in cases]
    for (deps, workers), waves in zip(cases, found, strict=True):
        what = f"a plan of {len(deps)} steps, {workers} worker{'s' * (workers > 1)}"
        assert type(waves) is int, f"{what}: must return an integer"
        close(waves, fewest_due(deps, workers), what=what)


def fan(rng, before, middle, after):
    """Steps in three layers, each needing the whole layer before."""
    steps = names(rng, before + middle + after)
    layers = steps[:before], steps[before : before + middle], steps[before + middle :]
    deps = {step: list(needs) for needs, layer in zip(((), *layers), layers, strict=False) for step in layer}
    order = rng.permutation(len(steps)).tolist()
    return {steps[i]: deps[steps[i]] for i in order}


@pytest.mark.points(1)
@pytest.mark.task("fewest_waves")
def test_fewest(student, rng, close):
    """The number is right where a chain decides, where the workers decide, and where both do."""
    cases = [({}, 1), ({"one": []}, 4)]
    for workers in (1, 2, 3, 4):
        cases += [(random_plan(rng, 7, density), workers) for density in (0, 0.2, 0.5)]
        cases += [(fan(rng, *sizes), workers) for sizes in ((1, 5, 1), (2, 2, 3), (1, 3, 4))]
    same_fewest(student, close, cases)


# Highest first, ties in the order of the plan, takes a wave too many: (needs of each step, in this order; workers).
SHORT_OF_BEST = [
    ({4: [1], 2: [], 0: [], 1: [], 5: [1], 3: [0, 1, 2]}, 2),
    ({3: [1], 5: [0, 1, 4], 0: [], 4: [0], 2: [0], 1: [0], 6: [1, 2]}, 2),
    ({3: [0], 4: [], 1: [], 6: [0, 1], 7: [0, 2], 2: [], 0: [], 5: [0, 4]}, 3),
    ({4: [], 8: [4, 5], 7: [0, 5], 1: [], 5: [1], 6: [4, 5], 2: [], 0: [], 3: [0, 2]}, 3),
]
# Of all choices among the ready steps, drawn at random, one in 2700 is done in 5 waves.
NEEDLE = {0: [], 1: [], 2: [0, 1], 3: [], 4: [], 5: [], 6: [2, 5], 7: [4, 5, 6], 8: [], 9: [0, 4, 7, 8]}


@pytest.mark.points(1)
@pytest.mark.task("fewest_waves")
def test_better_than_greedy(student, rng, close):
    """The number is the smallest of all orders, also where highest first takes more."""
    cases = []
    for needs, workers in [*SHORT_OF_BEST, (NEEDLE, 2)]:
        called = names(rng, len(needs))
        cases.append(({called[s]: [called[n] for n in of] for s, of in needs.items()}, workers))
    cases += [(random_plan(rng, 10, density), workers) for density in (0.15, 0.3) for workers in (2, 3)]
    same_fewest(student, close, cases)


# --- task 3 ---


@dataclass
class Script:
    """What happens in a run, and what is due.

    Attributes:
        plan: the first plan.
        k: how many failures are mended.
        fails: {step: what it raises, one for each try}; after these it returns.
        patches: what replan returns, in order.
        runs, asked: the calls that are due.
        done: whether all is finished in the end.
        results: {step: result}.
        returns: {step: what it returns}, for steps that return something special.
    """

    plan: dict
    k: int
    fails: dict = field(default_factory=dict)
    patches: list = field(default_factory=list)
    runs: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    done: bool = True
    results: dict = field(default_factory=dict)
    returns: dict = field(default_factory=dict)

    def result_of(self, step, tries):
        """What a step returns."""
        return self.returns.get(step, f"{step} at try {tries}")


class Site:
    """Where a script is played: the two callbacks, and their calls."""

    def __init__(self, script):
        self.script, self.runs, self.asked, self.tries = script, [], [], Counter()

    def run(self, step, inputs):
        """Carry out a step."""
        self.runs.append((step, dict(inputs)))
        self.tries[step] += 1
        if len(self.runs) > 150:
            raise RuntimeError("run was called more than 150 times")
        fails = self.script.fails.get(step, [])
        if self.tries[step] <= len(fails):
            raise fails[self.tries[step] - 1]
        return self.script.result_of(step, self.tries[step])

    def replan(self, step, error, results):
        """Give the next patch."""
        self.asked.append((step, error, dict(results)))
        if len(self.asked) > 150:
            raise RuntimeError("replan was called more than 150 times")
        return [*self.script.patches, *[{}] * 150][len(self.asked) - 1]


def usable(plan):
    """Whether a plan has an order."""
    if any(need not in plan for needs in plan.values() for need in needs):
        return False
    try:
        TopologicalSorter(plan).prepare()
    except CycleError:
        return False
    return True


def part_of(plan, step):
    """The failed part: the step and all that rests on it, by closure."""
    behind = {s: set(needs) for s, needs in plan.items()}
    for _ in plan:
        behind = {s: needs.union(*(behind[n] for n in needs)) for s, needs in behind.items()}
    return [s for s in plan if s == step or step in behind[s]]


def rehearsed(rng, plan, k, patch, fails, returns=()):
    """Play a run by the contract, and write the script of it as it goes.

    Args:
        patch: (rng, failure) -> what replan returns.
        fails: step -> how often it raises.
        returns: {step: what it returns}, where that is something special.
    """
    script, now, tries = Script(plan, k, returns=dict(returns)), list(plan.items()), Counter()
    failures = 0
    while True:
        ready = [
            (s, needs) for s, needs in now if s not in script.results and not set(needs) - set(script.results)
        ]
        if not ready:
            script.done = True
            return script
        step, needs = ready[0]
        if step not in script.fails:
            script.fails[step] = [
                ERRORS[rng.integers(len(ERRORS))](f"no {rng.integers(1000)}") for _ in range(fails(step))
            ]
        script.runs.append((step, {need: script.results[need] for need in needs}))
        tries[step] += 1
        if tries[step] > len(script.fails[step]):
            script.results[step] = script.result_of(step, tries[step])
            continue
        error = str(script.fails[step][tries[step] - 1])
        part = part_of(dict(now), step)
        kept = [(s, n) for s, n in now if s not in part]
        while True:
            failures += 1
            if failures > k:
                script.done = False
                return script
            given = patch(rng, Failure(dict(now), part, step, list(script.results)))
            script.patches.append(given)
            script.asked.append((step, error, dict(script.results)))
            new = kept + [(s, n) for s, n in (given or {}).items() if s not in dict(kept)]
            if given is not None and usable(dict(new)):
                now = new
                break
            error = "bad plan"


@dataclass
class Failure:
    """Where a patch is asked for.

    Attributes:
        plan: the plan so far.
        part: the steps of the failed part, the failed one among them.
        step: the step that failed.
        finished: the steps that are finished.
    """

    plan: dict
    part: list
    step: str
    finished: list


def again(_rng, at):
    """The failed part as it was."""
    return {s: at.plan[s] for s in at.part}


def otherwise(rng, at):
    """Two new steps in place of the one that failed, and the rest of the part behind them."""
    first, second = (f"{name}!" for name in names(rng, 2))
    rest = [s for s in at.part if s != at.step]
    patch = {s: [second if need == at.step else need for need in at.plan[s]] for s in rest}
    return patch | {second: [first], first: at.plan[at.step]}


def less(rng, at):
    """The step alone; or nothing; or a new step that needs what is finished."""
    return [{at.step: at.plan[at.step]}, {}, {f"{at.step}?": at.finished[-2:]}][int(rng.integers(3))]


def usual(rng, at):
    """Any of these."""
    return [again, otherwise, less][int(rng.integers(3))](rng, at)


def talkative(rng, at):
    """A patch that also names kept steps, with other needs: cycles and unknown steps, if they were taken."""
    others = [s for s in at.plan if s not in at.part]
    needs = [[at.step], [], [f"{at.step}??"], [at.part[-1]]]
    said = {s: [[s], *needs][i % 5] for i, s in enumerate(others)}
    patch = [again, otherwise][int(rng.integers(2))](rng, at)
    return patch | said if rng.random() < 0.5 else said | patch


def boastful(rng, at):
    """A patch that also names finished steps, with needs that nobody has."""
    return again(rng, at) | {s: [f"{s}??"] for s in at.finished}


KINDS = 6


def broken(kind):
    """A maker of patches that can't be used."""

    def patch(rng, at):
        fine = again(rng, at)
        one, two = (f"{name}!" for name in names(rng, 2))
        rest = {s: [at.step] for s in at.part if s != at.step} or {one: [at.step]}
        return [
            None,
            fine | {at.step: [*at.plan[at.step], one], one: [at.step]},
            fine | {at.step: [at.step]},
            fine | {two: [one]},
            rest,
            {one: [two], two: [one]},
        ][kind]

    return patch


def in_turn(*makers):
    """Each maker once, then the failed part as it was, for ever."""
    left = list(makers)
    return lambda rng, at: (left.pop(0) if left else again)(rng, at)


def compare_runs(student, parts, close, scripts):
    """All scripts are played, then compared: what is returned, what is run, what is asked."""
    played = []
    for what, script in scripts:
        site = Site(script)
        found = student.execute(script.plan, site.run, site.replan, script.k)
        done, results = parts(found, "done", "results", what=f"{what}: execute")
        assert isinstance(done, bool), f"{what}: done must be True or False"
        assert isinstance(results, dict), f"{what}: the results must be a dict"
        played.append((done, results, site))
    for (what, script), (done, results, site) in zip(scripts, played, strict=True):
        close(results, script.results, what=f"{what}: the results")
        close(done, script.done, what=f"{what}: done")
        finished = Counter(step for step, _ in site.runs)
        for step, count in finished.items():
            assert count <= len(script.fails.get(step, [])) + 1, f"{what}: a finished step is run again"
        assert all(step in script.fails for step in finished), (
            f"{what}: a step is run that is not in the plan"
        )
        order = [step for step, _ in script.runs]
        assert len(site.runs) <= len(order), f"{what}: run is called too often"
        assert len(site.runs) >= len(order), f"{what}: run is called too seldom"
        assert [step for step, _ in site.runs] == order, f"{what}: the steps are run in another order"
        for (step, inputs), (_, wanted) in zip(site.runs, script.runs, strict=True):
            close(inputs, wanted, what=f"{what}: the inputs of {step}")
        assert len(site.asked) <= len(script.asked), f"{what}: replan is called too often"
        assert len(site.asked) >= len(script.asked), f"{what}: replan is called too seldom"
        for (step, error, known), (wanted, why, finished) in zip(site.asked, script.asked, strict=True):
            close(step, wanted, what=f"{what}: the step that replan is told")
            close(error, why, what=f"{what}: the error that replan is told")
            close(known, finished, what=f"{what}: the results that replan is told")


def times(count, only=None):
    """Steps fail so often; or one of them does."""
    return lambda step: count if only in (None, step) else 0


def drawn(rng, often):
    """Steps fail at random, at most twice."""
    return lambda _step: int(rng.integers(1, 3)) if rng.random() < often else 0


@pytest.mark.points(1)
@pytest.mark.task("execute")
def test_no_failure(student, rng, parts, close):
    """Each step runs once, whatever it returns, the first ready one first, with the results of its needs alone."""
    scripts = [("an empty plan", rehearsed(rng, {}, 0, again, times(0)))]
    for i, density in enumerate((0, 0.2, 0.4, 0.7)):
        plan = random_plan(rng, 8, density)
        scripts.append((f"no failure, {len(plan)} steps", rehearsed(rng, plan, i, again, times(0))))
    plan = random_plan(rng, 7, 0.4)
    empty = dict(zip(plan, [None, 0, "", [], False, {}, 0.0], strict=True))
    scripts.append(("steps that return None, 0 or []", rehearsed(rng, plan, 0, again, times(0), empty)))
    compare_runs(student, parts, close, scripts)


@pytest.mark.points(2)
@pytest.mark.task("execute")
def test_failed_part(student, rng, parts, close, carried):
    """After a failure only the step and what depends on it is planned again, and all others keep place and result."""
    scripts = []
    for density in (0.15, 0.3, 0.5):
        for maker in (again, otherwise, less, usual):
            plan = random_plan(rng, 8, density)
            fails = drawn(rng, 0.3)
            scripts.append((f"failures, {len(plan)} steps", rehearsed(rng, plan, 99, maker, fails)))
    compare_runs(student, parts, close, scripts)
    plan = random_plan(rng, 6, 0.3)
    script = rehearsed(rng, plan, 99, otherwise, times(1, next(iter(plan))))
    before, site = {step: list(needs) for step, needs in script.plan.items()}, Site(script)
    _, (args, _) = carried(student.execute, script.plan, site.run, site.replan, script.k)
    close(args[0], before, what="the plan after the run")


@pytest.mark.points(1)
@pytest.mark.task("execute")
def test_kept_steps_named_again(student, rng, parts, close):
    """A patch that names kept steps does not change their needs, and those that are finished are not run again."""
    scripts = []
    for maker, density in itertools.product((boastful, talkative), (0.1, 0.2, 0.35)):
        script = None
        while script is None or len(script.patches) < 2 or not script.asked[-1][2]:
            script = rehearsed(rng, random_plan(rng, 8, density), 99, maker, drawn(rng, 0.3))
        scripts.append(("a patch that names kept steps", script))
    compare_runs(student, parts, close, scripts)


@pytest.mark.points(1)
@pytest.mark.task("execute")
def test_bad_patches(student, rng, parts, close):
    """A patch that is None, has a cycle or needs an unknown step counts as a failure, and replan is asked again."""
    scripts = []
    for kind in range(KINDS):
        plan = random_plan(rng, 7, 0.3)
        weak = list(plan)[int(rng.integers(len(plan)))]
        script = rehearsed(rng, plan, 9, in_turn(broken(kind)), times(1, weak))
        scripts.append(("a patch that can't be used", script))
    for _ in range(2):
        makers = [broken(kind) for kind in rng.permutation(KINDS).tolist()]
        plan = random_plan(rng, 7, 0.3)
        script = rehearsed(rng, plan, 30, in_turn(*makers), times(1))
        scripts.append(("several patches that can't be used", script))
    compare_runs(student, parts, close, scripts)


@pytest.mark.points(1)
@pytest.mark.task("execute")
def test_gives_up(student, rng, parts, close, raises):
    """After more than k failures nothing is called any more; what replan raises ends the run too."""
    scripts = []
    for k in (0, 1, 3):
        plan = random_plan(rng, 7, 0.2)
        weak = list(plan)[int(rng.integers(3))]
        for more in (0, 1):
            script = rehearsed(rng, plan, k, again, times(k + more, weak))
            scripts.append((f"{k + more} failures, k = {k}", script))
    makers = [broken(kind) for kind in range(KINDS)]
    for k in (2, 5):
        plan = random_plan(rng, 7, 0.2)
        script = rehearsed(rng, plan, k, in_turn(*makers), times(1))
        scripts.append((f"bad patches, k = {k}", script))
    every = rehearsed(rng, random_plan(rng, 8, 0.2), 3, otherwise, times(1))
    scripts.append(("each step fails once, k = 3", every))
    compare_runs(student, parts, close, scripts)

    def no_model(*_given):
        raise ConnectionError("there is no model")

    site = Site(rehearsed(rng, random_plan(rng, 5, 0.2), 0, again, times(1)))
    with raises(ConnectionError):
        student.execute(site.script.plan, site.run, no_model, 3)
