"""`autograde bench-gpu`: what it says without a GPU, and how it counts."""

from __future__ import annotations

import pytest
import torch

from autograde.bench_gpu import operations, row
from autograde.cli import main


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a machine without CUDA it says so in one line, and exits with 2."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stop:
        main(["bench-gpu", "tiled_attention"])
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert said.out == ""
    assert said.err == (
        "autograde: bench-gpu measures on a CUDA GPU, and this machine has none: nothing was measured\n"
    )


def test_operations() -> None:
    """Two products of B·H·T²·d multiplications and additions each; causal attention needs half of them."""
    products = [torch.empty(2, 3, 8, 4), torch.empty(2, 3, 4, 8)]
    counted = 2 * 2 * (products[0] @ products[1]).numel() * 4
    assert operations((2, 3, 8, 4), causal=False) == counted == 2 * operations((2, 3, 8, 4), causal=True)


def test_row() -> None:
    """A row has the first side's speed over that of flash attention, and over the best; – is what does not run."""
    line = row((4, 16, 4096, 128), True, {"own": 300.0, "flash": 400.0, "cuDNN": 600.0, "math": None})
    assert line.split() == ["128", "yes", "4096", "300", "400", "600", "–", "0.75", "0.50"]
