"""The gap between synthetic and real sequences: what tells them apart, and how many real lines the synthetic ones know.

A classifier that cannot tell two samples apart better than by chance (AUC 0.5) says that they come from one source
(Lopez-Paz and Oquab 2017, arXiv:1610.06545). One classifier a group of features says what gives the synthetic ones
away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.preprocessing import normalize

from detection.engine.neighbours import ALIKE
from duolog.plugins.types import LogSequence
from logs.engine import times
from logs.engine.masking import mask
from logs.engine.statistics import languages, services

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]

GROUPS = ("wording", "language", "lengths", "levels", "gaps", "repetition", "services", "labels")
"""What is compared; `labels` (the share of anomalies) is no property of the lines, and so not among `all`."""
LEAST = 40
"""Sequences of each side below which nothing can be said."""
TELLS, CHANCE = 0.6, 3
"""A group gives them away from this AUC on, if that is so many standard errors above 0.5, too."""
HELPS = 0.05
"""AUC by which an option must bring a group down to be worth a word; twice what chance moves it, of 1,000 sequences."""
COMPONENTS = 32
HEAD = 80
"""Characters within which a level must stand."""
LEVELS = (
    "trace|debug|verbose",
    "info|notice",
    "warn|warning",
    "error|err|severe|fatal|critical|crit|alert|emerg|panic",
)
NOISE = (0.0, 0.03, 0.2, 0.4)
CHUNK = 256


def moments(sequences: Sequence[LogSequence]) -> list[Floats]:
    """Return the Unix seconds of each sequence's lines: those it came with, else those that its lines begin with."""
    timeless = [one for one in sequences if not one.times]
    found = iter(times.parse(list(chain.from_iterable(one.entries for one in timeless))))
    read = {id(one): [at for _, at in zip(one.entries, found, strict=False) if at is not None] for one in timeless}
    return [np.array(one.times or read[id(one)], np.float64) for one in sequences]


def in_whole_seconds(moments: Sequence[Floats]) -> bool:
    """Tell whether times were kept without their fraction; gaps are then compared so on both sides."""
    return all((each == np.floor(each)).all() for each in moments)


def features(sequences: Sequence[LogSequence], at: Sequence[Floats], *, whole_seconds: bool) -> dict[str, Floats]:
    """Return [S, F] for each group but `wording`; a row is NaN where a sequence does not tell.

    `at` is what `moments` found; `whole_seconds` cuts the fraction off.
    """
    lengths = np.array([len(one.entries) for one in sequences])
    owner, counts = np.repeat(np.arange(len(lengths)), lengths), np.maximum(lengths, 1)
    text = pl.Series(list(chain.from_iterable(one.entries for one in sequences)), dtype=pl.String)

    def share(held: pl.Series) -> Floats:
        return np.bincount(owner[held.to_numpy()], minlength=len(lengths)) / counts

    level = text.str.slice(0, HEAD).str.extract(rf"(?-u:\b)(?i:({'|'.join(LEVELS)}))(?-u:\b)").str.to_lowercase()
    levels = np.stack([share(level.is_in(names.split("|")).fill_null(False)) for names in LEVELS], axis=1)
    named = levels.sum(1, keepdims=True)
    levels = np.where(named >= 0.5, levels / np.maximum(named, 1e-9), np.nan)
    chinese, latin = text.str.contains(r"\p{Han}"), text.str.contains("[A-Za-z]{2}")
    masked = mask(text.to_list())
    ends = accumulate(lengths.tolist(), initial=0)
    met = [len(services(one)) for one in sequences]
    return {
        "language": np.stack([share(chinese), share(latin & ~chinese)], axis=1),
        "lengths": lengths[:, None].astype(np.float64),
        "levels": levels,
        "gaps": np.array([_gaps(np.floor(each) if whole_seconds else each) for each in at]),
        "repetition": np.array([_repetition(masked[start:end]) for start, end in pairwise(ends)]),
        "services": np.array([[number or np.nan] for number in met]),
        "labels": np.array([[np.nan if one.label is None else one.label] for one in sequences], np.float64),
    }


def wording(synthetic: Sequence[Rows], real: Sequence[Rows], table: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return the principal components of the sequences' mean line vectors, [S, 32] and [R, 32]."""
    means = np.stack([table[rows].mean(0) if len(rows) else np.zeros(table.shape[1]) for rows in (*synthetic, *real)])
    found = PCA(min(COMPONENTS, *means.shape), random_state=0).fit_transform(means)
    return found[: len(synthetic)], found[len(synthetic) :]


def compare(synthetic: Mapping[str, Floats], real: Mapping[str, Floats]) -> dict[str, float | None]:
    """Return the AUC of telling them apart by each group, None where half of one side does not tell; and by `all`."""
    found = {name: auc(synthetic[name], real[name]) for name in GROUPS}
    used = [name for name, value in found.items() if value is not None and name != "labels"]
    together = (np.hstack([side[name] for name in used]) for side in (synthetic, real))
    return {"all": _auc(*together), **found}


def auc(synthetic: Floats, real: Floats) -> float | None:
    """Return the AUC of telling rows [S, F] from rows [R, F]; None where half of a side is NaN, or too few are not."""
    known = [rows[~np.isnan(rows).any(1)] for rows in (synthetic, real)]
    if any(len(some) < max(LEAST, len(rows) / 2) for some, rows in zip(known, (synthetic, real), strict=True)):
        return None
    return _auc(*known)


def _auc(synthetic: Floats, real: Floats) -> float:
    """Return the mean AUC of five folds: one over all rows would be pulled below 0.5 where there is nothing to find."""
    forest = ExtraTreesClassifier(100, min_samples_leaf=5, random_state=0)
    truth = np.repeat([0, 1], [len(synthetic), len(real)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(forest, np.vstack([synthetic, real]), truth, cv=folds, scoring="roc_auc").mean())


def limit(synthetic: int, real: int) -> float:
    """Return the AUC from which on a group gives samples of these sizes away; the error is that of Mann and Whitney."""
    error = ((synthetic + real + 1) / (12 * synthetic * real)) ** 0.5
    return max(TELLS, 0.5 + CHANCE * error)


def coverage(synthetic: Sequence[Rows], real: Sequence[Rows], table: NDArray[np.float32]) -> dict[str, float]:
    """Return how many of the real masked lines stand in the synthetic sequences, too.

    `lines` are the distinct real ones, `alike` the share of them near which a synthetic line stands (cosine of the
    centred vectors at least 1 - ALIKE), `equal` the share that is one; `alike_mentions` and `equal_mentions` count a
    line as often as it is written. Both sides weigh the same in the centre.
    """
    known = np.unique(np.concatenate(synthetic))
    met, counts = np.unique(np.concatenate(real), return_counts=True)
    centre = (table[known].mean(0) + table[met].mean(0)) / 2
    ours, theirs = normalize(table[known] - centre), normalize(table[met] - centre)
    equal = np.isin(met, known)
    nearest = np.concatenate(
        [(theirs[start : start + CHUNK] @ ours.T).max(1) for start in range(0, len(theirs), CHUNK)]
    )
    alike = equal | (nearest >= 1 - ALIKE)
    return {
        "lines": len(met),
        "alike": float(alike.mean()),
        "equal": float(equal.mean()),
        "alike_mentions": float(np.average(alike, weights=counts)),
        "equal_mentions": float(np.average(equal, weights=counts)),
    }


def candidates(real: Sequence[LogSequence]) -> dict[str, list[dict[str, Any]]]:
    """Return for each group the options of the generator `microservices` that the real sequences suggest to try.

    There are none for `gaps` and `wording`: no option moves them.
    """
    lengths = [len(one.entries) for one in real]
    low, high = (round(float(length)) for length in np.quantile(lengths, (0.1, 0.9)))
    (language, _), *_ = languages(list(chain.from_iterable(one.entries for one in real)), lengths).most_common(1)
    labels = [one.label for one in real if one.label is not None]
    share = [{"anomaly_share": round(sum(labels) / len(labels), 3)}] if labels else []
    names = set().union(*map(services, real))
    noise = [{"noise": chance} for chance in NOISE]
    return {
        "lengths": [{"min_lines": min(max(low, 1), 40), "max_lines": min(max(high, 15), 40)}],
        "language": [{"language": language}] if language != "other" else [],
        "levels": [*noise, *share],
        "repetition": [*noise, *share],
        "services": [{"services": min(max(len(names), 5), 10)}],
        "labels": share,
    }


def _gaps(at: Floats) -> list[float]:
    """Return median, mean and longest gap (log of 1 + seconds) and the share of lines at the same moment."""
    if len(at) < 2:
        return [np.nan] * 4
    steps = np.maximum(np.diff(at), 0)
    return [*np.log1p([np.median(steps), steps.mean(), steps.max()]), float((steps == 0).mean())]


def _repetition(masked: Sequence[str]) -> list[float]:
    """Return the share of lines that were there before in the sequence, and that of its most frequent line."""
    if not masked:
        return [np.nan] * 2
    _, counts = np.unique(masked, return_counts=True)
    return [1 - len(counts) / len(masked), counts.max() / len(masked)]
