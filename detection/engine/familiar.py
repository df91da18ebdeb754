"""How usual a sequence is in the stream that was learned: the labels-free distances as features of the small model.

The distances are those of `detection.engine.neighbours`. As features, log(1 + (distance / scale)^2), they sum up to the
surprise of the labels-free detector, so a weight of one for each starts training from that detector's word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.engine.neighbours import Crowd, Floats, Rows, held_out, limit, settle

FEATURES = 3
SEQUENCES = 1000
"""Sequences that are remembered: more say little more, and cost time with every score."""
_CROWD, _SCALE, _LIMIT = "crowd.", "familiar.scale", "familiar.limit"


@dataclass(frozen=True)
class Familiar:
    """The crowd, the scale of its distances, and the surprise from which on the labels-free detector gives alarm."""

    crowd: Crowd
    scale: NDArray[np.float64]  # [3]
    limit: float

    @classmethod
    def learn(
        cls, rows: Sequence[Rows], normal: NDArray[np.bool_], table: Floats, seed: int
    ) -> tuple[Familiar, Floats]:
        """Learn from sequences without a label and `normal` ones, bool [N]; also return their own features [N, 3].

        These are out of fold: else the same figure would mean less of a new sequence than of one that was learned from.
        What a person called normal is usual, however it looked.
        """
        usual, scale, _ = settle(rows, table, seed)
        usual |= normal
        features = _features(held_out(rows, table, usual, seed), scale)
        return cls(Crowd.of(rows, usual, table), scale, limit(features.sum(1)[usual])), features

    def features(self, rows: Sequence[Rows], table: Floats) -> Floats:
        """Return the features of sequences, float32 [S, 3]; equal ones are computed once, and no lines have zeros."""
        places: dict[bytes, int] = {}
        which = np.array([places.setdefault(row.tobytes(), len(places)) for row in rows], np.int64)
        features = np.zeros((len(places), FEATURES), np.float32)
        filled = {place: np.frombuffer(row, np.int32) for row, place in places.items() if row}
        if filled:
            features[list(filled)] = _features(self.crowd.distances(list(filled.values()), table), self.scale)
        return features[which]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays."""
        crowd = {_CROWD + name: array for name, array in vars(self.crowd).items()}
        return {**crowd, _SCALE: self.scale, _LIMIT: np.array([self.limit])}

    @classmethod
    def take(cls, arrays: dict[str, NDArray[Any]]) -> Familiar | None:
        """Take what `arrays` gave out of `arrays`; None if it is not there."""
        crowd = {name: arrays.pop(name) for name in list(arrays) if name.startswith(_CROWD)}
        if not crowd:
            return None
        found = Crowd(**{name.removeprefix(_CROWD): array for name, array in crowd.items()})
        return cls(found, arrays.pop(_SCALE), float(arrays.pop(_LIMIT)[0]))


def _features(distances: NDArray[np.float64], scale: NDArray[np.float64]) -> Floats:
    return np.log1p((distances / scale) ** 2).astype(np.float32)
