"""What the receivers share: options, JSON bodies in all the ways that shippers write them, and JSON answers."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from duolog.plugins.types import BadRecord, Received, Reply
from logs.engine.records import refuse_many
from logs.engine.sanity import MAX_LINE_BYTES
from logs.engine.unpack import MAX_BYTES
from logs.formats import rows


@dataclass(frozen=True)
class ReceiverOptions:
    """`max_line` limits a line, `max_unpacked` a body that the protocol itself packs, both in bytes."""

    max_line: int = MAX_LINE_BYTES
    max_unpacked: int = MAX_BYTES


_json = msgspec.json.Decoder()
_python = json.JSONDecoder(strict=False)
WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def json_values(body: bytes) -> list[Any]:
    """Return the values of an array, of JSON lines, or of objects written one after the other.

    What makes no sense is a BadRecord among them and costs itself only: its line, or its element of an array.
    """
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    refuse_many(body.count(b"{"))
    if not body:
        return []
    try:
        if body.startswith(b"["):
            value = _json.decode(body)
            return value if isinstance(value, list) else [value]
        return _json.decode_lines(body)
    except WRONG:
        pass
    if body.startswith(b"["):
        return [
            row if isinstance(row, BadRecord) else _one(row[1].decode("utf-8", "surrogateescape"))
            for row in rows.elements(io.BytesIO(body))
        ]
    text = body.decode("utf-8", "surrogateescape")
    whole = _concatenated(text)
    if not isinstance(whole[-1], BadRecord):
        return whole
    return [value for line in text.split("\n") if line.strip() for value in _concatenated(line.strip())]


def _one(text: str) -> Any:
    values = _concatenated(text)
    return values[0] if len(values) == 1 else BadRecord(0, "", text)


def _concatenated(text: str) -> list[Any]:
    """Return the values that stand one after the other; the last is a BadRecord where one of them breaks."""
    found: list[Any] = []
    at, end = 0, len(text)
    while at < end:
        try:
            value, at = _python.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            found.append(BadRecord(0, str(error), text[at:]))
            break
        found.append(value)
        while at < end and text[at] in " \t\r\n,":
            at += 1
    return found


def reply(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer in JSON."""
    return Reply(status, msgspec.json.encode(value), headers=headers or {})


def is_json(request: Received) -> bool:
    """Return whether a request says that its body is JSON."""
    return request.content_type.partition(";")[0].strip().lower() in ("application/json", "text/json")
