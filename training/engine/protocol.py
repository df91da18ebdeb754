"""What a scorecard tells of a detector under one protocol: figures of several trials, and their spread.

A protocol is a strategy of `training.engine.split`; a trial is one division, one fit and one measurement of the test
part, all from one seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from duolog.plugins.types import LogSequence

PREFIXES = 64
"""Prefixes of a sequence that are judged; a longer one is cut at as many places, evenly."""
Rate = Callable[[list[LogSequence]], NDArray[np.float64]]


def parts(count: int) -> dict[str, int]:
    """Return the sizes of train, validation and test, 8 : 1 : 1."""
    tenth = max(1, count // 10)
    return {"train": count - 2 * tenth, "validation": tenth, "test": tenth}


def false_alarms(labels: ArrayLike, scores: ArrayLike, threshold: float) -> float:
    """Return how many of 1,000 normal sequences are called anomalous; 0 where there is none."""
    normal = np.asarray(scores)[np.asarray(labels) == 0]
    return 1000 * float((normal >= threshold).mean()) if len(normal) else 0.0


def time_to_detect(rate: Rate, sequences: Sequence[LogSequence], threshold: float) -> dict[str, float]:
    """Return how early the verdict fires on sequences that grow line by line.

    `detect_line` is the median of the lines (from 1) at which a prefix first reaches the threshold, `detect_share` the
    mean of their places as shares of the sequences' lengths, `detect_of` the share of sequences of which any prefix
    does. Without any such only the last is there.
    """
    ends = [_ends(len(sequence.entries)) for sequence in sequences]
    grown = [_prefix(sequence, end) for sequence, mine in zip(sequences, ends, strict=True) for end in mine]
    fires = rate(grown) >= threshold if grown else np.empty(0, bool)
    lines, shares, start = [], [], 0
    for sequence, mine in zip(sequences, ends, strict=True):
        fired = np.flatnonzero(fires[start : start + len(mine)])
        start += len(mine)
        if len(fired):
            lines.append(int(mine[fired[0]]))
            shares.append(lines[-1] / len(sequence.entries))
    if not lines:
        return {"detect_of": 0.0}
    told = {"detect_line": float(np.median(lines)), "detect_share": float(np.mean(shares))}
    return {**told, "detect_of": len(lines) / len(sequences)}


def summary(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation (of a sample) of each figure, and the floor that is hardest to beat.

    Each trial has figures by name, and under "floors" those of every floor. The best floor is that of the best mean F1;
    "over_floor" is the difference of the means.
    """
    names = dict.fromkeys(name for trial in trials for name in trial if name != "floors")
    found: dict[str, Any] = {name: spread(trial[name] for trial in trials if name in trial) for name in names}
    floors = {
        name: {figure: spread(trial["floors"][name][figure] for trial in trials) for figure in ("f1", "pr_auc")}
        for name in trials[0]["floors"]
    }
    best = max(floors, key=lambda name: (floors[name]["f1"]["mean"], floors[name]["pr_auc"]["mean"]))
    over = found["f1"]["mean"] - floors[best]["f1"]["mean"]
    return {"trials": len(trials), **found, "floor": best, "floors": floors, "over_floor": over}


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return the mean and the standard deviation of a sample, 0 for a single value."""
    found = np.fromiter(values, np.float64)
    return {"mean": float(found.mean()), "sd": float(found.std(ddof=1)) if len(found) > 1 else 0.0}


def _ends(lines: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(1, lines, min(lines, PREFIXES)).round().astype(np.int64))


def _prefix(sequence: LogSequence, end: int) -> LogSequence:
    return replace(sequence, entries=sequence.entries[:end], times=sequence.times[:end])
