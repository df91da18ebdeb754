"""Drift: how far new scores and templates lie from those that a version was fitted and validated on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from duolog.plugins.types import LogSequence
from logs.engine.masking import mask

Floats = NDArray[np.float64]

SOME, STRONG = 0.1, 0.25
"""The usual limits (Siddiqi 2006, Credit Risk Scorecards): watch it; act."""
LEVELS = ("none", "some", "strong")
CERTAIN = 0.999
"""A PSI that chance exceeds less often than this is no chance."""
SCORE_BINS, TEMPLATES = 10, 50
PRIOR = 0.5
"""Added to each bin's count: an empty bin's logarithm would be infinite, and in a small sample it says little."""
DECIMALS = 3
"""Scores that differ by less are equal: by the order in which a batch is summed up, and to any threshold."""
OTHER = "other"


@dataclass
class Tally:
    """Counts what distributions are made of, a batch at a time; of each template in how many sequences it stands."""

    scores: list[float] = field(default_factory=list)
    templates: Counter[str] = field(default_factory=Counter)
    sequences: int = 0
    """Whose templates were counted."""

    def add(self, sequences: Sequence[LogSequence]) -> None:
        """Count the templates of some sequences."""
        lines = mask([line for sequence in sequences for line in sequence.entries])
        start = 0
        for sequence in sequences:
            end = start + len(sequence.entries)
            self.templates.update({_key(line) for line in lines[start:end]})
            start = end
        self.sequences += len(sequences)


@dataclass(frozen=True, slots=True)
class Reference:
    """How scores and templates lay: shares of scores between `edges` (deciles), and of the commonest templates.

    `sequences` and `scored` are how many the shares stand on; what is no common template counts as `other`.
    """

    edges: list[float]
    scores: list[float]
    scored: int
    templates: dict[str, float]
    sequences: int

    @classmethod
    def of(cls, tally: Tally) -> Reference:
        """Return the reference of what a version was validated on."""
        values: Floats = np.array([round(score, DECIMALS) for score in tally.scores], np.float64)
        # Deciles, not equal bins: nearly all scores lie beside 0. Equal ones fall together.
        edges: Floats = (
            np.unique(np.quantile(values, np.linspace(0, 1, SCORE_BINS + 1)[1:-1])) if len(values) else np.empty(0)
        )
        common = dict(tally.templates.most_common(TEMPLATES))
        total = max(1, tally.templates.total())
        templates = {key: count / total for key, count in common.items()}
        templates[OTHER] = 1 - sum(templates.values())
        shares = _score_shares(values, edges)
        return cls(edges.tolist(), shares.tolist(), len(values), templates, tally.sequences)

    def as_json(self) -> dict[str, Any]:
        """Return what a version keeps of it."""
        return asdict(self)


def compare(reference: Reference, scores: ArrayLike, seen: Tally) -> dict[str, Any]:
    """Return `score` and `template`: each the `psi`, the `chance` level beneath which it says nothing, and its `level`.

    A level is none, some or strong; that of both together is the stronger one. Empty where there is nothing to compare.
    """
    found: dict[str, Any] = {}
    values = np.asarray(scores, np.float64)
    if reference.scored and len(values):
        shares = _score_shares(values, np.array(reference.edges))
        found["score"] = _judged(reference.scores, shares, reference.scored, len(values))
    if reference.sequences and seen.sequences:
        total = max(1, seen.templates.total())
        now = {name: seen.templates[name] / total for name in reference.templates}
        now[OTHER] = 1 - sum(now.values())
        shares = np.array([now[name] for name in reference.templates])
        found["template"] = _judged(list(reference.templates.values()), shares, reference.sequences, seen.sequences)
    if found:
        found["level"] = max((each["level"] for each in found.values()), key=LEVELS.index)
    return found


def psi(expected: ArrayLike, actual: ArrayLike) -> float:
    """Return the population stability index of two distributions over the same bins: sum (a - e) ln(a / e).

    No bin may be empty.
    """
    e, a = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    return float(((a - e) * np.log(a / e)).sum())


def chance(bins: int, n: int, m: int) -> float:
    """Return the PSI that samples of n and m from one distribution exceed in one case of a thousand.

    Yurdakul and Naranjo 2020 (Statistical properties of the population stability index): PSI / (1/n + 1/m) follows a
    chi-square distribution with bins - 1 degrees of freedom.
    """
    return float(chi2.ppf(CERTAIN, bins - 1) * (1 / n + 1 / m)) if bins > 1 else 0.0


def _judged(expected: ArrayLike, actual: ArrayLike, n: int, m: int) -> dict[str, Any]:
    e, a = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    smoothed = [(shares * size + PRIOR) / (size + PRIOR * len(e)) for shares, size in ((e, n), (a, m))]
    value, by_chance = psi(*smoothed), chance(len(e), n, m)
    level = "none" if value <= max(SOME, by_chance) else "some" if value <= STRONG else "strong"
    return {"psi": round(value, 4), "chance": round(by_chance, 4), "level": level}


def _score_shares(values: Floats, edges: Floats) -> Floats:
    found = np.bincount(np.searchsorted(edges, np.round(values, DECIMALS)), minlength=len(edges) + 1)
    return found / max(1, found.sum())


def _key(line: str) -> str:
    return blake2b(line.encode(), digest_size=6).hexdigest()
