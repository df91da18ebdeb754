"""Leakage: how much of what a model is judged on says the same, line for line, as what it learned from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from logs.engine.fingerprint import BYTES, fingerprints

Fingerprints = NDArray[np.bytes_]
"""Fingerprints of template sequences, S16."""
BATCH = 1000
"""Sequences whose lines are masked at once."""
FILE = "learned.fingerprints"


def share(judged: Fingerprints, learned: Fingerprints) -> float:
    """Return the share of judged sequences whose template sequence is learned, too; 0 where none is judged."""
    return float(np.isin(judged, learned).mean()) if len(judged) else 0.0


def of(sequences: Iterable[Sequence[str]]) -> Fingerprints:
    """Return the fingerprints of sequences of lines, in order."""
    iterator, found = iter(sequences), bytearray()
    while batch := list(islice(iterator, BATCH)):
        found += b"".join(fingerprints(batch))
    return np.frombuffer(bytes(found), f"S{BYTES}")


def save(learned: Fingerprints, folder: Path) -> None:
    """Write the distinct fingerprints, sorted, 16 bytes each, into a model's folder."""
    (folder / FILE).write_bytes(np.unique(learned).tobytes())


def load(folder: Path) -> Fingerprints | None:
    """Return what `save` wrote; None for a model of before."""
    place = folder / FILE
    return np.frombuffer(place.read_bytes(), f"S{BYTES}") if place.exists() else None
