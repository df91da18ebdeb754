"""The seed format, an object a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from duolog.plugins.points import Format
from duolog.plugins.types import LogSequence, Record
from logs.formats import rows, seed
from logs.formats.rows import RowOptions


class Jsonl(Format):
    """Sequences as JSON lines."""

    Options = RowOptions
    extensions = (".jsonl", ".ndjson")

    def sniff(self, head: bytes, name: str) -> float:
        """Sure if an object with log entries begins."""
        return 0.95 if head.lstrip()[:1] == b"{" and b'"log_entries"' in head else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield one record a line."""
        return seed.records(rows.lines(stream), self.options.max_line)

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write a line a sequence."""
        count = 0
        for count, sequence in enumerate(sequences, 1):
            stream.write(msgspec.json.encode(seed.row(sequence)) + b"\n")
        return count
