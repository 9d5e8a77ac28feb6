"""The learner's end of the wire: carries out verbs on live objects, in the room or in a notebook's kernel."""

from __future__ import annotations

import builtins
import random
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from autograde.wire import Tree, WireError

Callback = Callable[[int, tuple[Any, ...], dict[str, Any]], Any]

MAX_ITEMS = 100_000
MAX_MESSAGE = 2000


class Endpoint:
    """Verbs on the objects of one namespace.

    Args:
        namespace: where the learner's names live.
        callback: runs a callable that stayed with the grader, by its number.
        interrupts: KeyboardInterrupt is somebody at the keyboard and passes through; in a room nobody is.
    """

    def __init__(self, namespace: dict[str, Any], callback: Callback, *, interrupts: bool = False) -> None:
        self.namespace = namespace
        self.callback = callback
        self.interrupts = interrupts
        self._objects: dict[int, object] = {}
        self._numbers: dict[int, int] = {}
        self._last = 0  # numbers are never used again, so that an old one can't mean another object

    # --- references ---

    def export(self, value: object) -> Tree:
        """The reference by which an object that is not data crosses."""
        number = self._numbers.get(id(value))
        if number is None:
            self._last = number = self._last + 1
            self._objects[number] = value  # kept alive, so that its id() stays its own
            self._numbers[id(value)] = number
        return ["h", number, _name(type(value))[:100], callable(value), _bases(value)]

    def resolve(self, tree: Tree) -> object:
        """The object that a reference means; a stub that calls back for a grader's callable."""
        kind, number = tree[0], tree[1]
        if kind == "h":
            if number not in self._objects:
                raise WireError("a handle from an earlier test, or a forged one")
            return self._objects[number]

        def callback(*args: Any, **kwargs: Any) -> Any:
            return self.callback(number, args, kwargs)

        return callback

    # --- verbs ---

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request; what the learner's code raises becomes part of the answer."""
        verb = getattr(self, "do_" + request.pop("verb"))
        try:
            return {"value": verb(**request)}
        except BaseException as error:
            if self.interrupts and isinstance(error, KeyboardInterrupt):
                raise
            return {"error": described(error)}

    def do_get(self, name: str) -> Any:
        """The value of a name that the learner's cells made."""
        if name not in self.namespace:
            raise NameError(f"{name} is not defined: keep its name, and run the cell that defines it")
        return self.namespace[name]

    def do_attribute(self, target: Any, name: str) -> Any:
        """An attribute of an object."""
        return getattr(target, name)

    def do_assign(self, target: Any, name: str, value: Any) -> None:
        """Set an attribute of an object."""
        setattr(target, name, value)

    def do_call(
        self,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        back: bool = False,
        method: str | None = None,
    ) -> Any:
        """Call something, or a method of it; with `back`, also the arguments as the call left them."""
        result = (target if method is None else getattr(target, method))(*args, **kwargs)
        return (result, args, kwargs) if back else result

    def do_backward(
        self,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        cotangent: Any,
        wrt: list[int | str],
        module: Any = None,
    ) -> Any:
        """Call, backpropagate the cotangent: outputs, gradients of inputs by place, of parameters by name."""
        inputs = {key: args[key] if isinstance(key, int) else kwargs[key] for key in wrt}
        for tensor in inputs.values():
            tensor.requires_grad_()
        if module is not None:
            module.zero_grad(set_to_none=True)
        output = target(*args, **kwargs)
        outputs = output if isinstance(output, tuple) else (output,)
        cotangents = cotangent if isinstance(cotangent, tuple) else (cotangent,)
        torch.autograd.backward(list(outputs[: len(cotangents)]), list(cotangents))
        grads = {key: tensor.grad for key, tensor in inputs.items()}
        named = {} if module is None else {name: p.grad for name, p in module.named_parameters()}
        return output, grads, named

    def do_items(self, target: Any) -> list[Any]:
        """The items of an iterable."""
        items = []
        for item in target:
            items.append(item)
            if len(items) > MAX_ITEMS:
                raise OverflowError(f"gave more than {MAX_ITEMS} items")
        return items

    def do_length(self, target: Any) -> int:
        """The length of a container."""
        return len(target)

    def do_item(self, target: Any, key: Any) -> Any:
        """One item of a container."""
        return target[key]

    def do_load(self, source: str, name: str) -> Any:
        """Run code of ours in a namespace of its own, and refer to that."""
        space: dict[str, Any] = {"__name__": name}
        exec(compile(source, f"<{name}>", "exec"), space)  # noqa: S102  our own apparatus
        return _Space(space)

    def do_begin(self, seed: int) -> None:
        """Drop all references, and reset every global random number generator."""
        self._objects.clear()
        self._numbers.clear()
        random.seed(seed)
        np.random.seed(seed % 2**32)
        seed_torch(seed)


def seed_torch(seed: int) -> None:
    """torch.manual_seed, where a GPU is in use; without one its own takes 2 ms, to remember the call's stack."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


class _Space:
    """The names of a piece of code, as attributes."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.__dict__.update(names)


def described(error: BaseException) -> dict[str, Any]:
    """An exception as data: its builtin type names, its message, the learner's own lines of the traceback."""
    kinds = [_name(kind) for kind in _mro(type(error)) if _BUILTIN.get(_name(kind)) is kind]
    try:
        message = str(error)
    except BaseException as nested:  # noqa: BLE001  a learner's __str__ may raise anything
        message = f"({type(nested).__name__} in its __str__)"
    lines = []
    try:
        for frame in traceback.extract_tb(_traceback(error))[-200:]:
            if (
                "ipython-input" in frame.filename
                or "ipykernel_" in frame.filename
                or "<cell" in frame.filename
            ):
                lines.append(f"line {frame.lineno} in {frame.name}: {(frame.line or '').strip()}"[:300])
    except Exception:  # noqa: BLE001  a forged traceback
        lines = []
    return {
        "type": _name(type(error))[:100],
        "kinds": kinds,
        "message": message[:MAX_MESSAGE],
        "lines": lines[-5:],
        "unsendable": isinstance(error, WireError),
    }


def rebuilt(raised: dict[str, str]) -> Exception:
    """The exception that a grader's callable raised, by the name of its builtin type."""
    kind = getattr(builtins, raised["type"], RuntimeError)
    is_exception = isinstance(kind, type) and issubclass(kind, Exception)
    return (kind if is_exception else RuntimeError)(raised["message"])


# What a class or an error really says of itself, whatever its own attributes of these names say.
_name, _mro = (type.__dict__[name].__get__ for name in ("__name__", "__mro__"))
_traceback = BaseException.__dict__["__traceback__"].__get__
_BUILTIN = {name: kind for name, kind in vars(builtins).items() if isinstance(kind, type)}


def _bases(value: object) -> list[str]:
    kind = value if issubclass(type(value), type) else type(value)
    return [_name(base)[:100] for base in _mro(kind)[:20]]
