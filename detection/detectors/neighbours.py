"""The labels-free detector: far from the others, made of rare lines, or without common ones.

`detection.engine.neighbours` explains the distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detection.engine import serialize
from detection.engine.neighbours import LEAST, Crowd, limit, settle, surprise
from duolog.plugins.points import Detector
from duolog.plugins.types import Context, LineVectors, LogSequence


class TooFew(ValueError):
    """There are not enough sequences to tell what is usual."""


@dataclass(frozen=True)
class NeighboursOptions:
    """At most `sequences` are kept, drawn at random; `seed` draws them."""

    sequences: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sequences < LEAST:
            raise ValueError(f"sequences must be at least {LEAST}")


class Neighbours(Detector):
    """Learns what is usual from sequences that nobody labelled, in seconds; labels are not read.

    A fifth of them may be anomalous: what does not fit the others is left out, and its share need not be known. The
    score is d / (d + t) of a sequence's surprise d and the threshold t, so 0.5 is the threshold whatever was fitted,
    and the order of surprises is kept. A sequence without lines scores 0.
    """

    Options = NeighboursOptions
    options: NeighboursOptions
    needs_labels: ClassVar[bool] = False
    crowd: Crowd
    scale: NDArray[np.float64]
    limit: float

    def fit(
        self, train: Sequence[LogSequence], validation: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> float:
        """Remember `train` (and not `validation`), and return 0.5."""
        sample = [sequence for sequence in train if sequence.entries]
        if len(sample) < LEAST:
            raise TooFew(f"{len(sample)} sequences with lines are too few to tell what is usual; give {LEAST} or more")
        if len(sample) > self.options.sequences:
            drawn = np.random.default_rng(self.options.seed).permutation(len(sample))[: self.options.sequences]
            sample = [sample[position] for position in sorted(drawn)]
        rows, table = vectors.index(sample, ctx)
        ctx.stage("fit")
        usual, self.scale, surprises = settle(rows, table, self.options.seed)
        ctx.checkpoint()
        self.limit = limit(surprises[usual])
        self.crowd = Crowd.of(rows, usual, table)
        ctx.metric("left_out", float((~usual).mean()), step=0)
        return 0.5

    def score(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        """Return d / (d + t) for each sequence."""
        from detection.engine.vectors import Quiet

        scores = np.zeros(len(sequences))
        rows, table = vectors.index(sequences, Quiet(ctx))
        filled = [position for position, row in enumerate(rows) if len(row)]
        if filled:
            distance = surprise(self.crowd.distances([rows[position] for position in filled], table), self.scale)
            scores[filled] = distance / (distance + self.limit)
        return scores

    def save(self, folder: Path) -> None:
        """Write the crowd and the scale."""
        serialize.save(folder, {**vars(self.crowd), "scale": self.scale}, {"limit": self.limit})

    def load(self, folder: Path) -> None:
        """Restore what `save` wrote."""
        arrays, state = serialize.load(folder)
        self.scale, self.limit = arrays.pop("scale"), float(state["limit"])
        self.crowd = Crowd(**arrays)
