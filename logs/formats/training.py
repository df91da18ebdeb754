"""The training format: `{"log_sequence": "line 1\\nline 2", "label": "正常" or "异常"}`, as an array or a line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Record
from logs.engine.sanity import bad
from logs.formats import rows, seed
from logs.formats.rows import RowOptions

LABELS = {"正常": 0, "异常": 1, "normal": 0, "anomalous": 1}
WORDS = ("正常", "异常")


class Training(Format):
    """Sequences as one text each; a log line that holds a line break comes back as two."""

    Options = RowOptions
    extensions = (".json", ".jsonl")

    def sniff(self, head: bytes, name: str) -> float:
        """Sure if an array or object begins and there is a log sequence in it."""
        return 0.95 if head.lstrip()[:1] in (b"[", b"{") and b'"log_sequence"' in head else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield one record a row; a row without a sequence_id is named after its file and number."""
        first = stream.read(1)
        while first.isspace():
            first = stream.read(1)
        whole = cast(BinaryIO, _Put(first, stream))
        name = rows.name_of(stream)
        for raw in rows.elements(whole) if first == b"[" else rows.lines(whole):
            if isinstance(raw, BadRecord):
                yield raw
                continue
            fields = rows.decode(*raw)
            yield fields if isinstance(fields, BadRecord) else self._record(raw, fields, name)

    def _record(self, raw: tuple[int, bytes], fields: dict[str, Any], name: str) -> Record:
        text, label = fields.pop("log_sequence", None), fields.pop("label", None)
        if not isinstance(text, str):
            return bad(raw[0], "log_sequence is missing or no text", raw[1])
        if isinstance(label, str):
            if label not in LABELS:
                return bad(raw[0], f"the label is {label!r}, not one of {', '.join(LABELS)}", raw[1])
            label = LABELS[label]
        fields = {"sequence_id": f"{name}_{raw[0]:07d}"} | fields | {"label": label}
        return rows.sequence(raw[0], fields, text.split("\n"), self.options.max_line)

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write the array, an element a line."""
        return seed.write_array(map(_row, sequences), stream)


def _row(sequence: LogSequence) -> dict[str, Any]:
    row: dict[str, Any] = {"log_sequence": "\n".join(sequence.entries)} | rows.fields(sequence)
    if sequence.label is not None:
        row["label"] = WORDS[sequence.label]
    return row


class _Put:
    """A stream with its first byte put back."""

    def __init__(self, first: bytes, stream: BinaryIO) -> None:
        self._first, self._stream = first, stream

    def read(self, size: int) -> bytes:
        return self._take() or self._stream.read(size)

    def readline(self, size: int) -> bytes:
        first = self._take()
        return first + self._stream.readline(size - len(first)) if size > len(first) else first

    def _take(self) -> bytes:
        first, self._first = self._first, b""
        return first
