"""Watches a forward pass for the largest tensor that it makes, and changes a weight behind a layer's back."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Largest(TorchDispatchMode):
    """How many entries the largest new tensor has; a view of an old one is not new."""

    def __init__(self):
        super().__init__()
        self.entries = 0
        self.known = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.known |= {x.untyped_storage().data_ptr() for x in tensors((args, kwargs))}
        result = operation(*args, **(kwargs or {}))
        new = [x for x in tensors(result) if x.untyped_storage().data_ptr() not in self.known]
        self.entries = max([self.entries, *(x.numel() for x in new)])
        return result


def tensors(tree):
    """The tensors in nested data."""
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]


def largest(module, x):
    """Call a module without gradients; its output, and the entries of the largest tensor that it made."""
    watch = Largest()
    with torch.no_grad(), watch:
        output = module(x)
    return output, watch.entries


def overwritten(build, weight, r, alpha, x):
    """The output of a layer after the tensor that it was made from has been set to zero."""
    module = build(weight, r, alpha)
    weight.zero_()
    return module(x)
