"""Watches a forward pass: which library attention ran, and into which other precisions its tensors were copied."""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

LIBRARY = ("scaled_dot_product", "multi_head_attention", "flex_attention", "efficient_attention")
FRESH = ("_like", "new_")  # these take a tensor for its shape alone


class Calls(TorchFunctionMode):
    """Names of the functions of torch that were called and compute attention."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        self.found |= {word for word in LIBRARY if word in name}
        return function(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    """The same below Python, with the precisions into which an operation took a tensor of the given one."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype
        self.found, self.other = set(), set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = operation(*args, **kwargs)
        name = operation.name()
        self.found |= {word for word in LIBRARY if word in name}
        given = any(x.dtype == self.dtype and x.ndim for x in tensors((args, kwargs)))
        if given and not any(word in name for word in FRESH):
            made = {x.dtype for x in tensors(result) if x.is_floating_point()}
            self.other |= {str(dtype).removeprefix("torch.") for dtype in made - {self.dtype}}
        return result


def tensors(tree):
    """The tensors in nested data."""
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]


def watched(module, query, *args, **kwargs):
    """Call a module; its output, the library attention that ran, the precisions other than the query's."""
    calls, operations = Calls(), Operations(query.dtype)
    with calls, operations:
        output = module(query, *args, **kwargs)
    return output, sorted(calls.found | operations.found), sorted(operations.other)
