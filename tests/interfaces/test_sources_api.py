"""Sources over REST: what came in, what was rejected and what becomes of it, raw lines, and tokens."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from duolog import access
from duolog.plugins.types import BadRecord, Reason
from logs import storage
from logs.engine.chunks import Lines
from logs.models import Dataset, PendingChunk, Receipt, RejectedRecord, Source


def send(source: Source, *texts: str, bad: int = 0) -> str:
    """Store lines, and so many records that made no sense; return the receipt's id."""
    count = len(texts)
    lines = Lines(list(texts), [float(n) for n in range(count)], [""] * count, [""] * count, [""] * count, [0] * count)
    rejected = [BadRecord(n, Reason("not valid JSON: %(error)s", error="x"), f"bad {n}") for n in range(bad)]
    return storage.store(source, lines, rejected, receiver="test", redacted=Counter({"email": 2})).id


def texts(source: Source) -> list[str]:
    """All lines of a source, newest first."""
    return [line.text for line in storage.newest(source, 1000)]


@pytest.fixture
def address(ours):
    """Where our source is."""
    return f"/api/v1/sources/{ours.source.pk}/"


def test_a_source_is_made_with_its_dataset_and_changed(api, ours):
    client = api("engineer")
    sent = {"project": "ours", "name": "app", "rule": {"by": "gap", "key": "", "seconds": "30"}, "days": 7}
    made = client.post("/api/v1/sources/", sent, "json")
    assert made.status_code == 201, made.data
    assert made.data["rule"] == {"by": "gap", "key": "", "seconds": 30.0}
    assert Dataset.objects.get(pk=made.data["dataset"]).name == "live-app"
    changed = client.patch(f"/api/v1/sources/{made.data['id']}/", {"days": None, "judged": False, "name": "x"}, "json")
    assert (changed.data["days"], changed.data["judged"], changed.data["name"]) == (None, False, "app")
    again = client.post("/api/v1/sources/", sent, "json")
    assert again.status_code == 400
    assert api("viewer").post("/api/v1/sources/", sent | {"name": "b"}, "json").status_code == 403


@pytest.mark.parametrize(
    ("rule", "language", "said"),
    [
        ({"by": "session", "key": ""}, "en", "a session needs a key"),
        ({"by": "session", "key": ""}, "zh-hans", "会话"),
        ({"secnds": 3}, "en", "did you mean 'seconds'"),
        ({"seconds": "long"}, "en", "float"),
        ({"key": "(a"}, "en", "regular expression"),
        ({"seconds": 1e12}, "en", "2592000 seconds at most"),
        (["by"], "en", "no JSON object"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_a_reason(api, address, rule, language, said):
    answer = api("engineer").patch(address, {"rule": rule}, "json", HTTP_ACCEPT_LANGUAGE=language)
    assert answer.status_code == 400
    assert said in str(answer.json()["errors"]["rule"])


@pytest.mark.parametrize("days", [0, 100_000_000])
def test_days_stay_within_what_can_be_kept(api, address, days):
    assert "days" in api("engineer").patch(address, {"days": days}, "json").json()["errors"]


def test_receipts_are_found_by_id_time_and_rejects(api, ours, address):
    client, now = api("viewer"), datetime.now(UTC)
    good, bad = send(ours.source, "one", "two"), send(ours.source, bad=2)
    Receipt.objects.filter(pk=good).update(received_at=now - timedelta(hours=3))
    one = client.get(f"{address}receipts/{good}/").data
    assert (one["lines"], one["rejected"], one["repeats"], one["redacted"]) == (2, 0, 0, {"email": 2})

    def found(**query):
        return [row["id"] for row in client.get(f"{address}receipts/", query).data["results"]]

    assert found()[0] == bad and found()[-1] == good
    assert found(received_at__lte=(now - timedelta(hours=1)).isoformat()) == [good]
    assert good not in found(received_at__gte=(now - timedelta(hours=1)).isoformat())
    assert found(rejected__gt=1) == [bad]
    assert client.get(f"{address}receipts/{ours.dataset.pk}/").status_code == 404


def test_a_rejected_record_is_replayed_once_as_a_line_of_its_time(api, ours, address):
    client = api("engineer")
    receipt = Receipt.objects.get(pk=send(ours.source, bad=2))
    client_at = f"{address}rejected-records/"
    newest = client.get(client_at).data["results"][0]
    assert (newest["reason"], newest["text"], newest["row"]) == ("not valid JSON: x", "bad 1", 1)
    answer = client.post(f"{client_at}{newest['id']}/replay/")
    assert answer.data == {"count": 1, "left": 2}
    assert client.post(f"{client_at}{newest['id']}/replay/").status_code == 404
    line = storage.newest(ours.source, 1)[0]
    assert (line.text, line.time) == ("bad 1", pytest.approx(receipt.received_at.timestamp(), abs=1e-5))
    assert PendingChunk.objects.get().lines == 1


def test_replaying_stores_and_deletes_together_or_not_at_all(api, ours, address, monkeypatch):
    send(ours.source, bad=3)
    monkeypatch.setattr(storage, "STORE", storage.STORE.replace("SELECT id FROM receipt", "SELECT 1 / 0"))
    before = texts(ours.source)
    client = api("engineer")
    client.raise_request_exception = False
    assert client.post(f"{address}rejected-records/replay/", {"all": True}, "json").status_code >= 400
    assert RejectedRecord.objects.count() == 4 and texts(ours.source) == before


def test_many_are_replayed_or_deleted_by_id_by_receipt_or_all(api, ours, address):
    client, at = api("engineer"), f"{address}rejected-records/"
    first, second = send(ours.source, bad=3), send(ours.source, bad=2)
    ids = [row["id"] for row in client.get(at, {"receipt": second}).data["results"]]
    assert client.post(f"{at}replay/", {"ids": ids[:1]}, "json").data == {"count": 1, "left": 5}
    assert client.post(f"{at}delete/", {"receipt": first}, "json").data == {"count": 3, "left": 2}
    assert client.delete(f"{at}{ids[1]}/").status_code == 204
    assert client.post(f"{at}replay/", {"all": True}, "json").data == {"count": 1, "left": 0}
    assert client.post(f"{at}delete/", {"all": True}, "json").data == {"count": 0, "left": 0}
    for nothing in ({}, {"all": False}, {"all": True, "ids": ids}):
        assert client.post(f"{at}delete/", nothing, "json").status_code == 400


def test_more_than_a_transaction_holds_is_replayed_in_parts(api, ours, address, monkeypatch):
    monkeypatch.setattr("logs.sources.REPLAYED", 2)
    send(ours.source, bad=2)
    at = f"{address}rejected-records/replay/"
    client = api("engineer")
    assert [client.post(at, {"all": True}, "json").data["left"] for _ in range(3)] == [1, 0, 0]


def test_raw_lines_are_paged_newest_first_while_more_arrive(api, ours, address):
    client = api("reviewer")
    for batch in range(4):
        send(ours.source, *(f"{batch}.{n}" for n in range(3)))
    wanted = [f"{batch}.{n}" for batch in (3, 2, 1, 0) for n in (2, 1, 0)] + [texts(ours.source)[-1]]
    found, page = [], f"{address}lines/?page_size=5"
    while page:
        answer = client.get(page)
        found += [line["text"] for line in answer.data["results"]]
        page = answer.data["next"]
        send(ours.source, "later")
    assert found == wanted
    raw = answer.data["results"][-1]
    assert (raw["time"], raw["service"], raw["level"], raw["attributes"]) == (
        1764000000.5, "shop", "info", {"trace_id": "t1"}
    )  # fmt: skip
    for wrong in ("after=x", "page_size=0", "page_size=99999", "after=99999999999999999999.1"):
        assert client.get(f"{address}lines/?{wrong}").status_code == 400, wrong


def test_a_token_is_issued_listed_and_revoked(api, ours, address):
    client = api("engineer")
    issued = client.post(f"{address}tokens/", {"name": "vector", "lines_per_second": 500}, "json")
    assert issued.status_code == 201
    found = access.find_token(issued.data["token"], shipper=True)
    assert found is not None
    assert (found.project, found.source, found.lines_per_second) == ("ours", "ours-web", 500)
    listed = client.get(f"{address}tokens/").data["results"]
    assert [row["name"] for row in listed] == ["vector", "ours shipper"]
    assert issued.data["token"] not in str(listed)
    assert client.delete(f"{address}tokens/{issued.data['id']}/").status_code == 204
    assert access.find_token(issued.data["token"], shipper=True) is None


def test_a_shippers_token_asks_nothing(ours, address):
    from rest_framework.test import APIClient

    text = access.issue_token(user=ours.run.created_by or _user(), name="s", project="ours", source="ours-web")
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {text}")
    assert client.get(address).status_code == 401


def _user():
    from django.contrib.auth.models import User

    return User.objects.get(username="ours-shipper")


def test_the_standing_tells_what_came_in_and_what_waits(api, ours, address):
    send(ours.source, "one", "two")
    old = send(ours.source, "old")
    Receipt.objects.filter(pk=old).update(received_at=datetime.now(UTC) - timedelta(hours=5))
    found = api("viewer").get(f"{address}standing/").data
    assert (found["hour"], found["day"], found["waiting"], found["open"], found["unjudged"]) == (3, 4, 3, 0, 0)
    assert found["oldest"] and found["last"]
