"""Lines from shippers: who may send, how much, and what they are told."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError
from django.test import Client

from duolog import access
from logs import receive, storage
from logs.models import PendingChunk, Receipt, RedactionRule, RejectedRecord, Source, Template

pytestmark = pytest.mark.django_db

LINES = b'{"message":"order 17 created","level":"info","service":"shop","time":1764000000}\n{"message":"again"}\n'


@pytest.fixture
def user() -> User:
    return User.objects.create_user("anna")


@pytest.fixture
def token(user: User) -> str:
    return access.issue_token(user=user, name="shipper", project="shop", source="web")


def push(client: Client, body: bytes = LINES, path: str = "/api/v1/ingest", **headers: str) -> Any:
    return client.post(path, body, content_type="application/x-ndjson", headers=headers)


def basic(name: str, password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def test_what_is_accepted_is_stored_with_a_receipt(client: Client, token: str) -> None:
    answer = push(client, authorization=f"Bearer {token}")
    assert answer.status_code == 200, answer.content
    receipt = Receipt.objects.get()
    assert (receipt.lines, receipt.rejected, receipt.receiver) == (2, 0, "ingest")
    assert str(receipt.pk) in answer.content.decode()
    source = Source.objects.get()
    assert (source.project.slug, source.name, source.dataset.name) == ("shop", "web", "live-web")
    lines = storage.read(source, PendingChunk.objects.get().chunk)
    assert lines is not None
    assert lines.texts == ["order 17 created", "again"]
    assert (lines.services[0], lines.levels[0], lines.times[0]) == ("shop", "info", 1764000000.0)


@pytest.mark.parametrize("where", ["bearer", "password", "name", "apikey", "plain key", "splunk", "header", "tenant"])
def test_a_token_may_stand_where_the_protocol_puts_it(client: Client, token: str, where: str) -> None:
    headers = {
        "bearer": {"authorization": f"Bearer {token}"},
        "password": {"authorization": basic("shop", token)},
        "name": {"authorization": basic(token, "")},
        "apikey": {"authorization": basic("id", token, "ApiKey")},
        "plain key": {"authorization": f"ApiKey {token}"},
        "splunk": {"authorization": f"Splunk {token}"},
        "header": {"x-duolog-token": token},
        "tenant": {"x-scope-orgid": token},
    }[where]
    assert push(client, **headers).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/ingest", "/loki/api/v1/push", "/_bulk", "/v1/logs", "/gelf"])
def test_strangers_are_refused(client: Client, user: User, token: str, path: str) -> None:
    own = access.issue_token(user=user, name="of a person")
    for headers in ({}, {"authorization": "Bearer duo_wrong"}, {"authorization": f"Bearer {own}"}):
        answer = push(client, path=path, **headers)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Basic realm=")
    foreign = {"authorization": f"Bearer {token}"}
    assert push(client, path=f"/in/other{path}", **foreign).status_code == 401
    assert push(client, path=path, **foreign, **{"x-scope-orgid": "other"}).status_code == 401
    assert not Receipt.objects.exists()


def test_a_path_below_the_project_is_the_same(client: Client, token: str) -> None:
    assert push(client, path="/in/shop/api/v1/ingest", authorization=f"Bearer {token}").status_code == 200


def test_a_shippers_token_opens_nothing_else(client: Client, user: User, token: str) -> None:
    user.is_superuser = True
    user.save()
    answer = client.get("/api/v1/datasets/", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_a_retry_is_told_the_same_and_stored_once(client: Client, token: str) -> None:
    first = push(client, authorization=f"Bearer {token}")
    again = push(client, gzip.compress(LINES), authorization=f"Bearer {token}", **{"content-encoding": "gzip"})
    assert (first.status_code, again.status_code) == (200, 200)
    assert Receipt.objects.get().repeats == 1
    assert PendingChunk.objects.count() == 1


def test_a_record_that_makes_no_sense_is_kept_and_the_rest_is_stored(client: Client, token: str) -> None:
    body = LINES + b'{"message":"a\\u0000b"}\nnot json\n'
    assert push(client, body, authorization=f"Bearer {token}").status_code == 200
    receipt = Receipt.objects.get()
    assert (receipt.lines, receipt.rejected) == (2, 2)
    assert [record.row for record in RejectedRecord.objects.all()] == [3, 4]
    assert "not json" in RejectedRecord.objects.last().text  # type: ignore[union-attr]


def test_too_much_is_refused_packed_or_not(client: Client, token: str, settings: Any) -> None:
    settings.INGEST_BYTES = 5000
    body = b'{"message":"x"}\n' * 1000
    big = push(client, body, authorization=f"Bearer {token}")
    bomb = push(client, gzip.compress(body), authorization=f"Bearer {token}", **{"content-encoding": "gzip"})
    assert (big.status_code, bomb.status_code) == (413, 413)
    assert b"5000" in big.content
    assert not Receipt.objects.exists()


def test_an_unknown_encoding_is_named(client: Client, token: str) -> None:
    answer = push(client, authorization=f"Bearer {token}", **{"content-encoding": "br"})
    assert answer.status_code == 415
    assert b"br" in answer.content


@pytest.mark.parametrize(("path", "status"), [("/api/v1/ingest", 429), ("/loki/api/v1/push", 429), ("/v1/logs", 503)])
def test_overload_refuses_the_whole_before_storing(
    client: Client, token: str, settings: Any, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    monkeypatch.setattr(receive, "LOOK_SECONDS", -1.0)
    settings.BACKLOG_LINES = 1
    assert push(client, authorization=f"Bearer {token}").status_code == 200
    kinds = {"/v1/logs": (OTLP, "application/json"), "/loki/api/v1/push": (LOKI, "application/json")}
    body, kind = kinds.get(path, (LINES + LINES, "application/x-ndjson"))
    answer = client.post(path, body, content_type=kind, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == status
    assert int(answer["Retry-After"]) > 0
    assert Receipt.objects.count() == 1


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("part", ["storage.store", "access.find_token"])
def test_a_database_that_goes_away_is_no_error_of_ours(
    client: Client, token: str, monkeypatch: pytest.MonkeyPatch, error: type[Exception], part: str
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise error("the connection is closed")

    monkeypatch.setattr(f"logs.receive.{part}", gone)
    monkeypatch.setattr("logs.receive.connection.close", lambda: None)  # the test's own transaction
    answer = push(client, authorization=f"Bearer {token}")
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0


def test_a_token_has_its_pace(client: Client, user: User) -> None:
    slow = access.issue_token(user=user, name="slow", project="shop", lines_per_second=1)
    told = []
    for number in range(3):
        told.append(push(client, LINES + b'{"message":"%d"}\n' % number, authorization=f"Bearer {slow}").status_code)
    assert told == [200, 429, 429]


OTLP = json.dumps(
    {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}, "timeUnixNano": "1"}]}]}]}
).encode()
LOKI = json.dumps({"streams": [{"stream": {"app": "x"}, "values": [["1764000000000000000", "x"]]}]}).encode()


def test_secrets_are_gone_before_anything_is_stored(client: Client, token: str) -> None:
    body = (
        b'{"message":"login password=hunter2 ok","phone":"13812345678"}\n'
        + '{"message":"\\u0000 用户密码：abc123"}'.encode()
        + b'\n{"message":"order 17 created"}\n'
    )
    assert push(client, body, authorization=f"Bearer {token}").status_code == 200
    lines = storage.read(Source.objects.get(), PendingChunk.objects.get().chunk)
    assert lines is not None
    assert lines.texts == ["login password=[REDACTED:password] ok", "order 17 created"]
    assert json.loads(lines.attributes[0]) == {"phone": "[REDACTED:phone]"}
    assert "abc123" not in RejectedRecord.objects.get().text
    assert Receipt.objects.get().redacted == {"password": 2, "phone": 1}


def test_a_project_has_its_own_way_with_secrets(client: Client, token: str) -> None:
    project = receive.source("shop", "web").project
    RedactionRule.objects.create(project=project, kind="phone", strategy="hash")
    RedactionRule.objects.create(project=project, kind="email", strategy="keep")
    RedactionRule.objects.create(project=project, kind="order", strategy="drop", pattern=r"ORD-\d+")
    body = b'{"message":"13812345678 a@b.cn ORD-77 and 13812345678"}\n'
    assert push(client, body, authorization=f"Bearer {token}").status_code == 200
    lines = storage.read(Source.objects.get(), PendingChunk.objects.get().chunk)
    assert lines is not None
    first, mail, order, _, again = lines.texts[0].split()
    assert first == again != "13812345678"
    assert (mail, order) == ("a@b.cn", "[-]")


def test_lines_of_one_kind_have_one_template(client: Client, token: str) -> None:
    body = b'{"message":"order 17 created"}\n{"message":"order 18 created"}\n{"message":"stock is low"}\n'
    assert push(client, body, authorization=f"Bearer {token}").status_code == 200
    lines = storage.read(Source.objects.get(), PendingChunk.objects.get().chunk)
    assert lines is not None
    one, same, other = lines.templates
    assert one == same != other
    assert Template.objects.get(number=one).pattern == "order <*> created"


def test_a_rejected_record_is_kept_whole_so_that_it_can_be_replayed(client: Client, token: str) -> None:
    long = "x" * 3000
    assert push(client, LINES + f'{{"message":"{long}"'.encode(), authorization=f"Bearer {token}").status_code == 200
    assert long in RejectedRecord.objects.get().text
