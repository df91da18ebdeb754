"""How unusual a sequence is among others, without any label: two distances, learned from a few hundred sequences.

`far` looks at the whole: the mean of a sequence's line vectors, whitened as in probabilistic principal components
(Tipping and Bishop 1999), and the distance to its near neighbours. `rare` looks at the lines: the mean dilutes a single
new line among fifty, so each distinct line adds how surprising it is, given how many sequences hold one like it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Floats = NDArray[np.float32]

COMPONENTS = 32
"""Directions along which sequences are allowed to vary."""
LEAST_VARIANCE = 1e-3
"""Variance of all other directions, as a share of the largest: a line never seen leaves the others' span there."""
NEIGHBOURS = (0.05, 0.15)
"""Neighbours whose distance counts, as shares of the crowd: the 20th of 400 finds what stands alone, and the 60th what
stands in a small group, such as a fault that the crowd itself holds some times."""
ALIKE = 0.2
"""Cosine distance within which two lines say the same: leftovers of masking lie below, other statements above."""
CHUNK = 256


@dataclass(frozen=True)
class Crowd:
    """What sequences are compared with: N sequences, K distinct lines, M mentions of lines in sequences."""

    centre: Floats  # [D]
    whitening: Floats  # [D, D]
    points: Floats  # [N, D], whitened means
    line_centre: Floats  # [D]
    lines: Floats  # [K, D], unit vectors
    mentions: NDArray[np.int64]  # [M], for each sequence in turn its distinct lines, as positions in `lines`
    starts: NDArray[np.int64]  # [N], where each sequence's mentions begin

    @classmethod
    def of(cls, rows: Sequence[Rows], table: Floats) -> Crowd:
        """Return the crowd of sequences given as `rows` of the vector table [R, D]; none may be empty."""
        means = _means(rows, table)
        centre = means.mean(0)
        _, singular, directions = np.linalg.svd(means - centre)
        variance = np.zeros(means.shape[1], np.float32)
        variance[: len(singular)] = singular**2 / len(means)
        variance[COMPONENTS:] = 0
        spread = np.sqrt(np.maximum(variance, max(LEAST_VARIANCE * variance[0], 1e-12)))
        whitening = (directions.T / spread).astype(np.float32)
        distinct = [np.unique(row) for row in rows]
        known, mentions = np.unique(np.concatenate(distinct), return_inverse=True)
        line_centre = table[known].mean(0)
        starts = np.cumsum([0, *map(len, distinct[:-1])])
        points = (means - centre) @ whitening
        return cls(centre, whitening, points, line_centre, _unit(table[known] - line_centre), mentions, starts)

    def distances(self, rows: Sequence[Rows], table: Floats) -> NDArray[np.float64]:
        """Return `far` and `rare` of sequences, float64 [S, 2]."""
        return np.stack([self._far(_means(rows, table)), self._rare(rows, table)], axis=1)

    def _far(self, means: Floats) -> NDArray[np.float64]:
        """Return the mean distance to the neighbours at the two ranks."""
        ranks = [min(max(1, round(share * len(self.points))), len(self.points)) - 1 for share in NEIGHBOURS]
        points = (means - self.centre) @ self.whitening
        norms = (self.points**2).sum(1)
        far = np.empty(len(points), np.float64)
        for start in range(0, len(points), CHUNK):
            part = points[start : start + CHUNK]
            squares = (part**2).sum(1)[:, None] + norms - 2 * part @ self.points.T  # [CHUNK, N]
            nearest = np.partition(squares, ranks, axis=1)[:, ranks]
            far[start : start + CHUNK] = np.sqrt(np.maximum(nearest, 0)).mean(1)
        return far

    def _rare(self, rows: Sequence[Rows], table: Floats) -> NDArray[np.float64]:
        """Return the root of the summed squares of -log P(line) over a sequence's distinct lines."""
        distinct = [np.unique(row) for row in rows]
        met, positions = np.unique(np.concatenate(distinct), return_inverse=True)
        surprise = -np.log((self._holders(table[met]) + 0.5) / (len(self.points) + 0.5))
        starts = np.cumsum([0, *map(len, distinct[:-1])])
        return np.sqrt(np.add.reduceat(surprise[positions] ** 2, starts))

    def _holders(self, vectors: Floats) -> NDArray[np.float64]:
        """Return in how many sequences a line like each of `vectors` [L, D] stands; near misses count in part."""
        lines = _unit(vectors - self.line_centre)
        holders = np.empty(len(lines), np.float64)
        for start in range(0, len(lines), CHUNK):
            apart = np.maximum(1 - lines[start : start + CHUNK] @ self.lines.T, 0)  # [CHUNK, K]
            alike = np.exp(-((apart / ALIKE) ** 2))
            holders[start : start + CHUNK] = np.maximum.reduceat(alike[:, self.mentions], self.starts, axis=1).sum(1)
        return np.minimum(holders, len(self.points))


def held_out(rows: Sequence[Rows], table: Floats, folds: int, seed: int) -> NDArray[np.float64]:
    """Return the distances [N, 2] of each sequence from the crowd of those in other folds.

    Not merely from all others: the whitening would have seen it, and new sequences would all come out farther away.
    """
    fold = np.random.default_rng(seed).permutation(len(rows)) % folds
    distances = np.empty((len(rows), 2), np.float64)
    for number in range(folds):
        crowd = Crowd.of([row for row, mine in zip(rows, fold, strict=True) if mine != number], table)
        inside = [row for row, mine in zip(rows, fold, strict=True) if mine == number]
        distances[fold == number] = crowd.distances(inside, table)
    return distances


def _means(rows: Sequence[Rows], table: Floats) -> Floats:
    return np.stack([table[row].mean(0) for row in rows])


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
