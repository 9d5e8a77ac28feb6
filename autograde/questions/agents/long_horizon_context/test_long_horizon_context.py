from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

# --- task 1 ---


class Counter:
    """Tokens of a text: the number that it begins with; and what was counted."""

    def __init__(self):
        self.asked = []

    def __call__(self, text):
        """The number of tokens."""
        if type(text) is not str:
            raise TypeError("count takes one string, the text of a message")
        self.asked.append(text)
        if len(self.asked) > 200:
            raise RuntimeError("count was called more than 200 times")
        return int(text.split(":")[0])


def history(rng, length, systems=1):
    """Messages of random sizes; some calls have results behind them."""
    found = []
    for i in range(length):
        roles = ["user", "assistant", "assistant"] + ["tool"] * 3 * bool(found)
        found.append({"role": str(rng.choice(roles)), "text": f"{rng.integers(1, 9)}: {i}", "n": i})
    for i in range(systems):
        at = 0 if i == 0 else int(rng.integers(len(found)))
        if at == 0 or found[at]["role"] != "tool" or rng.random() < 0.5:
            found.insert(at, {"role": "system", "text": f"{rng.integers(1, 9)}: rule {i}"})
    return found


def size(messages):
    """The tokens of messages."""
    return sum(int(m["text"].split(":")[0]) for m in messages)


def packed(messages, budget):
    """What is due, by trying every suffix; None where the system messages are too large."""
    others = [m for m in messages if m["role"] != "system"]
    rules = size(messages) - size(others)
    starts = [i for i in range(len(others) + 1) if i == len(others) or others[i]["role"] != "tool"]
    fits = [i for i in starts if rules + size(others[i:]) <= budget]
    if not fits:
        return None
    suffix = others[min(fits) :]
    return [m for m in messages if m["role"] == "system" or any(m is one for one in suffix)]


def same_messages(close, found, expected, what):
    """Compare messages."""
    assert isinstance(found, list | tuple), f"{what}: pack must return a list of messages"
    assert all(isinstance(m, dict) and "text" in m for m in found), (
        f"{what}: pack must return messages, dicts"
    )
    close([m["text"] for m in found], [m["text"] for m in expected], what=f"{what}: the texts that are kept")
    close(list(found), expected, what=f"{what}: the messages that are kept")


def pack_all(student, close, cases):
    """Pack each (messages, budget), all before any is compared."""
    results = [student.pack(messages, budget, Counter()) for messages, budget in cases]
    for (messages, budget), found in zip(cases, results, strict=True):
        same_messages(close, found, packed(messages, budget), f"{len(messages)} messages, budget {budget}")


@pytest.mark.points(1)
@pytest.mark.task("pack")
def test_newest(student, rng, close):
    """All system messages and as many of the newest as fit, exactly up to the budget, without a gap and in order."""
    cases = []
    for systems in (0, 1, 3):
        messages = [m for m in history(rng, 9, systems) if m["role"] != "tool"]
        rules = size([m for m in messages if m["role"] == "system"])
        rest = [m for m in messages if m["role"] != "system"]
        exact = rules + size(rest[-3:])
        cases += [(messages, budget) for budget in (rules, exact, exact - 1, exact + 1, size(messages), 1000)]
    alike = [{"role": role, "text": "2: yes"} for role in ["user", "assistant"] * 3]
    pack_all(student, close, [*cases, (alike, 5), (alike, 8), ([], 0), ([], 5)])


@pytest.mark.points(1)
@pytest.mark.task("pack")
def test_large_message(student, rng, close):
    """The first message that does not fit ends it, though older and smaller ones would fit."""
    cases = []
    for at in (2, 3, 5):
        messages = [m for m in history(rng, 8) if m["role"] != "tool"]
        messages += [{"role": "user", "text": f"{rng.integers(1, 5)}: {i}"} for i in range(6)]
        large = messages[-at] | {"text": f"60: large {rng.integers(100)}"}
        messages[-at] = large
        cases += [(messages, budget) for budget in (50, 58)]
    pack_all(student, close, cases)


@pytest.mark.points(1)
@pytest.mark.task("pack")
def test_pairs(student, rng, close):
    """A call and all of its results are kept together or not at all, also with a system message between them."""
    cases = []
    for _ in range(10):
        messages = history(rng, 12, int(rng.integers(0, 4)))
        rules = size([m for m in messages if m["role"] == "system"])
        cases += [(messages, rules + int(b)) for b in rng.integers(0, 50, size=2)]
    one = [
        {"role": r, "text": f"{n}: {r}"} for r, n in (("user", 2), ("assistant", 1), ("tool", 3), ("tool", 2))
    ]
    between = [*one[:3], {"role": "system", "text": "1: rule"}, one[3]]
    cases += [(one, b) for b in range(9)] + [(between, b) for b in range(1, 10)]
    pack_all(student, close, cases)


@pytest.mark.points(1)
@pytest.mark.task("pack")
def test_count_and_error(student, rng, close, carried, raises):
    """count is called once at most for each message, nothing is changed, and too many rules raise ValueError."""
    for systems in (1, 3):
        messages = history(rng, 10, systems)
        rules = size([m for m in messages if m["role"] == "system"])
        budget, counter = rules + 20, Counter()
        found, (args, _) = carried(student.pack, messages, budget, counter)
        same_messages(close, found, packed(messages, budget), f"{systems} system messages")
        assert args[0] == messages, "pack changes the messages that it is given"
        texts = [m["text"] for m in messages]
        assert all(text in texts for text in counter.asked), (
            "count is asked about what is no text of a message"
        )
        assert len(set(counter.asked)) == len(counter.asked), "count is called again for the same message"
        with raises(ValueError):
            student.pack(messages, rules - 1, Counter())


# --- task 2 ---


class Scribe:
    """A model that summarises, and what it was given.

    Args:
        keeps: whether lines with a fact are kept; else the summary is a number, or with None half of the text.
    """

    def __init__(self, keeps):
        self.keeps, self.given = keeps, []

    def __call__(self, text):
        """The summary."""
        if type(text) is not str:
            raise TypeError("summarize takes one string")
        self.given.append(text)
        if len(self.given) > 300:
            raise RuntimeError("summarize was called more than 300 times")
        if self.keeps is None:
            return text[: len(text) // 2].replace("\n", " ")
        facts = [line for line in text.split("\n") if line.startswith("FACT")]
        return "\n".join(facts) if self.keeps else f"summary {len(self.given)}"


def quarters(text):
    """Tokens of four characters each: those of a text are not the sum of those of its parts."""
    return -(-len(text) // 4)


def summed_up(chunks, keeps, budget, count):
    """What is due: the memory and what the model is given. The memory is held as pieces, their lengths added up."""
    scribe, pieces = Scribe(keeps), []
    for chunk in chunks:
        length = sum(len(piece) + 1 for piece in [*pieces, chunk])
        if pieces and count(range(length)) > budget:
            pieces = [scribe("".join(f"{piece}\n" for piece in pieces))]
        pieces.append(chunk)
    return "".join(f"{piece}\n" for piece in pieces), scribe.given


def same_summary(student, close, chunks, keeps, budget, what, count=len):
    """Compare the memory and the calls of summarize."""
    scribe = Scribe(keeps)
    memory, given = summed_up(chunks, keeps, budget, count)
    assert all(count(text) <= budget for text in given), "the test's own history does not fit"
    found = student.rolling_summary(chunks, scribe, count, budget)
    for at, (one, due) in enumerate(zip(scribe.given, given, strict=False)):
        close(one, due, what=f"{what}: what summarize is given in call {at + 1}")
    assert len(scribe.given) >= len(given), f"{what}: {len(scribe.given)} calls of summarize, too few"
    assert len(scribe.given) <= len(given), f"{what}: {len(scribe.given)} calls of summarize, too many"
    close(found, memory, what=f"{what}: the memory")


def chatter(rng, count, longest=30):
    """Chunks without facts."""
    return ["".join(rng.choice(list("abcde "), size=rng.integers(1, longest))) for _ in range(count)]


@pytest.mark.points(1)
@pytest.mark.task("rolling_summary")
def test_rolling(student, rng, close):
    """A summary is made of the whole memory, only when the next chunk does not fit, and the chunk comes after it."""
    same_summary(
        student, close, [f"{c}{rng.integers(100, 1000)}" for c in "abcdefg"], False, 17, "chunks of one size"
    )
    for budget in (45, 60, 100):
        same_summary(student, close, chatter(rng, 25), False, budget, f"budget {budget}")
    nine = [
        f"{c}{rng.integers(10**7, 10**8)}" for c in "abcdefg"
    ]  # with their line breaks 10, 20, ...: 3, 5, 8 tokens
    for chunks, budget in ((nine, 5), (chatter(rng, 25), 15)):
        what = f"budget {budget}, tokens of four characters"
        same_summary(student, close, chunks, False, budget, what, quarters)
    same_summary(student, close, ["aaaa", "bbbb", "cccc", "dddd"], False, 15, "a memory that fits exactly")
    same_summary(student, close, chatter(rng, 3), False, 10**6, "a budget without end")
    same_summary(student, close, [], False, 5, "no chunks")


@pytest.mark.points(1)
@pytest.mark.task("rolling_summary")
def test_fact_survives(student, rng, close):
    """A fact that the model keeps in every summary is still in the memory after 200 chunks."""
    fact = f"FACT the code is {rng.integers(10**6)}"
    chunks = chatter(rng, 200)
    chunks[int(rng.integers(2, 6))] = fact
    same_summary(student, close, chunks, True, 120, "200 chunks")
    two = [*chunks[:30], f"FACT it is {rng.integers(100)}", *chunks[30:60]]
    same_summary(student, close, two, True, 120, "two facts")


@pytest.mark.points(1)
@pytest.mark.task("rolling_summary")
def test_too_large(student, rng, close, raises):
    """What fits exactly is right, and a chunk that does not fit beside the summary, or by itself, raises ValueError."""
    head = chatter(rng, 6, 12)
    scribe = len("summary 1") + 1
    fits = "x" * (60 - scribe - 1)
    same_summary(
        student, close, [*head, "y" * 40, fits], False, 60, "a chunk that fits exactly beside the summary"
    )
    same_summary(student, close, ["z" * 59], False, 60, "a first chunk that fits exactly")
    with raises(ValueError):
        student.rolling_summary([*head, "y" * 40, fits + "x"], Scribe(False), len, 60)
    with raises(ValueError):
        student.rolling_summary([*head, "y" * 40, fits + "x", "z"], Scribe(False), len, 60)
    with raises(ValueError):
        student.rolling_summary(["y" * 20, "y" * 19, "x" * 45], Scribe(None), len, 60)
    scribe = Scribe(False)
    with raises(ValueError):
        student.rolling_summary(["z" * 60], scribe, len, 60)
    assert not scribe.given, "summarize is called though the memory is empty"


# --- task 3 ---


def recalled(keys, query, sizes, budget, recent):
    """What is due, by torch's cosine and a loop that looks for the next best each time."""
    cosine = torch.nn.functional.cosine_similarity(
        torch.from_numpy(keys), torch.from_numpy(query)[None], eps=1e-300
    )
    n = len(sizes)
    chosen = set(range(n)[n - recent :])
    left, open_ = budget - sum(sizes[i] for i in chosen), set(range(n)) - chosen
    while open_:
        best = max(open_, key=lambda i: (float(cosine[i]), i))
        open_.remove(best)
        if sizes[best] <= left:
            chosen.add(best)
            left -= sizes[best]
    return sorted(chosen)


def indices(found, what):
    """A list of integers; AssertionError where it is something else."""
    if isinstance(found, np.ndarray):
        found = found.tolist()
    assert isinstance(found, list | tuple), f"{what}: recall must return a list of indices"
    found = [int(i) if isinstance(i, np.integer) else i for i in found]
    assert all(type(i) is int for i in found), f"{what}: an index is no integer"
    return found


def same_recall(student, close, cases):
    """Compare the chosen entries of all cases, asked for before any is compared."""
    results = [student.recall(*case) for case in cases]
    for case, found in zip(cases, results, strict=True):
        what = f"{len(case[2])} entries, budget {case[3]}, recent {case[4]}"
        close(indices(found, what), recalled(*case), what=what)


def log(rng, n, d, longest=9):
    """Keys of very different lengths, a query, sizes."""
    keys = rng.standard_normal((n, d)) * np.exp(rng.uniform(-3, 3, size=(n, 1)))
    return keys, rng.standard_normal(d), [int(x) for x in rng.integers(1, longest, size=n)]


@pytest.mark.points(1)
@pytest.mark.task("recall")
def test_recall(student, rng, close):
    """The newest, then older entries by falling cosine as far as they fit, listed in the order of the log."""
    cases = []
    for n, d, recent in itertools.product((6, 15), (2, 5), (0, 1, 4)):
        keys, query, sizes = log(rng, n, d)
        newest = sum(sizes[n - recent :])
        cases += [(keys, query, sizes, newest + more, recent) for more in (0, 6, 13, 25)]
    keys, query, sizes = log(rng, 5, 3)
    same_recall(student, close, [*cases, (keys, query, sizes, sum(sizes), 5), (keys[:0], query, [], 0, 0)])


@pytest.mark.points(1)
@pytest.mark.task("recall")
def test_planted_fact(student, rng, close):
    """A fact from the beginning is found after 200 entries, and a large entry that does not fit is passed over."""
    keys, query, _ = log(rng, 200, 16)
    fact = int(rng.integers(2, 9))
    keys[fact] = 0.01 * (query + 0.1 * rng.standard_normal(16))
    sizes = [int(x) for x in rng.integers(5, 15, size=200)]
    best = np.argsort(-(keys @ query) / np.linalg.norm(keys, axis=1))
    sizes[int(best[1])] = 500
    due = recalled(keys, query, sizes, 200, 8)
    assert fact in due, "the test's own fact is not found"
    same_recall(student, close, [(keys, query, sizes, 200, 8), (keys, 1e6 * query, sizes, 120, 3)])


@pytest.mark.points(1)
@pytest.mark.task("recall")
def test_edges(student, rng, close, carried, raises):
    """Of equal cosines the newer comes first, zero vectors have the cosine 0, too small a budget raises ValueError."""
    keys, query, sizes = log(rng, 8, 2)
    # Ties are of equal keys, or exactly 0: others may be turned by rounding.
    ties = np.zeros((9, 2))
    ties[[0, 2, 5], 0], ties[[1, 8], 1], ties[[3, 6], 0] = 1.5, [2.0, -1.0], -2.0
    along, ones = np.array([float(rng.uniform(1, 5)), 0.0]), [1] * 9
    cases = [(ties, along, ones, budget, recent) for budget in (1, 2, 4, 5, 6, 8) for recent in (0, 1)]
    cases += [(ties, np.zeros(2), ones, 3, recent) for recent in (0, 2)]
    same_recall(student, close, cases)
    due = recalled(keys, query, sizes, 20, 1)
    found, (args, _) = carried(student.recall, keys.copy(), query.copy(), list(sizes), 20, 1)
    close(indices(found, "8 entries"), due, what="8 entries")
    close(args[0], keys, rtol=0, atol=0, what="the keys after the call")
    assert args[2] == sizes, "recall changes the sizes that it is given"
    with raises(ValueError):
        student.recall(keys, query, sizes, sum(sizes[-3:]) - 1, 3)
