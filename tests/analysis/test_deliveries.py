"""What waits in a channel goes out: in its rate, as digests, again where it failed, once where two would send it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from alert_receiver import Says, receiving
from alerting import SECRET, item, ready, states, webhook
from django.db import connection
from django.db.models.functions import Now
from hypothesis import given
from hypothesis import strategies as st

from analysis import alerts, channels, deliveries
from analysis.models import Channel, Delivery
from analysis.notifiers.dingtalk import DingTalk
from analysis.notifiers.feishu import Feishu
from analysis.notifiers.slack import Slack
from analysis.notifiers.wecom import WeCom
from duolog.plugins.points import Rate
from workers import streams
from workers.jobs import JobFailed

pytestmark = pytest.mark.django_db
FOREVER = timedelta(days=1)


@pytest.fixture(autouse=True)
def _near(settings):
    settings.PRIVATE_ADDRESSES, settings.LANGUAGE_CODE = ["127.0.0.1"], "en"


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


@pytest.fixture
def channel(receiver):
    return webhook(receiver.url)


def counts(receiver):
    """How many alerts each message had."""
    return [len(seen.json["alerts"]) for seen in receiver.seen]


def wait(row):
    """Seconds until a row is due."""
    return (row.due_at - datetime.now(UTC)).total_seconds()


# --- the bucket -------------------------------------------------------------------------------------------------


def test_a_burst_goes_out_message_by_message_and_the_rest_as_one_digest(channel, receiver):
    for _ in range(30):
        alerts.notify([item()])
        streams.run(deliveries.STAGE, channel.pk)
    # Its burst is ten.
    assert counts(receiver) == [1] * 10
    assert list(deliveries.due()) == [] and channel.deliveries.filter(state="waiting").count() == 20
    Channel.objects.filter(pk=channel.pk).update(ready_at=Now())  # as if the time for a token had passed
    assert list(deliveries.due()) == [channel.pk]
    streams.run(deliveries.STAGE, channel.pk)
    assert counts(receiver) == [1] * 10 + [20]
    first, *rest = channel.deliveries.order_by("pk")[10:]
    assert first.sent_with is None and {row.sent_with for row in rest} == {first}
    assert {state for _kind, state in states(channel)} == {"sent"}


def test_what_comes_at_once_goes_as_one(channel, receiver):
    alerts.notify([item() for _ in range(12)])
    streams.run(deliveries.STAGE, channel.pk)
    assert counts(receiver) == [12]


def test_a_channel_has_a_bucket_of_its_own(channel, receiver):
    other = webhook(receiver.url, name="other")
    Channel.objects.filter(pk=channel.pk).update(ready_at=Now() + FOREVER)
    alerts.notify([item()])
    assert list(deliveries.due()) == [other.pk]


@given(
    st.lists(st.floats(0, 20), min_size=1, max_size=300),
    st.sampled_from([DingTalk.rate, WeCom.rate, Feishu.rate, Slack.rate, Rate(messages=7, burst=6)]),
)
def test_no_minute_holds_more_than_a_rate_allows(pauses, rate):
    now = datetime(2026, 11, 25, tzinfo=UTC)
    ready_at, sent = now, []
    for pause in pauses:
        now += timedelta(seconds=pause)
        now = max(now, ready_at)  # a message that waits goes as soon as it may
        ready_at = deliveries.next_ready(ready_at, now, rate)
        sent.append(now)
    for first, start in enumerate(sent):
        assert sum(start <= each < start + timedelta(minutes=1) for each in sent[first:]) <= rate.messages


@given(st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_feishu_hears_five_a_second_at_most_and_slack_one(pauses):
    for rate, most in ((Feishu.rate, 5), (Slack.rate, 1)):
        now = ready_at = datetime(2026, 11, 25, tzinfo=UTC)
        sent = []
        for pause in pauses:
            now = max(now + timedelta(seconds=pause), ready_at)
            ready_at = deliveries.next_ready(ready_at, now, rate)
            sent.append(now)
        for first, start in enumerate(sent):
            assert sum(start <= each < start + timedelta(seconds=1) for each in sent[first:]) <= most


def test_rates_are_those_of_the_bots():
    assert (DingTalk.rate.messages, WeCom.rate.messages, Feishu.rate.messages) == (20, 20, 100)


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [("10:00:00", 15), ("10:00:14", 1), ("10:00:15", 0), ("10:29:59", 0), ("10:30:05", 10), ("10:45:00", 0)],
)
def test_nothing_goes_to_feishu_when_everybodys_timers_go_off(moment, seconds):
    at = datetime.fromisoformat(f"2026-11-25T{moment}+00:00")
    left = deliveries._quiet(Feishu.rate, at)
    assert (left or timedelta()).total_seconds() == seconds


# --- failures ---------------------------------------------------------------------------------------------------


def failed(channel):
    """Try once more, and return the row."""
    ready(channel)
    streams.run(deliveries.STAGE, channel.pk)
    return channel.deliveries.get()


def test_a_failure_is_tried_again_later_and_later_and_given_up_after_ten_times(channel, receiver, monkeypatch):
    receiver.answers = [Says(500, b"out of order")]
    longest = []
    monkeypatch.setattr(deliveries.random, "uniform", lambda low, high: longest.append(high) or high)
    alerts.notify([item()])
    for attempt in range(1, 10):
        row = failed(channel)
        assert (row.state, row.attempts) == ("waiting", attempt)
        assert "answers 500: out of order" in row.error
        assert longest[-1] - 5 < wait(row) <= longest[-1]
        assert list(deliveries.due()) == []
    row = failed(channel)
    assert (row.state, row.attempts, row.due_at) == ("failed", 10, None)
    assert longest[:9] == [20.0 * 2**n for n in range(8)] + [3600.0]
    streams.run(deliveries.STAGE, channel.pk)
    assert len(receiver.seen) == 10


def test_pauses_have_full_jitter():
    for attempts, most in ((1, 20), (3, 80), (9, 3600), (200, 3600)):
        pauses = [deliveries.pause(attempts) for _ in range(300)]
        assert 0 <= min(pauses) < most * 0.1 and most * 0.9 < max(pauses) <= most


def test_retry_after_is_obeyed_by_the_whole_channel(channel, receiver):
    receiver.answers = [Says(429, b"", {"Retry-After": "1800"}), Says()]
    alerts.notify([item()])
    row = failed(channel)
    assert row.state == "waiting" and wait(row) > 1790
    alerts.notify([item()])  # news must not go there, either
    assert list(deliveries.due()) == [] and not deliveries.deliver(channel.pk)
    assert len(receiver.seen) == 1
    channel.refresh_from_db()
    assert channel.ready_at - datetime.now(UTC) > timedelta(seconds=1790)


def test_nobody_is_made_to_wait_for_ever(channel, receiver):
    receiver.answers = [Says(503, b"", {"Retry-After": "99999999"})]
    alerts.notify([item()])
    assert wait(failed(channel)) <= deliveries.LONGEST_WISH


def test_what_is_refused_for_good_is_not_tried_again(channel, receiver):
    receiver.answers = [Says(400, f"no t0ken-of-mine, {SECRET}".encode())]
    alerts.notify([item(), item()])
    streams.run(deliveries.STAGE, channel.pk)
    assert states(channel) == [("firing", "failed")] * 2
    told = set(channel.deliveries.values_list("error", flat=True))
    assert told == {"127.0.0.1 answers 400: no …, …"}


def test_a_message_that_arrives_takes_what_waits_for_another_try_with_it(channel, receiver):
    receiver.answers = [Says(500), Says()]
    alerts.notify([item()])
    streams.run(deliveries.STAGE, channel.pk)
    alerts.notify([item()])
    streams.run(deliveries.STAGE, channel.pk)
    assert states(channel) == [("firing", "sent")] * 2
    assert counts(receiver) == [1, 1, 1]


def test_an_old_try_and_news_go_together(channel, receiver):
    receiver.answers = [Says(500), Says()]
    alerts.notify([item()])
    streams.run(deliveries.STAGE, channel.pk)
    alerts.notify([item()])
    ready(channel)
    streams.run(deliveries.STAGE, channel.pk)
    assert counts(receiver) == [1, 2]


@pytest.mark.parametrize("kind", ["plugin", "key", "options", "broken"])
def test_a_channel_that_cannot_be_used_says_why_and_costs_no_other(channel, receiver, settings, kind):
    other = webhook(receiver.url, name="other")
    if kind == "plugin":
        Channel.objects.filter(pk=channel.pk).update(notifier="carrier-pigeon")
    elif kind == "key":
        from duolog import secrets

        before, settings.SECRET_KEY = settings.SECRET_KEY, "another"
        Channel.objects.filter(pk=channel.pk).update(secrets=secrets.encrypt("{}"))
        settings.SECRET_KEY = before
    elif kind == "options":
        Channel.objects.filter(pk=channel.pk).update(options={"colour": "red"})
    else:
        Channel.objects.filter(pk=channel.pk).update(secrets=b"nonsense")
    alerts.notify([item()])
    for pk in list(deliveries.due()):
        streams.run(deliveries.STAGE, pk)
    row = channel.deliveries.get()
    said = {
        "plugin": "no plugin 'carrier-pigeon'", "key": "enter them anew", "options": "unknown option 'colour'",
        "broken": "enter them anew",
    }  # fmt: skip
    assert row.state == "waiting" and said[kind] in row.error
    assert states(other) == [("firing", "sent")]


# --- who sends --------------------------------------------------------------------------------------------------


def test_a_sender_that_died_is_followed_by_another_when_its_lease_is_over(channel, receiver):
    alerts.notify([item()])
    dead = deliveries.claim(channel.pk)
    assert dead and deliveries.claim(channel.pk) is None and states(channel) == [("firing", "sending")]
    assert list(deliveries.due()) == []
    Channel.objects.filter(pk=channel.pk).update(ready_at=Now())
    assert list(deliveries.due()) == [channel.pk]
    streams.run(deliveries.STAGE, channel.pk)
    assert (states(channel), channel.deliveries.get().attempts) == ([("firing", "sent")], 2)
    # It was not dead: what it notes now is too late. The message came twice, and can be known by its key.
    deliveries.settle(dead, deliveries.NotDelivered("late", permanent=True))
    assert states(channel) == [("firing", "sent")]
    deliveries.send(dead)
    assert len({seen.headers["Idempotency-Key"] for seen in receiver.seen}) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_that_hear_the_same_ring_one_sends(receiver):
    channel = webhook(receiver.url)
    alerts.notify([item() for _ in range(3)])
    receiver.gate = Event()

    def work() -> bool:
        try:
            return deliveries.deliver(channel.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work) for _ in range(4)]
        # While the receiver dawdles nobody is kept waiting: neither who tells of news, nor who changes the channel.
        alerts.notify([item()])
        channels.change(channel, name="renamed")
        receiver.gate.set()
        done = [future.result() for future in futures]
    assert sum(done) >= 1
    assert sorted(counts(receiver))[-1] <= 4 and sum(counts(receiver)) <= 4
    ready(channel)
    streams.run(deliveries.STAGE, channel.pk)
    told = [one["labels"]["item"] for seen in receiver.seen for one in seen.json["alerts"]]
    assert len(told) == len(set(told)) == 4


# --- tests of a channel -----------------------------------------------------------------------------------------


def test_a_test_is_sent_at_once_and_says_what_became_of_it(channel, receiver):
    row = deliveries.test(channel)
    assert (row.kind, row.state, row.error) == ("test", "sent", "")
    (told,) = receiver.seen[0].json["alerts"]
    assert told["labels"]["alertname"] == "DuologTest" and "This is a test" in told["annotations"]["description"]
    receiver.answers = [Says(404, b"no such hook")]
    row = deliveries.test(channel)
    assert (row.state, row.error, row.due_at) == ("failed", "127.0.0.1 answers 404: no such hook", None)
    receiver.answers = [Says(500)]
    assert deliveries.test(channel).state == "failed"  # nobody waits for a second try


def test_a_test_keeps_to_the_rate_and_works_while_a_channel_is_off(channel, receiver):
    channels.change(channel, enabled=False)
    assert deliveries.test(channel).state == "sent"
    Channel.objects.filter(pk=channel.pk).update(ready_at=Now() + timedelta(seconds=30))
    with pytest.raises(JobFailed, match=r"try again in (30|31) s"):
        deliveries.test(channel)
    assert len(receiver.seen) == 1


# --- housekeeping -----------------------------------------------------------------------------------------------


def test_old_deliveries_are_forgotten_but_those_of_open_items(channel, receiver, settings):
    one, two = item(), item()
    alerts.notify([one, two])
    streams.run(deliveries.STAGE, channel.pk)
    lost = Delivery.objects.create(channel=channel, kind="test", state="sending", due_at=None)
    two.state = "dismissed"
    two.save()
    Delivery.objects.update(created_at=Now() - timedelta(days=settings.DELIVERY_DAYS - 1))
    assert deliveries.tidy() == 0
    lost.refresh_from_db()
    assert lost.state == "failed" and "no sign of life" in lost.error
    Delivery.objects.update(created_at=Now() - timedelta(days=settings.DELIVERY_DAYS + 1))
    assert deliveries.tidy() == 2
    assert Delivery.objects.get().item == one


def test_secrets_are_encrypted_anew_where_the_key_is_another(channel, settings):
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "of today"
    deliveries.tidy()
    settings.SECRET_KEY_FALLBACKS = []
    channel.refresh_from_db()
    assert channels.whole(channel)["secret"] == SECRET
