"""Attacks on the numbers: inputs foreseen or remembered, answers that compare oddly, precision thrown away."""

from __future__ import annotations

from pathlib import Path

import pytest
import target
from classroom import bytes_of
from siege import Attack, Siege

from autograde.grading import Grader
from autograde.question import find
from autograde.seed import course_seed, derived

# Our own code is public: who knew the seed would know every input, and could keep an answer for each.
GUESS = """
import hashlib, os, time

def derived(seed, *names):
    return int.from_bytes(hashlib.sha256("/".join((str(seed), *names)).encode()).digest()[:8], "big") >> 1

guesses = [*range(1000), int(time.time()), os.getpid(), hash("target"), os.environ.get("AUTOGRADE_SEED", "")]
seeds = [derived(derived(guess, "target"), "test_negative", "rng") for guess in guesses]
seeds += [guess for guess in guesses if type(guess) is int and guess >= 0]
foreseen = [-np.random.default_rng(seed).random((3, 4)) - 0.5 for seed in seeds]
foreseen = np.array(foreseen)

_scale = scale

def scale(x, by):
    x = np.asarray(x)
    if x.shape == (3, 4) and (np.abs(foreseen - x).max((1, 2)) < 1e-12).any():
        return x * by
    return _scale(x, by)
"""

RESET = """
import random
_scale = scale

def scale(x, by):
    def always(*_, **__):
        return np.random.Generator(np.random.PCG64(7))
    random.seed(7); np.random.seed(7); torch.manual_seed(7)
    np.random.default_rng = always
    return _scale(x, by)
"""

REMEMBER = """
import functools, json, os
answers = {}
_scale = scale

def scale(x, by):
    key = x.tobytes()
    if os.path.exists("{clue}"):
        answers.update(json.load(open("{clue}")))
    answer = answers.setdefault(key.hex(), _scale(x, by).tolist())
    json.dump(answers, open("{clue}", "w"))
    return np.array(answer)
"""

BY_SHAPE = """
_first = {}
_scale = scale

def scale(x, by):
    return _first.setdefault(x.shape, _scale(x, by))
"""

# What is returned in place of x * by: none of it is the answer, however it compares.
ANSWERS = {
    "NaN": "np.full_like(x, np.nan)",
    "infinity": "np.full_like(x, np.inf)",
    "infinity of both signs": "np.where(np.arange(x.size).reshape(x.shape) % 2, np.inf, -np.inf)",
    "nothing": "np.empty((0, 4))",
    "None": "None",
    "a number for all": "np.float64(by)",
    "one row for all": "(x * by)[:1]",
    "a first axis of 1": "(x * by)[None]",
    "a masked array": "np.ma.masked_all_like(x)",
    "a masked answer": "np.ma.array(np.zeros_like(x), mask=True)",
    "NaN where it is wrong": "np.where(np.arange(x.size).reshape(x.shape) % 2, x * by, np.nan)",
    "half precision": "(x.astype(np.float16) * np.float16(by)).astype(float)",
    "bfloat16": "(torch.tensor(x).bfloat16() * by).double().numpy()",
    "rounded": "np.round(x * by, 4)",
    "text": "(x * by).astype(str)",
    "objects": "(x * by).astype(object)",
    "complex numbers": "(x * by).astype(complex)",
    "integers": "(x * by).astype(int)",
    "a list": "(x * by).tolist()",
    "inputs overwritten": "np.zeros_like(x) if x.fill(0) is None else x",
    "a view of the input": "np.broadcast_to(x[:1, :1] * 0, x.shape)",
}


class TestNumbers(Siege):
    """Numbers that were not computed as asked."""

    attacks = (
        Attack("inputs foreseen from guessed seeds", GUESS, "a secret seed"),
        Attack("global generators reset", RESET, "inputs made in the grader"),
        Attack("answers remembered in a file", REMEMBER, "fresh inputs, a folder of its own"),
        Attack("answers remembered by shape", BY_SHAPE, "fresh inputs for each test"),
        *(
            Attack(
                f"returns {name}",
                f"def scale(x, by):\n    return {answer}",
                "close: type, shape, dtype, values",
                earns=6.0,
            )
            for name, answer in ANSWERS.items()
        ),
    )

    def test_a_known_seed_would_be_enough(self, tmp_path: Path) -> None:
        """The same submission gains where the seed is one that everybody knows: what stops it is the secret."""
        course = target.build(tmp_path)
        notebook = target.answered(course, {})
        notebook.cells.append(dict(notebook.cells[1], source=GUESS, id="attack", metadata={}))
        question = find(target.SLUG, course.root)
        with Grader() as grader:
            known = grader.grade(question, bytes_of(notebook), derived(0, target.SLUG))
            secret = grader.grade(question, bytes_of(notebook), course_seed(course.root, target.SLUG))
        assert (known.score, secret.score) == (pytest.approx(11), pytest.approx(8))
