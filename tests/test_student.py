"""Hidden tests see the same over a room and over live objects: every behaviour here is tried over both."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autograde.errors import GraderError, StudentError
from autograde.grader import examine
from autograde.grading import Grader
from autograde.hidden import Sitting, Turn
from autograde.live import Live, globals_kept
from autograde.question import Question
from autograde.sitting import RoomSitting
from autograde.student import (
    Remote,
    Student,
    backward,
    base_names,
    carried,
    conversation,
    raises,
    type_name,
)
from autograde.submission import Cell
from autograde.verdict import Outcome

CODE = '''
import random
import numpy as np
import torch

constant = 1.5
table = {"a": [1, 2], "b": np.arange(3)}
calls = 0

def scaled(x, *, by=2.0):
    return x * by

def grow(items, *, key=None):
    items.append(4)
    if key is not None:
        key["seen"] = True
    return len(items)

def zero(x):
    x[...] = 0
    return x.sum()

def square(x, y=None):
    return x * x if y is None else (x * x, x * y)

def quiet(x):
    x + 1

def fails(kind):
    if kind == "value":
        raise ValueError("no such thing")
    if kind == "own":
        class TooSmall(ValueError):
            pass
        raise TooSmall("own words")
    if kind == "exit":
        raise SystemExit(3)
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "mute":
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("not even this")
        raise Mute
    if kind == "deep":
        return fails("deep")
    if kind == "todo":
        raise NotImplementedError

class Counter:
    """Counts."""

    step = 2

    def __init__(self, start=0):
        self.n = start

    def add(self, k=None):
        self.n += self.step if k is None else k
        return self.n

    def __len__(self):
        return self.n

    def __iter__(self):
        return iter(range(self.n))

    def __getitem__(self, key):
        return f"item {key}"

class Line(torch.nn.Module):
    def __init__(self, n, m):
        super().__init__()
        self.inner = torch.nn.Linear(n, m)
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.inner(x) * self.scale

def apply(f, *args, **kwargs):
    return f(*args, **kwargs)

def tolerant(f):
    try:
        return f(1)
    except (ZeroDivisionError, KeyError) as error:
        return f"caught {error}"

def guarded(f, x):
    try:
        return f(x)
    except Exception:
        return 0

def make_adder(n):
    return lambda k: n + k

def counters():
    return [Counter(0), (Counter(1), 2)]

def twice(f):
    return f(lambda x: x + 1)

def endless():
    while True:
        yield 1

def noise():
    return random.random(), float(np.random.rand()), float(torch.rand(()))

def spoil():
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)

def mend():
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)

def looped():
    items = []
    items.append(items)
    return items

def sparse():
    return torch.eye(2).to_sparse()

class Always:
    def __eq__(self, other):
        return True
    __hash__ = None
    def __array__(self, *args, **kwargs):
        raise RuntimeError("never read")
'''


@pytest.fixture(scope="module")
def live() -> Live:
    """A sitting over live objects."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(CODE, "<cell all>", "exec"), space)
    return Live(space)


@pytest.fixture(scope="module")
def room(grader: Grader) -> Iterator[RoomSitting]:
    """A sitting over a room."""
    limits = replace(grader.limits, budget_s=600)  # one room serves many tests
    sitting = RoomSitting(grader.zygote, (Cell(0, "all", "learner", CODE),), limits)
    yield sitting
    sitting.close()


@pytest.fixture(params=["room", "live"])
def sitting(request: pytest.FixtureRequest) -> Iterator[Sitting]:
    """Each kind of sitting, ready for a test."""
    sitting = request.getfixturevalue(request.param)
    with globals_kept():
        sitting.begin(7)
        yield sitting


@pytest.fixture
def student(sitting: Sitting) -> Student:
    """A student over each kind of sitting."""
    return Student(sitting)


# --- calls and data ----------------------------------------------------------------------------------------


def test_call(student):
    """A call takes positional and keyword arguments and gives a copy of what was returned."""
    x = np.arange(3.0)
    assert student.scaled(x).tolist() == [0, 2, 4]
    assert student.scaled(x=torch.ones(2), by=3).tolist() == [3, 3]
    assert student.scaled("ab", by=2) == "abab"


def test_data_attributes(student):
    """A name that holds data gives a copy of the data."""
    table = student.table
    assert (student.constant, table["a"], table["b"].tolist()) == (1.5, [1, 2], [0, 1, 2])
    table["a"].append(3)
    assert student.table["a"] == [1, 2]


def test_arguments_are_copies(student):
    """What the learner's code does to its arguments does not reach the test's own objects."""
    items, x = [1, 2, 3], np.ones(3)
    assert student.grow(items) == 4
    assert student.zero(x) == 0
    assert (items, x.tolist()) == ([1, 2, 3], [1, 1, 1])


def test_carried(student):
    """carried gives the result with the arguments as the call left them, keyword arguments too."""
    result, (args, kwargs) = carried(student.grow, [1], key={})
    assert (result, args, kwargs) == (2, ([1, 4],), {"key": {"seen": True}})
    _, (args, _) = carried(student.zero, np.ones(3))
    assert args[0].tolist() == [0, 0, 0]
    _, (args, _) = carried(student.zero, torch.ones(2))
    assert args[0].tolist() == [0, 0]


def test_carried_needs_a_function(student):
    """Data in place of a function is the learner's error."""
    with pytest.raises(StudentError, match="expected something to call, found a float"):
        carried(student.constant)


def test_names_are_the_learners(student):
    """A test can't set a learner's name."""
    with pytest.raises(GraderError, match="can't be set"):
        student.constant = 2


# --- handles -----------------------------------------------------------------------------------------------


def test_class_and_instance(student):
    """A learner's class is made, its attributes read and set, its methods called."""
    counter = student.Counter(start=3)
    assert isinstance(counter, Remote)
    assert (type_name(counter), base_names(counter)) == ("Counter", ["Counter", "object"])
    assert (counter.n, counter.step, counter.add(), counter.add(k=5)) == (3, 2, 5, 10)
    counter.n = 4
    assert counter.add(0) == 4


def test_methods_of_a_class_seen_before(student):
    """A method that another object of its class had is called, handed on, carried and missed like any other."""
    first, second = student.Counter(), student.Counter(10)
    assert first.add() == 2
    assert second.add() == 12
    assert second.add(k=5) == 17
    assert student.apply(second.add, 3) == 20
    assert carried(second.add, 1) == (21, ((1,), {}))
    assert type_name(second.add) == "method"
    with raises(TypeError):
        second.add(1, 2)
    assert first.n == 2


def test_methods_that_became_data(student):
    """What is a method of one object and data of the next is not callable, which says so."""
    first, second = student.Counter(), student.Counter()
    assert first.add(1) == 1
    second.add = 7
    with pytest.raises(StudentError, match="not callable"):
        second.add(1)
    with pytest.raises(StudentError, match="no longer a method"):
        student.apply(second.add, 1)


def test_container(student):
    """len, iteration and indexing of an object are the object's own."""
    counter = student.Counter(3)
    assert len(counter) == 3
    assert list(counter) == [0, 1, 2]
    assert counter[5] == "item 5"
    assert bool(student.Counter(0)), "a handle is a thing that exists"
    assert repr(counter) == "<Counter of the learner>"


def test_handles_as_arguments(student):
    """A handle given as an argument, in a list too, arrives as the object itself."""
    counter = student.Counter(1)
    assert student.apply(student.Counter.add, counter, 4) == 5
    assert counter.n == 5
    result, (args, _) = carried(student.grow, [counter])
    assert (result, args[0][0].n) == (2, 5)


def test_returned_functions(student):
    """A function that was returned can be called, and passed on."""
    add = student.make_adder(3)
    assert type_name(add) == "function"
    assert add(4) == 7
    assert student.apply(add, 1) == 4


def test_module(student):
    """A module takes weights from the test and computes with them."""
    line = student.Line(3, 2)
    assert "Module" in base_names(line)
    weights = {
        "inner.weight": torch.arange(6.0).reshape(2, 3),
        "inner.bias": torch.ones(2),
        "scale": torch.tensor(2.0),
    }
    line.load_state_dict(weights)
    x = torch.tensor([[1.0, 2.0, 3.0]])
    assert torch.equal(line(x), 2 * (x @ weights["inner.weight"].T + 1))
    assert {name: tuple(p.shape) for name, p in line.named_parameters()} == {
        "scale": (),
        "inner.weight": (2, 3),
        "inner.bias": (2,),
    }
    parameters = list(line.parameters())
    assert all(type(p) is torch.nn.Parameter for p in parameters)
    assert line.inner.weight.requires_grad


def test_missing_attribute(student):
    """A missing attribute or method is the learner's error and names it."""
    with pytest.raises(StudentError, match=r"Counter\.jump raised AttributeError"):
        _ = student.Counter.jump


def test_handle_from_an_earlier_test(student, sitting):
    """A handle that an earlier test left behind is refused, as our fault, in any use."""
    counter = student.Counter(1)
    conversation(student).over = True
    sitting.begin(8)
    with pytest.raises(GraderError, match="earlier test"):
        counter.add()
    with pytest.raises(GraderError, match="earlier test"):
        Student(sitting).apply(counter)
    assert Student(sitting).Counter(2).n == 2


# --- gradients ---------------------------------------------------------------------------------------------


def test_backward_to_inputs(student):
    """backward gives the gradients of inputs, by place and by name, as autograd does."""
    x, y = torch.randn(3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    ones = torch.ones(3, dtype=torch.float64)
    outputs, grads, named = backward(student.square, x, y=y, cotangent=(ones, 2 * ones), wrt=(0, "y"))
    assert torch.equal(outputs[1], x * y)
    assert torch.allclose(grads[0], 2 * x + 2 * y)
    assert torch.allclose(grads["y"], 2 * x)
    assert (named, x.grad) == ({}, None)


def test_backward_to_parameters(student):
    """backward gives the gradients of a module's parameters by name, not summed over calls."""
    ours = torch.nn.Linear(3, 2)
    line = student.Line(3, 2)
    state = {f"inner.{name}": value for name, value in ours.state_dict().items()}
    line.load_state_dict({**state, "scale": torch.ones(())})
    x, cotangent = torch.randn(4, 3), torch.randn(4, 2)
    (ours(x) * cotangent).sum().backward()
    for _ in range(2):
        output, grads, named = backward(line, x, cotangent=cotangent, wrt=(0,), module=line)
    assert torch.allclose(output, ours(x))
    assert torch.allclose(named["inner.weight"], ours.weight.grad)
    assert torch.allclose(named["inner.bias"], ours.bias.grad)
    assert torch.allclose(grads[0], cotangent @ ours.weight)


def test_backward_without_a_graph(student):
    """An output that nothing can be backpropagated through is the learner's error."""
    with pytest.raises(StudentError, match="noise raised"):
        backward(student.noise, cotangent=torch.ones(()))


# --- callables of the test ---------------------------------------------------------------------------------


def test_callback(student):
    """A callable of the test is called here, with what the learner's code gives it."""
    log = []

    def model(prompt, *, temperature=1.0):
        log.append((prompt, temperature))
        return {"text": prompt[::-1]}

    assert student.apply(model, "abc", temperature=0.5) == {"text": "cba"}
    assert log == [("abc", 0.5)]


def test_callback_raises(student):
    """An exception of the test's callable arrives in the learner's code as the same builtin type."""

    def broken(_):
        raise ZeroDivisionError("by nothing")

    assert student.tolerant(broken) == "caught by nothing"
    with raises(ZeroDivisionError):
        student.apply(broken, 1)


def test_callback_raises_key_error(student):
    """A KeyError arrives with its key, and not with the quotes that its text puts around it."""

    def broken(_):
        raise KeyError("x")

    assert student.tolerant(broken) == "caught 'x'"


def test_callback_that_asks(student):
    """A callable of the test may use the learner's objects while it is called by them."""

    def outer(inner):
        assert isinstance(inner, Remote)
        return inner(10) + student.apply(lambda x: x * 2, inner(1))

    assert student.twice(outer) == 15
    assert student.scaled(2) == 4, "and the conversation goes on in order"


def test_callback_of_what_was_not_given(student):
    """Calls go to what the test gave, in nested data too."""
    assert student.apply(lambda f: f, student.make_adder(1))(2) == 3
    assert student.apply(lambda d: sorted(d), {"b": 1, "a": 2}) == ["a", "b"]


@pytest.mark.parametrize("caller", ["apply", "guarded"])
def test_callback_at_fault(student, caller):
    """A callable of the test that returns what is no data is our fault, also where the learner's code hides it."""
    with pytest.raises(GraderError, match="the test's own: a slice"):
        getattr(student, caller)(lambda _: slice(1), 1)


def test_what_a_test_can_not_send(student):
    """An argument that is no data is our fault, and says what it is."""
    with pytest.raises(GraderError, match="a slice"):
        student.scaled(slice(1))


# --- errors ------------------------------------------------------------------------------------------------


def test_exception(student):
    """An exception carries its type, its message and the learner's own lines."""
    with pytest.raises(StudentError) as caught:
        student.fails("value")
    assert str(caught.value).startswith("fails raised ValueError: no such thing\n  line ")
    assert caught.value.kinds[0] == "ValueError"
    assert not caught.value.stopped


def test_raises(student):
    """raises passes on the type and its subclasses, and says what came in their place."""
    with raises(ValueError):
        student.fails("value")
    with raises(ValueError):
        student.fails("own")
    with raises(Exception):
        student.fails("own")
    with pytest.raises(AssertionError, match="should raise TypeError, raised ValueError"), raises(TypeError):
        student.fails("value")
    with (
        pytest.raises(AssertionError, match="should raise ValueError, and raised nothing"),
        raises(ValueError),
    ):
        student.fails("nothing")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("exit", "SystemExit: 3"),
        ("mute", "Mute"),
        ("deep", "RecursionError: maximum recursion depth"),
        ("todo", "not written yet"),
    ],
)
def test_odd_exceptions(student, kind, says):
    """Leaving, an exception that can't be printed, and endless recursion are the learner's errors."""
    with pytest.raises(StudentError, match=says):
        student.fails(kind)
    assert student.scaled(1) == 2


def test_missing_name(student):
    """A name that is not there says so."""
    with pytest.raises(StudentError, match="soft_max is not defined: keep its name"):
        student.soft_max([1])


def test_interrupt_in_a_room(room):
    """KeyboardInterrupt in a room is the learner's: nobody is at a keyboard there."""
    room.begin(1)
    with pytest.raises(StudentError, match="KeyboardInterrupt"):
        Student(room).fails("interrupt")


def test_interrupt_in_a_notebook(live):
    """KeyboardInterrupt in a notebook passes through: somebody pressed the button."""
    live.begin(1)
    with pytest.raises(KeyboardInterrupt), globals_kept():
        Student(live).fails("interrupt")


@pytest.mark.parametrize(("name", "says"), [("looped", "itself"), ("sparse", "sparse")])
def test_unsendable(student, name, says):
    """A result that is no data says what it is, and does not count as an exception that a test asks for."""
    with (
        pytest.raises(StudentError, match=f"{name} returned what can't be graded.*{says}"),
        raises(Exception),
    ):
        getattr(student, name)()


def test_always_equal(student):
    """An object that is equal to everything arrives as a handle that is equal to nothing but itself."""
    liar = student.Always()
    assert type_name(liar) == "Always"
    assert liar != 1
    assert liar not in (None, "right", 0.5)


def test_endless_iterator(student):
    """An iterator without an end is cut off."""
    with pytest.raises(StudentError, match="gave more than"):
        list(student.endless())


# --- randomness --------------------------------------------------------------------------------------------


def test_seeded(student, sitting):
    """The same seed gives the learner's code the same random numbers, another seed others."""
    first = student.noise()
    sitting.begin(7)
    again = Student(sitting).noise()
    sitting.begin(8)
    assert first == again != Student(sitting).noise()


def test_globals_kept(live):
    """After a check in a notebook the random states, the grad mode and the default dtype are as before."""
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    expected = random.random(), np.random.rand(), torch.rand(())
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    with globals_kept():
        live.begin(1)
        Student(live).spoil()
    assert (random.random(), np.random.rand(), torch.rand(())) == expected
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32
    Student(live).mend()  # for the tests to come


def test_torch_states_are_the_learners_own(student):
    """What the learner's code does to torch's random numbers, grad mode and dtype stays on its side."""
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    student.spoil()
    assert torch.equal(torch.rand(4), expected)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32
    student.mend()  # for the tests to come


def test_same_random_numbers_over_both(room, live):
    """From the same seed the learner's code draws the same numbers in a room and over live objects."""
    drawn = []
    with globals_kept():
        for sitting in (room, live):
            sitting.begin(7)
            torch.manual_seed(3)  # the test's own, which must not matter
            drawn.append(Student(sitting).noise())
    assert drawn[0] == drawn[1]


# --- hidden tests over both --------------------------------------------------------------------------------

HIDDEN = '''
import numpy as np
import pytest

kept = []

@pytest.mark.points(1)
def test_first(student, close):
    """makes a counter"""
    kept.append(student.Counter(1))
    assert kept[0].n == 1

@pytest.mark.points(1)
def test_second(student):
    """uses the first one's"""
    assert kept[0].n == 1

@pytest.mark.points(1)
def test_constant(student, close):
    """has the right constant"""
    close(student.constant, 2.5)

@pytest.mark.points(2)
def test_scaled(student, rng, close, carried, backward, raises):
    """scales"""
    x = rng.normal(size=3)
    close(student.scaled(x), 2 * x)
    with raises(ValueError):
        student.fails("value")
'''


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[[str], Question]:
    """Makes a question that is only its hidden tests."""

    def tiny(tests: str) -> Question:
        question = Question(tmp_path, "topic", "tiny", "Tiny", 1, 1)
        question.folder.mkdir(parents=True)
        question.tests.write_text(tests, encoding="utf-8")
        return question

    return tiny


def test_hidden_tests(sitting, tiny):
    """Hidden tests give the same verdicts over both; a handle kept between two of them is our fault."""
    found = []
    examine(tiny(HIDDEN), [Turn(sitting, 5)], found.append)
    outcomes = {v.test: v.outcome for v in found[0].verdicts}
    assert outcomes == {
        "test_first": Outcome.PASSED,
        "test_second": Outcome.BROKEN,
        "test_constant": Outcome.FAILED,
        "test_scaled": Outcome.PASSED,
    }
    assert "earlier test" in found[0].flags[0]


def test_constants_are_seen(sitting, tiny):
    """What a name holds is kept for recognising mistakes, and that it holds a function is not."""
    found = []
    examine(tiny(HIDDEN), [Turn(sitting, 5)], found.append)
    seen = found[0].seen
    assert seen["test_constant"].answers == [1.5]
    assert len(seen["test_scaled"].answers) == 2


MISSING = """
import pytest
import torch

@pytest.mark.points(1)
def test_gradient(student, close, backward):
    \"\"\"a gradient for y\"\"\"
    x, y = torch.ones(3), torch.ones(3)
    _, grads, _ = backward(student.square, x, y=y, cotangent=(torch.ones(3),), wrt=(0, "y"))
    close(grads[0], 2 * x, what="the gradient for x")
    close(grads["y"], x, what="the gradient for y")

@pytest.mark.points(1)
def test_value(student, close):
    \"\"\"a value\"\"\"
    close(student.quiet(1.0), 1.0, what="quiet")
"""


def test_what_is_missing_is_named(sitting, tiny):
    """A gradient that did not arrive is told as that, and a function without a `return` as that."""
    found = []
    examine(tiny(MISSING), [Turn(sitting, 5)], found.append)
    gradient, value = (v.message for v in found[0].verdicts)
    assert gradient.startswith("the gradient for y: no gradient arrived; is the graph cut")
    assert value == "quiet: returned None; return a number (is a `return` missing?)"


def test_handles_are_remembered_as_such(room, live, tiny):
    """Of handles in an answer nothing is kept but their places, so that other names of a class are alike."""
    question = tiny("""
import pytest

@pytest.mark.points(1)
def test_counters(student):
    \"\"\"gives counters\"\"\"
    student.counters()
""")
    found = []
    with globals_kept():
        examine(question, [Turn(room, 5), Turn(live, 5)], found.append)
    expected = [[("handle",), (("handle",), 2)]]
    assert [f.seen["test_counters"].answers for f in found] == [expected, expected]


def test_same_inputs_over_both(room, live, tiny):
    """The inputs that a hidden test draws depend on the seed alone, not on how it is run."""
    found = []
    with globals_kept():
        examine(tiny(HIDDEN), [Turn(room, 5), Turn(live, 5), Turn(live, 6)], found.append)
    over_room, over_live, other = (f.seen["test_scaled"].answers[0].tolist() for f in found)
    assert over_room == over_live != other


ON_A_GPU = '''
import pytest

@pytest.mark.points(1)
@pytest.mark.part("cuda")
def test_gpu(student, close):
    """has a constant on a GPU"""
    close(student.constant, 1.5)
'''


@pytest.mark.parametrize(
    ("gpu", "interprets", "over_live"),
    [
        (False, False, "needs a CUDA GPU: not run here"),
        (True, True, "needs a CUDA GPU, and here Triton interprets its kernels on the CPU: not run here"),
        (True, False, ""),
    ],
)
def test_a_part_for_a_gpu(room, live, tiny, monkeypatch, gpu, interprets, over_live):
    """Tests of the part "cuda" run over live objects beside a GPU, and never in a room: there they stay open."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setenv("TRITON_INTERPRET", "1" if interprets else "0")
    found = []
    with globals_kept():
        examine(tiny(ON_A_GPU), [Turn(room, 5), Turn(live, 5)], found.append)
    in_room, here = (f.verdicts[0] for f in found)
    assert (in_room.outcome, in_room.message) == (
        Outcome.NOT_RUN,
        "needs a CUDA GPU, and the room opens none: not run here",
    )
    assert (here.outcome, here.message) == (Outcome.NOT_RUN if over_live else Outcome.PASSED, over_live)
