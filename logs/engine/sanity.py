"""What no stored sequence may be, whichever way it came."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, compress, count
from typing import Any

import msgspec

from duolog.plugins.types import BadRecord, LogBatch, LogSequence, Reason, Record

MAX_LINE_BYTES = 1 << 20
ATTRIBUTE_BYTES = 1 << 20
"""Of all that a line has beside its text."""
SEQUENCE_CHARACTERS = 64 << 20
ID_CHARACTERS = 200
TYPE_CHARACTERS = 80
EXCERPT_CHARACTERS = 500
NUL = Reason("there is a NUL character in it")
NO_UTF8 = Reason("it is not valid UTF-8")


def fault(sequence: LogSequence, max_line: int = MAX_LINE_BYTES) -> Reason | None:
    """Return what is wrong with a sequence, or None; `max_line` limits one log line in UTF-8 bytes."""
    entries = sequence.entries
    if not sequence.id or len(sequence.id) > ID_CHARACTERS:
        return Reason("the sequence id is empty or longer than %(most)d characters", most=ID_CHARACTERS)
    if sequence.label not in (None, 0, 1):
        return Reason("the label is %(label)s, not 0 or 1", label=repr(sequence.label))
    if sequence.type and len(sequence.type) > TYPE_CHARACTERS:
        return Reason("the anomaly type is longer than %(most)d characters", most=TYPE_CHARACTERS)
    if not entries:
        return Reason("there are no log lines")
    if sequence.times and len(sequence.times) != len(entries):
        return Reason("%(times)d times for %(lines)d lines", times=len(sequence.times), lines=len(entries))
    # In one piece: each of these is one pass in C.
    text = "\n".join((sequence.id, sequence.type or "", *entries))
    if len(text) > SEQUENCE_CHARACTERS:
        return Reason(
            "the %(lines)d lines have %(characters)d characters; at most %(most)d are taken",
            lines=len(entries),
            characters=len(text),
            most=SEQUENCE_CHARACTERS,
        )
    if len(text) * 4 > max_line:
        for number, line in enumerate(entries, 1):
            if (size := len(line.encode("utf-8", "surrogatepass"))) > max_line:
                return Reason(
                    "log line %(line)d has %(bytes)d bytes; at most %(most)d are taken",
                    line=number,
                    bytes=size,
                    most=max_line,
                )
    # Postgres takes neither NUL nor half a surrogate pair.
    if "\0" in text or _has_nul(sequence.meta):
        return NUL
    if not text.isascii() and not _encodable(text):
        return NO_UTF8
    return None


def sift(batch: LogBatch, max_line: int = MAX_LINE_BYTES) -> LogBatch:
    """Move the lines of a batch that may not be stored to its `rejected`, and return it.

    Each record of the request must be a line or a rejected record by now, in order: that tells the numbers of lines.
    """
    columns = (batch.texts, batch.services, batch.attributes)
    # In one piece: each of these is one pass in C.
    together = "\n".join(chain(*columns))
    clean = (
        "\0" not in together
        and "\\u0000" not in together
        and max(map(len, batch.texts), default=0) * 4 <= max_line
        and max(map(len, batch.attributes), default=0) * 4 <= ATTRIBUTE_BYTES
        and max(map(len, batch.services), default=0) <= ID_CHARACTERS
        and (together.isascii() or _encodable(together))
    )
    if clean:
        return batch
    reasons = [_line_fault(*line, max_line) for line in zip(*columns, strict=True)]
    taken = {one.row for one in batch.rejected}
    rows = (row for row in count(1) if row not in taken)
    batch.rejected += [
        refused(row, reason, text) for row, reason, text in zip(rows, reasons, batch.texts, strict=False) if reason
    ]
    batch.rejected.sort(key=lambda one: one.row)
    sound = [not reason for reason in reasons]
    for column in (*columns, batch.levels):
        column[:] = compress(column, sound)
    batch.times[:] = compress(batch.times, sound)
    return batch


def _line_fault(text: str, service: str, attributes: str, max_line: int) -> Reason | None:
    if not _encodable(text + service + attributes):
        return NO_UTF8
    for value, most in ((text, max_line), (attributes, ATTRIBUTE_BYTES)):
        if (size := len(value.encode())) > most:
            return Reason("the line has %(bytes)d bytes; at most %(most)d are taken", bytes=size, most=most)
    if len(service) > ID_CHARACTERS:
        return Reason("the name of the service is longer than %(most)d characters", most=ID_CHARACTERS)
    if "\0" in text + service or ("\\u0000" in attributes and _walk(msgspec.json.decode(attributes))):
        return NUL
    return None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked(row: int, sequence: LogSequence, max_line: int = MAX_LINE_BYTES) -> Record:
    """Return the sequence, or a BadRecord that says what is wrong with it."""
    reason = fault(sequence, max_line)
    return bad(row, reason, "\n".join(sequence.entries)) if reason else sequence


def bad(row: int, reason: str, excerpt: str | bytes, most: int = EXCERPT_CHARACTERS) -> BadRecord:
    """Return a BadRecord with as much of the row as may be kept, all in characters that can be stored."""
    if isinstance(excerpt, bytes):
        excerpt = excerpt[: most * 4].decode("utf-8", "replace")
    if isinstance(reason, Reason):
        values = {name: _storable(value) if isinstance(value, str) else value for name, value in reason.values.items()}
        reason = Reason(reason.message, **values)
    else:
        reason = _storable(reason)
    return BadRecord(row, reason, _storable(excerpt[:most]))


def refused(row: int, reason: str, record: str | bytes) -> BadRecord:
    """Return a BadRecord with the whole record: a shipper does not send it again, and somebody may replay it."""
    return bad(row, reason, record, most=len(record))


def _storable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _has_nul(meta: Mapping[str, Any]) -> bool:
    return bool(meta) and b"\\u0000" in msgspec.json.encode(meta) and _walk(meta)


def _walk(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_walk(key) or _walk(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(map(_walk, value))
