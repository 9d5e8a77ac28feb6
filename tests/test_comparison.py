"""The comparison: what it accepts, what it explains, and what it must never say."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograde.comparison import alike, close, kind_of, parts

RNG = np.random.default_rng(7)
ROWS = RNG.normal(size=(5, 8))
SQUARE = RNG.normal(size=(4, 4))
CAUSAL = np.tril(SQUARE)


def said(actual: Any, expected: Any, **options: Any) -> str:
    """What close says, or nothing where it is content."""
    try:
        close(actual, expected, **options)
    except AssertionError as error:
        return str(error)
    return ""


def told(actual: Any, expected: Any, **options: Any) -> str:
    """What close says about a wrong answer."""
    message = said(actual, expected, **options)
    assert message, "the wrong answer passed"
    return message


def changed(array: np.ndarray, index: Any, value: Any) -> np.ndarray:
    """A copy with some entries changed."""
    copy = array.copy()
    copy[index] = value
    return copy


class Liar:
    """An object that equals everything and raises from everything else."""

    __class__ = np.ndarray  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        raise KeyError("no")

    def __len__(self) -> int:
        raise MemoryError

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name) if name.startswith("_") else SystemExit


class Meta(type):
    """A class of classes that can't be hashed or compared."""

    def __eq__(cls, other: object) -> bool:
        raise KeyError

    def __hash__(cls) -> int:
        raise KeyError


class Unhashable(metaclass=Meta):
    """An object whose very type is hostile."""


class Sneaky(np.ndarray):
    """An array that claims to equal everything."""

    def __eq__(self, other: object) -> Any:
        return np.ones(self.shape, bool)

    __hash__ = None  # type: ignore[assignment]


numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers()
dtypes = hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.floating_dtypes() | hnp.complex_number_dtypes()
arrays = dtypes.flatmap(
    lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
floats = hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=4))
tensors = floats.map(torch.from_numpy) | floats.map(lambda x: torch.from_numpy(x).bfloat16())
keys = st.text(max_size=5) | st.integers() | st.tuples(st.integers(), st.text(max_size=3))
data = st.recursive(
    numbers | st.text(max_size=8) | st.binary(max_size=8) | arrays | tensors | st.sets(keys, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)
box = np.empty(1, object)
box[0] = Liar()
STRANGERS = [
    *(
        Liar(),
        Unhashable(),
        [Unhashable()],
        [1.0, Unhashable()],
        object(),
        len,
        np,
        type,
        box,
        [Liar()],
        {"a": Liar()},
        {1: {2: {3}}},
        10**5000,
        "\ud800",
    ),
    *(ROWS.view(Sneaky), np.array(["2020-01-01"], "M8[D]"), np.zeros(2, "i4,f4")),
    *(torch.ones(3, device="meta"), torch.ones(3).to_sparse(), torch.ones(2, requires_grad=True)),
    torch.ones(2, dtype=torch.complex64).conj(),
]


@settings(max_examples=400, deadline=None)
@given(actual=data, expected=data, dtype=st.booleans())
def test_close_raises_nothing_but_an_assertion(actual: Any, expected: Any, dtype: bool) -> None:
    """Whatever the learner returns, it is right or an AssertionError with a message."""
    message = said(actual, expected, dtype=dtype)
    assert message == "" or message.startswith("result")


@settings(max_examples=300, deadline=None)
@given(data)
def test_close_accepts_the_same_value(value: Any) -> None:
    """A value is close to itself, NaN and infinities included."""
    close(value, value)


@settings(max_examples=300, deadline=None)
@given(data, data)
def test_alike_answers_for_any_two_values(a: Any, b: Any) -> None:
    """Recognition gets a plain answer for any two values, the same both ways round."""
    assert alike(a, b, 0.0, 0.0) in (True, False)
    assert alike(a, b, 0.0, 0.0) == alike(b, a, 0.0, 0.0)


@settings(max_examples=300, deadline=None)
@given(data)
def test_alike_holds_for_the_same_value(value: Any) -> None:
    """A value is like itself, NaN and infinities included."""
    assert alike(value, value, 1e-5, 1e-8)


@pytest.mark.parametrize("value", [[1.0], [[1.0]], {"a": 1}])
def test_a_container_that_holds_itself_is_wrong_and_not_a_crash(value: Any) -> None:
    """A list that holds itself does not exhaust the stack."""
    loop: list[Any] = []
    loop.append(loop)
    assert "result" in told(loop, value)
    assert not alike(loop, [loop])


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (None, ROWS, "returned None; return a NumPy array (is a `return` missing?)"),
        ([1.0], ROWS, "returned a list; return a NumPy array"),
        (torch.from_numpy(ROWS), ROWS, "returned a torch tensor; return a NumPy array"),
        (ROWS, torch.from_numpy(ROWS), "returned a NumPy array; return a torch tensor"),
        (1.0, torch.tensor(1.0), "returned a float; return a torch tensor"),
        (torch.tensor(1.0), 1.0, "returned a torch tensor; return a number"),
        (Liar(), ROWS, "returned an object; return a NumPy array"),
        (ROWS.view(Sneaky), ROWS, "returned an object; return a NumPy array"),
        ([1, 2], (1, 2), "returned a list; return a tuple"),
        (True, 1, "is bool, should be int"),
        (1.0, 1, "is float, should be int"),
    ],
)
def test_wrong_type_is_named(actual: Any, expected: Any, words: str) -> None:
    """The message says which type was returned and which to return."""
    assert told(actual, expected) == f"result: {words}"


def test_a_missing_gradient_is_told_apart_from_a_missing_return() -> None:
    """A gradient that is None did not arrive, also among others; nothing is said of a `return`."""
    for actual, expected in [(None, ROWS), ({"w": ROWS, "b": None}, {"w": ROWS, "b": ROWS})]:
        message = told(actual, expected, gradient=True)
        assert "no gradient arrived; is the graph cut" in message
        assert "return" not in message
    assert "[1]: is None, should be a NumPy array" in told([ROWS, None], [ROWS, ROWS])


@pytest.mark.parametrize(
    ("actual", "guess"),
    [
        (ROWS.T, "transposed?"),
        (ROWS[None], "an axis of length 1 too many?"),
        (ROWS.ravel(), "flattened?"),
        (ROWS.reshape(10, 4), "reshaped?"),
        (ROWS.sum(0), "summed over one axis too many?"),
        (np.stack([ROWS, ROWS]), "not reduced over one axis?"),
    ],
)
def test_wrong_shape_comes_with_a_guess(actual: np.ndarray, guess: str) -> None:
    """Both shapes are told, and how the wrong one may have come about."""
    assert told(actual, ROWS) == f"result: shape is {actual.shape}, should be (5, 8): {guess}"


def test_a_missing_axis_is_guessed() -> None:
    """A result without the axis of length 1 is told so."""
    assert told(ROWS[0], ROWS[:1]).endswith("an axis of length 1 is missing?")


def test_wrong_precision_is_told_unless_dtype_is_off() -> None:
    """Another precision is wrong by default, and right with dtype=False at the coarser tolerance."""
    assert told(ROWS.astype(np.float32), ROWS) == "result: dtype is float32, should be float64"
    close(ROWS.astype(np.float32), ROWS, dtype=False)


def test_integers_of_any_width_pass_where_a_common_one_is_expected() -> None:
    """An int32 result passes for int64; int64 does not pass for int8, which is a choice."""
    close(np.arange(4, dtype=np.int32), np.arange(4))
    assert told(np.arange(4), np.arange(4, dtype=np.int8)) == "result: dtype is int64, should be int8"


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (changed(ROWS, (1, slice(2, 5)), np.nan), ROWS, "contains NaN: 3 of 40 entries, the first at [1, 2]"),
        (changed(ROWS, (4, 7), np.inf), ROWS, "contains inf: 1 of 40 entries, the first at [4, 7]"),
        (np.zeros_like(ROWS), ROWS, "is all zeros"),
        (-ROWS, ROWS, "the sign is flipped"),
        (ROWS * math.sqrt(3), ROWS, "1.73 times too large everywhere: √3?"),
        (ROWS * math.sqrt(8), ROWS, "2.83 times too large everywhere: √8, axis 1 has length 8?"),
        (ROWS / 5, ROWS, "5 times too small everywhere: 5, the length of axis 0?"),
        (ROWS / math.log(2), ROWS, "1.44 times too large everywhere: 1/ln 2, a logarithm of another base?"),
        (ROWS * 1.2345, ROWS, "1.23 times too large everywhere"),
        (ROWS * -2, ROWS, "the sign is flipped, and it is 2 times too large everywhere"),
        (ROWS - 0.25, ROWS, "0.25 too small everywhere"),
        (SQUARE.T, SQUARE, "equals its transpose"),
        (SQUARE[None, None].swapaxes(2, 3), SQUARE[None, None], "axes 2 and 3 are swapped"),
        (ROWS[::-1], ROWS, "reversed along axis 0"),
        (np.roll(ROWS, 1, 1), ROWS, "shifted by one position along axis 1"),
        (ROWS[[2, 0, 4, 1, 3]], ROWS, "the rows are in another order"),
        (ROWS[:, [2, 0, 4, 1, 7, 6, 5, 3]], ROWS, "the columns are in another order"),
        (ROWS[None][:, [2, 0, 4, 1, 3]], ROWS[None], "the values are right, but permuted along axis 1"),
        (ROWS[0][[2, 0, 4, 1, 7, 6, 5, 3]], ROWS[0], "the right values, in another order"),
        (np.sort(ROWS, 1), ROWS, "the right values, in other places"),
        (
            np.exp(ROWS),
            np.exp(ROWS) / np.exp(ROWS).sum(1, keepdims=True),
            "each slice along axis 1 is right up to a factor of its own: normalised?",
        ),
        (
            ROWS + np.arange(5)[:, None],
            ROWS,
            "each slice along axis 1 is right up to a constant of its own",
        ),
    ],
)
def test_a_telling_difference_is_explained(actual: Any, expected: Any, words: str) -> None:
    """The most specific explanation that fits is the message."""
    assert told(actual, expected) == f"result: {words}"
    as_tensors = told(torch.from_numpy(actual.copy()).float(), torch.from_numpy(expected.copy()).float())
    assert as_tensors == f"result: {words}"


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (changed(ROWS, -1, RNG.normal(size=8)), ROWS, "only the last row is wrong"),
        (changed(ROWS, 0, RNG.normal(size=8)), ROWS, "only the first row is wrong"),
        (changed(ROWS, (slice(None), 3), RNG.normal(size=5)), ROWS, "only column 3 is wrong"),
        (changed(ROWS, slice(1, None), RNG.normal(size=(4, 8))), ROWS, "only the first row is right"),
        (changed(ROWS, slice(3, None), RNG.normal(size=(2, 8))), ROWS, "wrong from row 3 on"),
        (changed(ROWS[0], -1, 9.0), ROWS[0], "only the last entry is wrong"),
        (SQUARE, CAUSAL, "only entries that should be 0 are wrong (masked positions?)"),
        (
            SQUARE,
            np.where(CAUSAL, CAUSAL, -np.inf),
            "only entries that should be 0 or -inf are wrong (masked positions?)",
        ),
    ],
)
def test_the_region_that_differs_is_named(actual: Any, expected: Any, words: str) -> None:
    """A difference in one slice is told as that, with the learner's own first value."""
    first, second = told(actual, expected).split("\n")
    assert first == f"result: {words}"
    assert re.fullmatch(r"differs (only )?at \[.*\].*; yours is \S+", second)


def test_the_first_difference_and_the_own_value_are_told() -> None:
    """Where nothing more telling fits, the message has the first index, the count and the own value."""
    one = changed(ROWS, (1, 3), 0.84123)
    assert told(one, ROWS) == "result: differs only at [1, 3], 1 of 40 entries; yours is 0.8412"
    two = changed(one, (3, 6), 4.0)
    assert told(two, ROWS) == "result: differs at [1, 3] (first of 2 of 40 entries); yours is 0.8412"


def test_a_small_error_is_told_as_nearly_right() -> None:
    """An answer that is off by little is told by how much."""
    assert told(ROWS + 1e-3 * RNG.normal(size=ROWS.shape), ROWS).split("\n")[1].startswith("nearly right")


def test_a_mask_shifted_by_one_is_told() -> None:
    """An off-by-one in a causal mask of booleans is named."""
    mask = np.tri(5, dtype=bool)
    assert told(np.tri(5, k=1, dtype=bool), mask) == "result: shifted by one position along axis 0"


def test_nested_values_are_located() -> None:
    """In nested data the message says which element differs."""
    assert told({"w": (ROWS, -ROWS)}, {"w": (ROWS, ROWS)}) == "result['w'][1]: the sign is flipped"
    assert told([(1, "a"), (2, "b")], [(1, "a"), (2, "c")]).startswith("result[1][1]: not the right string")


def test_a_list_of_numbers_is_explained_like_an_array() -> None:
    """A list of floats gets the explanation of an array."""
    assert told([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]) == "result: 2 times too large everywhere"


def test_missing_keys_are_counted_and_not_named() -> None:
    """The learner's extra key is named, the expected ones are only counted."""
    message = told({"mine": 1}, {"secret": 1, "hidden": 2})
    assert message == "result: lacks 2 of 2 keys and has 1 key too many, such as 'mine'"


def test_the_callers_name_for_the_value_is_used() -> None:
    """A test can say what it compares."""
    assert told(-ROWS, ROWS, what="gradient") == "gradient: the sign is flipped"


def test_a_single_number_gives_no_ratio_away() -> None:
    """One wrong number is not told by which factor it is wrong, which would be the answer."""
    assert told(1.234, 0.8) == "result: not the right value; yours is 1.234"


def test_the_default_tolerance_is_that_of_the_coarser_dtype() -> None:
    """An error of half precision passes in half precision and not in double."""
    off = ROWS * (1 + 1e-3)
    close(off.astype(np.float16), ROWS.astype(np.float16))
    close(torch.from_numpy(off).bfloat16(), torch.from_numpy(ROWS).bfloat16())
    assert told(off, ROWS)


def test_infinity_is_only_close_to_infinity() -> None:
    """Where the answer is infinite, a finite value is wrong."""
    close(np.array([1.0, -np.inf]), np.array([1.0, -np.inf]))
    assert told(np.array([1.0, -1e300]), np.array([1.0, -np.inf]))


def test_long_integers_are_compared_exactly() -> None:
    """Python integers beyond 64 bits are not rounded to floats of the same value."""
    close(10**30, 10**30)
    assert told(10**30 + 1, 10**30) == "result: not the right value; yours is 1e+30"


def test_an_expected_value_that_can_not_be_compared_is_the_tests_fault() -> None:
    """A test that expects an object gets a TypeError, not a verdict on the learner."""
    with pytest.raises(TypeError, match="can't be compared"):
        close(1, object())


def _wrong_answers(expected: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    noise = rng.normal(size=expected.shape)
    return [
        noise,
        np.ones_like(expected),
        expected * 2.83,
        expected + 0.5,
        expected[::-1],
        np.sort(expected, axis=None).reshape(expected.shape),
        changed(expected, 0, noise[0]),
        np.where(noise > 0, expected, noise),
        np.where(noise > 0, expected, np.nan),
        np.exp(expected),
        expected + 1e-3 * noise,
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5))
def test_no_message_holds_an_expected_value(seed: int, shape: tuple[int, ...]) -> None:
    """No entry of the expected array can be read to four digits in a message, save one the learner had."""
    rng = np.random.default_rng(seed)
    expected = rng.normal(size=shape) * 100
    for actual in _wrong_answers(expected, rng):
        own = {f"{v:.4g}" for v in actual.ravel()}
        # One that rounds to a whole number may meet a count or a size, which are no secret.
        secret = {text for v in expected.ravel() if "." in (text := f"{v:.4g}")} - own
        assert not secret & set(re.findall(r"-?\d[\d.e+-]*\d", said(actual, expected)))


def test_a_large_wrong_answer_is_explained() -> None:
    """Four million wrong entries on eleven axes are explained like few."""
    shape = (4,) * 11
    assert "differs at" in told(RNG.normal(size=shape), RNG.normal(size=shape))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (ROWS, ROWS.astype(np.float32)),
        (ROWS, torch.from_numpy(ROWS)),
        (ROWS, ROWS[None]),
        ([1, 2], [2, 1]),
        (("raised", "ValueError"), ("raised", "TypeError")),
        (1, True),
        ("1", 1),
        ({"a": 1}, {"b": 1}),
        (np.array([1.0, np.nan]), np.array([1.0, 1.0])),
        (None, 0),
    ],
)
def test_different_results_are_not_alike(a: Any, b: Any) -> None:
    """Another type, shape, dtype, value or exception is another behaviour."""
    assert not alike(a, b, 1e-5, 1e-8)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (ROWS, ROWS * (1 + 1e-9)),
        (("raised", "ValueError"), ("raised", "ValueError")),
        ({"a": [np.nan, 1.0]}, {"a": [np.nan, 1.0]}),
        (np.float64(1), 1.0),
        (torch.tensor([1.0, np.nan]), torch.tensor([1.0, np.nan])),
    ],
)
def test_equal_results_are_alike(a: Any, b: Any) -> None:
    """The same structure and values within tolerance are the same behaviour."""
    assert alike(a, b, 1e-5, 1e-8)


@pytest.mark.parametrize("expected", [1, 1.0, "a", None, ROWS, [1.0, 2.0], {"a": 1}, {1}, (1, "a")])
@pytest.mark.parametrize("actual", STRANGERS, ids=range(len(STRANGERS)))
def test_no_stranger_passes_for_data(actual: Any, expected: Any) -> None:
    """Objects that lie about equality, odd tensors and odd arrays are wrong, not right and not a crash."""
    assert said(actual, expected).startswith("result")
    assert not alike(actual, expected, 1e-5, 1e-8)


def test_only_exact_types_are_trusted() -> None:
    """A class that claims to be an array, and a subclass of one, are objects."""
    assert [kind_of(v) for v in (Liar(), ROWS.view(Sneaky), ROWS)] == [
        "an object",
        "an object",
        "a NumPy array",
    ]


@pytest.mark.parametrize("given_back", [(1, 2.5), [1, 2.5]])
def test_parts(given_back: Any) -> None:
    """The values of a tuple, or of a list, come apart in their order."""
    mu, var = parts(given_back, "mu", "var", what="mle")
    assert (mu, var) == (1, 2.5)


@pytest.mark.parametrize(
    ("given_back", "told"),
    [
        (2.5, "not a float"),
        (None, "not None"),
        (np.ones(2), "not a NumPy array"),
        ("ab", "not a string"),
        ((1, 2, 3), "not 3 values"),
        ([1], "not 1 value"),
        ((), "not 0 values"),
    ],
)
def test_parts_of_something_else(given_back: Any, told: str) -> None:
    """What is no tuple, or has another length, is told with the names that the task gives the values."""
    with pytest.raises(AssertionError) as error:
        parts(given_back, "mu", "var", what="mle")
    assert str(error.value) == f"mle must return a tuple (mu, var), {told}"
