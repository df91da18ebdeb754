"""How well people agree, beyond what chance would do: Cohen's and Fleiss' kappa, and Krippendorff's alpha.

All are nominal: two answers are the same or they are not. Each is 1 where everybody always agrees, about 0 where they
answer at random, and below where they agree less than that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from duolog.plugins.types import Reason

Counts = NDArray[np.int64]
"""How many chose which class, [items, classes]."""

LEAST = 2
"""Items below which nothing is told."""
DRAWS = 1000
"""Resamples of the bootstrap."""
MOST_UNTOLD = 0.05
"""Share of resamples without a figure (all answers in one class) from which on there is no interval."""
FEW = Reason("too few items were judged by several people")
ONE_CLASS = Reason("all answers are the same, so there is no telling agreement from habit")
UNEQUAL = Reason("not every item was judged by equally many people")


@dataclass(frozen=True, slots=True)
class Figure:
    """A coefficient on so many `items`; None has its `reason`. `low` and `high` bound its 95 % interval, if known."""

    value: float | None
    items: int
    reason: str = ""
    low: float | None = None
    high: float | None = None


def tally(items: ArrayLike, values: ArrayLike, classes: int) -> Counts:
    """Return the counts of answers `values` [V] (0 to classes - 1) on `items` [V] (0, 1, …)."""
    at = np.asarray(items, np.int64)
    size = int(at.max(initial=-1)) + 1
    return np.bincount(at * classes + np.asarray(values, np.int64), minlength=size * classes).reshape(size, classes)


def against(counts: Counts, which: int) -> Counts:
    """Return the counts [items, 2] of one class and of all others."""
    return np.column_stack([counts[:, which], counts.sum(1) - counts[:, which]])


def agreed(counts: Counts) -> tuple[int, int]:
    """Return on how many of the items that several people judged all of them said the same, and how many those are."""
    shared = counts[counts.sum(1) > 1]
    return int((shared.max(1, initial=0) == shared.sum(1)).sum()), len(shared)


def cohen(a: ArrayLike, b: ArrayLike) -> Figure:
    """Return the kappa of two people's answers on the same items, as numbers of classes (Cohen 1960).

    J. Cohen: A coefficient of agreement for nominal scales. Educational and Psychological Measurement 20(1).
    """
    first, second = np.asarray(a, np.int64), np.asarray(b, np.int64)
    if len(first) < LEAST:
        return Figure(None, len(first), FEW)
    classes = int(max(first.max(), second.max())) + 1
    joint = np.bincount(first * classes + second, minlength=classes * classes).reshape(classes, classes) / len(first)
    chance = float(joint.sum(0) @ joint.sum(1))
    if np.isclose(chance, 1):
        return Figure(None, len(first), ONE_CLASS)
    return Figure(float((np.trace(joint) - chance) / (1 - chance)), len(first))


def fleiss(counts: Counts) -> Figure:
    """Return the kappa of items that equally many people judged, not always the same ones (Fleiss 1971).

    J. L. Fleiss: Measuring nominal scale agreement among many raters. Psychological Bulletin 76(5).
    """
    raters = counts.sum(1)
    if len(counts) < LEAST or raters.max() < 2:
        return Figure(None, len(counts), FEW)
    if len(set(raters.tolist())) > 1:
        return Figure(None, len(counts), UNEQUAL)
    size = int(raters[0])
    chance = float(((counts.sum(0) / counts.sum()) ** 2).sum())
    if np.isclose(chance, 1):
        return Figure(None, len(counts), ONE_CLASS)
    observed = float(((counts**2).sum(1) - size).mean() / (size * (size - 1)))
    return Figure((observed - chance) / (1 - chance), len(counts))


def krippendorff(counts: Counts, seed: int = 0) -> Figure:
    """Return the alpha of items that any number of people judged, with an interval (Krippendorff 2004, chapter 11).

    K. Krippendorff: Content Analysis, 2nd edition. Items of fewer than two answers say nothing and are left out. The
    interval is the bootstrap's over items; where nobody ever disagreed no resample would either, and there is none.
    """
    shared = counts[counts.sum(1) > 1]
    if len(shared) < LEAST:
        return Figure(None, len(shared), FEW)
    # Items with the same answers are interchangeable: a resample is a number of each of the few kinds.
    kinds, often = np.unique(shared, axis=0, return_counts=True)
    raters = kinds.sum(1)
    apart = (raters * raters - (kinds * kinds).sum(1)) / (raters - 1)  # [kinds], pairs that disagree
    value = float(_alpha(often[None], kinds, apart)[0])
    if np.isnan(value):
        return Figure(None, len(shared), ONE_CLASS)
    if not apart.any():
        return Figure(value, len(shared))
    draws = np.random.default_rng(seed).multinomial(len(shared), often / len(shared), DRAWS)
    drawn = _alpha(draws, kinds, apart)
    if np.isnan(drawn).mean() > MOST_UNTOLD:
        return Figure(value, len(shared))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Figure(value, len(shared), low=float(low), high=float(high))


def _alpha(often: Counts, kinds: Counts, apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return alpha [draws] of `often` [draws, kinds] items of each kind; NaN where all answers are the same."""
    totals = often @ kinds  # [draws, classes]
    answers = totals.sum(1)
    expected = (answers * answers - (totals * totals).sum(1)).astype(np.float64)
    expected[expected == 0] = np.nan
    return np.asarray(1 - (answers - 1) * (often @ apart) / expected, np.float64)
