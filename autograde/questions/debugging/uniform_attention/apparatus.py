"""Builds attention layers from numbers, and shows them to the learner's code.

What goes wrong follows from the numbers; which of them are wrong, and what that is called, is not here.
"""

from __future__ import annotations

import torch
from torch import nn


class Layer:
    """The first half of attention: from tokens to weights."""

    def __init__(self, w_q, w_k, added, factor, divisor, axis):
        self.W_q, self.W_k = w_q, w_k
        self._run = (
            lambda x: x + added[: x.shape[-2]],
            lambda q, k: q @ k.transpose(-2, -1) * factor,
            lambda s: (s / divisor).softmax(axis),
        )

    def embed(self, x):
        """What is known of each token."""
        return self._run[0](x)

    def scores(self, q, k):
        """A number for each query and key."""
        return self._run[1](q, k)

    def weights(self, s):
        """What becomes of the scores."""
        return self._run[2](s)


def linear(weight, bias):
    """A layer with this weight and bias."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer.requires_grad_(False)


def asked(diagnose, cases):
    """What the learner's function says of each layer."""
    return [diagnose(Layer(linear(*q), linear(*k), *numbers), x) for q, k, *numbers, x in cases]
