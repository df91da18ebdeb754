"""The decision threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import precision_recall_curve


def best_f1(labels: ArrayLike, scores: ArrayLike, default: float = 0.5) -> float:
    """Return the threshold of the best F1; `default` where only one class is there to choose from.

    It lies halfway down to the next lower score: a threshold on a score of the sample itself would miss its twin
    that comes out a rounding error lower. Among equal F1 the widest gap wins.
    """
    truth = np.asarray(labels, dtype=bool)
    values = np.asarray(scores, dtype=np.float64)
    if truth.all() or not truth.any():
        return default
    precision, recall, thresholds = precision_recall_curve(truth, values)  # thresholds ascend
    f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1]
    below = np.concatenate([[thresholds[0]], thresholds[:-1]])
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    chosen = best[np.argmax((thresholds - below)[best])]
    return float((thresholds[chosen] + below[chosen]) / 2)
