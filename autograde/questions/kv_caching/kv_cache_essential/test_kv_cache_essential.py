from __future__ import annotations

from math import comb

import numpy as np
import pytest
import torch


def measured(prompt, new, cached):
    """Rows through a key projection and scores allowed by a causal mask, counted in a loop that generates."""
    rows = scores = 0

    def count(_module, args, _output):
        nonlocal rows
        rows += len(args[0])

    projection = torch.nn.Linear(2, 2)
    projection.register_forward_hook(count)
    text, kept = torch.zeros(prompt, 2), torch.zeros(0, 2)
    for _ in range(new):
        unread = text[len(kept) :]
        keys = torch.cat([kept, projection(unread)])
        allowed = torch.ones(len(unread), len(keys), dtype=torch.bool).tril(len(keys) - len(unread))
        scores += int(allowed.sum())
        if cached:
            kept = keys.detach()
        text = torch.cat([text, torch.zeros(1, 2)])
    return rows, scores


def sizes(rng):
    """Prompts and numbers of new tokens: short, long, 1, and one the larger or the other."""
    pairs = [(1, int(rng.integers(4, 12))), (int(rng.integers(4, 12)), 1), (1, 1)]
    return [(int(rng.integers(5, 20)), int(rng.integers(21, 40))), (int(rng.integers(30, 50)), 7), *pairs]


def counted(ask, cached, which, rng, close):
    """Compare with what a real loop counts: rows (`which` is 0) or scores (1)."""
    said = f"{('rows', 'scores')[which]} {'with' if cached else 'without'} a cache"
    for prompt, new in sizes(rng):
        what = f"{said}, a prompt of {prompt} and {new} new tokens"
        close(ask(prompt, new, cached=cached), measured(prompt, new, cached)[which], what=what)


@pytest.mark.points(1)
@pytest.mark.task("rows")
def test_rows_without(student, rng, close):
    """Without a cache every call projects the whole text: as many rows as counted in a real loop."""
    counted(student.rows_projected, False, 0, rng, close)
    actual = student.rows_projected(9000, 10000, cached=False)
    close(actual, sum(range(9000, 19000)), what="rows without a cache, 9000 and 10000 tokens")


@pytest.mark.points(1)
@pytest.mark.task("rows")
def test_rows_with(student, rng, close):
    """With a cache every token is projected once, and the last one never."""
    counted(student.rows_projected, True, 0, rng, close)


@pytest.mark.points(1)
@pytest.mark.task("scores")
def test_scores_without(student, rng, close):
    """Without a cache every call computes all scores of the text that the causal mask allows."""
    counted(student.scores_computed, False, 1, rng, close)
    actual = student.scores_computed(2000, 3000, cached=False)  # more than 2**31, and still few for two loops
    expected = sum(comb(length + 1, 2) for length in range(2000, 5000))
    close(actual, expected, what="scores without a cache, 2000 and 3000 tokens")


@pytest.mark.points(1)
@pytest.mark.task("scores")
def test_scores_with(student, rng, close):
    """With a cache every token that is read looks back once, and that still grows with the square."""
    counted(student.scores_computed, True, 1, rng, close)
    actual = student.scores_computed(5000, 10000, cached=True)
    close(actual, sum(range(1, 15000)), what="scores with a cache, 5000 and 10000 tokens")


class Model:
    """A language model whose next token depends on all that it has read, in its order; it notes how it was asked.

    Its cache is a number, 0 after the first call: of a text in a book that it keeps.
    """

    def __init__(self, rng, size=50):
        self.size, self.salt = size, int(rng.integers(1, 10**6))
        self.asked, self.book = [], []

    def after(self, text):
        """What comes next."""
        state = self.salt
        for token in text:
            state = (state * 1103515245 + 12345 + 7919 * token) % 2**31
        return (state >> 8) % self.size

    def continued(self, prompt, new):
        """The right answer."""
        text = list(prompt)
        for _ in range(new):
            text.append(self.after(text))
        return text[len(prompt) :]

    def step(self, tokens, cache):
        """What the learner's loop calls."""
        if isinstance(tokens, np.ndarray):
            tokens = tokens.tolist()
        if not isinstance(tokens, (list, tuple)) or not tokens or not all(type(t) is int for t in tokens):
            raise ValueError("step takes a list of at least one token")
        if len(self.asked) >= 60:
            raise RuntimeError("step was called far too often")
        if cache is not None and (type(cache) is not int or cache not in range(len(self.book))):
            raise ValueError("step takes None or the cache that it returned")
        read = [] if cache is None else self.book[cache]
        self.asked.append((list(tokens), len(read)))
        self.book.append(read + list(tokens))
        return self.after(self.book[-1]), len(self.book) - 1

    def forget(self):
        """Begin anew: nothing asked, nothing read."""
        self.asked, self.book = [], []


def prompts(rng, model):
    """Prompts of different lengths."""
    return [[int(t) for t in rng.integers(0, model.size, n)] for n in (5, 1, 12)]


@pytest.mark.points(2)
@pytest.mark.task("generate")
def test_tokens(student, rng, close, carried):
    """The tokens are those of a model that reads the whole text in order; the prompt is left as it was."""
    model = Model(rng)
    for prompt, new in zip(prompts(rng, model), (6, 9, 1), strict=True):
        model.forget()
        actual, (args, _) = carried(student.generate, model.step, list(prompt), new)
        what = f"{new} tokens after a prompt of {len(prompt)}"
        close(actual, model.continued(prompt, new), what=what)
        close(args[1], prompt, what="the prompt after the call")


@pytest.mark.points(1)
@pytest.mark.task("generate")
def test_calls(student, rng, close):
    """The first call reads the prompt and each further one a single token, with the newest cache; none is wasted."""
    model = Model(rng)
    for prompt, new in zip(prompts(rng, model), (4, 7, 3), strict=True):
        model.forget()
        close(
            student.generate(model.step, list(prompt), new),
            model.continued(prompt, new),
            what="the new tokens",
        )
        found = [(len(tokens), read) for tokens, read in model.asked]
        expected = [(len(prompt), 0)] + [(1, len(prompt) + i) for i in range(new - 1)]
        assert len(found) == new, f"{new} new tokens take {new} calls of step, not {len(found)}"
        assert found[0][0] == len(prompt), "the first call must read the whole prompt"
        assert all(n == 1 for n, _ in found[1:]), (
            "a call after the first must read only the token just written"
        )
        assert found == expected, "a call did not continue from the newest cache"


@pytest.mark.points(1)
@pytest.mark.task("generate")
def test_stop(student, rng, close):
    """A stop token that is written ends the result and the calls; one in the prompt, or 0, is nothing special."""
    model = Model(rng)
    for prompt in prompts(rng, model):
        text = model.continued(prompt, 8)
        stop = next(t for t in text[2:] if t not in text[:2])  # not at once
        cut = text[: text.index(stop) + 1]
        model.forget()
        close(
            student.generate(model.step, list(prompt), 8, stop=stop),
            cut,
            what="the tokens up to the stop token",
        )
        assert len(model.asked) == len(cut), "step was called after the stop token had been written"
    model.forget()
    actual = student.generate(model.step, list(prompt), 8, stop=text[0])
    close(actual, text[:1], what="where the first token is the stop token")
    assert len(model.asked) == 1, "step was called after the stop token had been written"
    model.forget()
    other = next(t for t in range(model.size) if t not in text)
    actual = student.generate(model.step, list(prompt), 8, stop=other)
    close(actual, text, what="the tokens where the stop token never comes")
    small = Model(rng, size=3)
    prompt = [1, 0, 2, 0, 1]
    while (text := small.continued(prompt, 9))[0] == 0 or 0 not in text[:-1]:
        small.salt += 1
    close(
        student.generate(small.step, prompt, 9, stop=0),
        text[: text.index(0) + 1],
        what="up to 0",
    )
