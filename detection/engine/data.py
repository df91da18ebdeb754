"""Sequences as windows of lines, in batches of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from detection.engine.familiar import FEATURES

Lines = NDArray[np.int32]
"""One sequence, [lines, 1 + C]: of each line its row in the vector table and its codes (`detection.engine.inputs`)."""

Causes = NDArray[np.int8]
"""Which lines of a sequence, [lines], are marked as root causes: 1 is, 0 is not, UNKNOWN where nobody said."""
UNKNOWN = -1

POOL = 16
"""Training batches that are drawn together and sorted by length: little padding, and still a random order."""


@dataclass(frozen=True, slots=True)
class Batch:
    """S sequences in W >= S windows: `lines` [W, L, 1 + C] (-1 is padding), `owner` [W] in 0..S-1, `labels` [S].

    `features` [S, 3] are those of `detection.engine.familiar`, `causes` [W, L] are `Causes`, and `confidence` [S] is
    how much each label weighs.
    """

    lines: Tensor
    owner: Tensor
    labels: Tensor
    features: Tensor
    causes: Tensor
    confidence: Tensor


class LogSequenceDataset:
    """Labelled sequences for training; nothing of a long one is cut.

    A sequence of more than `window` lines becomes windows that overlap by half, the last one ending with the sequence.
    It scores as its highest window, in training too, so a label need not be true of every window.
    """

    def __init__(
        self,
        rows: Sequence[Lines],
        labels: ArrayLike,
        window: int,
        features: NDArray[np.float32] | None = None,
        causes: Sequence[Causes] | None = None,
        confidence: ArrayLike = 1.0,
    ) -> None:
        told = [np.full(len(row), UNKNOWN, np.int8) for row in rows] if causes is None else causes
        self.causes = [windows(each, window) for each in told]
        self.windows = [windows(row, window) for row in rows]
        self.labels = np.asarray(labels, np.float32)
        self.confidence = np.broadcast_to(np.asarray(confidence, np.float32), self.labels.shape)
        self.features = np.zeros((len(rows), FEATURES), np.float32) if features is None else features

    def __len__(self) -> int:
        return len(self.windows)

    def batches(self, size: int, seed: tuple[int, ...], skip: int = 0) -> Iterator[Batch]:
        """Yield all sequences in batches of `size` in the order that `seed` gives, but not the first `skip` batches."""
        random = np.random.default_rng(seed)
        order = random.permutation(len(self))
        lengths = np.array([max(map(len, parts)) for parts in self.windows])
        chunks = []
        for start in range(0, len(order), size * POOL):
            pool = order[start : start + size * POOL]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            chunks += [pool[at : at + size] for at in range(0, len(pool), size)]
        for chunk in random.permutation(len(chunks))[skip:]:
            yield self._batch(chunks[chunk])

    def steps(self, size: int) -> int:
        """Return how many batches an epoch has."""
        return -(-len(self) // size)

    def _batch(self, members: NDArray[np.int64]) -> Batch:
        parts = [part for member in members for part in self.windows[member]]
        owner = [position for position, member in enumerate(members) for _ in self.windows[member]]
        told = (self.labels, self.features, self.confidence)
        labels, features, confidence = (torch.from_numpy(values[members]) for values in told)
        causes = pad([part[:, None] for member in members for part in self.causes[member]]).squeeze(-1)
        return Batch(pad(parts), torch.tensor(owner), labels, features, causes, confidence)


def windows(rows: NDArray[Any], size: int) -> list[NDArray[Any]]:
    """Return `rows` in pieces of at most `size` that overlap by half; no lines give no pieces."""
    if len(rows) <= size:
        return [rows] if len(rows) else []
    starts = [*range(0, len(rows) - size, size - size // 2), len(rows) - size]
    return [rows[start : start + size] for start in starts]


def pad(parts: Sequence[NDArray[Any]]) -> Tensor:
    """Return [len(parts), longest, 1 + C] of int64, filled up with -1."""
    index = np.full((len(parts), max(map(len, parts)), parts[0].shape[1]), -1, np.int64)
    for position, part in enumerate(parts):
        index[position, : len(part)] = part
    return torch.from_numpy(index)
