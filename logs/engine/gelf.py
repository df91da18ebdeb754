"""GELF 1.1 messages to the columns of a batch (Graylog Extended Log Format)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from duolog.plugins.types import BadRecord, LogBatch, Reason
from logs.engine.levels import SYSLOG
from logs.engine.records import Lines, Names
from logs.engine.sanity import MAX_LINE_BYTES

NAMES = Names(message=("short_message",), time=("timestamp",))


def add(lines: Lines, message: Any) -> None:
    """Add a decoded message; what lacks a text is refused. `lines` are made with NAMES.

    A `full_message` that goes on where the short one ends, such as a stack trace, is the text; another one follows it.
    Names of additional fields lose their underscore.
    """
    if isinstance(message, BadRecord):
        return lines.refuse(Reason("not valid JSON: %(error)s", error=message.reason), message.excerpt)
    if not isinstance(message, dict):
        return lines.refuse(Reason("not a JSON object"), repr(message))
    short, full = message.pop("short_message", None), message.pop("full_message", None)
    if not isinstance(short, str) or not short:
        short, full = full, None
    if not isinstance(short, str) or not short:
        return lines.refuse(Reason("there is no short_message in it"), repr(message))
    if isinstance(full, str) and full:
        short = full if short.strip() in full else f"{short}\n{full}"
    message.pop("version", None)
    severity = message.get("level")
    if severity.__class__ is int and 0 <= severity < len(SYSLOG):
        message["level"] = SYSLOG[severity]
    record = {
        name[1:] if name[:1] == "_" and name[1:] not in message else name: value for name, value in message.items()
    }
    lines.add({**record, "short_message": short})
    return None


def read(messages: Iterable[tuple[bytes | BadRecord, str]], max_line: int = MAX_LINE_BYTES) -> LogBatch:
    """Return the lines of messages in JSON, each with the address it came from, which stands in for a missing host."""
    lines = Lines(NAMES)
    for message, peer in messages:
        if isinstance(message, BadRecord):
            lines.refuse(message.reason, message.excerpt)
            continue
        try:
            record = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            lines.refuse(Reason("not valid JSON: %(error)s", error=str(error)), message)
            continue
        if isinstance(record, dict) and peer:
            record.setdefault("host", peer)
        add(lines, record)
    return lines.finish(max_line)
