"""Who is told of an item, when, once, and that it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from alert_receiver import receiving
from alerting import item, ready, states, webhook
from django.db.models.functions import Now

from analysis import alerts, deliveries
from analysis.models import AnomalyReport, Delivery, Event, Finding, Item, Route
from detection.models import ModelVersion, Scan, Score

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _near(settings):
    settings.PRIVATE_ADDRESSES, settings.LANGUAGE_CODE = ["127.0.0.1"], "en"
    settings.PUBLIC_URL = "https://duolog.example.com"


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


@pytest.fixture
def channel(receiver):
    return webhook(receiver.url)


def told(receiver):
    """Status and item of all alerts that arrived, message by message."""
    return [[(one["status"], one["labels"]["item"]) for one in seen.json["alerts"]] for seen in receiver.seen]


def test_an_open_item_is_told_once(channel, receiver):
    one = item()
    assert alerts.notify([one]) == 1
    alerts.notify([one])
    assert states(channel) == [("firing", "waiting")]
    assert list(deliveries.due()) == [channel.pk]
    deliveries.deliver(channel.pk)
    alerts.notify([one])
    assert not deliveries.deliver(channel.pk) and list(deliveries.due()) == []
    assert told(receiver) == [[("firing", str(one.pk))]]
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.due_at, row.error) == ("sent", 1, None, "") and row.sent_at
    event = Event.objects.get(item=one)
    assert (event.action, event.details) == ("alerted", {"channel": "hook", "kind": "firing"})


def test_what_is_told_of_an_item(channel, receiver):
    one = item(findings_count=7)
    version = ModelVersion.objects.create(project="shop", name="m", number=1, detector="moe", threshold=0.5)
    scan = Scan.objects.create(
        project="shop", version=version, dataset=one.sequence.dataset, threshold=0.5, sequences=1, anomalous=1
    )
    one.score = Score.objects.create(scan=scan, sequence=one.sequence, value=0.75, anomalous=True)
    one.save()
    finding = Finding.objects.create(project="shop", score=one.score, sequence=one.sequence, model="m", item=one)
    texts = {"en": {"summary": "The stock service is slow."}, "zh": {"summary": "库存服务缓慢。"}}
    for state, told_ in (("done", {}), ("done", texts), ("writing", {})):
        AnomalyReport.objects.create(finding=finding, state=state, analyst="rules", key="k", texts=told_)
    alerts.notify([one])
    deliveries.deliver(channel.pk)
    (seen,) = receiver.seen[0].json["alerts"]
    assert seen["labels"] == {
        "alertname": "DuologAnomaly", "project": "shop", "item": str(one.pk), "service": "checkout",
        "type": "超时异常", "category": "网络", "severity": "high",
    }  # fmt: skip
    assert seen["annotations"] == {
        "summary": "high: timeout (超时异常)", "description": "The stock service is slow.",
    }  # fmt: skip
    assert seen["generatorURL"] == f"https://duolog.example.com/review/{one.pk}/"


def test_a_channel_without_a_language_speaks_the_sites(receiver, settings):
    from analysis import channels

    made = channels.create(
        project="shop", name="x", notifier="webhook", options={"url": receiver.url, "secret": "long enough"}
    )
    for language, said in (("zh-hans", "高：超时异常"), ("en", "high: timeout (超时异常)")):
        settings.LANGUAGE_CODE = language
        alerts.notify([item()])
        ready(made)
        deliveries.deliver(made.pk)
        assert receiver.seen[-1].json["alerts"][0]["annotations"]["summary"] == said


def test_an_item_whose_severity_is_unknown_is_told_when_it_is_known(channel):
    one = item(severity="", type="")
    assert alerts.notify([one]) == 0
    one.severity = "medium"
    assert alerts.notify([one]) == 1


@pytest.mark.parametrize(
    "values",
    [{"severity": "low"}, {"state": "muted"}, {"state": "dismissed"}, {"project": "other"}, {"kind": "control"}],
)
def test_an_item_that_no_route_lets_through_is_not_told(channel, values):
    assert alerts.notify([item(**values)]) == 0


def test_a_disputed_item_is_still_open(channel):
    assert alerts.notify([item(state="disputed")]) == 1


def test_any_route_of_any_channel_may_let_it_through(channel, receiver):
    other, off = webhook(receiver.url, name="other"), webhook(receiver.url, name="off", enabled=False)
    channel.routes.all().delete()
    Route.objects.create(channel=channel, severity="critical")
    Route.objects.create(channel=channel, severity="low", service="pay*")
    assert alerts.notify([item()]) == 1
    assert (states(channel), states(off), len(states(other))) == ([], [], 1)
    assert alerts.notify([item(service="payments", severity="low")]) == 1
    assert len(states(channel)) == 1
    channel.routes.all().delete()
    other.routes.all().delete()
    assert alerts.notify([item(severity="critical")]) == 0


def test_a_severity_that_rises_reaches_further_channels(channel, receiver):
    other = webhook(receiver.url, name="other")
    other.routes.update(severity="critical")
    one = item()
    assert alerts.notify([one]) == 1
    one.severity = "critical"
    alerts.notify([one])
    assert (len(states(channel)), len(states(other))) == (1, 1)


def test_what_was_told_is_told_to_be_over_with_the_same_labels(channel, receiver):
    one = item()
    alerts.notify([one])
    deliveries.deliver(channel.pk)
    Item.objects.filter(pk=one.pk).update(
        state="confirmed", severity="low", type="慢查询", settled_at=datetime(2030, 1, 1, tzinfo=UTC)
    )
    one.refresh_from_db()
    assert alerts.resolve([one]) == 1
    alerts.resolve([one])
    ready(channel)
    deliveries.deliver(channel.pk)
    first, second = (seen.json["alerts"][0] for seen in receiver.seen)
    assert (second["status"], second["endsAt"]) == ("resolved", "2030-01-01T00:00:00.000Z")
    assert second["labels"] == first["labels"] and second["fingerprint"] == first["fingerprint"]
    assert states(channel) == [("firing", "sent"), ("resolved", "sent")]


def test_what_was_not_told_yet_is_dropped_and_nobody_is_told_that_it_is_over(channel, receiver):
    one = item()
    alerts.notify([one])
    assert alerts.resolve([one]) == 0
    assert states(channel) == []
    assert not deliveries.deliver(channel.pk)
    assert receiver.seen == []


def test_an_item_that_is_settled_while_it_is_being_told_is_told_to_be_over_afterwards(channel, receiver):
    one = item()
    alerts.notify([one])
    taken = deliveries.claim(channel.pk)
    Item.objects.filter(pk=one.pk).update(state="dismissed")
    assert alerts.resolve([one]) == 1
    assert deliveries.claim(channel.pk) is None  # the channel is taken: the end does not overtake the beginning
    deliveries.settle(taken, deliveries.send(taken))
    ready(channel)
    deliveries.deliver(channel.pk)
    assert told(receiver) == [[("firing", str(one.pk))], [("resolved", str(one.pk))]]


def test_an_item_that_is_opened_again_is_told_again(channel, receiver):
    one = item()
    alerts.notify([one])
    deliveries.deliver(channel.pk)
    alerts.resolve([one])
    Item.objects.filter(pk=one.pk).update(round=2)
    one.refresh_from_db()
    alerts.notify([one])
    ready(channel)
    deliveries.deliver(channel.pk)
    assert told(receiver)[1] == [("resolved", str(one.pk)), ("firing", str(one.pk))]


def test_a_channel_that_is_switched_off_is_told_nothing_then_or_later(channel, receiver):
    from analysis import channels

    one, two = item(), item()
    alerts.notify([one])
    deliveries.deliver(channel.pk)
    alerts.notify([two])
    channels.change(channel, enabled=False)
    assert alerts.notify([item()]) == 0 and alerts.resolve([one, two]) == 0
    assert list(deliveries.due()) == [] and not deliveries.deliver(channel.pk)
    channels.change(channel, enabled=True)
    assert not deliveries.deliver(channel.pk) and len(receiver.seen) == 1


def test_alertmanager_is_told_again_while_it_is_open_and_then_that_it_is_over():
    from analysis import channels

    with receiving() as receiver:
        made = channels.create(project="shop", name="am", notifier="alertmanager", options={"url": receiver.url})
        one, two = item(), item()
        alerts.notify([one, two])
        deliveries.deliver(made.pk)
        assert list(deliveries.due()) == []
        before = Delivery.objects.filter(channel=made, due_at__lte=Now() + timedelta(minutes=4)).count()
        assert before == 2  # sooner than resolve_timeout, five minutes
        ready(made)
        assert list(deliveries.due()) == [made.pk]
        deliveries.deliver(made.pk)
        Item.objects.filter(pk=one.pk).update(state="confirmed", settled_at=Now())
        one.refresh_from_db()
        alerts.resolve([one])
        ready(made)
        deliveries.deliver(made.pk)
    first, again, over = (seen.json for seen in receiver.seen)
    assert [one_["labels"] for one_ in first] == [one_["labels"] for one_ in again]
    ends = {one_["labels"]["item"]: datetime.fromisoformat(one_["endsAt"]) for one_ in over}
    now = datetime.now(UTC)
    assert ends[str(one.pk)] <= now < ends[str(two.pk)]
    assert Event.objects.filter(item=one).count() == 2  # what is only repeated is no news


def test_what_is_repeated_ends_with_its_item_even_if_nobody_says_so(receiver):
    from analysis import channels

    made = channels.create(project="shop", name="am", notifier="alertmanager", options={"url": receiver.url})
    one = item()
    alerts.notify([one])
    deliveries.deliver(made.pk)
    Item.objects.filter(pk=one.pk).update(state="muted")
    ready(made)
    assert not deliveries.deliver(made.pk)
    assert len(receiver.seen) == 1 and Delivery.objects.get().due_at is None


# --- hours ------------------------------------------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("begin", "end", "days", "zone", "moment", "opened"),
    [
        (0, 0, "1234567", "UTC", "2026-11-25T03:00+00:00", True),
        (0, 0, "12", "UTC", "2026-11-25T03:00+00:00", False),  # a Wednesday
        (9 * 60, 18 * 60, "12345", "Asia/Shanghai", "2026-11-25T01:00+00:00", True),  # 9:00
        (9 * 60, 18 * 60, "12345", "Asia/Shanghai", "2026-11-25T00:59+00:00", False),
        (9 * 60, 18 * 60, "12345", "Asia/Shanghai", "2026-11-25T09:59+00:00", True),
        (9 * 60, 18 * 60, "12345", "Asia/Shanghai", "2026-11-25T10:00+00:00", False),  # 18:00
        (9 * 60, 18 * 60, "3", "Asia/Shanghai", "2026-11-24T20:00+00:00", False),  # Wednesday there, at 4:00
        (0, 6 * 60, "3", "Asia/Shanghai", "2026-11-24T20:00+00:00", True),
        (22 * 60, 6 * 60, "5", "UTC", "2026-11-27T22:00+00:00", True),  # Friday night
        (22 * 60, 6 * 60, "5", "UTC", "2026-11-28T05:59+00:00", True),  # which ends on Saturday
        (22 * 60, 6 * 60, "5", "UTC", "2026-11-28T06:00+00:00", False),
        (22 * 60, 6 * 60, "5", "UTC", "2026-11-28T23:00+00:00", False),
        (22 * 60, 6 * 60, "5", "UTC", "2026-11-27T05:00+00:00", False),  # Thursday's night
        (22 * 60, 6 * 60, "7", "UTC", "2026-11-30T01:00+00:00", True),  # from Sunday into Monday
        (120, 180, "1234567", "Europe/Berlin", "2026-03-29T00:30+00:00", False),  # 1:30, and 2:30 is left out that day
        (120, 180, "1234567", "Europe/Berlin", "2026-10-25T01:30+00:00", True),  # 2:30 for the second time
    ],
)
def test_hours_of_a_route(begin, end, days, zone, moment, opened):
    from analysis import routes

    route = Route(from_minute=begin, until_minute=end, weekdays=days, zone=zone)
    assert routes.is_open(route, at(moment)) is opened


def test_an_item_outside_of_the_hours_is_not_told(channel, monkeypatch):
    channel.routes.update(from_minute=9 * 60, until_minute=18 * 60, zone="Asia/Shanghai")
    for moment, count in (("2026-11-25T00:30+00:00", 0), ("2026-11-25T01:30+00:00", 1)):
        monkeypatch.setattr(alerts, "now", lambda moment=moment: at(moment))
        assert alerts.notify([item()]) == count


@pytest.mark.parametrize(
    ("pattern", "service", "like"),
    [
        ("*", "", True), ("*", "a\nb", True), ("pay-*", "pay-api", True), ("pay-*", "repay-api", False),
        ("p?y", "pay", True), ("p?y", "py", False), ("a.c", "abc", False), ("[ab]", "a", False),
        ("支付*", "支付服务", True), ("Pay", "pay", False),
    ],
)  # fmt: skip
def test_services_of_a_route(pattern, service, like):
    from analysis import routes

    assert routes.is_like(service, pattern) is like
