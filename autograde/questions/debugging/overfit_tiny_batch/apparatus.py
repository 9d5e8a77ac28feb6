"""Builds small training runs from numbers, and shows them to the learner's code.

What goes wrong in a run follows from its numbers; which of them are wrong, and what that is called, is not here.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    """Linear layers with tanh between them."""

    def __init__(self, weights, biases, ways, out):
        super().__init__()
        self.layers = nn.ModuleList(linear(w, b) for w, b in zip(weights, biases, strict=True))

        def between(i, h):
            return (h, h.detach())[ways[i]]

        self._between, self._out = between, out

    def forward(self, x):
        """What the loss is made of, a row for each example."""
        for i, layer in enumerate(self.layers):
            x = layer(x if i == 0 else torch.tanh(x))
            x = self._between(i, x)
        return self._out(x)


class Run:
    """A training run on one batch."""

    def __init__(self, model, optimizer, loss_fn, draw, clear, move):
        self.model, self.optimizer, self.loss_fn, self.batch = model, optimizer, loss_fn, draw
        self._clear, self._move = clear, move

    def step(self):
        """One step of training; the loss before it."""
        before, after = self._clear
        x, y = self.batch()
        before()
        loss = self.loss_fn(self.model(x), y)
        loss.backward()
        self._move()
        after()
        return loss.item()


def linear(weight, bias):
    """A layer with this weight and bias."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


OUT = (lambda z: z, lambda z: z.softmax(-1), lambda z: z.log_softmax(-1))
LOSS = (
    F.cross_entropy,
    lambda p, y: F.cross_entropy(p.softmax(-1), y),
    F.nll_loss,
    lambda p, y: F.nll_loss(p.clamp_min(1e-30).log(), y),
)


def drawing(x, y, kind, seed):
    """A function that gives the batch."""
    random, seen = torch.Generator().manual_seed(seed), [y]

    def draw():
        order = torch.randperm(len(x), generator=random) if kind & 1 else torch.arange(len(x))
        found = y
        if kind & 2:
            while any(torch.equal(found, old) for old in seen):
                found = y[torch.randperm(len(x), generator=random)]
            seen.append(found)
            del seen[:-50]
        return x[order].clone(), found[order].clone()

    return draw


def run_of(spec):
    """A run with these numbers."""
    model = Net(spec["weights"], spec["biases"], spec["ways"], OUT[spec["out"]])
    for layer, needs in zip(model.layers, spec["needs"], strict=True):
        layer.requires_grad_(bool(needs))
    layers = copy.deepcopy(model.layers) if spec["twin"] else model.layers
    groups = [
        {"params": list(layer.parameters()), "lr": lr}
        for layer, lr, listed in zip(layers, spec["lr"], spec["listed"], strict=True)
        if listed
    ]
    if spec["kind"] == 2:
        optimizer = torch.optim.Adam(groups, lr=0.1)
    else:
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9 * spec["kind"])

    def nothing():
        return None

    def none():
        model.zero_grad(set_to_none=True)

    def zero():
        model.zero_grad(set_to_none=False)

    clear = ((nothing, nothing), (none, nothing), (zero, nothing), (nothing, none))[spec["clear"]]
    move = optimizer.step if spec["moves"] else nothing
    draw = drawing(spec["x"], spec["y"], spec["draw"], spec["seed"])
    return Run(model, optimizer, LOSS[spec["loss"]], draw, clear, move)


def asked(diagnose, specs):
    """What the learner's function says of each run."""
    return [diagnose(run_of(spec)) for spec in specs]


def trained(overfit, weights, biases, stale, *args):
    """What the learner's function returns for a network; the network's parameters and gradients after it."""
    parts = [part for w, b in zip(weights, biases, strict=True) for part in (linear(w, b), nn.Tanh())]
    model = nn.Sequential(*parts[:-1])
    if stale:
        for p in model.parameters():
            p.grad = torch.full_like(p, stale)
    losses = overfit(model, *args)
    return losses, [p.detach() for p in model.parameters()], [p.grad for p in model.parameters()]
