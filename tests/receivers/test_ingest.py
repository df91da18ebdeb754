"""JSON and msgpack from anybody: how records are written, and which fields mean what."""

from __future__ import annotations

import json
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipping import Memory, Sender

PATH = "api/v1/ingest"
ROWS = [{"message": "一", "level": "INFO", "time": 1795593600}, {"message": "two}{", "n": 2}, {"msg": "three\n"}]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(ROWS),
        "".join(map(json.dumps, ROWS)),
        "\n".join(map(json.dumps, ROWS)),
        "\r\n\r\n".join(map(json.dumps, ROWS)) + "\r\n",
        "\ufeff" + "\n".join(map(json.dumps, ROWS)),
        " ".join(json.dumps(row, indent=2) for row in ROWS),
        ",\n".join(map(json.dumps, ROWS)),
    ],
    ids=["array", "concatenated", "lines", "crlf", "bom", "pretty", "commas"],
)
def test_all_ways_to_write_json(send: Sender, store: Memory, body: str) -> None:
    reply = send("ingest", PATH, body.encode(), "application/x-www-form-urlencoded")  # as curl does unasked
    assert json.loads(reply.body) == {"id": "r1", "lines": 3, "rejected": 0, "duplicate": False}
    batch = store.last
    assert (batch.texts, batch.levels) == (["一", "two}{", "three"], ["info", "", ""])
    assert batch.times == [1795593600.0, None, None]
    assert batch.attributes == ["", '{"n":"2"}', ""]


@pytest.mark.parametrize("wrap", ["bare", "pair", "event time", "metadata", "array"])
def test_msgpack_as_fluent_bit_writes_it(send: Sender, store: Memory, wrap: str) -> None:
    record = {"log": "订单", "n": 2, "raw": b"\xff"}
    moment: Any = msgpack.ExtType(0, struct.pack(">II", 1795593600, 500_000_000))
    written = {
        "bare": record,
        "pair": [1795593600.5, record],
        "event time": [moment, record],
        "metadata": [[moment, {}], record],
        "array": [[1795593600.5, record]] * 2,
    }[wrap]
    body = msgpack.packb(written) * (1 if wrap == "array" else 2)
    reply = send("ingest", PATH, body, "application/msgpack")
    assert reply.status == 200
    assert store.texts == ["订单"] * 2
    assert store.last.times[0] == (None if wrap == "bare" else 1795593600.5)
    assert json.loads(store.last.attributes[0]) == {"n": "2", "raw": "ff"}


def test_a_bad_record_costs_itself_only(send: Sender, store: Memory) -> None:
    rows = [
        b'{"message":"one"}',
        b'{"message":"tw',
        b'{"message":"\xca\xfd"}',
        b'{"message":"\\u0000"}',
        b"7",
        b"{}",
        b'{"message":"two"}',
    ]
    reply = send("ingest", PATH, b"\n".join(rows))
    assert json.loads(reply.body)["rejected"] == 5
    assert store.texts == ["one", "two"]
    assert [one.row for one in store.last.rejected] == [2, 3, 4, 5, 6]
    reasons = [one.reason for one in store.last.rejected]
    assert reasons[0].startswith("not valid JSON")
    assert reasons[1:] == [
        "it is not valid UTF-8", "there is a NUL character in it", "not a JSON object",
        "there is neither a message nor any other field in it",
    ]  # fmt: skip


def test_a_bad_element_of_an_array(send: Sender, store: Memory) -> None:
    send("ingest", PATH, b'[{"message":"one"},{"message":nil},{"message":"two"}]')
    assert store.texts == ["one", "two"]
    assert [one.row for one in store.last.rejected] == [2]


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"hello", ""), (b"{", ""), (b"\xc1", "application/msgpack"), (b"\xdd\x7f\xff\xff\xff", "application/msgpack")],
)
def test_nothing_readable_is_refused(send: Sender, store: Memory, body: bytes, kind: str) -> None:
    reply = send("ingest", PATH, body, kind)
    assert reply.status == 400
    assert "detail" in json.loads(reply.body)
    assert store.batches == []


def test_an_empty_body_is_fine(send: Sender, store: Memory) -> None:
    assert send("ingest", PATH, b" \n").status == 200
    assert store.batches == []


def test_a_line_that_is_too_long(send: Sender, store: Memory) -> None:
    body = json.dumps([{"message": "字" * 10}, {"message": "ok"}]).encode()
    send("ingest", PATH, body, options={"max_line": 29})
    assert store.texts == ["ok"]
    assert store.rejected == ["the line has 30 bytes; at most 29 are taken"]


@pytest.mark.parametrize(
    ("record", "text", "attributes"),
    [
        ({"message": {"a": 1}, "b": None}, '{"a":1}', {}),
        ({"message": None, "msg": "x"}, "x", {}),
        ({"log": {"offset": 1}, "message": "x"}, "x", {"log.offset": "1"}),
        ({"cpu": 0.5, "on": True}, '{"cpu":"0.5","on":"true"}', {"cpu": "0.5", "on": "true"}),
        ({"message": "x", "a": {"b": [1, {"c": 2}]}, "a.b": 3}, "x", {"a.b": '[1,{"c":2}]', "a.b_": "3"}),
        (
            {"message": "x", "trace": {"id": "t"}, "spanId": "s", "hostname": "h"},
            "x",
            {"trace_id": "t", "span_id": "s", "host": "h"},
        ),
        ({"message": "", "a": ""}, "", {"a": ""}),
        ({"message": 7}, "7", {}),
    ],
)
def test_fields(send: Sender, store: Memory, record: dict[str, Any], text: str, attributes: dict[str, str]) -> None:
    send("ingest", PATH, json.dumps(record).encode())
    assert store.texts == [text]
    assert json.loads(store.last.attributes[0] or "{}") == attributes


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1795593600, 1795593600.0), (1795593600.25, 1795593600.25), (1795593600250, 1795593600.25),
        (1795593600250000, 1795593600.25), (1795593600250000000, 1795593600.25), ("1795593600.25", 1795593600.25),
        ("2026-11-25T08:00:00Z", 1795593600.0), ("2026-11-25T16:00:00.250+08:00", 1795593600.25),
        ("2026-11-25 08:00:00,250", 1795593600.25), ("25/Nov/2026:08:00:00 +0000", 1795593600.0),
    ],
)  # fmt: skip
def test_times(send: Sender, store: Memory, value: Any, seconds: float) -> None:
    send("ingest", PATH, json.dumps({"message": "x", "@timestamp": value}).encode())
    assert store.last.times == [pytest.approx(seconds)]


@pytest.mark.parametrize("value", ["soon", -5, 1e30, True, [1], "9" * 400])
def test_a_time_that_makes_no_sense_is_kept_as_it_is(send: Sender, store: Memory, value: Any) -> None:
    send("ingest", PATH, json.dumps({"message": "x", "time": value}).encode())
    assert store.last.times == [None]
    assert "time" in json.loads(store.last.attributes[0])


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("WARNING", "warn"),
        ("Err", "error"),
        (3, "error"),
        ("6", "info"),
        (50, "error"),
        ("警告", "warn"),
        ("critical", "fatal"),
        ("odd", ""),
        (True, ""),
    ],
)
def test_levels(send: Sender, store: Memory, value: Any, level: str) -> None:
    send("ingest", PATH, json.dumps({"message": "x", "severity": value}).encode())
    assert store.last.levels == [level]
    assert ("severity" in store.last.attributes[0]) == (not level)


@pytest.mark.parametrize("where", ["query", "headers"])
def test_parameters_of_victorialogs(send: Sender, store: Memory, where: str) -> None:
    asked = {
        "_msg_field": "text.body,t",
        "_time_field": "when",
        "_stream_fields": "host,app",
        "ignore_fields": "secret",
        "extra_fields": "env=prod,zone=a",
    }
    headers = {f"vl-{name.strip('_').replace('_', '-')}": value for name, value in asked.items()}
    record = {"text": {"body": "x"}, "message": "kept", "when": 1795593600, "host": "h", "app": "shop", "secret": "s"}
    given_ = {"query": asked} if where == "query" else {"headers": headers}
    send("ingest", PATH, json.dumps(record).encode(), **given_)  # type: ignore[arg-type]
    batch = store.last
    assert (batch.texts, batch.times, batch.services) == (["x"], [1795593600.0], ["h/shop"])
    assert json.loads(batch.attributes[0]) == {"message": "kept", "env": "prod", "zone": "a"}


def test_a_dry_run_stores_nothing(send: Sender, store: Memory) -> None:
    reply = send("ingest", PATH, b'{"message":"x","time":1795593600}\nbad', query={"debug": "1"})
    told = json.loads(reply.body)
    assert told["lines"] == [{"text": "x", "time": 1795593600.0, "service": "", "level": "", "attributes": ""}]
    assert told["rejected"][0]["row"] == 2
    assert store.batches == []


@given(
    st.lists(
        st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers() | st.none(), max_size=5), max_size=8
    )
)
def test_every_record_is_a_line_or_rejected(records: list[dict[str, Any]]) -> None:
    memory = Memory()
    body = "\n".join(map(json.dumps, records)).encode()
    reply = Sender(memory)("ingest", PATH, body)
    if records:
        told = json.loads(reply.body)
        assert told["lines"] + told["rejected"] == len(records)
        for batch in memory.batches:
            assert all(set(map(type, json.loads(one or "{}").values())) <= {str} for one in batch.attributes)
