"""From scores to decisions: temperature, and the threshold by best F1 or by the false alarms that people can bear."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve

Floats = NDArray[np.float64]

TEMPERATURES = (0.1, 10.0)
"""Bounds: a part that is told apart without an error would have them as sharp as can be, whatever comes later."""
ENOUGH = 10
"""Sequences of either label that it takes: a handful is told apart without an error by chance."""
SURE = 1e-9
"""Scores nearer to 0 or 1 than this count as that near: their log-likelihood would be infinite."""
ROUNDING = 1e-6
"""How far apart equal sequences may score, by the order in which a batch is summed up."""


def temper(scores: ArrayLike, temperature: float) -> Floats:
    """Return sigmoid(logit(score) / temperature): the order stays, and so do 0, 1 and 0.5."""
    values = np.asarray(scores, dtype=np.float64)
    if temperature == 1:
        return values  # to the last bit
    softened: Floats = expit(logit(values) / temperature)
    return softened


def temperature(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the temperature of the least negative log-likelihood (Guo et al. 2017, arXiv:1706.04599).

    Scores in [0, 1] are taken as probabilities. 1 where there are fewer than ENOUGH of either class to learn from.
    """
    truth = np.asarray(labels, dtype=bool)
    if min(truth.sum(), (~truth).sum()) < ENOUGH:
        return 1.0
    logits = logit(np.clip(np.asarray(scores, dtype=np.float64), SURE, 1 - SURE))
    signed = np.where(truth, logits, -logits)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signed / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))


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


def needed(rate: float) -> int:
    """Return how many normal sequences it takes to promise a false-alarm rate: `conformal` cannot with fewer."""
    # Rounded: 1 / 0.01 - 1 must be 99, whatever the last bit says.
    return max(1, ceil(round(1 / rate - 1, 9))) if rate < 1 else 0


def conformal(normals: ArrayLike, rate: float) -> float:
    """Return the lowest threshold that a new normal sequence reaches with a probability of at most `rate`.

    Split conformal prediction (Vovk et al. 2005; Angelopoulos and Bates 2021, arXiv:2107.07511): of n exchangeable
    scores and a new one each rank is equally likely, so the ceil((n + 1)(1 - rate))-th smallest is exceeded often
    enough. `rate` 1 and more: 0. Raises ValueError with fewer than `needed(rate)` normals. The threshold exceeds 1
    where too many normal sequences score 1; then nothing is an alarm.
    """
    if rate >= 1:
        return 0.0
    scores = np.sort(np.asarray(normals, dtype=np.float64))
    if len(scores) < needed(rate):
        raise ValueError(f"{len(scores)} normal sequences cannot promise a rate of {rate:.3g}; it takes {needed(rate)}")
    rank = min(len(scores), len(scores) + 1 - floor(round(rate * (len(scores) + 1), 9)))
    return float(scores[rank - 1] + ROUNDING)


def interval(hits: int, trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (Wilson 1927); all of 0 to 1 without a trial."""
    if not trials:
        return 0.0, 1.0
    found = binomtest(hits, trials).proportion_ci(method="wilson")
    return float(found.low), float(found.high)
