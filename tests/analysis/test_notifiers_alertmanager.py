"""Alertmanager's API, version 2: an array that it takes, told again before it forgets, and ended by `endsAt`."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
from alert_receiver import Says, alert, receiving

from duolog.plugins import guard, registry
from duolog.plugins.options import OptionsError
from duolog.plugins.types import NotDelivered

RESOLVE_TIMEOUT = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _near(settings):
    settings.PRIVATE_ADDRESSES = ["127.0.0.1"]


def send(url, *alerts, **options):
    notifier = registry.create("duolog.notifiers", "alertmanager", {"url": url, "language": "en", **options})
    guard.call(notifier, "send", alerts)
    return notifier


def test_an_array_of_alerts_is_posted():
    ended = datetime(2026, 11, 25, 11, 0, tzinfo=UTC)
    with receiving(Says(200, b"")) as receiver:
        send(f"{receiver.url}/am/", alert(1), alert(2, kind="resolved", ended=ended))
    (seen,) = receiver.seen
    assert (seen.path, "Authorization" in seen.headers) == ("/am/api/v2/alerts", False)
    first, second = seen.json
    assert list(first) == ["labels", "annotations", "startsAt", "endsAt", "generatorURL"]
    assert first["labels"] == dict(alert(1).labels)  # and no score
    assert first["annotations"] == {
        "summary": "high: timeout (超时异常)", "description": "Checkout waits for the stock service.",
    }  # fmt: skip
    assert first["startsAt"] == "2026-11-25T10:30:00.000Z"
    assert second["endsAt"] == "2026-11-25T11:00:00.000Z"


def test_what_is_firing_holds_until_it_is_told_again_and_no_longer():
    with receiving(Says(200, b"")) as receiver:
        notifier = send(receiver.url, alert())
    (told,) = receiver.seen[0].json
    left = datetime.fromisoformat(told["endsAt"]) - datetime.now(UTC)
    assert timedelta(seconds=notifier.repeat * 2) < left <= RESOLVE_TIMEOUT


def test_who_it_is_told_by():
    with receiving(Says(200, b"")) as receiver:
        send(receiver.url, alert(), user="duolog", password="p:ä ss")
    kind, _space, told = receiver.seen[0].headers["Authorization"].partition(" ")
    assert (kind, b64decode(told).decode()) == ("Basic", "duolog:p:ä ss")


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (401, True), (500, False)])
def test_what_an_answer_means(status, permanent):
    body = f'"bad, duolog:{"p"}assw0rd"'.encode()
    with receiving(Says(status, body)) as receiver, pytest.raises(NotDelivered) as told:
        send(receiver.url, alert(), user="duolog", password="passw0rd")
    assert told.value.permanent is permanent
    assert "passw0rd" not in told.value.reason and "bad, duolog:…" in told.value.reason


@pytest.mark.parametrize("url", ["http://am:9093/?x=1", "http://am:9093/#x", "am:9093", ""])
def test_an_address_that_is_none(url):
    with pytest.raises(OptionsError):
        registry.create("duolog.notifiers", "alertmanager", {"url": url})
