"""OTLP over HTTP: what becomes of records, and what clients are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from shipping import Memory, Sender

from duolog.plugins.types import LogBatch, Refused
from logs.engine import otlp, otlp_json

PROTOBUF = "application/x-protobuf"
NOW = 1_795_593_600_123_456_789


def value(found: Any) -> AnyValue:
    match found:
        case bool():
            return AnyValue(bool_value=found)
        case int():
            return AnyValue(int_value=found)
        case float():
            return AnyValue(double_value=found)
        case bytes():
            return AnyValue(bytes_value=found)
        case list():
            return AnyValue(array_value=ArrayValue(values=map(value, found)))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=pairs(found)))
        case None:
            return AnyValue()
    return AnyValue(string_value=found)


def pairs(found: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=value(one)) for name, one in found.items()]


def request(*records: LogRecord, resource: dict[str, Any] | None = None, scope: str = "") -> ExportLogsServiceRequest:
    made = ExportLogsServiceRequest()
    group = made.resource_logs.add()
    group.resource.attributes.extend(pairs({"service.name": "shop"} if resource is None else resource))
    scoped = group.scope_logs.add()
    scoped.scope.name = scope
    scoped.log_records.extend(records)
    return made


def as_json(made: ExportLogsServiceRequest) -> bytes:
    """Return OTLP's own JSON: ids in hex, enums as numbers."""
    told = MessageToDict(made, use_integers_for_enums=True)
    for group, raw in zip(told.get("resourceLogs", []), made.resource_logs, strict=True):
        for scoped, raw_scoped in zip(group.get("scopeLogs", []), raw.scope_logs, strict=True):
            for record, raw_record in zip(scoped.get("logRecords", []), raw_scoped.log_records, strict=True):
                record.update(traceId=raw_record.trace_id.hex(), spanId=raw_record.span_id.hex())
    return json.dumps(told).encode()


FULL = LogRecord(
    time_unix_nano=NOW,
    severity_number=17,  # type: ignore[arg-type]
    severity_text="ERROR",
    body=value("订单 17 失败\n  at line 2"),
    attributes=pairs({"http": {"route": "/a", "codes": [1, 2]}, "n": 7, "ok": True, "x": 1.5, "raw": b"\x00\xff"}),
    trace_id=bytes(range(16)),
    span_id=bytes(range(8)),
)


@pytest.mark.parametrize("kind", [PROTOBUF, "application/json", "application/json; charset=utf-8"])
@pytest.mark.parametrize("path", ["v1/logs", "otlp/v1/logs"])
def test_a_record_becomes_a_line(send: Sender, store: Memory, kind: str, path: str) -> None:
    made = request(FULL, resource={"service.name": "shop", "host.name": "pod-1"}, scope="app.orders")
    reply = send("otlp", path, made.SerializeToString() if kind == PROTOBUF else as_json(made), kind)
    assert (reply.status, reply.body) == (200, b"" if kind == PROTOBUF else b"{}")
    assert reply.content_type == kind.partition(";")[0]
    batch = store.last
    assert (batch.texts, batch.services, batch.levels) == (["订单 17 失败\n  at line 2"], ["shop"], ["error"])
    assert batch.times == [pytest.approx(NOW / 1e9)]
    assert json.loads(batch.attributes[0]) == {
        "host": "pod-1", "scope.name": "app.orders", "http.route": "/a", "http.codes": "[1,2]", "n": "7", "ok": "true",
        "x": "1.5", "raw": "AP8=", "trace_id": bytes(range(16)).hex(), "span_id": bytes(range(8)).hex(),
    }  # fmt: skip


@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
def test_what_may_be_missing(send: Sender, store: Memory, kind: str) -> None:
    records = [
        LogRecord(observed_time_unix_nano=NOW, body=value({"a": {"b": 1}, "c": ["x"]})),
        LogRecord(severity_text="Critical"),
        LogRecord(severity_text="odd", body=value("x"), attributes=pairs({"nothing": None})),
    ]
    made = request(*records, resource={"service.name": "unknown_service:java"})
    send("otlp", "v1/logs", made.SerializeToString() if kind == PROTOBUF else as_json(made), kind)
    batch = store.last
    assert batch.texts == ['{"a":{"b":1},"c":["x"]}', "", "x"]
    assert batch.times == [pytest.approx(NOW / 1e9), None, None]
    assert batch.services == [""] * 3
    assert batch.levels == ["", "fatal", ""]
    assert batch.attributes == ["", "", '{"severity_text":"odd"}']


def test_a_name_that_the_resource_has_is_not_lost(send: Sender, store: Memory) -> None:
    made = request(LogRecord(body=value("x"), attributes=pairs({"zone": "b"})), resource={"zone": "a"})
    send("otlp", "v1/logs", made.SerializeToString(), PROTOBUF)
    assert json.loads(store.last.attributes[0]) == {"zone": "a", "record.zone": "b"}


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=140)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(
    texts=st.lists(TEXT, max_size=4),
    attributes=st.dictionaries(TEXT.filter(lambda name: "." not in name), VALUES, max_size=4),
)
def test_both_encodings_say_the_same(texts: list[str], attributes: dict[str, Any]) -> None:
    made = request(*(LogRecord(time_unix_nano=NOW, body=value(text), attributes=pairs(attributes)) for text in texts))
    columns = ("texts", "times", "services", "levels")

    def told(batch: LogBatch) -> list[Any]:
        lines = [json.loads(one or "{}") for one in batch.attributes]
        return [*(getattr(batch, name) for name in columns), lines]

    first = otlp.from_protobuf(made.SerializeToString())
    assert told(first) == told(otlp_json.from_json(as_json(made)))
    assert first.texts == texts
    for name, one in attributes.items():
        if isinstance(one, str) and texts:
            line = json.loads(first.attributes[0])
            assert one in [line.get(key) for key in line]
            assert name in line or name in otlp.ALIASES


@given(cut=st.integers(0, 400), flip=st.integers(0, 255))
def test_a_damaged_request_is_read_or_refused(cut: int, flip: int) -> None:
    body = bytearray(request(FULL, FULL, scope="s").SerializeToString())
    body[cut % len(body)] ^= flip
    try:
        batch = otlp.from_protobuf(bytes(body))
    except Refused as refused:
        assert refused.status == 400
    else:
        "".join(batch.texts + batch.attributes).encode()


@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
def test_an_empty_request_is_fine(send: Sender, store: Memory, kind: str) -> None:
    reply = send("otlp", "v1/logs", b"" if kind == PROTOBUF else b"{}", kind)
    assert (reply.status, store.batches) == (200, [])


def test_bad_records_are_partial_success(send: Sender, store: Memory) -> None:
    """One record in GBK or with a NUL must not cost the others; the client must not send them again."""
    good, nul = LogRecord(body=value("good")), LogRecord(body=value("a\0b"))
    body = request(good, nul, LogRecord(body=value("XXXX"))).SerializeToString().replace(b"XXXX", b"\xca\xfd\xbe\xdd")
    reply = send("otlp", "v1/logs", body, PROTOBUF)
    answer = ExportLogsServiceResponse.FromString(reply.body)
    assert reply.status == 200
    assert answer.partial_success.rejected_log_records == 2
    assert "record 2: there is a NUL" in answer.partial_success.error_message
    assert store.texts == ["good"]
    assert [one.row for one in store.last.rejected] == [2, 3]


def test_bad_records_in_json(send: Sender, store: Memory) -> None:
    records = '{"body":{"stringValue":"good"}},{"timeUnixNano":"soon"},{"body":7}'
    body = f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}],"new":1}}'
    reply = send("otlp", "v1/logs", body.encode())
    assert json.loads(reply.body)["partialSuccess"]["rejectedLogRecords"] == "2"
    assert store.texts == ["good"]


def test_json_as_some_write_it(send: Sender, store: Memory) -> None:
    record = '{"timeUnixNano":7,"severityNumber":"SEVERITY_NUMBER_WARN2","body":{"intValue":"5"},"traceId":"AB"}'
    send("otlp", "v1/logs", f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}'.encode())
    batch = store.last
    assert (batch.texts, batch.levels, batch.attributes) == (["5"], ["warn"], ['{"trace_id":"ab"}'])


@pytest.mark.parametrize(
    ("kind", "method", "body", "status"),
    [
        (PROTOBUF, "POST", b"\xff", 400),
        ("application/json", "POST", b"{", 400),
        ("application/json", "POST", b"[]", 400),
        ("text/plain", "POST", b"", 415),
        ("", "POST", b"", 415),
        (PROTOBUF, "GET", b"", 405),
    ],
)
def test_what_cannot_be_read_is_told_in_the_requests_encoding(
    send: Sender, kind: str, method: str, body: bytes, status: int
) -> None:
    reply = send("otlp", "v1/logs", body, kind, method=method)
    assert reply.status == status
    if kind == PROTOBUF:
        assert Status.FromString(reply.body).message
        assert reply.content_type == PROTOBUF
    else:
        assert json.loads(reply.body)["message"]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
def test_overload_is_always_503(send: Sender, store: Memory, status: int, kind: str) -> None:
    """SDKs take 429 for good, and all of them 500."""
    store.refusing = Refused(status, "busy", retry_after=7)
    made = request(FULL)
    reply = send("otlp", "v1/logs", made.SerializeToString() if kind == PROTOBUF else as_json(made), kind)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "7")
