"""Calls a module in the learner's process: in turns, so that what two caches share shows, and counting rows.

A cache that crosses the wire is a copy; here each call gets the very tensors that an earlier one returned.
"""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot")


def loaded(module, weights):
    """Give a module these weights, float64 if they are; the names of those that it does not have.

    What else its state dict holds, positions say, is no part of the answer: those who keep it there answer as others.
    """
    if weights["W_q.weight"].dtype == torch.float64:
        module.double()
    return list(module.load_state_dict(weights, strict=False).unexpected_keys)


def played(moves):
    """Carry out calls, one after another.

    Args:
        moves: triples (module, number of the move whose cache this one continues or None, x).

    Returns:
        What each call returned, as it is after the last one; it ends with the first that is no pair.
    """
    results = []
    for module, parent, x in moves:
        x = torch.cat([x, x], dim=1)[:, : x.shape[1]]  # a slice of a longer text, as a caller cuts it
        result = module(x) if parent is None else module(x, results[parent][1])
        results.append(result)
        if not is_pair(result):
            break
    return results


def is_pair(result):
    """Whether it may be (out, cache)."""
    return isinstance(result, (tuple, list)) and len(result) == 2


class Products(TorchDispatchMode):
    """Multiplications in matrix products that sum over `width` numbers: with a weight, and not of a head."""

    @classmethod
    def _should_skip_dynamo(cls):
        """Nothing is compiled here; saying so spares each room the import of the compiler, 0.8 s."""
        return False

    def __init__(self, width):
        super().__init__()
        self.width, self.multiplications = width, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation.overloadpacket.__name__ in PRODUCTS:
            first, second = [x for x in args if isinstance(x, torch.Tensor)][-2:]
            if first.shape[-1] == self.width:
                self.multiplications += first.numel() * (second.shape[-1] if second.ndim > 1 else 1)
        elif torch.is_inference_mode_enabled():  # only there a linear arrives in one piece
            with self:
                result = operation.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        return operation(*args, **(kwargs or {}))


class Projections(TorchFunctionMode):
    """Counts the products inside each function of torch, and nothing between them.

    A dispatch mode around the whole call would break `causal_lower_right`: no subclass of Tensor can be made in one.
    """

    def __init__(self, width):
        super().__init__()
        self.products = Products(width)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        with self.products:
            return function(*args, **(kwargs or {}))


def projected(module, chunks):
    """Feed chunks of a text; what each call returned, and how many rows it projected, by all weights together.

    A call that needs n projections may do 2n: with two heads, somebody may project once for each. Up to there the
    number is given as 0, so that those who count differently and err alike are alike.
    """
    results, rows, cache = [], [], None
    for x in chunks:
        counting = Projections(x.shape[-1])
        with counting:
            result = module(x, cache)
        results.append(result)
        counted = counting.products.multiplications / x.shape[-1] ** 2
        rows.append(counted if counted > 2 * 4 * x.shape[0] * x.shape[1] else 0.0)
        if not is_pair(result):
            break
        cache = result[1]
    return results, rows
