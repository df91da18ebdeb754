"""The recipe of the starter version, which `duolog starter` publishes and `benchmarks/starter.py` measures."""

from __future__ import annotations

from typing import Any

SHOP: dict[str, Any] = {"language": "mixed", "teams": 100, "min_lines": 4, "max_lines": 40}
"""Many deployments, each with wordings and layouts of its own, so that none of them is learned by heart."""
TRAINING: dict[str, Any] = {"epochs": 2, "learning_rate": 3e-4, "seed": 1}
SEED = 7
