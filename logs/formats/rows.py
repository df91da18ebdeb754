"""What the built-in formats share: cutting a stream into rows in bounded memory, and rows into sequences."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO, ClassVar, cast

import msgspec

from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Reason, Record
from logs.engine.sanity import MAX_LINE_BYTES, bad, checked

ROW_BYTES = 64 << 20
"""A row larger than this is not read: it is what bounds the memory."""
CHUNK = 1 << 20
SHOWN = 200
"""Characters of a wrong value that are told."""
SPACE = b" \t\r\n"
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)
SCALAR = re.compile(rb"[,\]]")

Row = tuple[int, bytes] | BadRecord


@dataclass(frozen=True)
class RowOptions:
    """`max_line` limits one log line, in bytes."""

    max_line: int = MAX_LINE_BYTES


class ObjectFormat(Format):
    """A format of JSON objects, as an array or a line each; a subclass tells what one of them means.

    A file whose head holds all of `marks` is taken for it, as `sure` as that makes it.
    """

    Options = RowOptions
    extensions = (".json", ".jsonl")
    marks: ClassVar[tuple[bytes, ...]]
    sure: ClassVar[float] = 0.95

    def sniff(self, head: bytes, name: str) -> float:
        """Sure if an array or object begins and the marks are in it."""
        begins = head.lstrip()[:1] in (b"[", b"{")
        return self.sure if begins and all(mark in head for mark in self.marks) else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield one record a row."""
        name = name_of(stream)
        for found in objects(stream):
            yield found if isinstance(found, BadRecord) else self.record(*found, name)

    @abstractmethod
    def record(self, number: int, raw: bytes, fields: dict[str, Any], name: str) -> Record:
        """Return what a row is; `name` goes into its id where it has none of its own."""


def lines(stream: BinaryIO, limit: int = ROW_BYTES) -> Iterator[Row]:
    """Yield (line number, line without its end); blank lines are left out, one that is too long is a BadRecord."""
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit and not line.endswith(b"\n"):
            size = len(line)
            while (rest := stream.readline(CHUNK)) and not rest.endswith(b"\n"):
                size += len(rest)
            reason = Reason(
                "the line has %(bytes)d bytes; at most %(most)d are taken", bytes=size + len(rest), most=limit
            )
            yield bad(number, reason, line)
        elif (line := line.rstrip(b"\r\n")) and not line.isspace():
            yield number, line


def elements(stream: BinaryIO) -> Iterator[Row]:
    """Yield (element number, its JSON) of an array; where the array breaks, one last BadRecord says so.

    The elements are found by counting brackets outside strings, so that one that makes no sense costs itself only.
    """
    buffer, position, number = b"", 0, 0
    opened = False
    while True:
        while position < len(buffer) and buffer[position] in SPACE + b",":
            position += 1
        if position == len(buffer):
            buffer, position = stream.read(CHUNK), 0
            if not buffer:
                yield bad(number + 1, Reason("the file ends before the array does"), b"")
                return
            continue
        if not opened:
            if buffer[position : position + 1] != b"[":
                yield bad(1, Reason("the file does not begin with a JSON array"), buffer[position:])
                return
            opened, position = True, position + 1
            continue
        if buffer[position : position + 1] == b"]":
            rest = (buffer[position + 1 :] + stream.read(CHUNK)).strip()
            if rest:
                yield bad(number + 1, Reason("something follows the end of the array"), rest)
            return
        number += 1
        buffer, position, end = _element(buffer, position, stream)
        if not end:
            large = len(buffer) - position > ROW_BYTES
            torn = Reason("the file ends within this row")
            reason = Reason("the row has more than %(most)d bytes", most=ROW_BYTES) if large else torn
            yield bad(number, reason, buffer[position:])
            return
        yield number, buffer[position:end]
        position = end


def objects(stream: BinaryIO) -> Iterator[tuple[int, bytes, dict[str, Any]] | BadRecord]:
    """Yield (number, JSON, fields) of the objects of an array or, where none begins, of JSON lines."""
    first = stream.read(1)
    while first.isspace():
        first = stream.read(1)
    whole = cast(BinaryIO, _Put(first, stream))
    for row in elements(whole) if first == b"[" else lines(whole):
        if isinstance(row, BadRecord):
            yield row
        else:
            fields = decode(*row)
            yield fields if isinstance(fields, BadRecord) else (*row, fields)


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


def _element(buffer: bytes, start: int, stream: BinaryIO) -> tuple[bytes, int, int]:
    """Return the buffer, filled as far as needed, and where in it the element begins and ends (0: nowhere)."""
    depth, position = 0, start
    while True:
        if buffer[start] not in b'{["' and (found := SCALAR.search(buffer, start)):
            return buffer, start, found.start()
        for token in TOKEN.finditer(buffer, position):
            text = token[0]
            if text == b'"':  # a string that goes on beyond the buffer
                position = token.start()
                break
            if len(text) == 1:
                depth += 1 if text in b"{[" else -1
            position = token.end()
            if depth <= 0:
                return buffer, start, position
        # Twice as much each time: a long string is not scanned over and over.
        more = stream.read(max(CHUNK, len(buffer)))
        if not more or len(buffer) - start > ROW_BYTES:
            return buffer, start, 0
        buffer, position, start = buffer[start:] + more, position - start, 0


def sequence(row: int, fields: Mapping[str, Any], entries: Any, max_line: int) -> Record:
    """Return the sequence of a row; `fields` are all others: id, label, length, type, times, and what else there is."""
    if reason := _fault(fields, entries):
        return bad(row, reason, "\n".join(map(str, entries)) if isinstance(entries, list) else str(entries))
    meta = dict(fields)
    key, label, _ = meta.pop("sequence_id"), meta.pop("label", None), meta.pop("length", None)
    if not meta:
        return checked(row, LogSequence(str(key), tuple(entries), label), max_line)
    kind = next((meta.pop(name) for name in ("anomaly_type", "type") if isinstance(meta.get(name), str)), None)
    times = meta.get("times")
    if isinstance(times, list) and len(times) == len(entries) and all(isinstance(at, float | int) for at in times):
        del meta["times"]
        moments = tuple(map(float, times))
    else:
        moments = ()
    return checked(row, LogSequence(str(key), tuple(entries), label, kind or None, moments, meta), max_line)


def _fault(fields: Mapping[str, Any], entries: Any) -> Reason | None:
    if not isinstance(entries, list) or not set(map(type, entries)) <= {str}:
        return Reason("the log lines are missing or not a list of texts")
    key, label, length = fields.get("sequence_id"), fields.get("label"), fields.get("length")
    if not isinstance(key, str | int) or isinstance(key, bool):
        return Reason("sequence_id is missing or no text: %(id)s", id=repr(key)[:SHOWN])
    if isinstance(label, bool) or label not in (None, 0, 1):
        return Reason("the label is %(label)s, not 0 or 1", label=repr(label)[:SHOWN])
    if length not in (None, len(entries)):
        said = repr(length)[:SHOWN]
        return Reason("length says %(said)s, but there are %(lines)d log lines", said=said, lines=len(entries))
    return None


def decode(row: int, raw: bytes) -> dict[str, Any] | BadRecord:
    """Return a row's JSON object."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return bad(row, Reason("not valid JSON: %(error)s", error=str(error)), raw)
    if not isinstance(value, dict):
        return bad(row, Reason("not a JSON object"), raw)
    return value


def fields(sequence: LogSequence) -> dict[str, Any]:
    """Return what `sequence()` takes apart, without the log lines."""
    row: dict[str, Any] = {"sequence_id": sequence.id}
    if sequence.label is not None:
        row["label"] = sequence.label
    if sequence.type:
        row["anomaly_type"] = sequence.type
    if sequence.times:
        row["times"] = sequence.times
    return dict(sequence.meta) | row


def name_of(stream: BinaryIO) -> str:
    """Return a name for rows that have none of their own; equal for equal files (logs.files)."""
    name = getattr(stream, "name", None)
    return PurePath(name).name if isinstance(name, str) else "row"
