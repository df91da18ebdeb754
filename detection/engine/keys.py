"""Sequences as numbers of their masked lines ("log keys"), for what reads a line as a whole and not what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from duolog.plugins.types import LogSequence
from logs.engine.masking import mask


@dataclass(frozen=True, slots=True)
class Corpus:
    """S sequences as numbers of their M lines: `flat` [M] points into `lines`, sequence by sequence of `lengths` [S].

    `labels` [S] are 0, 1 or -1 (nobody said).
    """

    flat: NDArray[np.int32]
    lengths: NDArray[np.int64]
    lines: list[str]
    labels: NDArray[np.int8]

    @property
    def owner(self) -> NDArray[np.int64]:
        """Return the sequence of each line, [M]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def rows(self) -> list[NDArray[np.int32]]:
        """Return the line numbers of each sequence."""
        return np.split(self.flat, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []

    def counts(self) -> sparse.csr_matrix:
        """Return how often each sequence holds each line, [S, len(lines)]."""
        shape = (len(self.lengths), len(self.lines))
        return sparse.csr_matrix((np.ones(len(self.flat)), (self.owner, self.flat)), shape=shape)

    def only(self, chosen: NDArray[np.bool_]) -> Corpus:
        """Return the chosen sequences, [S] of bool; the lines keep their numbers."""
        return Corpus(self.flat[chosen[self.owner]], self.lengths[chosen], self.lines, self.labels[chosen])

    def normal(self) -> Corpus:
        """Return the sequences that nobody called anomalous; all of them where there is no such."""
        return self.only(self.labels != 1) if (self.labels != 1).any() else self


def corpus(sequences: Sequence[LogSequence], numbers: Mapping[str, int]) -> Corpus:
    """Return the corpus of sequences whose known lines have the `numbers`; others get the next ones."""
    raw: dict[str, int] = {}
    occurrences = (raw.setdefault(line, len(raw)) for sequence in sequences for line in sequence.entries)
    flat = np.fromiter(occurrences, np.int64)
    found = dict(numbers)
    number = np.array([found.setdefault(line, len(found)) for line in mask([*raw])], np.int32)
    lengths = np.array([len(sequence.entries) for sequence in sequences], np.int64)
    labels = np.array([-1 if sequence.label is None else sequence.label for sequence in sequences], np.int8)
    return Corpus(number[flat], lengths, list(found), labels)


def drawn(sequences: Sequence[LogSequence], most: int, lines: int, seed: int = 0) -> list[LogSequence]:
    """Return at most so many sequences with about so many lines at most, drawn at random, in their order."""
    lengths = np.array([len(sequence.entries) for sequence in sequences], np.int64)
    order = np.random.default_rng(seed).permutation(len(sequences))[:most]
    fits = np.cumsum(lengths[order]) - lengths[order] < lines
    return [sequences[position] for position in sorted(order[fits])]
