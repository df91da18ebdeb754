"""Which lines a score hangs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from duolog.plugins.types import LogSequence
from logs.engine.masking import mask

MOST = 5
"""Different lines that `flips` drops at most: a longer list explains nothing."""

Score = Callable[[list[LogSequence]], NDArray[np.float64]]


def blame(score: Score, sequences: Sequence[LogSequence]) -> list[NDArray[np.float64]]:
    """Return one weight a line: how far the score falls when that line is not there.

    Weights are >= 0 and sum to 1, or are all 0 if no line matters. Lines that are equal once masked are dropped
    together and share what they cause: dropping one of two such errors would leave the score as it is. All
    counterfactuals of all sequences are scored in one call.
    """
    trials: list[LogSequence] = []
    groups: list[list[list[int]]] = []
    for sequence in sequences:
        alike = _alike(sequence)
        groups.append(alike)
        trials.append(sequence)
        trials.extend(_without(sequence, set(positions)) for positions in alike if len(alike) > 1)
    scores = score(trials)
    weights, at = [], 0
    for sequence, positions in zip(sequences, groups, strict=True):
        weight = np.zeros(len(sequence.entries))
        if len(positions) == 1:  # nothing would be left: the only line there is takes it all
            weight[:] = 1
            at += 1
        else:
            falls = np.maximum(scores[at] - scores[at + 1 : at + 1 + len(positions)], 0)
            for group, fall in zip(positions, falls, strict=True):
                weight[group] = fall / len(group)
            at += 1 + len(positions)
        weights.append(weight / (weight.sum() or 1))
    return weights


def flips(score: Score, sequences: Sequence[LogSequence], threshold: float) -> list[tuple[int, ...]]:
    """Return for each anomalous sequence the fewest lines, in order, without which its score is below `threshold`.

    Found greedily, so there may be a smaller set: of the lines that are left the one whose loss costs most goes next,
    together with those that equal it once masked. Empty where MOST of them do not do it, or where no loss lowers the
    score (what is missing cannot be dropped). A round scores all counterfactuals of all sequences in one call.
    """
    found: list[tuple[int, ...]] = [()] * len(sequences)
    left = {number: _alike(sequence) for number, sequence in enumerate(sequences)}
    dropped: dict[int, set[int]] = {number: set() for number in left}
    reached = dict.fromkeys(left, np.inf)
    for _ in range(MOST):
        left = {number: alike for number, alike in left.items() if len(alike) > 1}
        trials = [
            (number, _without(sequences[number], dropped[number].union(positions)))
            for number, alike in left.items()
            for positions in alike
        ]
        if not trials:
            break
        scores = iter(score([trial for _, trial in trials]))
        for number, alike in list(left.items()):
            falls = [float(next(scores)) for _ in alike]
            lowest = int(np.argmin(falls))
            dropped[number].update(alike.pop(lowest))
            if falls[lowest] < threshold:
                found[number] = tuple(sorted(dropped[number]))
            if falls[lowest] < threshold or falls[lowest] >= reached[number]:
                del left[number]
            reached[number] = falls[lowest]
    return found


def _alike(sequence: LogSequence) -> list[list[int]]:
    """Return the positions of the lines that are equal once masked, by first appearance."""
    lines: dict[str, list[int]] = {}
    for position, line in enumerate(mask(sequence.entries)):
        lines.setdefault(line, []).append(position)
    return list(lines.values())


def _without(sequence: LogSequence, dropped: set[int]) -> LogSequence:
    keep = [position for position in range(len(sequence.entries)) if position not in dropped]
    times = tuple(sequence.times[position] for position in keep) if sequence.times else ()
    return replace(sequence, entries=tuple(sequence.entries[position] for position in keep), times=times)
