"""The attention that a question's solution computes on a GPU, beside PyTorch's own, in TFLOP/s.

What is counted: of the two matrix products 4·B·H·T²·d operations, half of them with `causal`. Each call gets inputs
that no call before it had, the sides take turns, and the figure is the median of the rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  its usual name
from torch.nn.attention import SDPBackend, sdpa_kernel

from autograde import mistakes
from autograde.errors import Explained
from autograde.question import Question
from autograde.stage import staged

Attention = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, bool], Any]

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
TOKENS, WIDTH = 16384, 2048  # of all texts together, of all heads together: the sizes that papers publish
LENGTHS = (1024, 2048, 4096, 8192, 16384)
WARM_UP, ROUNDS = 3, 15
COLUMN = 10


def run(question: Question) -> int:
    """Measure and print; Explained where there is no GPU.

    Args:
        question: its solution has a function of its slug's name, `(q, k, v, causal=…) -> (o, …)`.
    """
    if not torch.cuda.is_available():
        raise Explained("bench-gpu measures on a CUDA GPU, and this machine has none: nothing was measured")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, bfloat16, TFLOP/s", flush=True)  # noqa: T201
    with staged(mistakes.solved(question)) as space:
        for line in lines(space[question.slug], question.slug):
            print(line, flush=True)  # noqa: T201
    return 0


def lines(function: Callable[..., Any], name: str) -> Iterator[str]:
    """A table, line by line: a row for each width, rule and length."""
    sides: dict[str, Attention] = {name: lambda q, k, v, causal: function(q, k, v, causal=causal)}
    sides |= {side: _ready_made(backend) for side, backend in BACKENDS.items()}
    width = max(COLUMN, len(name) + 2)
    head = "".join(f"{side:>{width}}" for side in sides)
    yield f"{'d':>4}{'causal':>8}{'T':>7}{head}{'/ flash':>{COLUMN}}{'/ best':>{COLUMN}}"
    for d in (64, 128):
        for causal in (False, True):
            for length in LENGTHS:
                shape = (TOKENS // length, WIDTH // d, length, d)
                yield row(shape, causal, speeds(sides, shape, causal), width)


def row(
    shape: tuple[int, int, int, int], causal: bool, found: Mapping[str, float | None], width: int = COLUMN
) -> str:
    """One line: TFLOP/s of each side, and the first one's over flash attention's and over the best other's.

    Args:
        shape: (B, H, T, d).
        causal: whether half of the scores are forbidden.
        found: TFLOP/s by side, the question's own first; None where a side does not run.
        width: columns of each.
    """
    own, *others = found.values()
    best = max((speed for speed in others if speed is not None), default=None)
    figures = "".join(f"{_shown(speed, '.0f'):>{width}}" for speed in found.values())
    ratios = (None if own is None or other is None else own / other for other in (found.get("flash"), best))
    ends = "".join(f"{_shown(ratio, '.2f'):>{COLUMN}}" for ratio in ratios)
    return f"{shape[3]:>4}{'yes' if causal else 'no':>8}{shape[2]:>7}{figures}{ends}"


def operations(shape: tuple[int, int, int, int], causal: bool) -> float:
    """Floating-point operations of the two products, (B, H, T, d)."""
    batch, heads, length, d = shape
    return 4.0 * batch * heads * length**2 * d / (2 if causal else 1)


def speeds(
    sides: Mapping[str, Attention], shape: tuple[int, int, int, int], causal: bool
) -> dict[str, float | None]:
    """TFLOP/s of each side; None where it does not run with this shape, or not on this GPU."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    stopped: set[str] = set()
    for turn in range(WARM_UP + ROUNDS):
        for side, attention in sides.items():
            if side in stopped:
                continue
            q, k, v = (torch.randn(shape, dtype=torch.bfloat16, device="cuda") for _ in range(3))
            try:
                took = _milliseconds(attention, q, k, v, causal)
            except RuntimeError:  # no such kernel for it, or no memory for the whole table of scores
                stopped.add(side)
                continue
            if turn >= WARM_UP:
                times[side].append(took)
    work = operations(shape, causal)
    return {
        side: None if side in stopped else work / statistics.median(some) / 1e9
        for side, some in times.items()
    }


def _ready_made(backend: SDPBackend) -> Attention:
    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    return attention


def _milliseconds(attention: Attention, *args: Any) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    attention(*args)
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
