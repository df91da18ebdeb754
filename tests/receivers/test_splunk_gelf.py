"""Splunk's event collector, and GELF over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shipping import Memory, Sender

from duolog.plugins.types import Refused


@pytest.mark.parametrize("path", ["services/collector", "services/collector/event", "services/collector/event/1.0"])
def test_events(send: Sender, store: Memory, path: str) -> None:
    events: list[dict[str, Any]] = [
        {"time": "1795593600.250", "host": "h", "sourcetype": "shop", "event": "一", "fields": {"trace_id": "t"}},
        {"time": 1795593600, "event": {"message": "two", "level": "warn", "service": "own"}, "host": "h"},
        {"event": ""},
    ]
    reply = send("splunk", path, "".join(map(json.dumps, events)).encode())
    assert json.loads(reply.body) == {"text": "Success", "code": 0}
    batch = store.last
    assert (batch.texts, batch.times) == (["一", "two"], [1795593600.25, 1795593600.0])
    assert (batch.services, batch.levels) == (["shop", "own"], ["", "warn"])
    assert json.loads(batch.attributes[0]) == {"host": "h", "sourcetype": "shop", "trace_id": "t"}
    assert [one.row for one in batch.rejected] == [3]


def test_raw_lines(send: Sender, store: Memory) -> None:
    query = {"sourcetype": "shop", "host": "h", "channel": "x"}
    assert send("splunk", "services/collector/raw", b"one\r\n\ntwo", query=query).status == 200
    assert (store.texts, store.last.services) == (["one", "two"], ["shop", "shop"])
    assert json.loads(store.last.attributes[0]) == {"host": "h", "sourcetype": "shop"}


def test_splunks_own_codes(send: Sender, store: Memory) -> None:
    path = "services/collector/event"
    assert json.loads(send("splunk", path, b"").body) == {"text": "No data", "code": 5}
    assert json.loads(send("splunk", path, b"nothing").body)["code"] == 6
    assert json.loads(send("splunk", "services/collector/health", method="GET").body)["code"] == 17
    store.refusing = Refused(503, "busy", retry_after=3)
    reply = send("splunk", path, b'{"event":"x"}')
    assert (reply.status, reply.headers["Retry-After"], json.loads(reply.body)["code"]) == (503, "3", 9)
    store.refusing = Refused(401, "no token")
    assert json.loads(send("splunk", path, b'{"event":"x"}').body)["code"] == 2


GELF = {
    "version": "1.1",
    "host": "h",
    "short_message": "订单",
    "timestamp": 1795593600.25,
    "level": 4,
    "_service": "shop",
    "_user.id": 7,
}


def test_gelf(send: Sender, store: Memory) -> None:
    reply = send("gelf", "gelf", json.dumps(GELF).encode(), "application/x-www-form-urlencoded")
    assert (reply.status, reply.body) == (202, b"")
    batch = store.last
    assert (batch.texts, batch.times, batch.services, batch.levels) == (["订单"], [1795593600.25], ["shop"], ["warn"])
    assert json.loads(batch.attributes[0]) == {"host": "h", "user.id": "7"}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"full_message": "订单\n at line 2"}, "订单\n at line 2"),
        ({"full_message": "another"}, "订单\nanother"),
        ({"short_message": "", "full_message": "only"}, "only"),
        ({"_message": "own"}, "订单"),
    ],
)
def test_the_text_of_gelf(send: Sender, store: Memory, fields: dict[str, Any], text: str) -> None:
    send("gelf", "gelf", json.dumps(GELF | fields).encode())
    assert store.texts == [text]


def test_gelf_without_a_text(send: Sender, store: Memory) -> None:
    assert send("gelf", "gelf", b'{"host":"h"}{"short_message":"x"}7').status == 202
    assert store.texts == ["x"]
    assert [one.row for one in store.last.rejected] == [1, 3]
    assert send("gelf", "gelf", b"").status == 400
    assert send("gelf", "gelf", b"nothing").status == 400
