"""What review does to an item is told: new, judged, taken back, opened again, muted, merged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from alert_receiver import receiving
from alerting import ready, webhook
from items import make_item
from reviewing import opened, person

from analysis import alerts, deliveries, grouping, muting, review
from analysis.models import AnomalyReport, Finding, Item, MuteRule
from analysis.review import Said

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _near(settings):
    settings.PRIVATE_ADDRESSES, settings.LANGUAGE_CODE = ["127.0.0.1"], "en"


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


@pytest.fixture
def channel(receiver):
    return webhook(receiver.url, project="mine")


@pytest.fixture
def item(channel):
    """An item of which the channel was told."""
    made = make_item()
    Item.objects.filter(pk=made.pk).update(severity="high", type="超时异常")
    made.refresh_from_db()
    alerts.notify([made])
    deliveries.deliver(channel.pk)
    return made


def told(channel, receiver):
    """Send what waits, and return what has arrived in all: status and item."""
    ready(channel)
    deliveries.deliver(channel.pk)
    return [(one["status"], int(one["labels"]["item"])) for seen in receiver.seen for one in seen.json["alerts"]]


def test_findings_are_told_once_their_report_says_how_bad_they_are(channel, receiver):
    opened(["it failed", "it failed", "fine"], service="shop")
    assert told(channel, receiver) == []
    first = Finding.objects.order_by("pk").first()
    report = AnomalyReport(finding=first, state="done", analyst="rules", key="k", type="超时异常", severity="critical")
    grouping.reported([report])
    assert told(channel, receiver) == [("firing", first.item_id)]
    grouping.reported([report])
    opened(["it failed"], service="shop")
    assert len(told(channel, receiver)) == 1


def test_a_verdict_ends_it_and_one_that_is_taken_back_begins_it_anew(channel, receiver, item):
    user = person("ann")
    review.judge(user=user, item=item, said=Said(True, "慢查询"))
    assert told(channel, receiver) == [("firing", item.pk), ("resolved", item.pk)]
    review.undo(user=user, project="mine")
    assert told(channel, receiver)[2:] == [("firing", item.pk)]
    review.judge(user=user, item=item, said=Said(False))
    assert told(channel, receiver)[3:] == [("resolved", item.pk)]
    # Nobody takes the second telling for a double of the first.
    assert len({seen.headers["Idempotency-Key"] for seen in receiver.seen}) == 4


def test_a_verdict_that_is_taken_back_before_anybody_heard_of_it_is_told_to_nobody(channel, receiver, item):
    user = person("ann")
    review.judge(user=user, item=item, said=Said(True))
    review.undo(user=user, project="mine")
    assert told(channel, receiver) == [("firing", item.pk)]
    review.judge(user=user, item=item, said=Said(True))
    assert told(channel, receiver) == [("firing", item.pk), ("resolved", item.pk)]


def test_what_is_opened_again_is_told_again(channel, receiver, item):
    user = person("ann")
    review.judge(user=user, item=item, said=Said(False))
    told(channel, receiver)
    review.reopen(user=user, item=item)
    assert told(channel, receiver) == [("firing", item.pk), ("resolved", item.pk), ("firing", item.pk)]


def test_what_is_merged_is_over(channel, receiver, item):
    into = make_item(service="other")
    review.merge(user=person("ann"), items=[item], into=into)
    assert told(channel, receiver) == [("firing", item.pk), ("resolved", item.pk)]
    item.refresh_from_db()
    assert alerts.notify([item]) == 0


@pytest.mark.django_db(transaction=True)
def test_what_is_muted_is_over_until_it_is_no_longer(channel, receiver, item):
    rule = MuteRule(project="mine", service="shop", reason="known", expires_at=datetime.now(UTC) + timedelta(days=1))
    muting.create(rule, user=person("eve", "engineer"))
    assert told(channel, receiver) == [("firing", item.pk), ("resolved", item.pk)]
    muting.end(rule)
    assert told(channel, receiver)[2:] == [("firing", item.pk)]


def test_what_is_repeated_stops_and_goes_on_with_its_item(receiver):
    from analysis import channels

    options = {"url": receiver.url}
    made = channels.create(project="mine", name="am", notifier="alertmanager", options=options)
    one = make_item()
    Item.objects.filter(pk=one.pk).update(severity="high")
    one.refresh_from_db()
    alerts.notify([one])
    deliveries.deliver(made.pk)
    user = person("ann")
    review.judge(user=user, item=one, said=Said(True))
    review.undo(user=user, project="mine")
    for _ in range(2):
        ready(made)
        deliveries.deliver(made.pk)
    assert [len(seen.json) for seen in receiver.seen] == [1, 1, 1]
    review.judge(user=user, item=one, said=Said(True))
    for _ in range(3):
        ready(made)
        deliveries.deliver(made.pk)
    ends = [datetime.fromisoformat(seen.json[0]["endsAt"]) <= datetime.now(UTC) for seen in receiver.seen]
    assert ends == [False, False, False, True]
