"""Sets the weight of a module, and counts what it registers: under which name, and how, is the learner's choice."""

from __future__ import annotations

import torch


def filled(module, values):
    """Copy values into module.weight, in place, if it is a tensor of that shape.

    Returns:
        The shape of the weight, None if it is no tensor.
    """
    weight = module.weight
    if not isinstance(weight, torch.Tensor):
        return None
    if weight.shape == values.shape:
        with torch.no_grad():
            weight.copy_(values)
    return tuple(weight.shape)


def registered(module):
    """How many parameters a module has, and how many buffers."""
    return len(list(module.parameters())), len(list(module.buffers()))
