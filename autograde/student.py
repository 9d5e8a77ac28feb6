"""What hidden tests talk to: a learner's names, over a room or over live objects, the same."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from autograde import wire
from autograde.errors import GraderError, NoLength, StudentError, student_error


class Link(Protocol):
    """A way to the learner's objects."""

    def request(self, message: dict[str, Any], asker: wire.Asker, doing: str) -> dict[str, Any]:
        """Carry out one request; an answer has "value" or "error". StudentError after a stop."""


@dataclass
class Observation:
    """What one test saw of the learner's code.

    Attributes:
        answers: each answer, in order, for recognising mistakes.
        gradients: each gradient among them, None where none arrived.
        names: the learner's names that it took.
        rtol, atol: the loosest tolerances that its comparisons named.
    """

    answers: list[Any] = field(default_factory=list)
    gradients: list[Any] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    rtol: float = 1e-5
    atol: float = 1e-8


MAX_DEPTH = 32  # of the learner's calls within the test's functions within the learner's calls
_RECURSION = ("RecursionError", "RuntimeError", "Exception")
_SILENT = ("load",)  # verbs of ours, whose answers say nothing of the learner


class Student:
    """A learner's names as attributes; calls are calls in their process.

    Args:
        link: over which requests travel.
    """

    def __init__(self, link: Link) -> None:
        object.__setattr__(self, "_wire", _Conversation(link))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        talk = conversation(self)
        talk.seen.names.add(name)
        if name not in talk.objects:
            value = talk.ask({"verb": "get", "name": name}, name)
            if not isinstance(value, Remote):
                return value  # data may be another the next time
            talk.objects[name] = value
        return talk.objects[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise GraderError(f"student.{name} can't be set: the learner's names are their own")


class Remote:
    """A handle: an object that stays in the learner's process. Its uses are requests."""

    def __init__(self, conversation: _Conversation, tree: wire.Tree, label: str) -> None:
        object.__setattr__(self, "_wire", conversation)
        object.__setattr__(self, "_tree", tree)
        object.__setattr__(self, "_label", label)

    def _ask(self, verb: str, doing: str = "", **fields: Any) -> Any:
        label = doing or label_of(self)
        return conversation(self).ask({"verb": verb, "target": self, **fields}, label)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in the learner's process."""
        return self._ask("call", _call_of(self, args), args=args, kwargs=kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__class__":
            raise AttributeError(name)
        talk, label = conversation(self), f"{label_of(self)}.{name}"
        kind = (*base_names(self), name)
        if kind in talk.methods:
            talk.seen.answers.append(("handle",))
            return Method(self, name)
        value = self._ask("attribute", label, name=name)
        if type(value) is Remote and type_name(value) == "method":
            talk.methods.add(kind)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        self._ask("assign", f"{label_of(self)}.{name}", name=name, value=value)

    def __len__(self) -> int:
        try:
            length = self._ask("length", f"len({label_of(self)})")
        except StudentError as error:
            if "TypeError" in error.kinds:
                raise NoLength(str(error), error.kinds) from None
            raise
        if type(length) is not int or not 0 <= length < 2**63:
            raise StudentError(f"len({label_of(self)}) is no length")
        return length

    def __iter__(self) -> Iterator[Any]:
        items = self._ask("items")
        return iter(items if isinstance(items, list) else [])

    def __getitem__(self, key: Any) -> Any:
        return self._ask("item", key=key)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type_name(self)} of the learner>"


class Method(Remote):
    """A method that another object of the same class was seen to have: asked for with its call, in one request."""

    def __init__(self, owner: Remote, name: str) -> None:
        object.__setattr__(self, "_wire", conversation(owner))
        object.__setattr__(self, "_owner", owner)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_label", f"{label_of(owner)}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in the learner's process."""
        owner, name = (object.__getattribute__(self, field) for field in ("_owner", "_name"))
        return owner._ask("call", label_of(self), args=args, kwargs=kwargs, method=name)


class _Conversation:
    """Requests and answers of one test over a link, with what it saw recorded."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.seen = Observation()
        self.over = False
        self.objects: dict[str, Remote] = {}  # what names meant when they were asked for
        self.methods: set[tuple[str, ...]] = set()  # a class and its bases, with the name of a method
        self._fault: GraderError | None = None
        self._callables: list[Callable[..., Any]] = []
        self._label = ""
        self._depth = 0

    def ask(self, message: dict[str, Any], doing: str) -> Any:
        """The value of an answer; StudentError with the learner's own message where there is none."""
        if self.over:
            raise GraderError(f"{doing} is a handle from an earlier test: get it from `student` in each test")
        if self._depth >= MAX_DEPTH:
            raise StudentError(f"{doing} and a function of the test call each other without end", _RECURSION)
        self._label = doing
        self._depth += 1
        try:
            answer = self.link.request(message, self, doing)
            if self._fault is not None:
                raise self._fault
        except StudentError as error:
            self.seen.answers.append(("raised", error.kinds[0] if error.kinds else "stopped"))
            raise
        except wire.WireError as error:
            raise GraderError(f"a test sends what is no data: {error}") from None
        finally:
            self._depth -= 1
        if "error" in answer:
            raised = student_error(answer["error"], doing)
            self.seen.answers.append(("raised", raised.kinds[0] if raised.kinds else ""))
            raise raised
        value = answer["value"]
        # Of a name, only data tells how the learner's code behaves.
        if message["verb"] not in _SILENT and not (message["verb"] == "get" and isinstance(value, Remote)):
            self.seen.answers.append(_kept(value))
        return value

    def export(self, value: object) -> wire.Tree:
        """The reference of a handle, or the number by which a callable of ours is called back."""
        if isinstance(value, Remote):
            if conversation(value) is not self:
                raise wire.WireError("a handle from an earlier test")
            return _tree(value)[:2]
        if callable(value):
            self._callables.append(value)
            return ["f", len(self._callables) - 1]
        raise wire.WireError(f"a {type(value).__name__}")

    def resolve(self, tree: wire.Tree) -> Remote:
        """The handle that a reference means."""
        kind, number, name, is_callable, bases = tree
        if kind != "h" or type(number) is not int or not isinstance(name, str) or not isinstance(bases, list):
            raise wire.WireError("not a reference")
        return Remote(
            self, ["h", number, name, bool(is_callable), [str(b) for b in bases]], self._label or name
        )

    def callback(self, call: dict[str, Any]) -> dict[str, Any]:
        """Run a callable of ours for the learner's code."""
        try:
            function = self._callables[operator.index(call["callback"])]
            args, kwargs = tuple(call["args"]), dict(call["kwargs"])
        except (KeyError, TypeError, IndexError, ValueError):
            raise wire.WireError("a call of what was not given") from None
        try:
            returned = function(*args, **kwargs)
            wire.pack(returned, self.export)
            return {"returned": returned}
        except (GraderError, wire.WireError) as error:
            # Ours, whatever the learner's code makes of it: told when that has come back.
            self._fault = GraderError(f"a function of the test's own: {error}")
            return {"raised": {"type": "RuntimeError", "message": "the test's own function failed"}}
        except StudentError as error:
            return {"raised": {"type": (*error.kinds, "RuntimeError")[0], "message": str(error)}}
        except Exception as error:  # noqa: BLE001  a scripted tool may raise what it likes: it is the learner's to catch
            # The text of a KeyError is that of its key in quotes.
            message = error.args[0] if isinstance(error, KeyError) and len(error.args) == 1 else error
            return {"raised": {"type": type(error).__name__, "message": str(message)}}


def conversation(proxy: Student | Remote) -> _Conversation:
    """The conversation behind a proxy."""
    found: _Conversation = object.__getattribute__(proxy, "_wire")
    return found


def label_of(value: Remote) -> str:
    """What a handle is called in messages: where the test got it from."""
    label: str = object.__getattribute__(value, "_label")
    return label


def type_name(value: object) -> str:
    """The name of a value's type, of a handle's too."""
    if isinstance(value, Remote):
        return str(_tree(value)[2])
    return type(value).__name__


def _call_of(target: Remote, args: tuple[Any, ...] = ()) -> str:
    """What the learner calls it: the forward of a module, and of our apparatus what it is given to call."""
    label = label_of(target)
    if label.startswith("apparatus") and args and isinstance(args[0], Remote):
        return _call_of(args[0])
    name, *bases = base_names(target) or [""]
    return f"{label}.forward" if name == type_name(target) and "Module" in bases else label


def _kept(value: Any) -> Any:
    """An answer to remember: of a handle only that it is one, for what a class is called is the learner's choice."""
    if isinstance(value, Remote):
        return ("handle",)
    if type(value) in (list, tuple):
        return type(value)(map(_kept, value))
    return value


def base_names(value: Remote) -> list[str]:
    """Names of a handle's type and its bases, most specific first."""
    return list(_tree(value)[4])


def _tree(value: Remote) -> wire.Tree:
    """The reference by which a handle crosses."""
    if isinstance(value, Method):
        owner, name, label = (
            object.__getattribute__(value, field) for field in ("_owner", "_name", "_label")
        )
        talk = conversation(value)
        found = talk.link.request({"verb": "attribute", "target": owner, "name": name}, talk, label).get(
            "value"
        )
        if not isinstance(found, Remote):
            raise StudentError(f"{label} is no longer a method")
        value = found
    return object.__getattribute__(value, "_tree")


def carried(target: Remote, *args: Any, **kwargs: Any) -> tuple[Any, tuple[tuple[Any, ...], dict[str, Any]]]:
    """Call, and return the result with the arguments as the call left them: `result, (args, kwargs)`."""
    _callable(target)
    answer = target._ask("call", _call_of(target), args=args, kwargs=kwargs, back=True)
    if not isinstance(answer, tuple) or len(answer) != 3:
        raise StudentError("the call's answer was not its own")
    return answer[0], (answer[1], answer[2])


def backward(
    target: Remote,
    *args: Any,
    cotangent: Any,
    wrt: tuple[int | str, ...] = (),
    module: Remote | None = None,
    **kwargs: Any,
) -> tuple[Any, dict[int | str, Any], dict[str, Any]]:
    """Call, backpropagate a cotangent, return the outputs with the gradients.

    Args:
        target: what to call.
        args, kwargs: its arguments.
        cotangent: gradient of the loss for the output; a tuple for several outputs.
        wrt: places (int) or names of the tensor arguments to differentiate for.
        module: whose parameters' gradients to return, by their names.

    Returns:
        The outputs, the arguments' gradients by place or name, the parameters' by name.
    """
    _callable(target)
    answer = target._ask(
        "backward",
        _call_of(target),
        args=args,
        kwargs=kwargs,
        cotangent=cotangent,
        wrt=list(wrt),
        module=module,
    )
    if not isinstance(answer, tuple) or [type(part) for part in answer[1:]] != [dict, dict]:
        raise StudentError("the call's answer was not its own")
    output, grads, named = answer
    conversation(target).seen.gradients += [*grads.values(), *named.values()]
    return output, grads, named


@contextmanager
def raises(kind: type[BaseException]) -> Iterator[None]:
    """Passes where the learner's code raises `kind`; AssertionError where it returns or raises another."""
    try:
        yield
    except StudentError as error:
        if error.stopped or not error.kinds:
            raise
        if kind.__name__ not in error.kinds:
            raise AssertionError(f"should raise {kind.__name__}, raised {error.kinds[0]}") from None
    else:
        raise AssertionError(f"should raise {kind.__name__}, and raised nothing")


def _callable(target: object) -> None:
    if not isinstance(target, Remote):
        raise StudentError(f"expected something to call, found a {type(target).__name__}")
