"""Calls that a task forbids, under every name: they cost the points of the tests that watch the method.

What a submission does in its own process it can also hide there. The last attacks of each family are such ways:
they keep the points, and .github/SECURITY.md names them.
"""

from __future__ import annotations

from pathlib import Path

import target
from siege import Attack, Siege
from target import Target

WATCHED = "a test that watches the method"
HIDDEN = "nothing: the way is hidden inside its process"

# The honest module, with its middle part left to a function of PyTorch's.
ATTENTION = """
def ready_made(q, k, v, allowed, p):
    {call}

class MultiHeadAttention(MultiHeadAttention):
    def forward(self, query, key, value, mask=None, causal=False):
        def split(x):
            return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        q, k, v = split(self.W_q(query)), split(self.W_k(key)), split(self.W_v(value))
        allowed = torch.ones(1, 1, q.shape[-2], k.shape[-2], dtype=torch.bool)
        if causal:
            allowed = allowed.tril(k.shape[-2] - q.shape[-2])
        if mask is not None:
            allowed = allowed & mask
        allowed = allowed.expand(q.shape[0], q.shape[1], q.shape[2], k.shape[2])
        mixed = ready_made(q, k, v, allowed, self.dropout.p if self.training else 0.0)
        return self.W_o(mixed.transpose(1, 2).flatten(2))
"""

MODULE = """
class MultiHeadAttention(MultiHeadAttention):
    def forward(self, query, key, value, mask=None, causal=False):
        parts = (self.W_q, self.W_k, self.W_v)
        ready = nn.MultiheadAttention(
            query.shape[-1], self.num_heads, self.dropout.p, batch_first=True, dtype=query.dtype
        ).train(self.training)
        bias = [torch.zeros_like(one.weight[0]) if one.bias is None else one.bias for one in (*parts, self.W_o)]
        given = {
            "in_proj_weight": torch.cat([one.weight for one in parts]), "in_proj_bias": torch.cat(bias[:3]),
            "out_proj.weight": self.W_o.weight, "out_proj.bias": bias[3],
        }
        allowed = torch.ones(1, 1, query.shape[1], key.shape[1], dtype=torch.bool)
        if causal:
            allowed = allowed.tril(key.shape[1] - query.shape[1])
        if mask is not None:
            allowed = allowed & mask
        allowed = allowed.expand(query.shape[0], self.num_heads, -1, -1).flatten(0, 1)
        options = {"attn_mask": ~allowed, "need_weights": False}
        return torch.func.functional_call(ready, given, (query, key, value), options)[0]
"""


def attention(call: str) -> str:
    """A cell that lets this line do the attention."""
    return ATTENTION.replace("{call}", call.replace("\n", "\n    "))


class TestAttention(Siege):
    """Ready-made attention in a task that asks for it by hand."""

    attacks = (
        Attack(
            "scaled_dot_product_attention",
            attention("return F.scaled_dot_product_attention(q, k, v, allowed, p)"),
            WATCHED,
            earns=14.0,
        ),
        Attack(
            "under another name",
            attention(
                "from torch.nn.functional import scaled_dot_product_attention as mix\n"
                "return mix(q, k, v, attn_mask=allowed, dropout_p=p)"
            ),
            WATCHED,
            earns=14.0,
        ),
        Attack(
            "by importlib",
            attention(
                "import importlib\n"
                "found = importlib.import_module('torch.nn.' + 'functional')\n"
                "mix = getattr(found, 'scaled_' + 'dot_product_attention')\n"
                "return mix(q, k, v, allowed, p)"
            ),
            WATCHED,
            earns=14.0,
        ),
        Attack(
            "the C function",
            attention("return torch._C._nn.scaled_dot_product_attention(q, k, v, allowed, p)"),
            WATCHED,
            earns=14.0,
        ),
        Attack(
            "by torch.ops",
            attention("return torch.ops.aten.scaled_dot_product_attention(q, k, v, allowed, p)"),
            WATCHED,
            earns=14.0,
        ),
        Attack("nn.MultiheadAttention", MODULE, WATCHED, earns=14.0),
        Attack(
            "with PyTorch's watching switched off",
            attention(
                "with torch._C.DisableTorchFunction():\n"
                "    return F.scaled_dot_product_attention(q, k, v, allowed, p)"
            ),
            HIDDEN,
        ),
    )

    @staticmethod
    def course(folder: Path) -> Target:
        """The question itself."""
        return target.borrowed(folder, "multi_head_attention")


BACKPROP = """
def forward_backward(x, y, W1, b1, W2, b2):
    def loss_of(x, W1, b1, W2, b2):
        return ((torch.relu(x @ W1 + b1) @ W2 + b2 - target) ** 2).mean()
    import torch
    target = torch.tensor(np.asarray(y, dtype=float))
    given = [torch.tensor(np.asarray(one, dtype=float), requires_grad=True) for one in (x, W1, b1, W2, b2)]
    {call}
    loss = float(loss_of(*(one.detach() for one in given)))
    return loss, dict(zip(("dx", "dW1", "db1", "dW2", "db2"), (np.asarray(one.detach()) for one in grads)))
"""


def backprop(call: str) -> str:
    """A cell that takes the gradients from these lines."""
    return BACKPROP.replace("{call}", call.replace("\n", "\n    "))


class TestBackprop(Siege):
    """Autograd in a task that asks for the gradients by hand."""

    attacks = (
        Attack(
            "backward",
            backprop("loss_of(*given).backward()\ngrads = [one.grad for one in given]"),
            WATCHED,
            earns=14.0,
        ),
        Attack(
            "torch.autograd.grad",
            backprop("grads = torch.autograd.grad(loss_of(*given), given)"),
            WATCHED,
            earns=14.0,
        ),
        Attack(
            "torch.func.grad",
            backprop("grads = torch.func.grad(loss_of, argnums=(0, 1, 2, 3, 4))(*given)"),
            WATCHED,
            earns=14.0,
        ),
        Attack(
            "by importlib",
            backprop(
                "import importlib\n"
                "grads = getattr(importlib.import_module('torch.auto' + 'grad'), 'gr' + 'ad')(loss_of(*given), given)"
            ),
            WATCHED,
            earns=14.0,
        ),
        Attack(
            "by torch.autograd.functional",
            backprop("grads = torch.autograd.functional.vjp(loss_of, tuple(given))[1]"),
            WATCHED,
            earns=14.0,
        ),
        Attack(
            "in a thread",
            backprop(
                "import threading\n"
                "grads = []\n"
                "def work():\n"
                "    grads.extend(torch.autograd.grad(loss_of(*given), given))\n"
                "one = threading.Thread(target=work)\n"
                "one.start()\n"
                "one.join()"
            ),
            HIDDEN,
        ),
        Attack(
            "under hooks of its own",
            backprop(
                "with torch.autograd.graph.saved_tensors_hooks(lambda one: one, lambda one: one):\n"
                "    grads = torch.autograd.grad(loss_of(*given), given)"
            ),
            HIDDEN,
        ),
    )

    @staticmethod
    def course(folder: Path) -> Target:
        """The question itself."""
        return target.borrowed(folder, "backprop_two_layer")
