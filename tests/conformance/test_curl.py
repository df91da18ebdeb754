"""curl, for scripts and for trying things out."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from shipping import Live

pytestmark = pytest.mark.django_db(transaction=True)

LINES = '{"message":"订单 1","level":"warn","app":"shop"}\n{"message":"two"}\n'.encode()


@pytest.fixture
def curl(live: Live, program: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    path = program("curl")

    def send(where: str, body: bytes, *options: str) -> str:
        file = tmp_path / "body"
        file.write_bytes(body)
        command = [path, "--silent", "--fail", "--data-binary", f"@{file}", *options, live.url + where]
        return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.decode()

    return send


def test_json_lines(live: Live, curl: Callable[..., str]) -> None:
    token = f"Authorization: Bearer {live.token}"
    receipt = json.loads(curl("/api/v1/ingest", LINES, "--header", token))
    assert (receipt["lines"], receipt["duplicate"]) == (2, False)
    again = json.loads(curl("/api/v1/ingest", LINES, "--header", token))
    assert again == receipt | {"duplicate": True}
    packed = gzip.compress(b'{"message":"three"}')
    curl("/in/shop/api/v1/ingest", packed, "--header", token, "--header", "Content-Encoding: gzip")
    lines = live.wait(3)
    assert {line.text for line in lines} == {"订单 1", "two", "three"}
    assert [(line.service, line.level) for line in lines if line.text == "订单 1"] == [("shop", "warn")]


def test_other_doors(live: Live, curl: Callable[..., str]) -> None:
    user = ("--user", f"any:{live.token}")
    assert json.loads(curl("/services/collector/raw?sourcetype=shop", b"one\ntwo", *user))["text"] == "Success"
    assert curl("/gelf", b'{"version":"1.1","host":"h","short_message":"three"}', *user) == ""
    curl("/loki/api/v1/push", b'{"streams":[{"stream":{"app":"shop"},"values":[["1795593600000000000","four"]]}]}',
         *user, "--header", "Content-Type: application/json")  # fmt: skip
    assert sorted(line.text for line in live.wait(4)) == ["four", "one", "three", "two"]
