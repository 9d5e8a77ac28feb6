"""Calls in the learner's process: with arrays that are used again, with autograd watched, with gradients passed on.

What crosses the wire is a copy. Here the same arrays serve several calls, and a training loop asks for its gradients
some thousand times without a wire between.
"""

from __future__ import annotations

import numpy as np
from torch.autograd.graph import saved_tensors_hooks

MOST_CALLS = 20_000  # as the task allows


def in_turn(forward_backward, arrays, others):
    """Call, write other numbers into the same arrays, call again.

    Returns:
        What the first call returned, as it is after the second; what the second returned; the arrays afterwards.
    """
    arrays = [np.array(array) for array in arrays]
    first = forward_backward(*arrays)
    for array, other in zip(arrays, others, strict=True):
        array[...] = other
    return first, forward_backward(*arrays), arrays


def watched(forward_backward, arrays):
    """What a call returns, and whether torch kept a tensor for a backward pass of its own meanwhile."""
    kept = []

    def keep(tensor):
        kept.append(None)
        return tensor

    try:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            result = forward_backward(*arrays)
    except RuntimeError as error:
        if "saved tensor hooks" not in str(error):
            raise
        return forward_backward(*arrays), True  # torch.func does not let itself be watched
    return result, bool(kept)


class Passed:
    """The learner's forward_backward, as their train gets it.

    Attributes:
        began: the weights of the first two calls.
        flipped: whether it works on targets 1 - y in place of y.
    """

    def __init__(self, forward_backward, flipped):
        self.forward_backward, self.flipped = forward_backward, flipped
        self.began, self.calls = [], 0

    def __call__(self, x, y, W1, b1, W2, b2):
        """The loss and the gradients, as the learner's own function has them."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise RuntimeError(f"more than {MOST_CALLS:,} calls of forward_backward in one training")
        if len(self.began) < 2:
            self.began.append([np.array(weight, dtype=float) for weight in (W1, b1, W2, b2)])
        targets = 1 - np.asarray(y) if self.flipped else y
        # Copies: a forward_backward that changes its inputs loses a test of its own, and no training.
        return self.forward_backward(*(np.array(array) for array in (x, targets, W1, b1, W2, b2)))


def trained(train, forward_backward, runs, flipped=False):
    """Train once for each run (x, y, seed).

    Returns:
        For each run the weights that came out, those of the first two calls, and x and y afterwards.
    """
    results = []
    for x, y, seed in runs:
        x, y = np.array(x), np.array(y)
        passed = Passed(forward_backward, flipped)
        weights = train(passed, x, y, seed)
        results.append((weights, passed.began, x, y))
    return results


def without_gradients(train, forward_backward, run):
    """Train once with gradients that are all 0; the loss is right.

    Returns:
        The weights that came out, None where train gave up or asked too often: from here it can get nowhere.
    """
    x, y, seed = run

    def flat(*arrays, **named):
        loss, grads = forward_backward(*arrays, **named)
        return loss, {name: np.zeros_like(grad) for name, grad in grads.items()}

    try:
        return train(Passed(flat, flipped=False), x, y, seed)
    except Exception:  # noqa: BLE001  a loop may divide by the length of the gradient
        return None
