"""OpenTelemetry log records in protobuf to the columns of a batch (OTLP 1.x, logs data model).

The protobuf messages are the official ones with two changes that fit the same bytes. Texts are read as bytes: protobuf
refuses a whole request for one text that is not UTF-8, we only the record. And attributes stay unparsed, because those
of a source repeat, so that each distinct one is parsed and written as JSON once a request.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from duolog.plugins.types import LogBatch, Reason, Refused
from logs.engine.levels import OTLP, level
from logs.engine.records import ALIASES, OWN, Shared, encode, flatten, member, plain, refuse_many
from logs.engine.sanity import MAX_LINE_BYTES, refused, sift

RAW = {
    ("LogRecord", "body"),
    *((kind, "attributes") for kind in ("LogRecord", "Resource", "InstrumentationScope")),
}
"""Fields that hold messages and are kept as their bytes."""
OLD_SERVICE = "unknown_service"
"""How SDKs call a service that nobody named; `unknown_service:java`, too."""


def _classes() -> tuple[Any, Any]:
    """Return the classes of a request and of an attribute, made from the official descriptors."""
    field = descriptor_pb2.FieldDescriptorProto
    pool = descriptor_pool.DescriptorPool()
    for module in (common_pb2, resource_pb2, logs_pb2, logs_service_pb2):
        file = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for kind in file.message_type:
            for one in kind.field:
                if (kind.name, one.name) in RAW or one.type == field.TYPE_STRING:
                    one.type = field.TYPE_BYTES
                    one.ClearField("type_name")
        pool.AddSerializedFile(file.SerializeToString())
    name = "opentelemetry.proto.{}".format
    find = pool.FindMessageTypeByName
    return (
        message_factory.GetMessageClass(find(name("collector.logs.v1.ExportLogsServiceRequest"))),
        message_factory.GetMessageClass(find(name("common.v1.KeyValue"))),
    )


Request, KeyValue = _classes()
AnyValue = type(KeyValue().value)


def from_protobuf(body: bytes, max_line: int = MAX_LINE_BYTES) -> LogBatch:
    """Return the lines of an ExportLogsServiceRequest; raises Refused (400) if the bytes are none."""
    try:
        request = Request.FromString(body)
    except message.DecodeError as error:
        raise Refused(400, Reason("not an ExportLogsServiceRequest: %(error)s", error=str(error))) from error
    groups = request.resource_logs
    refuse_many(sum(len(scoped.log_records) for group in groups for scoped in group.scope_logs))
    batch = LogBatch()
    for group in groups:
        for scoped in group.scope_logs:
            try:
                resource = Resource(Attributes().all(group.resource.attributes))
                base = resource.within(_text(scoped.scope.name), Attributes().all(scoped.scope.attributes))
            except (ValueError, message.DecodeError) as error:
                for record in scoped.log_records:
                    reject(batch, error, bytes(record.body))
            else:
                _records(scoped.log_records, resource.service, base, batch)
    return sift(batch, max_line)


def _records(records: Any, service: str, base: Shared, batch: LogBatch) -> None:
    parsed = Attributes(base.names)
    parse = parsed.__getitem__
    for record in records:
        try:
            body = record.body
            # A string, whose length takes one byte: nearly all.
            text = body[2:].decode() if body[:1] == b"\x0a" and len(body) - 2 == body[1] else _body(body)
            parts = list(map(parse, record.attributes))
        except (ValueError, message.DecodeError) as error:
            reject(batch, error, bytes(record.body))
            continue
        if identity := record.trace_id:
            parts.append(f'"trace_id":"{identity.hex()}"')
        if identity := record.span_id:
            parts.append(f'"span_id":"{identity.hex()}"')
        if identity := record.event_name:
            parts.append(parsed.named("event_name", _text(identity)))
        number = record.severity_number
        if 0 < number < 25:
            name = OTLP[number]
        elif not (name := level(said := _text(record.severity_text))) and said:
            parts.append(parsed.named("severity_text", said))
        batch.texts.append(text)
        moment = record.time_unix_nano or record.observed_time_unix_nano
        batch.times.append(moment / 1e9 if moment else None)  # 64 bits end in the year 2554
        batch.services.append(service)
        batch.levels.append(name)
        batch.attributes.append(base.join(parts))


def reject(batch: LogBatch, error: Exception, excerpt: bytes) -> None:
    """Put the record that comes next into quarantine."""
    reason = Reason("a value cannot be read: %(error)s", error=str(error))
    batch.rejected.append(refused(len(batch.texts) + len(batch.rejected) + 1, reason, excerpt))


class Attributes(dict[bytes, str]):
    """Attributes by their bytes, as `"name":"value"`; a name that the resource has gets a prefix."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        self.taken = taken
        self._names: dict[str, str] = {}

    def __missing__(self, raw: bytes) -> str:
        if end := _plain_end(raw):
            written = self.named(raw[2:end].decode(), raw[end + 4 :].decode())
        else:
            attribute = KeyValue.FromString(raw)
            written = self.value(attribute.key.decode(), _value(attribute.value))
        self[raw] = written
        return written

    def value(self, name: str, value: Any) -> str:
        """Return an attribute, whatever it holds, as JSON: nothing for null, several for what is nested."""
        if value.__class__ is str:
            return self.named(name, value)
        if value.__class__ is dict or value is None:
            flat: dict[str, Any] = {}
            flatten({name: value}, flat)
            return ",".join([self.named(inner, plain(one)) for inner, one in flat.items()])
        return self.named(name, plain(value))

    def named(self, name: str, value: str) -> str:
        """Return one attribute as JSON."""
        begin = self._names.get(name)
        if begin is None:
            known = ALIASES.get(name, name)
            begin = self._names[name] = member(OWN + known if known in self.taken else known, "")[:-2]
        return begin + encode(value).decode()

    def all(self, attributes: Any) -> dict[str, str]:
        """Return the attributes of a resource or scope."""
        written = ",".join(filter(None, (self[raw] for raw in attributes)))
        return msgspec.json.decode(f"{{{written}}}", type=dict[str, str])


def _plain_end(raw: bytes) -> int:
    """Return where the name of an attribute ends if it is a short name and a short string and nothing else, or 0."""
    size = len(raw)
    if size < 6 or raw[0] != 10 or (end := raw[1] + 2) > size - 4 or end > 129:
        return 0
    # Field 2, as long as the rest, and in it field 1, as long as its rest: lengths of one byte.
    rest = size - end
    return end if rest < 132 and raw[end : end + 4] == bytes((18, rest - 2, 10, rest - 4)) else 0


class Resource:
    """Who sent the lines."""

    def __init__(self, attributes: dict[str, str]) -> None:
        service = attributes.pop("service.name", "")
        self.service = "" if service.split(":")[0] == OLD_SERVICE else service
        self.attributes = attributes

    def within(self, name: str, attributes: dict[str, str]) -> Shared:
        """Return what the lines of a scope (a logger) share."""
        own = {f"scope.{key}" if key in self.attributes else key: value for key, value in attributes.items()}
        return Shared(self.attributes | own | ({"scope.name": name} if name else {}))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _body(raw: bytes) -> str:
    """Return a body as text: a string as it is, anything structured as compact JSON."""
    value = _value(AnyValue.FromString(raw))
    return "" if value is None else plain(value)


def _value(value: Any) -> Any:
    """Return an AnyValue as JSON would hold it; bytes in base64, as in OTLP's own JSON."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value.decode()
        case "kvlist_value":
            return {_text(pair.key): _value(pair.value) for pair in value.kvlist_value.values}
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case None:
            return None
        case kind:
            return getattr(value, kind)
