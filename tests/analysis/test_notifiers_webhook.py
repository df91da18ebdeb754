"""The generic webhook: Alertmanager's own form, and a signature that anybody can check by the specification."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alert_receiver import Receiver, Says, alert, receiving

from duolog.plugins import guard, registry
from duolog.plugins.options import OptionsError
from duolog.plugins.types import Alert, NotDelivered

KEY = "a key of 签名 & more"


@pytest.fixture(autouse=True)
def _near(settings):
    settings.PRIVATE_ADDRESSES = ["127.0.0.0/8"]


def send(receiver: Receiver, *alerts: Alert, language: str = "en") -> None:
    options = {"url": f"{receiver.url}/hook?token=t0ken-of-mine", "secret": KEY, "language": language}
    guard.call(registry.create("duolog.notifiers", "webhook", options), "send", alerts or (alert(),))


def test_the_signature_is_an_hmac_of_the_very_bytes():
    with receiving() as receiver:
        send(receiver)
    (seen,) = receiver.seen
    assert (seen.method, seen.path) == ("POST", "/hook?token=t0ken-of-mine")
    assert seen.headers["Content-Type"] == "application/json; charset=utf-8"
    block = hashlib.sha256().block_size  # HMAC by hand, RFC 2104
    key = KEY.encode().ljust(block, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + seen.body).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()
    assert seen.headers["X-Signature"] == f"sha256={outer}"
    assert hmac.compare_digest(hmac.new(KEY.encode(), seen.body, "sha256").hexdigest(), outer)
    assert KEY.encode() not in seen.body


def test_the_check_that_the_documentation_shows_accepts_it_and_nothing_else():
    text = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("```")[0], names)
    with receiving() as receiver:
        send(receiver)
    seen, check = receiver.seen[0], names["is_from_duolog"]
    assert check(KEY, seen.body, seen.headers["X-Signature"])
    assert not check(KEY, seen.body + b" ", seen.headers["X-Signature"])
    assert not check("another key", seen.body, seen.headers["X-Signature"])


def test_the_body_is_alertmanagers_webhook_version_4():
    over = alert(2, kind="resolved", ended=datetime(2026, 11, 25, 11, 0, 0, 250_000, tzinfo=UTC), severity="low")
    with receiving(Says(204, b"")) as receiver:
        send(receiver, alert(), over)
    told = receiver.seen[0].json
    assert list(told) == [
        "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
        "commonAnnotations", "externalURL", "alerts",
    ]  # fmt: skip
    assert (told["version"], told["groupKey"], told["truncatedAlerts"]) == ("4", '{}:{project="shop"}', 0)
    assert (told["status"], told["receiver"]) == ("firing", "duolog")
    assert told["groupLabels"] == {"project": "shop"}
    assert told["commonLabels"] == {"alertname": "DuologAnomaly", "project": "shop", "severity": "high"}
    assert told["commonAnnotations"] == {"description": "Checkout waits for the stock service."}
    assert told["externalURL"] == "https://duolog.example.com"
    first, second = told["alerts"]
    assert list(first) == ["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"]
    assert (first["status"], first["startsAt"], first["endsAt"]) == (
        "firing", "2026-11-25T10:30:00.000Z", "0001-01-01T00:00:00Z",
    )  # fmt: skip
    assert first["generatorURL"].endswith("/finding/1/change/")
    assert first["annotations"]["summary"] == "high: timeout (超时异常)"
    assert (second["status"], second["endsAt"]) == ("resolved", "2026-11-25T11:00:00.250Z")
    assert "score" not in json.dumps([one["labels"] for one in told["alerts"]])


def test_all_resolved_is_resolved():
    with receiving() as receiver:
        send(receiver, alert(kind="resolved", ended=datetime.now(UTC)), language="zh")
    told = receiver.seen[0].json
    assert told["status"] == "resolved"
    assert told["alerts"][0]["annotations"]["summary"] == "已解决：timeout (超时异常)"
    assert told["alerts"][0]["annotations"]["description"] == "结算服务调用库存服务超时。"


def test_a_fingerprint_is_that_of_prometheus():
    """The value of `model.LabelSet{"name": "garland", "label": "value"}` follows from FNV-1a by its definition."""
    from analysis.notifiers.webhook import fingerprint

    found = 14695981039346656037
    for byte in b"label\xffvalue\xffname\xffgarland\xff":
        found = ((found ^ byte) * 1099511628211) % 2**64
    assert fingerprint({"name": "garland", "label": "value"}) == f"{found:016x}"
    assert fingerprint({}) == "cbf29ce484222325"  # an offset alone


def test_the_same_alerts_have_the_same_key_and_others_have_another():
    with receiving() as receiver:
        send(receiver, alert(1), alert(2))
        send(receiver, alert(2), alert(1, score=0.1))
        send(receiver, alert(1))
    first, again, other = (seen.headers["Idempotency-Key"] for seen in receiver.seen)
    assert first == again != other


def test_more_than_fits_is_counted():
    with receiving() as receiver:
        send(receiver, *(alert(number) for number in range(205)))
    told = receiver.seen[0].json
    assert (len(told["alerts"]), told["truncatedAlerts"]) == (200, 5)


@pytest.mark.parametrize(
    ("said", "after", "permanent"),
    [
        (Says(500, b"oh"), None, False),
        (Says(503, b"", {"Retry-After": "7"}), 7.0, False),
        (Says(429, b""), 60.0, False),
        (Says(429, b"", {"Retry-After": "120"}), 120.0, False),
        (Says(400, "坏的请求".encode()), None, True),
        (Says(404, b""), None, True),
        (Says(302, b"", {"Location": "http://127.0.0.1:1/"}), None, True),
    ],
)
def test_what_an_answer_means(said, after, permanent):
    with receiving(said) as receiver, pytest.raises(NotDelivered) as told:
        send(receiver)
    assert (told.value.retry_after, told.value.permanent) == (after, permanent)
    assert f"answers {said.status}" in told.value.reason
    assert said.body.decode() in told.value.reason
    assert len(receiver.seen) == 1


def test_a_receiver_that_repeats_the_secrets_has_them_told_to_nobody():
    with (
        receiving(Says(400, f"no such t0ken-of-mine, {KEY}".encode())) as receiver,
        pytest.raises(NotDelivered) as told,
    ):
        send(receiver)
    assert "no such …, …" in told.value.reason
    assert "t0ken" not in f"{told.value!r} {told.value.reason}" and KEY not in str(told.value)
    assert told.value.__cause__ is None


def test_nobody_there_may_pass():
    with receiving() as receiver:
        pass
    with pytest.raises(NotDelivered, match=r"127.0.0.1 cannot be reached: Connection refused") as told:
        send(receiver)
    assert not told.value.permanent


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "ftp://x/", "secret": KEY}, "none of the form https://"),
        ({"url": "https://user:pass@x/", "secret": KEY}, "holds a user or password"),
        ({"url": "https://x/", "secret": "short"}, "fewer than 8"),
        ({"url": "https://x:99999/", "secret": KEY}, "none of the form"),
        ({"url": "https://x/\r\nHost: y", "secret": KEY}, "none of the form"),
        ({"url": "https://x/"}, "secret"),
    ],
)
def test_options_that_make_no_sense(options, said):
    with pytest.raises(OptionsError, match=said) as told:
        registry.create("duolog.notifiers", "webhook", options)
    assert "pass@" not in str(told.value) and "short" not in str(told.value).replace("shorter", "")
