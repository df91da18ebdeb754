"""The official Elasticsearch client, from its handshake to its bulk helpers."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch, helpers
from shipping import Live

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["token", "password", "prefix"])
def client(live: Live, request: pytest.FixtureRequest) -> Iterator[Elasticsearch]:
    prefix = "/in/shop" if request.param == "prefix" else ""
    if request.param == "password":
        made = Elasticsearch(live.url, basic_auth=("any", live.token), max_retries=0)
    else:
        made = Elasticsearch(live.url + prefix, api_key=live.token, http_compress=True, max_retries=0)
    with made:
        yield made


def test_the_handshake(client: Elasticsearch) -> None:
    assert client.info()["version"]["number"].startswith("8.")
    assert client.ping()
    assert client.license.get()["license"]["status"] == "active"
    assert client.cluster.health()["status"] == "green"
    assert client.indices.put_index_template(name="logs", index_patterns=["logs-*"])["acknowledged"]
    assert client.ilm.put_lifecycle(name="logs", policy={"phases": {}})["acknowledged"]


def test_bulk(live: Live, client: Elasticsearch) -> None:
    actions = [
        {"_op_type": "create", "_index": "logs-shop", "@timestamp": "2026-11-25T08:00:00Z", "message": f"订单 {number}",
         "log": {"level": "WARN"}, "service": {"name": "shop"}, "trace": {"id": f"t{number}"}}
        for number in range(1200)
    ]  # fmt: skip
    done, errors = helpers.bulk(client, actions)
    assert (done, errors) == (1200, [])
    line = live.wait(1200)[0]
    assert (line.text, line.service, line.level, line.time) == ("订单 0", "shop", "warn", 1795593600.0)
    assert line.attributes == {"trace_id": "t0"}


def test_every_action_has_its_item(live: Live, client: Elasticsearch) -> None:
    """Also those whose documents went to quarantine, and ids come back as they were sent."""
    body = b'{"index":{"_id":"a"}}\n{"message":"one"}\n{"delete":{"_id":"x"}}\n{"create":{}}\n{broken\n'
    answer = client.bulk(index="logs-app", operations=body.decode().splitlines())
    assert answer["errors"] is False
    assert [next(iter(item)) for item in answer["items"]] == ["index", "delete", "create"]
    assert answer["items"][0]["index"]["_id"] == "a"
    assert [next(iter(item.values()))["status"] for item in answer["items"]] == [201, 200, 201]
    assert live.texts() == ["one"]


def test_streaming_and_parallel_helpers(live: Live, client: Elasticsearch) -> None:
    documents = ({"_index": "x", "_id": str(number), "msg": f"line {number}"} for number in range(300))
    results = list(helpers.parallel_bulk(client, documents, thread_count=2, chunk_size=50))
    assert all(ok for ok, _ in results)
    assert len(live.wait(300)) == 300


@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, {"Accept": "application/json"}])
def test_the_front_page_is_elasticsearchs_for_shippers(live: Live, headers: dict[str, str]) -> None:
    """Logstash names no media type; a browser names HTML, and gets the console."""
    for path in ("/", "/in/shop/", "/in/shop"):
        for method in ("GET", "HEAD"):
            wanted = urllib.request.Request(live.url + path, headers=live.bearer | headers, method=method)
            with urllib.request.urlopen(wanted) as answer:
                assert answer.url == wanted.full_url
                assert answer.headers["X-Elastic-Product"] == "Elasticsearch"
                assert method == "HEAD" or b"You Know, for Search" in answer.read()
    browser = urllib.request.Request(live.url + "/", headers={"Accept": "text/html,*/*"})
    with urllib.request.urlopen(browser) as answer:
        assert "/admin/" in answer.url
