"""Whatever bytes come, a receiver stores well-formed columns and answers, or refuses: it never fails."""

from __future__ import annotations

import re
from typing import Any

import cramjam
import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from duolog.plugins import guard, registry
from duolog.plugins.types import LogBatch, Receipt, Received, Refused
from logs.engine.unpack import UNPACKERS, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["message", "@timestamp", "level", "service", "log", "event", "time", "fields", "a.b"])
            | st.sampled_from(["short_message", "_x", "streams", "stream", "values", "resourceLogs", "scopeLogs"])
            | st.sampled_from(["logRecords", "body", "attributes", "key", "value", "stringValue", "create", "index"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(_json),
    st.lists(JSON.map(_json), max_size=4).map(b"\n".join),
    st.lists(JSON.map(_json), max_size=4).map(b"".join),
    JSON.filter(lambda value: not isinstance(value, int) or -(2**63) <= value < 2**64).map(
        lambda value: msgpack.packb(value, default=str) if _packs(value) else b""
    ),
)
ENDPOINTS = [
    ("otlp", "v1/logs"),
    ("loki", "loki/api/v1/push"),
    ("elastic", "_bulk"),
    ("ingest", "api/v1/ingest"),
    ("splunk", "services/collector/event"),
    ("splunk", "services/collector/raw"),
    ("gelf", "gelf"),
]


def _packs(value: Any) -> bool:
    try:
        msgpack.packb(value)
    except (OverflowError, ValueError):
        return False
    return True


@pytest.mark.parametrize(("name", "path"), ENDPOINTS)
@given(body=BODIES, kind=st.sampled_from(["application/json", "application/x-protobuf", "application/msgpack", ""]))
@example(body=b'{"a":' * 100_000, kind="application/json")
@example(body=b"[" * 100_000, kind="application/json")
@example(body=b"\xdd\xff\xff\xff\xff" * 1000, kind="application/msgpack")
@example(body=b'{"message":"\\ud800","a":"\\u0000"}', kind="application/json")
@example(body=b'{"message":"x","time":' + b"9" * 5000 + b"}", kind="application/json")
@example(body=bytes(cramjam.snappy.compress_raw(b"\n\x02\n\x00" * 10)), kind="application/x-protobuf")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_only_refused(name: str, path: str, body: bytes, kind: str) -> None:
    plugin = registry.create("duolog.receivers", name, {})

    def store(batch: LogBatch) -> Receipt:
        "".join([*batch.texts, *batch.attributes, *batch.services]).encode()
        return Receipt("r", len(batch.texts), len(batch.rejected))

    request = Received("POST", path, kind, {}, {}, body)
    try:
        reply = guard.call(plugin, "handle", request, store)
    except Refused as refused:
        assert 400 <= refused.status < 500
        reply = guard.call(plugin, "refuse", request, refused)
        assert reply.status == refused.status
    assert reply.status < 500


@given(body=st.binary(max_size=300), name=st.sampled_from(sorted(UNPACKERS)))
@settings(max_examples=300)
def test_unpacking_only_refuses(body: bytes, name: str) -> None:
    try:
        unpack(body, name, 1000)
    except Refused as refused:
        assert refused.status in (400, 413)


def test_paths_are_claimed_once() -> None:
    """No two receivers want the same path."""
    paths = ["", "_bulk", "logs-app/_bulk", "v1/logs", "otlp/v1/logs", "loki/api/v1/push", "api/prom/push", "ready"]
    paths += ["_license", "_cluster/health", "_index_template/x", "services/collector", "services/collector/event/1.0"]
    paths += ["api/v1/ingest", "gelf", "_nodes/http", "_ilm/policy/x", "_ingest/pipeline/x", "logstash-x"]
    for path in paths:
        claims = [
            entry.name
            for entry in registry.discover("duolog.receivers")
            if any(
                re.fullmatch(pattern, path)
                for pattern in registry.get("duolog.receivers", entry.name).paths  # type: ignore[attr-defined]
            )
        ]
        assert len(claims) == 1, (path, claims)
