"""OpenTelemetry log records in OTLP's own JSON to the columns of a batch.

Names are in lowerCamelCase, ids in hex and not base64, 64-bit numbers texts or numbers; unknown fields are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from duolog.plugins.types import LogBatch, Reason, Refused
from logs.engine import times
from logs.engine.levels import OTLP, level
from logs.engine.otlp import Attributes, Resource, reject
from logs.engine.records import ALIASES, Shared, flatten, plain
from logs.engine.sanity import MAX_LINE_BYTES, sift

ENUM = re.compile(r"^SEVERITY_NUMBER_|\d+$")
"""What is not the level in the name of a SeverityNumber, which some write in place of the number."""


class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Values | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: str | None = None

    def plain(self) -> Any:
        """Return the value as JSON would hold it."""
        if self.string_value is not None:
            return self.string_value
        if self.kvlist_value:
            return {pair.key: pair.value.plain() for pair in self.kvlist_value.values}
        if self.array_value:
            return [one.plain() for one in self.array_value.values]
        if self.int_value is not None:
            return int(self.int_value)
        known = (self.bool_value, self.double_value, self.bytes_value)
        return next((value for value in known if value is not None), None)


class _Values(msgspec.Struct):
    values: list[_Value] = []


class _Pair(msgspec.Struct):
    key: str = ""
    value: _Value = msgspec.field(default_factory=_Value)


class _Pairs(msgspec.Struct):
    values: list[_Pair] = []


class _Record(msgspec.Struct, rename="camel"):
    time_unix_nano: int | str = 0
    observed_time_unix_nano: int | str = 0
    severity_number: int | str = 0
    severity_text: str = ""
    body: _Value | None = None
    attributes: list[_Pair] = []
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""


class _Owner(msgspec.Struct):
    name: str = ""
    attributes: list[_Pair] = []


class _Scoped(msgspec.Struct, rename="camel"):
    scope: _Owner = msgspec.field(default_factory=_Owner)
    log_records: list[msgspec.Raw] = []


class _Group(msgspec.Struct, rename="camel"):
    resource: _Owner = msgspec.field(default_factory=_Owner)
    scope_logs: list[_Scoped] = []


class _Export(msgspec.Struct, rename="camel"):
    resource_logs: list[_Group] = []


_export = msgspec.json.Decoder(_Export)
_record = msgspec.json.Decoder(_Record)


def from_json(body: bytes, max_line: int = MAX_LINE_BYTES) -> LogBatch:
    """Return the lines of an ExportLogsServiceRequest in JSON; raises Refused (400) if it is none."""
    try:
        groups = _export.decode(body).resource_logs
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, Reason("not an ExportLogsServiceRequest: %(error)s", error=str(error))) from error
    batch = LogBatch()
    for group in groups:
        resource = Resource(_attributes(group.resource.attributes))
        for scoped in group.scope_logs:
            base = resource.within(scoped.scope.name, _attributes(scoped.scope.attributes))
            _json_records(scoped.log_records, resource.service, base, batch)
    return sift(batch, max_line)


def _json_records(records: list[msgspec.Raw], service: str, base: Shared, batch: LogBatch) -> None:
    parsed = Attributes(base.names)
    decode: Callable[[msgspec.Raw], _Record] = _record.decode
    for raw in records:
        try:
            record = decode(raw)
            moment = int(record.time_unix_nano) or int(record.observed_time_unix_nano)
            value = record.body.plain() if record.body else ""
            text = value if value.__class__ is str else "" if value is None else plain(value)
            parts = [parsed.value(pair.key, pair.value.plain()) for pair in record.attributes]
        except (ValueError, RecursionError) as error:  # msgspec's and int's
            reject(batch, error, bytes(raw))
            continue
        if record.trace_id:
            parts.append(parsed.named("trace_id", record.trace_id.lower()))
        if record.span_id:
            parts.append(parsed.named("span_id", record.span_id.lower()))
        if record.event_name:
            parts.append(parsed.named("event_name", record.event_name))
        number = record.severity_number
        if number.__class__ is int and 0 < number < 25:
            name = OTLP[number]
        elif not (name := level(record.severity_text) or level(ENUM.sub("", str(number)))) and record.severity_text:
            parts.append(parsed.named("severity_text", record.severity_text))
        batch.texts.append(text)
        batch.times.append(times.kept(min(moment, 1 << 64) / 1e9))
        batch.services.append(service)
        batch.levels.append(name)
        batch.attributes.append(base.join(parts))


def _attributes(pairs: list[_Pair]) -> dict[str, str]:
    """Return the attributes of a resource or scope under their full names."""
    flat: dict[str, Any] = {}
    flatten({pair.key: pair.value.plain() for pair in pairs}, flat)
    return {ALIASES.get(name, name): plain(value) for name, value in flat.items()}
