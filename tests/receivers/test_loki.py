"""Loki's push API: bodies of today and of old, and answers after which nobody drops or repeats lines."""

from __future__ import annotations

import json
from typing import Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipping import Memory, Sender

from duolog.plugins.types import Refused
from logs.receivers.loki import Push, _labels

PUSH = "loki/api/v1/push"
PROTOBUF = "application/x-protobuf"


def packed(*entries: tuple[bytes, dict[bytes, bytes]], labels: bytes = b'{app="shop", level="WARN"}') -> bytes:
    push = Push()
    stream = push.streams.add(labels=labels)
    for number, (line, metadata) in enumerate(entries):
        entry = stream.entries.add(line=line)
        entry.at.seconds, entry.at.nanos = 1_795_593_600 + number, 500_000_000
        for name, value in metadata.items():
            entry.metadata.add(name=name, value=value)
    return bytes(cramjam.snappy.compress_raw(push.SerializeToString()))


def pushed(*values: list[Any], **stream: str) -> bytes:
    return json.dumps({"streams": [{"stream": stream, "values": values}]}).encode()


@pytest.mark.parametrize("kind", [PROTOBUF, ""])
@pytest.mark.parametrize("path", [PUSH, "api/prom/push"])
def test_protobuf(send: Sender, store: Memory, kind: str, path: str) -> None:
    """Without a content type it is protobuf; the body is packed though no header says so."""
    reply = send("loki", path, packed(("订单\n2".encode(), {b"trace_id": b"t1", b"app": b"x"}), (b"b", {})), kind)
    assert (reply.status, reply.body) == (204, b"")
    batch = store.last
    assert (batch.texts, batch.times) == (["订单\n2", "b"], [1795593600.5, 1795593601.5])
    assert (batch.services, batch.levels) == (["shop"] * 2, ["warn"] * 2)
    own = {"app": "shop", "level": "WARN", "trace_id": "t1", "record.app": "x"}
    assert [json.loads(one) for one in batch.attributes] == [own, {"app": "shop", "level": "WARN"}]


def test_a_body_that_the_platform_unpacked(send: Sender, store: Memory) -> None:
    body = bytes(cramjam.snappy.decompress_raw(packed((b"a", {}))))
    assert send("loki", PUSH, body, PROTOBUF, headers={"content-encoding": "snappy"}).status == 204
    assert store.texts == ["a"]


def test_json(send: Sender, store: Memory) -> None:
    values = [["1795593600500000000", "订单", {"traceID": "t1", "level": "error"}], ["1795593601000000000", "b"]]
    assert send("loki", PUSH, pushed(*values, job="shop"), "application/json; charset=utf-8").status == 204
    batch = store.last
    assert (batch.texts, batch.times, batch.levels) == (["订单", "b"], [1795593600.5, 1795593601.0], ["error", ""])
    assert json.loads(batch.attributes[0]) == {"job": "shop", "trace_id": "t1", "level": "error"}


def test_the_old_body(send: Sender, store: Memory) -> None:
    entries = [{"ts": "2026-11-25T08:00:00.123456789+08:00", "line": "a"}]
    body = {"streams": [{"labels": '{job="shop",path="C:\\\\x \\"y\\""}', "entries": entries}]}
    assert send("loki", "api/prom/push", json.dumps(body).encode()).status == 204
    assert store.last.times == [pytest.approx(1795564800.123456)]
    assert json.loads(store.last.attributes[0]) == {"job": "shop", "path": 'C:\\x "y"'}


def test_bad_lines_are_quarantined_and_the_client_is_told_success(send: Sender, store: Memory) -> None:
    assert send("loki", PUSH, packed((b"good", {}), (b"\xff\xfe", {}), (b"a\0", {})), PROTOBUF).status == 204
    assert (
        send("loki", PUSH, pushed(["soon", "a"], ["1795593600500000000", "good"], [1]), kind="text/json").status == 204
    )
    assert send("loki", PUSH, packed((b"lost", {}), labels=b"{odd"), PROTOBUF).status == 204
    assert store.texts == ["good", "good"]
    assert [[one.row for one in batch.rejected] for batch in store.batches] == [[2, 3], [1, 3], [1]]


def test_nothing_is_fine(send: Sender, store: Memory) -> None:
    assert send("loki", PUSH, b"", PROTOBUF).status == 204
    assert send("loki", PUSH, b'{"streams":[]}').status == 204
    assert store.batches == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"\xff\xff", PROTOBUF), (bytes(cramjam.snappy.compress_raw(b"\xff")), PROTOBUF), (b"{", "application/json")],
)
def test_what_cannot_be_read(send: Sender, body: bytes, kind: str) -> None:
    reply = send("loki", PUSH, body, kind)
    assert (reply.status, reply.content_type) == (400, "text/plain; charset=utf-8")


def test_a_bomb_within(send: Sender) -> None:
    body = bytes(cramjam.snappy.compress_raw(bytes(2 << 20)))
    assert send("loki", PUSH, body, PROTOBUF, options={"max_unpacked": 1 << 20}).status == 413


def test_overload(send: Sender, store: Memory) -> None:
    store.refusing = Refused(429, "busy", retry_after=3)
    reply = send("loki", PUSH, packed((b"a", {})), PROTOBUF)
    assert (reply.status, reply.headers["Retry-After"]) == (429, "3")


def test_health(send: Sender) -> None:
    assert send("loki", "ready", method="GET").body == b"ready\n"
    assert "version" in json.loads(send("loki", "loki/api/v1/status/buildinfo", method="GET").body)


@given(st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True), st.text(st.characters(codec="utf-8"))))
def test_labels_as_go_quotes_them(labels: dict[str, str]) -> None:
    """JSON escapes as Go's strconv.Quote does, but for those of control characters."""
    text = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    assert _labels(f"{{{text}}}") == labels


@pytest.mark.parametrize("text", ["", "{", "a=1", '{a="b}', '{a="b" c="d"}', "{=}", '{a b="c"}'])
def test_labels_that_are_none(text: str) -> None:
    assert _labels(text) is None
