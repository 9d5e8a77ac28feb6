"""Watches a forward pass: which ready-made attention ran, and into which other precisions its tensors went.

It watches functions and not operations, because these name what the learner called.
"""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

READY_MADE = ("scaled_dot_product", "multi_head_attention", "flex_attention", "transformer_encoder_layer")
FRESH = ("_like", "new_")  # these take a tensor for its shape alone


class Calls(TorchFunctionMode):
    """Ready-made attention that was called, and dtypes that came out where a tensor of the given one went in."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype
        self.ready_made, self.precisions = set(), set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        self.ready_made |= {word for word in READY_MADE if word in name}
        result = function(*args, **kwargs)
        # A tensor of no dimensions is a constant, such as the scale.
        given = any(x.dtype == self.dtype and x.ndim for x in tensors((args, kwargs)))
        if given and not any(word in name for word in FRESH):
            made = {x.dtype for x in tensors(result) if x.is_floating_point()}
            self.precisions |= {str(dtype).removeprefix("torch.") for dtype in made - {self.dtype}}
        return result


def tensors(tree):
    """The tensors in nested data."""
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]


def watched(module, query, *args, **kwargs):
    """Call a module; its output, the ready-made attention that ran, the precisions other than the query's."""
    calls = Calls(query.dtype)
    with calls:
        output = module(query, *args, **kwargs)
    return output, sorted(calls.ready_made), sorted(calls.precisions)
