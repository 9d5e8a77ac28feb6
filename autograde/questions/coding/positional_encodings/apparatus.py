"""Sets the weight of a module, and looks at what it registers: under which name, and how, is the learner's choice."""

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


def is_weight_trained(module):
    """Whether an optimizer that is given module.parameters() changes module.weight."""
    return any(parameter is module.weight for parameter in module.parameters())


def registered(module, x):
    """What a module registers, and whether that is what it works with.

    Returns:
        The number of parameters and of buffers, whether a buffer requires a gradient, and whether the output for x
        changes while the numbers in the buffers are zeroed.
    """
    buffers = list(module.buffers())
    requires_grad = any(buffer.requires_grad for buffer in buffers)
    with torch.no_grad():
        before = module(x).clone()
        held = [(b, b.clone()) for b in buffers if b.is_floating_point() or b.is_complex()]
        for buffer, _ in held:
            buffer.zero_()
        is_used = not torch.equal(module(x), before)
        for buffer, values in held:
            buffer.copy_(values)
    return len(list(module.parameters())), len(buffers), requires_grad, is_used
