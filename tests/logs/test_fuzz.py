"""Whatever bytes come, to whichever protocol: no answer says that we broke.

`DUOLOG_FUZZ=10000` sends so many; the suite sends fewer.
"""

from __future__ import annotations

import gzip
import json
import os
from typing import Any

import cramjam
import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from duolog import access

pytestmark = pytest.mark.django_db

COUNT = int(os.environ.get("DUOLOG_FUZZ", "600"))
PATHS = (
    "/v1/logs", "/loki/api/v1/push", "/api/prom/push", "/_bulk", "/logs-1/_bulk", "/api/v1/ingest",
    "/services/collector", "/services/collector/raw", "/gelf", "/in/shop/v1/logs", "/", "/_license", "/ready",
)  # fmt: skip
KINDS = (
    "application/json", "application/x-protobuf", "application/x-ndjson", "application/msgpack", "text/plain",
    "application/json; charset=gbk", "", "nonsense",
)  # fmt: skip
PACKED = {
    "": bytes, "gzip": gzip.compress, "zstd": cramjam.zstd.compress, "snappy": cramjam.snappy.compress_raw,
    "deflate": cramjam.deflate.compress, "br": bytes, "gzip, gzip": bytes,
}  # fmt: skip

NAMES = st.sampled_from([
    "message", "time", "timestamp", "@timestamp", "level", "streams", "stream", "values", "resourceLogs", "scopeLogs",
    "logRecords", "body", "timeUnixNano", "attributes", "key", "value", "stringValue", "kvlistValue", "index", "create",
    "event", "fields", "short_message", "version", "host", "severityNumber", "traceId", "labels", "entries", "ts",
])  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | NAMES, inner, max_size=4),
    max_leaves=8,
)
records = st.dictionaries(NAMES, values, max_size=5)
documents = (
    st.builds(lambda one: json.dumps(one).encode(), values | records)
    | st.builds(lambda many: b"\n".join(json.dumps(one).encode() for one in many), st.lists(records, max_size=4))
    | st.builds(
        lambda many: json.dumps({"streams": [{"stream": {}, "values": many}]}).encode(), st.lists(values, max_size=3)
    )
)


@st.composite
def protobuf(draw: Any) -> bytes:
    """A request of OpenTelemetry, with a few of its bytes changed."""
    made = LogRecord(
        time_unix_nano=draw(st.integers(0, 2**64 - 1)),
        severity_number=draw(st.integers(-(2**31), 2**31 - 1)),
        body=AnyValue(string_value=draw(st.text(max_size=20))),
        trace_id=draw(st.binary(max_size=20)),
    )
    whole = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[made])])])
    body = bytearray(whole.SerializeToString())
    for place in draw(st.lists(st.integers(0, max(0, len(body) - 1)), max_size=3)):
        body[place] = draw(st.integers(0, 255))
    return bytes(body)


bodies = st.binary(max_size=200) | documents | protobuf()


def test_no_body_breaks_us(client: Client) -> None:
    user = User.objects.create_user("anna")
    token = access.issue_token(user=user, name="fuzz", project="shop")
    told: dict[int, int] = {}

    @settings(max_examples=COUNT, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(PATHS), st.sampled_from(KINDS), st.sampled_from(sorted(PACKED)), bodies,
        st.sampled_from(["POST", "POST", "POST", "PUT", "GET", "HEAD", "DELETE"]), st.booleans(),
    )  # fmt: skip
    def send(path: str, kind: str, encoding: str, body: bytes, method: str, honest: bool) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "*/*"} | (
            {"Content-Encoding": encoding} if encoding else {}
        )
        packed = bytes(PACKED[encoding](body)) if honest else body
        answer = client.generic(method, path, packed, content_type=kind, headers=headers)
        told[answer.status_code] = told.get(answer.status_code, 0) + 1
        assert answer.status_code < 500, (path, kind, encoding, body, answer.content)

    send()
    assert told.keys() & {200, 204} and told.keys() & {400, 415}
