"""Which lines a score hangs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from duolog.plugins.types import LogSequence
from logs.engine.masking import mask

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
        lines: dict[str, list[int]] = {}
        for position, line in enumerate(mask(sequence.entries)):
            lines.setdefault(line, []).append(position)
        groups.append(list(lines.values()))
        trials.append(sequence)
        trials.extend(_without(sequence, set(positions)) for positions in lines.values() if len(lines) > 1)
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


def _without(sequence: LogSequence, dropped: set[int]) -> LogSequence:
    keep = [position for position in range(len(sequence.entries)) if position not in dropped]
    times = tuple(sequence.times[position] for position in keep) if sequence.times else ()
    return replace(sequence, entries=tuple(sequence.entries[position] for position in keep), times=times)
