"""Grafana Loki's push API: `POST /loki/api/v1/push`, in protobuf within snappy or in JSON, today's and the old body."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from duolog.plugins.points import Receiver
from duolog.plugins.types import LogBatch, Reason, Received, Refused, Reply, Store
from logs.engine import times
from logs.engine.levels import level
from logs.engine.records import ALIASES, OWN, Shared, member, plain, refuse_many
from logs.engine.sanity import refused, sift
from logs.engine.unpack import unpack
from logs.receivers.common import WRONG, ReceiverOptions, is_json, reply

PUSH = r"loki/api/v1/push|api/prom/push"
VERSION = "3.3.0"
"""Of the Loki that clients are told they talk to."""
SERVICES = (
    "service_name", "service", "app", "application", "app_kubernetes_io_name", "container", "container_name", "job",
)  # fmt: skip
LEVELS = ("level", "detected_level", "severity", "lvl")
LABEL = re.compile(r'\s*([a-zA-Z_:][\w:.]*)\s*=\s*("(?:[^"\\]|\\.)*"|`[^`]*`)\s*(?:,|$)', re.DOTALL)
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def _push_request() -> Any:
    """Return the class of logproto.PushRequest, with texts as bytes: one that is not UTF-8 costs itself only."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="duolog/logproto.proto", package="duolog", syntax="proto3")
    fields: dict[str, list[tuple[str, int, str]]] = {
        "Timestamp": [("seconds", 1, "int64"), ("nanos", 2, "int32")],
        "Pair": [("name", 1, "bytes"), ("value", 2, "bytes")],
        "Entry": [("at", 1, "Timestamp"), ("line", 2, "bytes"), ("metadata", 3, "Pair*")],
        "Stream": [("labels", 1, "bytes"), ("entries", 2, "Entry*")],
        "Push": [("streams", 1, "Stream*")],
    }
    simple = {"int64": field.TYPE_INT64, "int32": field.TYPE_INT32, "bytes": field.TYPE_BYTES}
    for name, members in fields.items():
        kind = file.message_type.add(name=name)
        for member_name, number, written in members:
            one = kind.field.add(name=member_name, number=number)
            one.label = field.LABEL_REPEATED if written.endswith("*") else field.LABEL_OPTIONAL
            if written in simple:
                one.type = simple[written]
            else:
                one.type, one.type_name = field.TYPE_MESSAGE, f".duolog.{written.rstrip('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("duolog.Push"))


Push = _push_request()


class _Entry(msgspec.Struct, array_like=True):
    at: str | int
    line: str
    metadata: dict[str, Any] = {}


class _OldEntry(msgspec.Struct):
    ts: str
    line: str


class _Stream(msgspec.Struct):
    stream: dict[str, Any] = {}
    values: list[msgspec.Raw] = []
    labels: str = ""
    entries: list[_OldEntry] = []


class _Body(msgspec.Struct):
    streams: list[_Stream] = []


_body = msgspec.json.Decoder(_Body)
_entry = msgspec.json.Decoder(_Entry)


class Loki(Receiver):
    """Promtail, Alloy, Fluent Bit `loki`, Vector `loki`, Docker's Loki driver, libraries."""

    Options = ReceiverOptions
    paths = (PUSH, "ready", r"loki/api/v1/status/buildinfo")

    def handle(self, request: Received, store: Store) -> Reply:
        """Answer 204 to a push, also where lines were quarantined: after a 400 clients drop all of them."""
        if request.path == "ready":
            return Reply(200, b"ready\n", "text/plain; charset=utf-8")
        if request.path.endswith("buildinfo"):
            return reply(200, {"version": VERSION, "revision": "", "branch": "", "buildDate": "", "goVersion": ""})
        if request.method != "POST":
            raise Refused(405, Reason("use POST"))
        batch = self._from_json(request.body) if is_json(request) else self._from_protobuf(request)
        if batch.texts or batch.rejected:
            store(batch)
        return Reply(204)

    def _from_protobuf(self, request: Received) -> LogBatch:
        # The body is packed whether or not a header says so; where it does, the platform has unpacked it.
        told = "snappy" in request.headers.get("content-encoding", "").lower()
        body = request.body if told or not request.body else unpack(request.body, "snappy", self.options.max_unpacked)
        try:
            streams = Push.FromString(body).streams
        except message.DecodeError as error:
            raise Refused(400, Reason("not a PushRequest: %(error)s", error=str(error))) from error
        refuse_many(sum(len(stream.entries) for stream in streams))
        batch = LogBatch()
        for stream in streams:
            common = _Common(_labels(stream.labels.decode("utf-8", "surrogateescape")))
            for entry in stream.entries:
                line = entry.line.decode("utf-8", "surrogateescape")
                pairs = {_text(pair.name): _text(pair.value) for pair in entry.metadata}
                at = entry.at
                common.add(batch, line, at.seconds + at.nanos / 1e9, pairs)
        return sift(batch, self.options.max_line)

    def _from_json(self, body: bytes) -> LogBatch:
        try:
            streams = _body.decode(body).streams
        except WRONG as error:
            raise Refused(400, Reason("not a push request: %(error)s", error=str(error))) from error
        batch = LogBatch()
        for stream in streams:
            labels = {name: plain(value) for name, value in stream.stream.items()}
            common = _Common(_labels(stream.labels) if stream.labels else labels)
            for old in stream.entries:
                common.add(batch, old.line, times.unix(old.ts), {})
            for raw in stream.values:
                try:
                    entry = _entry.decode(raw)
                    moment = min(int(entry.at), 1 << 64) / 1e9
                    pairs = {name: plain(value) for name, value in entry.metadata.items()}
                except (ValueError, RecursionError) as error:  # msgspec's and int's
                    reason = Reason("not an entry: %(error)s", error=str(error))
                    batch.rejected.append(refused(len(batch.texts) + len(batch.rejected) + 1, reason, bytes(raw)))
                    continue
                common.add(batch, entry.line, moment, pairs)
        return sift(batch, self.options.max_line)


class _Common:
    """What the lines of a stream have in common; `labels` is None where they make no sense."""

    def __init__(self, labels: dict[str, str] | None) -> None:
        self.broken = labels is None or not _encodable(labels)
        labels = {} if labels is None or self.broken else labels
        self.service = next((labels[name] for name in SERVICES if name in labels), "")
        self.level = next(filter(None, (level(labels.get(name)) for name in LEVELS)), "")
        self.shared = Shared({ALIASES.get(name, name): value for name, value in labels.items()})

    def add(self, batch: LogBatch, line: str, moment: float | None, pairs: dict[str, str]) -> None:
        """Add a line with its structured metadata."""
        if self.broken or (pairs and not _encodable(pairs)):
            row = len(batch.texts) + len(batch.rejected) + 1
            batch.rejected.append(refused(row, Reason("the labels or the metadata make no sense"), line))
            return
        attributes, own = self.shared.alone, ""
        if pairs:
            own = next(filter(None, (level(pairs.get(name)) for name in LEVELS)), "")
            attributes = self.shared.join([member(self._name(name), value) for name, value in pairs.items()])
        batch.texts.append(line)
        batch.times.append(times.kept(moment) if moment else None)
        batch.services.append(self.service)
        batch.levels.append(own or self.level)
        batch.attributes.append(attributes)

    def _name(self, name: str) -> str:
        name = ALIASES.get(name, name)
        return f"{OWN}{name}" if name in self.shared.names else name


def _labels(text: str) -> dict[str, str] | None:
    """Return the labels of `{a="b", c="d"}`, escaped as in Go; None where they are not of this form."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    found, at, inner = {}, 0, text[1:-1].rstrip()
    while at < len(inner):
        if not (match := LABEL.match(inner, at)):
            return None
        value = match[2]
        found[match[1]] = value[1:-1] if value[0] == "`" or "\\" not in value else ESCAPE.sub(_unescaped, value[1:-1])
        at = match.end()
    return found


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) == 1:
        return ESCAPED.get(code, code)
    number = int(code, 8) if code.isdigit() else int(code[1:], 16)
    return chr(number) if number < 0x110000 else "\N{REPLACEMENT CHARACTER}"


def _encodable(values: dict[str, str]) -> bool:
    try:
        "".join([*values, *values.values()]).encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
