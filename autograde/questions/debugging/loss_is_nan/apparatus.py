"""Builds small networks and runs from numbers, and shows them to the learner's code.

What goes wrong follows from the numbers; which of them are wrong, and what that is called, is not here.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

# Modules hold a number in place of their function, so that what they compute is not read off them.
KEPT = {}


class Part(nn.Module):
    """A module that computes a function."""

    def __init__(self, function, mask=None, weight=None):
        super().__init__()
        self._at = id(function)
        KEPT[self._at] = function
        if mask is not None:
            self.register_buffer("mask", mask)
        self.weight = None if weight is None else nn.Parameter(weight)

    def forward(self, x):
        """The function of x, and of the weight where there is one."""
        given = (x.float(),) if self.weight is None else (x.float(), self.weight)
        return KEPT[self._at](*given)


class Run:
    """Training with the mean squared error and plain gradient descent."""

    def __init__(self, model, x, y, lr):
        self.model, self.x, self.y = model, x, y
        self._optimizer = torch.optim.SGD(model.parameters(), lr=lr)

    def loss(self):
        """The loss of the whole batch."""
        return F.mse_loss(self.model(self.x).float(), self.y)

    def step(self):
        """One step; the loss before it."""
        self._optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        self._optimizer.step()
        return loss.item()


def linear(weight, bias):
    """A layer with this weight and bias."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


def wide(weight):
    """A layer whose result is in half precision."""
    return Part(lambda x, w: F.linear(x, w).half(), weight=weight)


def centred(eps):
    """Rows of mean 0 and variance 1."""

    def function(x):
        x = x - x.mean(-1, keepdim=True)
        return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()

    return Part(function)


def attending(mask, way):
    """Rows mixed by how much they are alike."""

    def function(x):
        scores = x @ x.T / math.sqrt(x.shape[1])
        if way == 0:
            scores = scores.masked_fill(~mask, -math.inf)
        elif way in (1, 3):
            scores = scores + (~mask).float() * -math.inf
        else:
            scores = scores - 1e9 * (~mask).float()
        weights = scores.softmax(-1)
        if way == 3:
            weights = torch.where(mask.any(-1, keepdim=True), weights, 0.0)
        return weights @ x

    return Part(function, mask)


def shares(scale):
    """Positive numbers of sum 1 in each row."""

    def function(x):
        e = (scale * (x - x.min(-1, keepdim=True).values)).exp()
        return e / e.sum(-1, keepdim=True)

    return Part(function)


def joined(eps):
    """Each row and its length."""
    return Part(lambda x: x + (x.square().sum(-1, keepdim=True) + eps).sqrt())


MAKES = {
    "a": linear,
    "b": lambda: Part(torch.tanh),
    "c": wide,
    "d": lambda rows: Part(lambda x: x * rows[:, None]),
    "e": centred,
    "f": attending,
    "g": shares,
    "h": lambda scale: Part(lambda x: (scale * x).softmax(-1)),
    "i": lambda eps: Part(lambda x: (x + eps).log()),
    "j": joined,
    "k": lambda: Part(torch.nan_to_num),
}


def net(blocks):
    """A network of blocks of modules, from numbers."""
    return nn.Sequential(
        *(nn.Sequential(*(MAKES[kind](*numbers) for kind, *numbers in block)) for block in blocks)
    )


def located(first_bad, cases):
    """What the learner's function says of each network, how many hooks it leaves, how many tensors it changes."""
    answers, left, changed = [], 0, 0
    for blocks, x in cases:
        model = net(blocks)
        held = [x, *model.state_dict().values()]
        before = [tensor.clone() for tensor in held]
        answers.append(first_bad(model, x))
        changed += sum(
            not torch.equal(a.detach().nan_to_num(7.5), b.nan_to_num(7.5))
            for a, b in zip(held, before, strict=True)
        )
        for module in model.modules():
            left += len(module._forward_hooks) + len(module._forward_pre_hooks)
            left += len(module._backward_hooks) + len(module._backward_pre_hooks)
    return answers, left, changed


def asked(diagnose, cases):
    """What the learner's function says of each run."""
    return [diagnose(Run(net(blocks), x, y, lr)) for blocks, x, y, lr in cases]
