"""How much a verdict on an item would teach: what to ask people about first."""

from __future__ import annotations

import math

SURE = 0.1
"""What is left to learn where a model is sure."""
DOUBTED = 10.0
"""Where champion and shadow disagree, a verdict also tells which of them to keep: above all that they agree on."""


def priority(*, score: float, threshold: float, reach: int, doubted: bool = False) -> float:
    """Return uncertainty times reach.

    Uncertainty is 1 at the threshold and falls to SURE at a score of 0 or 1 (uncertainty sampling: Lewis and Gale 1994,
    https://arxiv.org/abs/cmp-lg/9407020). Reach grows with the logarithm of the sequences that a verdict labels: many
    of the same teach a model less than as many different ones (information density: Settles and Craven 2008).
    """
    room = 1 - threshold if score >= threshold else threshold
    distance = min(1.0, abs(score - threshold) / room) if room > 0 else 0.0
    return (1 - (1 - SURE) * distance) * math.log2(1 + max(1, reach)) + DOUBTED * doubted
