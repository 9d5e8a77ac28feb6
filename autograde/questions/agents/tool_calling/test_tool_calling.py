from __future__ import annotations

import json
import math
import re
from fractions import Fraction

import pytest

# --- task 1 ---


def oracle(expression):
    """The value by Python's own grammar, of a text that was made here: every number becomes a Fraction."""
    exact = re.sub(r"\d+(\.\d+)?", r"F('\g<0>')", expression)
    return str(eval(exact, {"F": Fraction}))


def number(rng):
    """A number as it may be written: an integer, or one with a point."""
    whole = str(rng.integers(0, 100))
    return whole if rng.random() < 0.5 else f"{whole}.{rng.integers(0, 1000):03d}"


def drawn(rng, depth):
    """A random expression; what an operator binds is left to the grammar."""
    kind = rng.integers(6) if depth else 5
    if kind == 5:
        return number(rng)
    if kind == 4:
        return f"({drawn(rng, depth - 1)}) ** {rng.integers(0, 4)}"
    if kind == 3:
        return f"{rng.choice(['-', '+'])}{drawn(rng, depth - 1)}"
    gap = " " * int(rng.integers(0, 2))
    one, other = drawn(rng, depth - 1), drawn(rng, depth - 1)
    if kind == 2:
        one, other = f"({one})", f"({other})"
    return f"{one}{gap}{rng.choice(list('+-*/'))}{gap}{other}"


def expressions(rng, count, depth):
    """Random expressions that have a value."""
    found = []
    while len(found) < count:
        text = drawn(rng, depth)
        try:
            value = oracle(text)
        except ZeroDivisionError:
            continue
        if len(text) <= 200 and len(value) < 500:
            found.append(text)
    return found


def same(student, close, expressions):
    """Compare the value of each expression."""
    for text in expressions:
        shown = text if len(text) < 50 else f"{text[:47]}..."
        close(student.calculate(text), oracle(text), what=f"calculate({shown!r})")


def refused(student, raises, expressions):
    """Each expression must raise ValueError."""
    for text in expressions:
        with raises(ValueError):
            student.calculate(text)


@pytest.mark.points(1)
@pytest.mark.task("calculate")
def test_exact(student, rng, close):
    """Numbers mean what is written: sums and quotients of decimals are exact fractions in lowest terms."""
    tenths = [f"0.{a} + 0.{b} - {c}.{a}{b}" for a, b, c in rng.integers(1, 10, size=(4, 3))]
    a, b, c = (int(x) for x in rng.integers(10**14, 10**15, size=3))
    long = [f"{a} * {b} / {c}", f"0.{a:015d}"[:16] + f" * {b}", f"-{a} / ({a} * 3)"]
    same(student, close, [*tenths, *long, "6 / 3", "-4 / 6", "0 * 0.5", str(a), "0.000001"])


@pytest.mark.points(1)
@pytest.mark.task("calculate")
def test_grouping(student, rng, close):
    """Precedence and grouping are Python's, on random expressions with signs, powers and parentheses."""
    a, b, c = (int(x) for x in rng.integers(2, 10, size=3))
    fixed = [f"-{a} ** 2", f"2 ** {b % 3 + 3} ** 2", f"{a} ** -{b}", f"{a} - {b} - {c}", f"{a} / {b} / {c}"]
    fixed += [
        f"{a} - -{b}",
        f"--{a} + +{b}",
        f" ( {a}+{b} ) *{c} ",
        "0 ** 0",
        f"(-{a}) ** 3",
        f"{a} / {b} * {c}",
    ]
    same(student, close, fixed + expressions(rng, 25, 4))


@pytest.mark.points(1)
@pytest.mark.task("calculate")
def test_no_program(student, rng, close, raises):
    """Whatever is not arithmetic raises ValueError: names, calls, attributes, text, lists, other operators."""
    a, b = (int(x) for x in rng.integers(2, 100, size=2))
    same(student, close, [f"({a} + {b}) * {a} - {b}"])
    pieces = ["", "   ", f"{a} +", f"({a}", f"{a})", f"{a} {b}", "()", f"{a} * / {b}", "...", f"{a}..{b}"]
    operators = [
        f"{a} // {b}",
        f"{a} % {b}",
        f"{a} < {b}",
        f"{a}, {b}",
        f"({a}, {b})",
        f"[{a}]",
        f"{a} & {b}",
        f"~{a}",
    ]
    numbers = ["1e5", "1e999", "0x10", "2j", "True", "None", "inf", "nan", f"'{a}'", f'"{a}" * 3', f"f'{a}'"]
    calls = [f"abs({a})", f"({a})({b})", f"{a} if {b} else 0", f"{a} or {b}", f"(x := {a})", f"x = {a}", "x"]
    attacks = [
        "__import__('os').getpid()",
        "().__class__.__base__.__subclasses__()",
        f"({a}).bit_length()",
        f"(lambda: {a})()",
        f"[x for x in ({a}, {b})]",
        f"{a}; {b}",
        f"{a}\0",
        f"{a}²",
        "1 / 0",
        f"0 ** -{a}",
        f"{a} / ({b} - {b})",
    ]
    refused(student, raises, [*pieces, *operators, *numbers, *calls, *attacks])


@pytest.mark.points(1)
@pytest.mark.task("calculate")
def test_limits(student, rng, close, raises):
    """Huge powers, long numbers, odd exponents, long and deeply nested texts raise; what lies within has a value."""
    # First what no program is slow at: known mistakes run without a limit of time.
    a = int(rng.integers(2, 9))
    inside = [
        f"{a} ** 200",
        f"({a} / 11) ** -200",
        f"{a} ** (4 / 2)",
        "(10 ** 200) ** 4 * 10 ** 199",
        "1 ** 200 ** 1",
    ]
    inside += [
        "-" * 150 + "2.5",
        "(" * 90 + f"{a}" + ")" * 90,
        "+".join("1" * 100) + "1",  # 200 characters
        "(10 ** 200 - 1) / 10 ** 200",
    ]
    same(student, close, inside)
    powers = [
        f"{a} ** 201",
        f"{a} ** -201",
        f"1 ** {10**12}",
        f"{a} ** 0.5",
        f"4 ** (1 / {a})",
        f"(-{a}) ** 1.5",
    ]
    sizes = [
        "(10 ** 200) ** 5 * 2",
        "(10 ** 200) ** 5",
        "(1 / 10 ** 200) ** 5",
        "1 / (10 ** 200) ** 5",
        "0 * (10 ** 200) ** 5",
        "0 / (10 ** 200) ** -5",
        "-10 ** 200 * (10 ** 200) ** 4",
    ]
    sizes += [" * ".join(["10 ** 200"] * 5), "(10 ** 200) ** 4 * (10 ** 200 - 1) * 100"]
    lengths = ["+".join("1" * 101), " " * 200 + "1", "1" * 201, "(" * 101 + "1" + ")" * 101, "-" * 3000 + "1"]
    refused(student, raises, [*powers, *sizes, *lengths])
    hostile = [
        "(" * 100_000 + "1" + ")" * 100_000,
        "9 ** 9 ** 9",
        "9 ** 9 ** 9 ** 9",
        "9 ** -9 ** 9",
        "0 * 9 ** 9 ** 9",
    ]
    refused(student, raises, hostile)


# --- task 2 ---

WRONG = {  # of each type, values that have it and values that have not
    "string": (["", "Oslo", "3"], [3, 1.5, True, None, ["a"], {}]),
    "integer": ([0, -7, 10**20], ["3", 1.5, 3.0, True, False, None, [1], math.inf]),
    "number": (
        [0, 2.5, 3.0, -1e300, 10**400],
        ["2.5", True, False, None, [1.5], {}, math.inf, -math.inf, math.nan],
    ),
    "boolean": ([True, False], [0, 1, "true", None, [True]]),
}


def schema(properties, required=()):
    """The schema of an object."""
    return {"type": "object", "properties": properties, "required": list(required)}


def pairs(found, what):
    """A list of pairs of text, sorted; AssertionError where it is something else."""
    assert isinstance(found, list | tuple), f"{what}: must be a list of pairs (kind, name)"
    for pair in found:
        is_pair = isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(x, str) for x in pair)
        assert is_pair, f"{what}: {pair!r:.60} is no pair (kind, name)"
    return sorted(tuple(pair) for pair in found)


def judged(student, arguments, against, expected):
    """Compare the problems that are found."""
    what = f"problems of {arguments!r:.80}"
    found = pairs(student.problems(arguments, against), what)
    for pair in found:
        assert pair in expected, f"{what}: {pair} is no problem"
    assert len(set(found)) == len(found), f"{what}: a pair is there twice"
    assert len(found) == len(expected), f"{what}: {len(found)} found, and there are {len(expected)}"


def arrays(rng):
    """Arrays and arrays of arrays, right and wrong ones: (arguments, schema, problems)."""
    flat, deep = ({"type": "array", "items": {"type": "integer"}} for _ in range(2))
    deep = {"type": "array", "items": deep}
    a, b = (int(x) for x in rng.integers(1, 100, size=2))
    right = {"flat": [[], [a, b]], "deep": [[], [[]], [[a], [], [b, a]]]}
    wrong = {
        "flat": [["a", a, True], [a, 1.5], [[a]], a, "12", None, {"0": a}],
        "deep": [[[a], b], [[a, "b"]], [[[a]]]],
    }
    properties, arguments, expected = {}, {}, []
    for name, of in (("flat", flat), ("deep", deep)):
        for i, value in enumerate(right[name] + wrong[name]):
            properties[f"{name}{i}"], arguments[f"{name}{i}"] = of, value
            expected += [("type", f"{name}{i}")] * (i >= len(right[name]))
    return arguments, schema(properties), expected


@pytest.mark.points(2)
@pytest.mark.task("problems")
def test_types(student, rng):
    """Each type takes its own values and no others: no boolean is a number, and an array asks every item."""
    for kind, (right, wrong) in WRONG.items():
        against = schema(
            {f"{n}{i}": {"type": kind} for n, few in (("r", right), ("w", wrong)) for i in range(len(few))}
        )
        arguments = {f"r{i}": value for i, value in enumerate(right)} | {
            f"w{i}": v for i, v in enumerate(wrong)
        }
        keys = rng.permutation(list(arguments)).tolist()
        judged(
            student,
            {key: arguments[key] for key in keys},
            against,
            [("type", f"w{i}") for i in range(len(wrong))],
        )

    judged(student, *arrays(rng))


@pytest.mark.points(1)
@pytest.mark.task("problems")
def test_all_at_once(student, rng, carried):
    """Missing, unexpected, of another type, not in the enum: all of it is told at once, and nothing is changed."""
    names = [f"{word}{rng.integers(100)}" for word in ("city", "unit", "days", "zoom", "lazy", "note")]
    city, unit, days, zoom, lazy, note = names
    properties = {
        city: {"type": "string"},
        unit: {"type": "string", "enum": ["C", "F"]},
        days: {"type": "integer", "enum": [0, 1, 7]},
        zoom: {"type": "number", "enum": [0.5, 2]},
        lazy: {"type": "boolean"},
    }
    against = schema(properties, [city, days])
    judged(student, {city: "Oslo", days: 7, unit: "F", zoom: 2.0}, against, [])
    judged(student, {city: "", days: 0, lazy: False}, against, [])
    judged(student, {}, against, [("missing", city), ("missing", days)])
    judged(student, {city: None, days: 1}, against, [("type", city)])
    several = {unit: "K", days: "7", note: 1, zoom: 1.5, lazy: None}
    expected = [
        ("missing", city),
        ("enum", unit),
        ("type", days),
        ("unexpected", note),
        ("enum", zoom),
        ("type", lazy),
    ]
    judged(student, several, against, expected)
    judged(
        student, {city: 3, days: True, unit: "c"}, against, [("type", city), ("type", days), ("enum", unit)]
    )
    judged(
        student, {note: None, "type": "object"}, schema({}), [("unexpected", note), ("unexpected", "type")]
    )
    _, (args, _) = carried(student.problems, several, against)
    assert args == (several, against), "problems changes the arguments or the schema"


# --- task 3 ---


class Shop:
    """Tools, and what they were asked.

    Attributes:
        log: the calls, in order: the tool's name and its arguments.
    """

    def __init__(self, results=None):
        self.log, self.results = [], results or {}

    def registry(self):
        """minus takes two integers, say a text and perhaps how often, and each of `results` takes nothing."""
        two = schema({"a": {"type": "integer"}, "b": {"type": "integer"}}, ["a", "b"])
        words = schema(
            {"text": {"type": "string"}, "times": {"type": "integer", "enum": [1, 2, 3]}}, ["text"]
        )
        tools = {
            "minus": (two, lambda a, b: a - b),
            "say": (words, lambda text, times=1: {"said": [text] * times}),
        }
        tools |= {name: (schema({}), self.given(result)) for name, result in self.results.items()}
        return {name: {"schema": of, "run": self.watched(name, run)} for name, (of, run) in tools.items()}

    def given(self, result):
        """A tool that returns this, or raises it."""

        def tool():
            if isinstance(result, Exception):
                raise result
            return result

        return tool

    def watched(self, name, run):
        """The tool, and its calls written down."""

        def tool(*args, **kwargs):
            self.log.append((name, *args, kwargs))
            if len(self.log) > 100:
                raise RuntimeError("the tools were called more than 100 times")
            return run(*args, **kwargs)

        return tool


def call(name, tool, **arguments):
    """A call as a model writes it."""
    return {"id": name, "tool": tool, "arguments": arguments}


def text_of(*calls, **more):
    """A model's text."""
    return json.dumps({"calls": list(calls), **more})


def read(answer, what):
    """The list of results in the learner's message; AssertionError where it is something else."""
    assert isinstance(answer, str), f"{what}: dispatch must return a string, the JSON of a list"
    try:
        results = json.loads(answer, parse_constant=lambda name: name)
    except ValueError:
        raise AssertionError(f"{what}: the string that dispatch returns is not JSON") from None
    assert isinstance(results, list), f"{what}: the JSON must be a list of results"
    return results


def answered(student, close, shop, text, expected, what):
    """Compare the results of a text, one by one; messages and problems apart."""
    results = read(student.dispatch(text, shop.registry()), what)
    assert len(results) == len(expected), f"{what}: {len(results)} results, and {len(expected)} are due"
    for at, (found, wanted) in enumerate(zip(results, expected, strict=True)):
        here = f"{what}, result {at + 1}"
        assert isinstance(found, dict), f"{here}: is no object"
        if wanted.get("problems") is not None and "problems" in found:
            found = found | {
                "problems": [list(pair) for pair in pairs(found["problems"], f"{here}, problems")]
            }
            wanted = wanted | {"problems": sorted(wanted["problems"])}
        if wanted.get("message", "") is any and isinstance(found.get("message"), str):
            found = found | {"message": ""}
            wanted = wanted | {"message": ""}
        surplus = sorted(set(found) - set(wanted))
        assert not surplus, f"{here}: has the key {surplus[0]!r} too many"
        lacking = sorted(set(wanted) - set(found))
        assert not lacking, f"{here}: lacks the key {lacking[0]!r}"
        for key in wanted:
            close(found[key], wanted[key], what=f"{here}, {key}")


def good(name, result):
    """A result of a call that worked."""
    return {"id": name, "ok": True, "result": result}


def bad(name, error, **more):
    """A result of a call that failed."""
    return {"id": name, "ok": False, "error": error, **more}


def same_log(shop, expected, what):
    """Compare which tools ran, in which order, with which arguments."""
    for at, (found, wanted) in enumerate(zip(shop.log, expected, strict=False)):
        assert found[0] == wanted[0], f"{what}: tool call {at + 1} runs {found[0]}, which is not due there"
        assert len(found) == 2, f"{what}: a tool takes its arguments by name"
        assert found == wanted, (
            f"{what}: tool call {at + 1} ({found[0]}) is given other arguments than the model's"
        )
    assert len(shop.log) >= len(expected), f"{what}: too few tool calls, {len(shop.log)}"
    assert len(shop.log) <= len(expected), f"{what}: too many tool calls, {len(shop.log)}"


@pytest.mark.points(1)
@pytest.mark.task("dispatch")
def test_parallel_calls(student, rng, close):
    """Right calls run once each, in order, with their arguments by name, and each gets its result with its id."""
    shop, calls, expected, log = Shop(), [], [], []
    for i in range(6):
        name = f"c{rng.integers(10**6)}_{i}"
        if i % 3 < 2:
            a, b = (int(x) for x in rng.integers(-99, 99, size=2))
            calls.append(call(name, "minus", b=b, a=a))
            expected.append(good(name, a - b))
            log.append(("minus", {"a": a, "b": b}))
        else:
            word = f'w{rng.integers(100)}: "é\n"'
            calls.append(call(name, "say", text=word, times=2) | {"why": "other keys are ignored"})
            expected.append(good(name, {"said": [word, word]}))
            log.append(("say", {"text": word, "times": 2}))
    answered(student, close, shop, text_of(*calls, thought="I need sums"), expected, "six calls")
    same_log(shop, log, "six calls")
    again = Shop()
    answered(
        student,
        close,
        again,
        text_of(calls[0] | {"id": "", "tool": "minus"}),
        [expected[0] | {"id": ""}],
        "one call",
    )
    answered(student, close, again, text_of(), [], "no calls")
    same_log(again, log[:1], "one call and none")


def wrong_calls(a, b, strange):
    """Calls of unknown tools and with wrong arguments, and right ones beside them: pairs of call and result."""
    return [
        *((call(f"u{i}", name, text="x"), bad(f"u{i}", "unknown_tool")) for i, name in enumerate(strange)),
        (
            call("v", "minus", a=str(a), c=b),
            bad("v", "bad_arguments", problems=[["missing", "b"], ["type", "a"], ["unexpected", "c"]]),
        ),
        (
            call("t", "say", text="x", loud="yes"),
            bad("t", "bad_arguments", problems=[["unexpected", "loud"]]),
        ),
        (call("r", "minus", a=a, b=b), good("r", a - b)),
        (call("x", "say", text="hi", times=9), bad("x", "bad_arguments", problems=[["enum", "times"]])),
        (call("y", "minus", a=True, b=b), bad("y", "bad_arguments", problems=[["type", "a"]])),
        (call("z", "minus", a=a, b=2 * b), good("z", a - 2 * b)),
    ]


def malformed_calls(a, b):
    """What is no call, and right calls beside it: pairs of item and result."""
    right = call("r", "minus", a=a, b=b)
    return [
        (right, good("r", a - b)),
        (call("r", "minus", a=b, b=b), bad("r", "bad_call")),
        ("minus", bad(None, "bad_call")),
        (None, bad(None, "bad_call")),
        ([right], bad(None, "bad_call")),
        ({"tool": "minus", "arguments": {"a": a, "b": b}}, bad(None, "bad_call")),
        (right | {"id": a}, bad(None, "bad_call")),
        (right | {"id": ["s"]}, bad(None, "bad_call")),
        (right | {"id": "s", "tool": None}, bad("s", "bad_call")),
        (right | {"id": "s"}, bad("s", "bad_call")),
        (right | {"id": "t", "tool": ["minus"]}, bad("t", "bad_call")),
        (right | {"id": "u", "arguments": json.dumps({"a": a, "b": b})}, bad("u", "bad_call")),
        (right | {"id": "v", "arguments": [a, b]}, bad("v", "bad_call")),
        ({"id": "w", "tool": "nobody"}, bad("w", "bad_call")),
        (call("z", "minus", a=a, b=2 * b), good("z", a - 2 * b)),
    ]


@pytest.mark.points(2)
@pytest.mark.task("dispatch")
def test_wrong_calls(student, rng, close):
    """Unknown tools, wrong arguments and what is no call at all are told and don't run; the calls beside them do."""
    a, b = (int(x) for x in rng.integers(1, 99, size=2))
    strange = rng.permutation(["eval", "dispatch", "problems", "Minus", "say ", "", "__import__"]).tolist()
    cases = {
        "wrong calls among right ones": wrong_calls(a, b, strange),
        "malformed calls": malformed_calls(a, b),
    }
    for what, items in cases.items():
        shop = Shop()
        calls, expected = zip(*items, strict=True)
        answered(student, close, shop, text_of(*calls), list(expected), what)
        same_log(shop, [("minus", {"a": a, "b": b}), ("minus", {"a": a, "b": 2 * b})], what)


@pytest.mark.points(1)
@pytest.mark.task("dispatch")
def test_unreadable_text(student, rng, close):
    """A text that can't be read as calls gives one bad_json, whatever is wrong with it, and nothing runs."""
    shop = Shop()
    a, b = (int(x) for x in rng.integers(1, 99, size=2))
    right = text_of(call("r", "minus", a=a, b=b))
    answered(student, close, shop, right, [good("r", a - b)], "a right text")
    texts = {
        "prose": f"I will call minus({a}, {b}).",
        "an empty text": "",
        "a text that is cut off": right[:-2],
        "two objects": right + right,
        "a fence around it": f"```json\n{right}\n```",
        "a list": f"[{right}]",
        "a number": f"{a}",
        "null": "null",
        "a string": json.dumps(right),
        "no calls": json.dumps({"call": json.loads(right)["calls"]}),
        "calls that are an object": json.dumps({"calls": json.loads(right)["calls"][0]}),
        "calls that are null": '{"calls": null}',
        "calls that are a string": '{"calls": "minus"}',
        "a number of 5000 digits": '{"calls": [], "n": ' + "9" * 5000 + "}",
        "brackets without end": "[" * 100_000,
    }
    for what, text in texts.items():
        answered(student, close, shop, text, [bad(None, "bad_json")], what)
    same_log(shop, [("minus", {"a": a, "b": b})], "texts that can't be read")


@pytest.mark.points(1)
@pytest.mark.task("dispatch")
def test_failing_tools(student, rng, close):
    """A tool that raises or returns what is not JSON is told, once, and the others run; what tools return is data."""
    word = f"no route {rng.integers(1000)}"
    bait = text_of(call("x", "minus", a=1, b=1))
    results = {
        "crash": RuntimeError(word),
        "none": None,
        "refuse": ValueError(""),
        "nan": {"value": [math.nan]},
        "set": {1, 2},
        "bait": bait,
        "complex": 1j,
        "zero": ZeroDivisionError(f"{word} by zero"),
        "error": {"error": word, "ok": False, "id": "other"},
    }
    expected = [
        bad("crash", "tool_error", message=word),
        good("none", None),
        bad("refuse", "tool_error", message=""),
        bad("nan", "tool_error", message=any),
        bad("set", "tool_error", message=any),
        good("bait", bait),
        bad("complex", "tool_error", message=any),
        bad("zero", "tool_error", message=f"{word} by zero"),
        good("error", results["error"]),
        good("minus", -1),
    ]
    shop = Shop(results)
    text = text_of(*(call(name, name) for name in results), call("minus", "minus", a=1, b=2))
    answered(student, close, shop, text, expected, "tools that fail")
    same_log(shop, [(name, {}) for name in results] + [("minus", {"a": 1, "b": 2})], "tools that fail")
