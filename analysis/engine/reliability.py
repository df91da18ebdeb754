"""How far each person's answers can be trusted, learned from how they answer beside others (Dawid and Skene 1979).

A. P. Dawid and A. M. Skene: Maximum likelihood estimation of observer error-rates using the EM algorithm. Applied
Statistics 28(1), https://doi.org/10.2307/2346806. Nobody knows the true classes; a person who often differs from those
who are often right is likely to be wrong, which moves what is taken for true, and so on until nothing moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

USUAL = 0.95
"""How often somebody is right of whom nothing is known."""
SMOOTHING = 5.0
"""Answers that this knowledge weighs as much as."""
ROUNDS, TOLERANCE = 200, 1e-7
TINY = 1e-10
"""Least probability: else a single answer could make a class impossible."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """`posterior` [items, classes] of the true class, `prior` [classes]; of each rater `confusion` and `accuracy`.

    `confusion` [raters, true, said] are probabilities. `accuracy` [raters] is the expected share of a rater's answers
    that are right; NaN where they have none and nothing smooths.
    """

    posterior: Floats
    prior: Floats
    confusion: Floats
    accuracy: Floats


def fit(
    items: ArrayLike,
    raters: ArrayLike,
    values: ArrayLike,
    classes: int,
    truth: ArrayLike | None = None,
    smoothing: float = SMOOTHING,
) -> Fitted:
    """Learn from answers `values` [V] (0 to classes - 1) that `raters` [V] gave on `items` [V], numbered from 0.

    `truth` [items] is what is known to be true of an item, -1: nothing. `smoothing` pseudo-answers a true class, of
    which the share USUAL is right, keep the confusion of who has answered little near what is usual; 0 is the paper's
    maximum likelihood. Starts from the share of votes, so ties stay ties until somebody proves better.
    """
    at, who, said = (np.asarray(each, np.int64) for each in (items, raters, values))
    size, people = int(at.max(initial=-1)) + 1, int(who.max(initial=-1)) + 1
    known = np.full(size, -1) if truth is None else np.asarray(truth, np.int64)
    beforehand = smoothing * np.where(np.eye(classes, dtype=bool), USUAL, (1 - USUAL) / max(1, classes - 1))
    votes = np.bincount(at * classes + said, minlength=size * classes).reshape(size, classes)
    posterior = _clamp(votes / np.maximum(votes.sum(1, keepdims=True), 1), known)
    for _ in range(ROUNDS):
        prior, confusion = _maximise(posterior, at, who, said, people, beforehand)
        moved = _clamp(_expect(prior, confusion, at, who, said, size), known)
        change = np.abs(moved - posterior).max(initial=0)
        posterior = moved
        if change < TOLERANCE:
            break
    prior, confusion = _maximise(posterior, at, who, said, people, beforehand)
    right = np.bincount(who, weights=posterior[at, said], minlength=people) + smoothing * USUAL
    answers = np.bincount(who, minlength=people) + smoothing
    accuracy = np.divide(right, answers, out=np.full(people, np.nan), where=answers > 0)
    return Fitted(posterior, prior, confusion, accuracy)


def together(votes: Iterable[tuple[bool, float]]) -> float:
    """Return the probability that a class of two is the true one, from (says so, reliability) of each vote.

    Both classes are taken for equally likely beforehand: what is common in a queue of alarms must not count for it.
    """
    odds = 0.0
    for agrees, reliability in votes:
        sure = min(max(reliability, TINY), 1 - TINY)
        odds += np.log(sure / (1 - sure)) * (1 if agrees else -1)
    return float(1 / (1 + np.exp(-odds)))


def _maximise(
    posterior: Floats, at: NDArray[np.int64], who: NDArray[np.int64], said: NDArray[np.int64], people: int, plus: Floats
) -> tuple[Floats, Floats]:
    """Return prior [classes] and confusion [raters, true, said]."""
    classes = posterior.shape[1]
    where = who * classes + said
    counted = [
        np.bincount(where, weights=posterior[at, true], minlength=people * classes).reshape(people, classes)
        for true in range(classes)
    ]
    confusion = np.stack(counted, axis=1) + plus  # [raters, true, said]
    confusion /= np.maximum(confusion.sum(2, keepdims=True), TINY)
    return posterior.mean(0) if len(posterior) else np.full(classes, 1 / classes), confusion


def _expect(
    prior: Floats,
    confusion: Floats,
    at: NDArray[np.int64],
    who: NDArray[np.int64],
    said: NDArray[np.int64],
    size: int,
) -> Floats:
    """Return the posterior [items, classes]."""
    told = np.log(np.maximum(confusion, TINY))
    logs = [np.bincount(at, weights=told[who, true, said], minlength=size) for true in range(len(prior))]
    joint = np.column_stack(logs) + np.log(np.maximum(prior, TINY))
    joint = np.exp(joint - joint.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(joint / joint.sum(1, keepdims=True), np.float64)


def _clamp(posterior: Floats, known: NDArray[np.int64]) -> Floats:
    """Put what is known in the place of what is believed."""
    sure = np.flatnonzero(known >= 0)
    posterior[sure] = 0
    posterior[sure, known[sure]] = 1
    return posterior
