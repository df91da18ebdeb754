"""Elasticsearch's bulk API: one item an action, in order, and never an answer that makes a shipper lose or repeat."""

from __future__ import annotations

import json

import pytest
from shipping import Memory, Sender

from duolog.plugins.types import Refused

DOCUMENT = (
    b'{"@timestamp":"2026-11-25T08:00:00.5Z","message":"a","log":{"level":"info","offset":7},"host":{"name":"h"}}'
)


def bulk(*rows: bytes) -> bytes:
    return b"".join(row + b"\n" for row in rows)


@pytest.mark.parametrize(
    "kind", ["application/x-ndjson", "application/json", "application/vnd.elasticsearch+x-ndjson; compatible-with=8"]
)
@pytest.mark.parametrize(("path", "index"), [("_bulk", "i"), ("logs-app/_bulk", "i"), ("_bulk/", "i")])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_bulk(send: Sender, store: Memory, kind: str, path: str, index: str, method: str) -> None:
    reply = send("elastic", path, bulk(b'{"create":{"_index":"i"}}', DOCUMENT), kind, method=method)
    assert (reply.status, reply.headers["X-Elastic-Product"]) == (200, "Elasticsearch")
    # Fluent Bit reads so far and no further.
    assert reply.body.startswith(
        b'{"took":1,"errors":false,"items":[{"create":{"_index":"i","_id":"r1-0","_version":1,"result":"created"'
    )
    assert json.loads(reply.body)["items"][0]["create"]["status"] == 201
    batch = store.last
    assert (batch.texts, batch.times, batch.levels) == (["a"], [1795593600.5], ["info"])
    assert json.loads(batch.attributes[0]) == {"log.offset": "7", "host": "h"}


def test_items_stand_in_the_order_of_actions(send: Sender, store: Memory) -> None:
    body = bulk(
        b'{"index":{"_id":"1","_type":"_doc","pipeline":"p"}}', b'{"msg":"one"}', b'{"delete":{"_id":"1"}}', b"",
        b'{"update":{"_id":3,"_index":"u\\"x"}}', b'{"doc":{"log":"two\\n"}}',
        b'{"create":{}}', b"{broken", b'{"create":{}}', b"[]",
    )  # fmt: skip
    items = json.loads(send("elastic", "app/_bulk", body).body)["items"]
    told = [(name, item["_index"], item["_id"], item["status"]) for each in items for name, item in each.items()]
    assert told == [
        ("index", "app", "1", 201), ("delete", "app", "1", 200), ("update", 'u"x', "3", 200),
        ("create", "app", "r1-3", 201), ("create", "app", "r1-4", 201),
    ]  # fmt: skip
    assert store.texts == ["one", "two"]
    assert [one.row for one in store.last.rejected] == [3, 4]


def test_overload_refuses_the_whole(send: Sender, store: Memory) -> None:
    store.refusing = Refused(429, "busy", retry_after=5)
    reply = send("elastic", "_bulk", bulk(b'{"index":{}}', DOCUMENT))
    assert (reply.status, reply.headers["Retry-After"]) == (429, "5")
    assert json.loads(reply.body)["error"]["type"] == "es_rejected_execution_exception"


@pytest.mark.parametrize(
    "body", [b"", b"\n", b'{"message":"no action"}\n', b'{"index":{}}', b"garbage\n{}\n", b'{"index":[]}\n{}\n']
)
def test_what_is_no_bulk(send: Sender, store: Memory, body: bytes) -> None:
    reply = send("elastic", "_bulk", body)
    assert reply.status == 400
    assert json.loads(reply.body)["status"] == 400
    assert store.batches == []


def test_who_we_are(send: Sender) -> None:
    about = json.loads(send("elastic", "", method="GET", options={"version": "9.1.0"}).body)
    assert about["version"]["number"] == "9.1.0"
    assert about["version"]["build_flavor"] == "default"
    assert about["tagline"] == "You Know, for Search"
    head = send("elastic", "", method="HEAD")
    assert (head.status, head.body, head.headers["X-Elastic-Product"]) == (200, b"", "Elasticsearch")
    assert json.loads(send("elastic", "_license", method="GET").body)["license"]["status"] == "active"
    assert json.loads(send("elastic", "_nodes/http", method="GET").body)["nodes"] == {}


@pytest.mark.parametrize(
    "path", ["_index_template/filebeat", "_ilm/policy/x", "_ingest/pipeline/p", "_alias/a", "_template/t"]
)
def test_what_shippers_set_up(send: Sender, path: str) -> None:
    assert send("elastic", path, method="HEAD").status == 200
    assert send("elastic", path, method="GET").body == b"{}"
    assert json.loads(send("elastic", path, b"{}", method="PUT").body) == {"acknowledged": True}


def test_a_stranger_is_asked_for_a_password(send: Sender, store: Memory) -> None:
    store.refusing = Refused(401, "who are you")
    reply = send("elastic", "_bulk", bulk(b'{"index":{}}', DOCUMENT))
    assert reply.headers["WWW-Authenticate"].startswith('Basic realm="security"')
