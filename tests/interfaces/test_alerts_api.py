"""Channels of alerts over REST: set up, changed, tested; their secrets go in and never come out."""

from __future__ import annotations

import logging

import pytest
from alert_receiver import Says, receiving
from django.contrib.admin.models import LogEntry

from analysis import channels
from analysis.models import Channel, Delivery

AT = "/api/v1/alert-channels/"
KEY, SECRET = "t0ken-of-mine", "a secret of the webhook"


@pytest.fixture(autouse=True)
def _near(settings):
    settings.PRIVATE_ADDRESSES = ["127.0.0.1"]


def hook(url="https://hooks.example.com", **values):
    options = {"url": f"{url}/x?token={KEY}", "secret": SECRET, "language": "zh"}
    return {"project": "ours", "name": "ops", "notifier": "webhook", "options": options, **values}


def test_a_channel_is_made_changed_and_deleted(api, ours):
    client = api("engineer")
    made = client.post(AT, hook(), "json")
    assert made.status_code == 201, made.data
    assert (made.data["options"], made.data["secrets"]) == ({"language": "zh"}, ["secret", "url"])
    at = f"{AT}{made.data['id']}/"
    assert client.get(at).data == made.data
    (route,) = client.get(f"{at}routes/").data["results"]
    assert (route["severity"], route["service"], route["weekdays"]) == ("medium", "*", "1234567")
    changed = client.patch(at, {"name": "oncall", "options": {"language": "en"}, "project": "theirs"}, "json").data
    assert (changed["name"], changed["options"], changed["project"]) == ("oncall", {"language": "en"}, "ours")
    kept = channels.whole(Channel.objects.get(name="oncall"))
    assert (kept["secret"], KEY in kept["url"]) == (SECRET, True)
    client.patch(at, {"options": {"secret": "another secret", "url": ""}}, "json")
    kept = channels.whole(Channel.objects.get(name="oncall"))
    assert (kept["secret"], KEY in kept["url"], kept["language"]) == ("another secret", True, "en")
    assert client.patch(at, {"enabled": False}, "json").data["enabled"] is False
    assert client.delete(at).status_code == 204
    assert client.get(at).status_code == 404


def test_a_secret_goes_in_and_never_comes_out(api, ours, caplog):
    caplog.set_level(logging.DEBUG)
    client, seen = api("engineer"), []
    with receiving(Says(500, f"{KEY} and {SECRET}".encode())) as receiver:
        made = client.post(AT, hook(receiver.url), "json")
        at = f"{AT}{made.data['id']}/"
        seen += [
            made,
            client.get(at),
            client.get(AT),
            client.post(f"{at}test/"),
            client.get("/api/v1/alert-deliveries/"),
        ]
        seen += [client.patch(at, {"options": {"secret": "short", "language": "xx"}}, "json")]
        seen += [client.post(AT, hook(options={"url": f"ftp://{KEY}", "secret": SECRET}), "json")]
        seen += [client.post(AT, hook(), "json")]
    assert [answer.status_code for answer in seen] == [201, 200, 200, 200, 200, 422, 422, 400]
    told = "".join(answer.content.decode() for answer in seen) + caplog.text
    assert "answers 500: … and …" in told
    assert KEY not in told and SECRET not in told and "short" not in told
    row = Channel.objects.get(pk=made.data["id"])
    assert KEY not in f"{row.options}{bytes(row.secrets)!r}{row!r}" and SECRET.encode() not in bytes(row.secrets)
    assert not LogEntry.objects.exists()


def test_a_secret_is_not_sent_to_a_server_that_somebody_else_names(api, ours):
    """Who may set a channel up may not read its password: so they must not have it sent to themselves."""
    client = api("engineer")
    options = {"url": "http://am.example.com", "user": "duolog", "password": "am-passw0rd"}
    made = client.post(AT, {"project": "ours", "name": "am", "notifier": "alertmanager", "options": options}, "json")
    assert made.data["secrets"] == ["password"]
    at = f"{AT}{made.data['id']}/"
    answer = client.patch(at, {"options": {"url": "http://evil.example.com"}}, "json")
    assert answer.status_code == 422 and "url has changed, so enter password anew" in str(answer.data)
    moved = {"url": "http://other.example.com", "password": "new-passw0rd"}
    assert client.patch(at, {"options": moved}, "json").status_code == 200
    assert client.patch(at, {"options": {"password": None}}, "json").data["secrets"] == []
    assert client.patch(at, {"options": {"url": "http://third.example.com"}}, "json").status_code == 200


@pytest.mark.parametrize(
    ("wrong", "language", "status", "said"),
    [
        ({"notifier": "carrier-pigeon"}, "en", 400, "no plugin 'carrier-pigeon'"),
        ({"options": {"ur": "x"}}, "en", 422, "did you mean 'url'?"),
        ({"options": {"url": "x", "secret": "long enough"}}, "en", 422, "none of the form https://"),
        ({"options": {"url": "x", "secret": "long enough"}}, "zh-hans", 422, "https://host/path 形式"),
        ({"options": "x"}, "en", 400, "options"),
        ({"name": "a b"}, "en", 400, "name"),
        ({"name": "ours-hook"}, "en", 400, "project ours has a channel ours-hook already"),
        ({"name": "ours-hook"}, "zh-hans", 400, "项目 ours 已有"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(api, ours, wrong, language, status, said):
    answer = api("engineer").post(AT, hook() | wrong, "json", HTTP_ACCEPT_LANGUAGE=language)
    assert (answer.status_code, said in answer.content.decode()) == (status, True), answer.content.decode()
    assert Channel.objects.filter(project="ours").count() == 1


def test_a_test_answers_with_what_the_receiver_said(api, ours):
    client = api("engineer")
    with receiving(Says(404, "没有这个机器人".encode())) as receiver:
        at = f"{AT}{client.post(AT, hook(receiver.url), 'json').data['id']}/test/"
        answer = client.post(at)
        assert (answer.status_code, answer.data["state"], answer.data["kind"]) == (200, "failed", "test")
        assert answer.data["error"] == "127.0.0.1 answers 404: 没有这个机器人"
        receiver.answers = [Says(200)]
        answer = client.post(at)
        assert (answer.data["state"], answer.data["error"], bool(answer.data["sent_at"])) == ("sent", "", True)


def test_a_test_reaches_no_private_network(api, ours, settings):
    settings.PRIVATE_ADDRESSES = []
    client = api("engineer")
    with receiving() as receiver:
        at = f"{AT}{client.post(AT, hook(receiver.url), 'json').data['id']}/test/"
        assert "DUOLOG_PRIVATE_ADDRESSES" in client.post(at).data["error"]
    assert receiver.seen == []


def test_routes_are_made_changed_and_deleted(api, ours):
    client, at = api("engineer"), f"{AT}{ours.channel.pk}/routes/"
    sent = {"severity": "high", "service": "pay-*", "from_minute": 1320, "until_minute": 360, "zone": "Asia/Shanghai"}
    made = client.post(at, sent, "json")
    assert made.status_code == 201 and made.data["channel"] == ours.channel.pk
    assert client.patch(f"{at}{made.data['id']}/", {"weekdays": "12345"}, "json").data["weekdays"] == "12345"
    assert client.delete(f"{at}{made.data['id']}/").status_code == 204
    assert len(client.get(at).data["results"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"severity": "awful"}, {"from_minute": 1440}, {"until_minute": -1}, {"weekdays": "8"}, {"weekdays": ""},
        {"zone": "Mars/Olympus"}, {"zone": "../etc/passwd"}, {"service": ""},
    ],
)  # fmt: skip
def test_a_route_that_makes_no_sense_is_refused(api, ours, wrong):
    answer = api("engineer").post(f"{AT}{ours.channel.pk}/routes/", {"severity": "low", **wrong}, "json")
    assert answer.status_code == 400 and list(answer.data["errors"]) == list(wrong)


def test_deliveries_are_filtered(api, ours):
    Delivery.objects.create(channel=ours.channel, kind="test", state="sent", due_at=None)
    client = api("viewer")
    for query, count in (("", 2), ("state=sent", 1), ("kind=firing", 0), (f"channel={ours.channel.pk}", 2)):
        assert len(client.get(f"/api/v1/alert-deliveries/?{query}").data["results"]) == count, query
    row = client.get("/api/v1/alert-deliveries/?state=failed").data["results"][0]
    assert (row["project"], row["channel"], row["attempts"]) == ("ours", ours.channel.pk, 0)
