"""What a detector is worth on labelled sequences."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, precision_recall_fscore_support


def evaluate(labels: ArrayLike, scores: ArrayLike, threshold: float) -> dict[str, float]:
    """Return f1, precision, recall, accuracy, pr_auc (average precision), threshold, and the numbers they stand on.

    A score at or above the threshold counts as anomalous. Precision, recall and F1 are those of the anomalous class,
    and 0 where they are undefined.
    """
    truth = np.asarray(labels, dtype=bool)
    values = np.asarray(scores, dtype=np.float64)
    flagged = values >= threshold
    precision, recall, f1, _ = precision_recall_fscore_support(truth, flagged, average="binary", zero_division=0)
    return {
        "f1": float(f1),
        "precision": float(precision),
        "recall": float(recall),
        "accuracy": float((truth == flagged).mean()) if len(truth) else 0.0,
        "pr_auc": float(average_precision_score(truth, values)) if truth.any() else 0.0,
        "threshold": float(threshold),
        "sequences": len(truth),
        "anomalous": int(truth.sum()),
    }
