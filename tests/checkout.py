"""Where this checkout is, and the seed of those tests that name one."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SEED = 20261121
