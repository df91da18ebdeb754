"""The labels-free detector: far from its neighbours, or made of rare lines (`detection.engine.neighbours`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detection.engine import serialize
from detection.engine.neighbours import Crowd, held_out
from duolog.plugins.points import Detector
from duolog.plugins.types import Context, LineVectors, LogSequence

FOLDS = 10
LEAST = 20
"""Fewer sequences than this say nothing about what is usual."""
UNIT = (2.0, float(np.log(2)))
"""Least scale of the two distances, for crowds whose members are all alike: two standard deviations; a line that every
other sequence holds."""


class TooFew(ValueError):
    """There are not enough sequences to tell what is usual."""


@dataclass(frozen=True)
class NeighboursOptions:
    """`expected` is the share of the fitted sequences that may be anomalous themselves: the threshold lies above all
    others, by a `margin`. At most `sequences` are kept, drawn at random; `seed` draws them.
    """

    expected: float = 0.01
    margin: float = 1.2
    sequences: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.expected < 0.5:
            raise ValueError("expected must be at least 0 and below 0.5")
        if self.margin < 1 or self.sequences < LEAST:
            raise ValueError(f"margin must be at least 1 and sequences at least {LEAST}")


class Neighbours(Detector):
    """Learns what is usual from sequences that nobody labelled, in seconds; labels are not read.

    The score is d / (d + t) of a sequence's distance d and the threshold distance t, so 0.5 is the threshold whatever
    was fitted, and the order of distances is kept. A sequence without lines scores 0.
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
        distances = held_out(rows, table, FOLDS, self.options.seed)
        ctx.checkpoint()
        # Medians: whatever is anomalous among the fitted sequences does not move them.
        self.scale = np.maximum(np.median(distances, axis=0), UNIT)
        usual = np.quantile(self._distance(distances), 1 - self.options.expected)
        self.limit = max(float(usual) * self.options.margin, 1.0)  # never below one unit, not even for twins
        self.crowd = Crowd.of(rows, table)
        return 0.5

    def score(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        """Return d / (d + t) for each sequence."""
        from detection.engine.vectors import Quiet

        scores = np.zeros(len(sequences))
        rows, table = vectors.index(sequences, Quiet(ctx))
        filled = [position for position, row in enumerate(rows) if len(row)]
        if filled:
            distance = self._distance(self.crowd.distances([rows[position] for position in filled], table))
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

    def _distance(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one distance out of `far` and `rare`, [S] from [S, 2]: each in units of what is usual, then both."""
        scaled: NDArray[np.float64] = np.linalg.norm(distances / self.scale, axis=1)
        return scaled
