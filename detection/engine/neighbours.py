"""How unusual a sequence is among others, without any label: three distances, learned from a few hundred sequences.

`far` looks at the whole: the mean of a sequence's line vectors, whitened as in probabilistic principal components
(Tipping and Bishop 1999), and the distance to its near neighbours. `rare` looks at the lines: the mean dilutes a single
new line among fifty, so each distinct line adds how surprising it is, given how many sequences hold one like it.
`missing` looks at the lines that most sequences hold and this one does not: work that broke off holds nothing rare.
As in histogram-based outlier scores (Goldstein and Dengel 2012) lines count as if they were independent.

Some of what is learned from may be anomalous itself, nobody knows how much. So lines are counted in all sequences, then
without those that are unusual, and again, as in the concentration steps of FAST-MCD (Rousseeuw and Van Driessen 1999).
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
OFTEN = 0.1
"""Lines that this share of the sequences hold are missed where they are absent; others would add next to nothing."""
USUAL = 4.9
"""Surprise up to which a sequence belongs to the crowd: all three distances about twice what is usual."""
LEAST = 20
"""Fewer sequences than this say nothing about what is usual."""
ALARM = 6.1
"""Least surprise that is an alarm: sequences between USUAL and this are not learned from, and not yet flagged."""
MARGIN = 1.1
"""The alarm stands above the surprise of 99 in 100 usual sequences by this factor."""
ROUNDS, FOLDS = 3, 5
LEAST_USUAL = 0.6
"""Share of the sequences that stays, however they scatter."""
UNIT = (2.0, float(np.log(2)), float(np.log(2)))
"""Least scale of the distances, for crowds whose members are all alike: two standard deviations; a line that every
other sequence holds, or does not hold."""


@dataclass(frozen=True)
class Crowd:
    """What sequences are compared with: N, U of them usual, with their K distinct lines in M mentions."""

    centre: Floats  # [D]
    whitening: Floats  # [D, D]
    points: Floats  # [N, D], whitened means
    line_centre: Floats  # [D]
    lines: Floats  # [K, D], unit vectors
    mentions: NDArray[np.int64]  # [M], for each usual sequence in turn its distinct lines, as positions in `lines`
    starts: NDArray[np.int64]  # [U], where each sequence's mentions begin
    common: Floats  # [C, D], unit vectors of lines that many sequences hold
    expected: Floats  # [C], what the absence of each adds to the square of `missing`

    @classmethod
    def of(cls, rows: Sequence[Rows], usual: NDArray[np.bool_], table: Floats) -> Crowd:
        """Return the crowd of sequences given as `rows` of the vector table [R, D]; none may be empty.

        All of them are neighbours, as a small group of healthy ones would stand alone without its like; only the
        `usual` ones, bool [N], count where it is asked which lines a sequence holds.
        """
        means = _means(rows, table)
        centre = means.mean(0)
        counted = [row for row, counts in zip(rows, usual, strict=True) if counts]
        known, mentions, starts = _mentions(counted)
        line_centre = table[known].mean(0)
        whitening = _whitening(means - centre)
        points, lines = (means - centre) @ whitening, _unit(table[known] - line_centre)
        holders = _holders(lines, lines, mentions, starts)
        often = holders >= OFTEN * len(counted)
        # Wordings of one statement share its weight: leftovers of masking make many of it.
        wordings = _alike(lines[often], lines[often]).sum(1)
        absence = _surprise(len(counted) - holders[often], len(counted))
        expected = (absence**2 / wordings).astype(np.float32)
        return cls(centre, whitening, points, line_centre, lines, mentions, starts, lines[often], expected)

    def distances(self, rows: Sequence[Rows], table: Floats) -> NDArray[np.float64]:
        """Return `far`, `rare` and `missing` of sequences, float64 [S, 3]."""
        return np.column_stack([self._far(_means(rows, table)), *self._lines(rows, table)])

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

    def _lines(self, rows: Sequence[Rows], table: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the root of the summed squares of -log P(line is there) over a sequence's distinct lines, and of
        -log P(line is absent) over those it lacks; near misses count in part.
        """
        met, mentions, starts = _mentions(rows)
        lines = _unit(table[met] - self.line_centre)
        surprise = _surprise(_holders(lines, self.lines, self.mentions, self.starts), len(self.starts))
        rare = np.sqrt(np.add.reduceat(surprise[mentions] ** 2, starts))
        there = _alike(lines, self.common)  # [met, C]
        missing = np.empty(len(rows), np.float64)
        ends = np.append(starts, len(mentions))
        for start in range(0, len(rows), CHUNK):
            end = min(start + CHUNK, len(rows))
            part = there[mentions[ends[start] : ends[end]]]
            held = np.maximum.reduceat(part, starts[start:end] - starts[start], axis=0)  # [CHUNK, C]
            missing[start:end] = np.sqrt((1 - held) @ self.expected)
        return rare, missing


def settle(
    rows: Sequence[Rows], table: Floats, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Return which sequences are usual, bool [N], the scale of their distances [3], and the surprise of all [N]."""
    usual = np.ones(len(rows), bool)
    for number in range(ROUNDS + 1):
        distances = held_out(rows, table, usual, seed + number)
        scale = np.maximum(np.median(distances[usual], axis=0), UNIT)
        surprises = surprise(distances, scale)
        if number < ROUNDS:
            usual = surprises <= max(USUAL, float(np.quantile(surprises, LEAST_USUAL)))
    return usual, scale, surprises


def limit(surprises: NDArray[np.float64]) -> float:
    """Return the surprise that is an alarm, from those of the usual sequences [U]."""
    return max(float(np.quantile(surprises, 0.99)) * MARGIN, ALARM)


def surprise(distances: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one figure out of the distances, [S] from [S, 3].

    It is the negative log-likelihood of Cauchy distributions but for a constant: heavy tails (Lange, Little and Taylor
    1989), so that two distances somewhat beyond the usual outweigh a single one far beyond it.
    """
    total: NDArray[np.float64] = np.log1p((distances / scale) ** 2).sum(1)
    return total


def held_out(rows: Sequence[Rows], table: Floats, usual: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """Return the distances [N, 3] of each sequence from the crowd of those in other folds.

    Not merely from all others: the whitening would have seen it, and new sequences would all come out farther away.
    """
    fold = np.random.default_rng(seed).permutation(len(rows)) % FOLDS
    distances = np.empty((len(rows), 3), np.float64)
    for number in range(FOLDS):
        inside, others = (np.flatnonzero(which).tolist() for which in (fold == number, fold != number))
        crowd = Crowd.of([rows[member] for member in others], usual[others], table)
        distances[inside] = crowd.distances([rows[member] for member in inside], table)
    return distances


def _whitening(offsets: Floats) -> Floats:
    """Return the symmetric matrix [D, D] that gives `offsets` [N, D] variance one along their main directions."""
    _, singular, directions = np.linalg.svd(offsets, full_matrices=False)
    variance = singular[:COMPONENTS] ** 2 / len(offsets)
    least = max(LEAST_VARIANCE * float(variance[0]), 1e-12)
    main, other = 1 / np.sqrt(np.maximum(variance, least)), 1 / np.sqrt(least)
    kept = directions[:COMPONENTS]
    whitening: Floats = (np.eye(offsets.shape[1]) * other + (kept.T * (main - other)) @ kept).astype(np.float32)
    return whitening


def _mentions(rows: Sequence[Rows]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct lines [K], for each sequence in turn its own as positions in them, and where each begins."""
    distinct = [np.unique(row) for row in rows]
    known, mentions = np.unique(np.concatenate(distinct), return_inverse=True)
    starts = np.cumsum([0, *map(len, distinct[:-1])])
    return known.astype(np.int64), mentions.astype(np.int64), starts.astype(np.int64)


def _holders(
    lines: Floats, known: Floats, mentions: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return in how many sequences a line like each of `lines` [L, D] stands; near misses count in part."""
    holders = np.empty(len(lines), np.float64)
    for start in range(0, len(lines), CHUNK):
        alike = _alike(lines[start : start + CHUNK], known)  # [CHUNK, K]
        holders[start : start + CHUNK] = np.maximum.reduceat(alike[:, mentions], starts, axis=1).sum(1)
    return np.minimum(holders, len(starts))


def _alike(lines: Floats, others: Floats) -> Floats:
    """Return how much two lines say the same, from 0 to 1, [L, K] from unit vectors."""
    alike: Floats = np.exp(-((np.maximum(1 - lines @ others.T, 0) / ALIKE) ** 2))
    return alike


def _surprise(count: NDArray[np.float64], total: int) -> NDArray[np.float64]:
    return -np.log((count + 0.5) / (total + 0.5))


def _means(rows: Sequence[Rows], table: Floats) -> Floats:
    return np.stack([table[row].mean(0) for row in rows])


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
