"""Builds small training runs from numbers, and shows them to the learner's code.

What goes wrong in a run follows from its numbers; which of them are wrong, and what that is called, is not here.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

# Models and runs hold a number in place of their ways, so that these are not read off them. A copy has the same ones.
KEPT = {}


def kept(*ways):
    """The number under which these are kept."""
    KEPT[id(ways)] = ways
    return id(ways)


class Net(nn.Module):
    """Linear layers with tanh between them."""

    def __init__(self, weights, biases, ways, out):
        super().__init__()
        self.layers = nn.ModuleList(linear(w, b) for w, b in zip(weights, biases, strict=True))
        self._at = kept(ways, out)

    def forward(self, x):
        """What the loss is made of, a row for each example."""
        ways, out = KEPT[self._at]
        for i, layer in enumerate(self.layers):
            x = layer(x if i == 0 else torch.tanh(x))
            x = x.detach() if ways[i] else x
        return OUT[out](x)


class Run:
    """A training run on one batch."""

    def __init__(self, model, optimizer, loss_fn, draw, clear, moves):
        self.model, self.optimizer, self.loss_fn, self.batch = model, optimizer, loss_fn, draw
        self._at = kept(clear, moves)

    def step(self):
        """One step of training; the loss before it."""
        clear, moves = KEPT[self._at]
        x, y = self.batch()
        if clear in (1, 2):
            self.model.zero_grad(set_to_none=clear == 1)
        loss = self.loss_fn(self.model(x), y)
        loss.backward()
        if moves:
            self.optimizer.step()
        if clear == 3:
            self.model.zero_grad(set_to_none=True)
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
    at = kept(x, y, kind, torch.Generator().manual_seed(seed), [y])

    def draw():
        x, y, kind, random, seen = KEPT[at]
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
    model = Net(spec["weights"], spec["biases"], spec["ways"], spec["out"])
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

    draw = drawing(spec["x"], spec["y"], spec["draw"], spec["seed"])
    return Run(model, optimizer, LOSS[spec["loss"]], draw, spec["clear"], spec["moves"])


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
