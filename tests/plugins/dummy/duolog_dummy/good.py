"""Plugins that behave."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from duolog.plugins.points import Detector, Format
from duolog.plugins.types import BadRecord, Context, LineVectors, LogSequence, Record


@dataclass(frozen=True)
class LengthOptions:
    """How unusual a length must be."""

    share: float = 0.99


class Length(Detector):
    """The longer a sequence, the more suspicious."""

    Options = LengthOptions
    needs_labels = False

    def __init__(self, options: LengthOptions | None = None) -> None:
        super().__init__(options)
        self.longest = 1

    def fit(
        self, train: Sequence[LogSequence], validation: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> float:
        lengths = [len(one.entries) for one in train]
        self.longest = max(lengths)
        return float(np.quantile(lengths, self.options.share) / self.longest)

    def save(self, folder: Path) -> None:
        (folder / "length.json").write_text(json.dumps({"longest": self.longest}))

    def load(self, folder: Path) -> None:
        self.longest = json.loads((folder / "length.json").read_text())["longest"]

    def score(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        return np.array([min(1.0, len(one.entries) / self.longest) for one in sequences])


class Pipes(Format):
    """A sequence a line, its lines between pipes: `id|label|line|line`."""

    extensions = (".pipes",)

    def sniff(self, head: bytes, name: str) -> float:
        return 0.9 if name.endswith(".pipes") else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        for row, line in enumerate(stream, 1):
            try:
                key, label, *entries = line.decode().rstrip("\n").split("|")
                yield LogSequence(key, tuple(entries), {"": None, "0": 0, "1": 1}[label])
            except (ValueError, KeyError):
                yield BadRecord(row, "not id|label|line|line", line.decode("utf-8", "replace")[:500])

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        count = 0
        for one in sequences:
            label = "" if one.label is None else str(one.label)
            stream.write(("|".join((one.id, label, *one.entries)) + "\n").encode())
            count += 1
        return count
