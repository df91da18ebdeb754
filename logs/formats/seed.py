"""The seed format: a JSON array of `{"sequence_id", "label", "length", "log_entries"}`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec

from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Record
from logs.formats import rows
from logs.formats.rows import RowOptions


class Seed(Format):
    """Sequences as a JSON array, read and written one element at a time."""

    Options = RowOptions
    extensions = (".json",)

    def sniff(self, head: bytes, name: str) -> float:
        """Sure if an array begins and its first object has log entries."""
        return 0.95 if head.lstrip()[:1] == b"[" and b'"log_entries"' in head else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield one record an element."""
        return records(rows.elements(stream), self.options.max_line)

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write the array, an element a line."""
        return write_array(map(row, sequences), stream)


def records(found: Iterable[rows.Row], max_line: int) -> Iterator[Record]:
    """Yield the sequences of raw rows."""
    for raw in found:
        if isinstance(raw, BadRecord):
            yield raw
            continue
        fields = rows.decode(*raw)
        if isinstance(fields, BadRecord):
            yield fields
        else:
            yield rows.sequence(raw[0], fields, fields.pop("log_entries", None), max_line)


def row(sequence: LogSequence) -> dict[str, Any]:
    """Return a sequence as the seed writes it."""
    return rows.fields(sequence) | {"length": len(sequence.entries), "log_entries": sequence.entries}


def write_array(objects: Iterable[dict[str, Any]], stream: BinaryIO) -> int:
    """Write JSON objects as one array; return their number."""
    count = 0
    for count, item in enumerate(objects, 1):
        stream.write((b"[\n" if count == 1 else b",\n") + msgspec.json.encode(item))
    stream.write(b"\n]\n" if count else b"[]\n")
    return count
