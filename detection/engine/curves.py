"""What an evaluation looks like: small arrays behind the plots, and how far scores can be taken as probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_curve

POINTS, BINS, SCORE_BINS = 100, 10, 40
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


def draw(labels: ArrayLike, scores: ArrayLike, threshold: float) -> dict[str, Any]:
    """Return `pr`, `confusion`, `reliability` and `histogram` of labelled scores in [0, 1], JSON-ready.

    - pr: recall, precision and threshold at no more than `POINTS` places, by falling recall
    - confusion: true_positive, false_positive, false_negative, true_negative at `threshold`
    - reliability: of each bin of scores that holds any, mean score, share of anomalous, and count
    - histogram: counts of normal and of anomalous in `SCORE_BINS` equal bins over 0 to 1
    """
    truth, values = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    flagged = values >= threshold
    histogram = {
        name: np.histogram(values[members], SCORE_BINS, (0, 1))[0].tolist()
        for name, members in (("normal", ~truth), ("anomalous", truth))
    }
    return {
        "pr": _pr(truth, values),
        "confusion": {
            "true_positive": int((truth & flagged).sum()),
            "false_positive": int((~truth & flagged).sum()),
            "false_negative": int((truth & ~flagged).sum()),
            "true_negative": int((~truth & ~flagged).sum()),
        },
        "reliability": _reliability(truth, values),
        "histogram": histogram,
    }


def calibration_error(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the expected calibration error: |mean score - share of anomalous|, weighted over `BINS` equal bins.

    Naeini et al. 2015 (Obtaining Well Calibrated Probabilities Using Bayesian Binning), here of the anomalous class.
    """
    rows = _reliability(np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64))
    gaps = [abs(mean - share) * count for mean, share, count in rows]
    return float(sum(gaps) / max(1, sum(count for *_, count in rows)))


def _pr(truth: Flags, values: Floats) -> list[list[float]]:
    """Return [recall, precision, threshold] rows; none where nothing is anomalous."""
    if not truth.any():
        return []
    precision, recall, thresholds = precision_recall_curve(truth, values)
    shown = np.unique(np.linspace(0, len(thresholds) - 1, min(POINTS, len(thresholds))).astype(int))
    rows = zip(recall[shown], precision[shown], thresholds[shown], strict=True)
    return [[round(float(value), 5) for value in row] for row in rows]


def _reliability(truth: Flags, values: Floats) -> list[tuple[float, float, int]]:
    bins = np.minimum((values * BINS).astype(int), BINS - 1)
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        rows.append((round(float(values[inside].mean()), 5), round(float(truth[inside].mean()), 5), int(inside.sum())))
    return rows
