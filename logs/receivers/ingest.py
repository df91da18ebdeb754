"""Duolog's own way in, for whatever posts JSON: `POST /api/v1/ingest`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack

from duolog.plugins.points import Receiver
from duolog.plugins.types import BadRecord, LogBatch, Reason, Received, Refused, Reply, Store
from logs.engine.records import DEFAULT, Lines, Names
from logs.receivers.common import ReceiverOptions, json_values, reply

MSGPACK = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")
MOST_ITEMS = 20_000
"""Of one array or map in msgpack: room is made for what it says it has, before it is known whether it has it."""
PARAMETERS = ("_msg_field", "_time_field", "_stream_fields", "ignore_fields", "extra_fields", "debug")
"""In the query or, with dashes, in headers that begin with `vl-`: as VictoriaLogs calls them."""


class Ingest(Receiver):
    """Fluent Bit `http`, Vector `http`, curl, anything: an array, JSON lines, objects in a row, or msgpack."""

    Options = ReceiverOptions
    paths = (r"api/v1/ingest",)

    def handle(self, request: Received, store: Store) -> Reply:
        """Answer 200 with the receipt; with `debug=1` nothing is stored, and the answer is what would have been."""
        if request.method not in ("POST", "PUT"):
            raise Refused(405, Reason("use POST"))
        asked = {name: _asked(request, name) for name in PARAMETERS}
        lines = Lines(_names(asked))
        extra = _pairs(asked["extra_fields"])
        kind = request.content_type.partition(";")[0].strip().lower()
        values = _msgpack_values(request.body) if kind in MSGPACK else json_values(request.body)
        for value in values:
            if value.__class__ is dict and not extra:
                lines.add(value)
            else:
                add(lines, value, extra)
        if values and all(isinstance(value, BadRecord) for value in values):
            raise Refused(400, Reason("not valid JSON: %(error)s", error=values[0].reason))
        batch = lines.finish(self.options.max_line)
        if asked["debug"] not in ("", "0", "false"):
            return reply(200, _shown(batch))
        if not batch.texts and not batch.rejected:
            return reply(200, {"lines": 0, "rejected": 0, "duplicate": False})
        receipt = store(batch)
        return reply(
            200,
            {"id": receipt.id, "lines": receipt.lines, "rejected": receipt.rejected, "duplicate": receipt.duplicate},
        )

    def refuse(self, request: Received, refused: Refused) -> Reply:
        """Answer in JSON."""
        headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
        return reply(refused.status, {"detail": str(refused.reason)}, headers)


def add(lines: Lines, value: Any, extra: dict[str, str]) -> None:
    """Add a decoded record: an object, or a pair of its time and the object, as Fluent Bit writes in msgpack."""
    at = None
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], dict):
        at, value = value
        if isinstance(at, list):  # [time, metadata]
            at = at[0] if at else None
    if isinstance(value, BadRecord):
        lines.refuse(Reason("not valid JSON: %(error)s", error=value.reason), value.excerpt)
    else:
        if extra and isinstance(value, dict):
            value.update(extra)
        lines.add(value, at)


def _asked(request: Received, name: str) -> str:
    header = "vl-" + name.strip("_").replace("_", "-")
    return request.query.get(name, "") or request.headers.get(header, "")


def _names(asked: dict[str, str]) -> Names:
    streams = _list(asked["_stream_fields"])
    return Names(
        message=(*_list(asked["_msg_field"]), *DEFAULT.message),
        time=(*_list(asked["_time_field"]), *DEFAULT.time),
        service=streams or DEFAULT.service,
        join=bool(streams),
        ignore=frozenset(_list(asked["ignore_fields"])),
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for pair in _list(text):
        name, separator, value = pair.partition("=")
        if not separator:
            raise Refused(400, Reason("%(pair)s is not of the form name=value", pair=pair))
        found[name.strip()] = value.strip()
    return found


def _msgpack_values(body: bytes) -> list[Any]:
    """Return the objects of msgpack values in a row, or of one array of them."""
    values: list[Any] = []
    try:
        values.extend(_unpacked(body))
    except (ValueError, TypeError, RecursionError) as error:  # msgpack's are ValueErrors
        values.append(BadRecord(0, str(error) or type(error).__name__, ""))
    if len(values) == 1 and isinstance(values[0], list) and all(isinstance(one, dict | list) for one in values[0]):
        whole: list[Any] = values[0]
        return whole
    return values


def _unpacked(body: bytes) -> Iterator[Any]:
    unpacker = msgpack.Unpacker(
        strict_map_key=False,
        unicode_errors="surrogateescape",
        ext_hook=_extension,
        timestamp=1,
        max_buffer_size=max(len(body), 1),
        max_array_len=MOST_ITEMS,
        max_map_len=MOST_ITEMS,
    )
    unpacker.feed(body)
    yield from unpacker
    if unpacker.tell() < len(body):
        raise ValueError("the data end within a value")


def _extension(code: int, data: bytes) -> Any:
    """Fluentd's EventTime (type 0): seconds and nanoseconds in 32 bits each."""
    if code == 0 and len(data) == 8:
        return int.from_bytes(data[:4]) + int.from_bytes(data[4:]) / 1e9
    return data.hex()


def _shown(batch: LogBatch) -> dict[str, Any]:
    columns = zip(batch.texts, batch.times, batch.services, batch.levels, batch.attributes, strict=True)
    return {
        "lines": [
            {"text": text, "time": moment, "service": service, "level": level, "attributes": attributes}
            for text, moment, service, level, attributes in columns
        ],
        "rejected": [{"row": one.row, "reason": str(one.reason), "excerpt": one.excerpt} for one in batch.rejected],
    }
