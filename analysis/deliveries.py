"""The queue of deliveries: what waits in a channel is claimed, sent as one message, and noted, each in its own time.

A claim takes the channel for a `LEASE` and commits; then the message goes out, with no transaction open; then what
became of it is noted, if the channel is still ours. A sender that dies in between has perhaps sent: its rows are
claimed again, so a message comes at least once, and carries ids by which receivers know it again.

Its limits are a token bucket in one column (GCRA, the generic cell rate algorithm of ATM): a channel is ready from
`ready_at` on, and each message moves that on by the rate's interval, from no earlier than a burst ago.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext

from analysis import channels, messages
from analysis.models import Channel, Delivery, Event
from analysis.states import UNDECIDED
from duolog.plugins import guard, registry
from duolog.plugins.options import OptionsError
from duolog.plugins.points import Notifier, Rate
from duolog.plugins.registry import PluginError, PluginUnavailable
from duolog.plugins.types import NotDelivered
from duolog.secrets import SecretLost
from logs import reasons
from workers import streams
from workers.context import clean
from workers.jobs import JobFailed

STAGE = QUEUE = "alerts"
MOST = 500
"""Rows of a message."""
ATTEMPTS = 10
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_WISH = 20.0, 3600.0, 86_400.0
"""Seconds: of the first pause at most, of any, and of one that a receiver may ask for."""
LEASE = timedelta(minutes=3)
"""More than any notifier takes."""
CHARACTERS = 1000
"""Of an error that is kept."""
State, Kind = Delivery.State, Delivery.Kind


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows that go out as one message, by whoever holds the channel until `lease`; the next may go at `ready_at`."""

    channel: Channel
    rows: list[Delivery]
    lease: datetime
    ready_at: datetime


def due() -> Iterable[int]:
    """Return the channels that may send, and have something to send."""
    waiting = Delivery.objects.filter(channel=OuterRef("pk"), due_at__lte=Now())
    ready = Channel.objects.filter(Exists(waiting), enabled=True, ready_at__lte=Now())
    return ready.order_by("ready_at").values_list("pk", flat=True)


@streams.stage(STAGE, due=due, queue=QUEUE, atomic=False)
def deliver(pk: int) -> bool:
    """Send the next message of a channel; return whether to look for another one."""
    taken = claim(pk)
    if taken is None:
        return False
    settle(taken, send(taken))
    return True


@transaction.atomic
def claim(pk: int) -> Claim | None:
    """Take all that is due in a channel, and a token of its bucket; None where there is nothing, or it must wait."""
    # The race: two workers hear the same ring. One has the row; the other passes, or finds the channel not ready.
    free = Channel.objects.select_for_update(skip_locked=True, no_key=True).annotate(now=Now())
    channel = free.filter(pk=pk, enabled=True, ready_at__lte=Now()).first()
    if channel is None:
        return None
    rate = _rate(channel)
    if quiet := _quiet(rate, channel.now):
        Channel.objects.filter(pk=pk).update(ready_at=channel.now + quiet)
        return None
    # Rows that somebody else holds are about to be dropped (`alerts.resolve`). Those that are being sent belong to a
    # sender whose lease has passed.
    held = channel.deliveries.select_for_update(skip_locked=True, of=("self",)).filter(due_at__lte=Now())
    rows = _without_settled(list(held.select_related("item__score").order_by("pk")[:MOST]))
    if not rows:
        return None
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).exclude(state=State.SENT).update(
        state=State.SENDING, attempts=F("attempts") + 1
    )
    for row in rows:
        row.channel = channel
        row.attempts += row.state != State.SENT
    return _leased(channel, rows, rate, channel.now)


def send(taken: Claim) -> NotDelivered | None:
    """Send a message, and return why it did not arrive, or None."""
    try:
        notifier = channels.plugin(taken.channel)
        language = getattr(notifier.options, "language", "") or settings.LANGUAGE_CODE[:2]
        guard.call(notifier, "send", messages.alerts(taken.rows, language))
    except NotDelivered as told:
        return told
    except (PluginError, OptionsError, SecretLost) as error:
        return NotDelivered(str(error))
    return None


@transaction.atomic
def settle(taken: Claim, failed: NotDelivered | None) -> None:
    """Note what became of a message, and when the channel may send the next one."""
    after = min(failed.retry_after or 0.0, LONGEST_WISH) if failed else 0.0
    wish = Greatest(Value(taken.ready_at), Now() + timedelta(seconds=after)) if after else taken.ready_at
    # The race: the lease has passed, and somebody else sends by now. What they note is newer.
    if not Channel.objects.filter(pk=taken.channel.pk, ready_at=taken.lease).update(ready_at=wish):
        return
    rows = Delivery.objects.filter(pk__in=[row.pk for row in taken.rows])
    if failed:
        _note_failure(taken, rows, failed, after)
    else:
        _note_success(taken, rows)


def test(channel: Channel) -> Delivery:
    """Send a test message now, and return what became of it; raise JobFailed while the channel has to wait."""
    with transaction.atomic():
        held = Channel.objects.select_for_update(no_key=True).annotate(now=Now()).get(pk=channel.pk)
        if held.ready_at > held.now:
            text = gettext("the channel has sent as much as it may, or sends just now; try again in %(seconds)d s")
            raise JobFailed(text % {"seconds": (held.ready_at - held.now).total_seconds() + 1})
        row = Delivery.objects.create(channel=held, kind=Kind.TEST, state=State.SENDING, due_at=None, attempts=1)
        row.refresh_from_db()
        row.channel = held
        taken = _leased(held, [row], _rate(held), held.now)
    settle(taken, send(taken))
    row.refresh_from_db()
    return row


def tidy() -> int:
    """Delete what was told long ago and is of no use any more, end tests whose sender died; return how many went."""
    old = Delivery.objects.filter(due_at=None, created_at__lt=Now() - timedelta(days=settings.DELIVERY_DAYS))
    lost = Delivery.objects.filter(kind=Kind.TEST, state=State.SENDING, created_at__lt=Now() - LEASE)
    lost.update(state=State.FAILED, error=gettext("the sender gave no sign of life"))
    channels.renew()
    # What an open item has told is needed to tell its end.
    return old.exclude(item__state__in=UNDECIDED).delete()[0]


streams.CHORES.append(tidy)


def pause(attempts: int) -> float:
    """Return the seconds until another try: exponential, with full jitter, so that many do not come back at once."""
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts - 1)))


def next_ready(ready_at: datetime, now: datetime, rate: Rate) -> datetime:
    """Return when a channel that was ready at `ready_at` may send again after a message at `now`."""
    burst = timedelta(seconds=(rate.burst - 1) * rate.interval)
    return max(ready_at, now - burst) + timedelta(seconds=rate.interval)


def _leased(channel: Channel, rows: list[Delivery], rate: Rate, now: datetime) -> Claim:
    Channel.objects.filter(pk=channel.pk).update(ready_at=now + LEASE)
    return Claim(channel, rows, now + LEASE, next_ready(channel.ready_at, now, rate))


def _rate(channel: Channel) -> Rate:
    try:
        notifier: type[Notifier] = registry.get(channels.GROUP, channel.notifier)  # type: ignore[assignment]
    except PluginUnavailable:
        return Notifier.rate
    return notifier.rate


def _repeat(channel: Channel) -> float:
    return getattr(registry.get(channels.GROUP, channel.notifier), "repeat", 0.0)


def _quiet(rate: Rate, now: datetime) -> timedelta | None:
    """Return how long to be quiet yet after a full or half hour."""
    past = timedelta(minutes=now.minute % 30, seconds=now.second, microseconds=now.microsecond)
    left = timedelta(seconds=rate.quiet) - past
    return left if left > timedelta() else None


def _without_settled(rows: list[Delivery]) -> list[Delivery]:
    """Return rows without those that tell of an item which is settled by now, or open anew: these are forgotten."""
    over = {row.pk for row in rows if row.kind == Kind.FIRING and not _is_firing(row)}
    told = Delivery.objects.filter(pk__in=over, state=State.SENT)
    told.update(due_at=None)
    Delivery.objects.filter(pk__in=over).exclude(state=State.SENT).delete()
    return [row for row in rows if row.pk not in over]


def _is_firing(row: Delivery) -> bool:
    item = row.item
    return item is not None and item.state in UNDECIDED and not item.merged_into_id and item.round == row.round


def _note_success(taken: Claim, rows: QuerySet[Delivery]) -> None:
    fresh = [row for row in taken.rows if row.state != State.SENT]
    rows.update(state=State.SENT, sent_at=Now(), error="", due_at=None)
    if fresh:
        rows.filter(pk__in=[row.pk for row in fresh[1:]]).update(sent_with=fresh[0].pk)
    if every := _repeat(taken.channel):
        rows.filter(kind=Kind.FIRING).update(due_at=Now() + timedelta(seconds=every))
    Event.objects.bulk_create(
        Event(
            project=taken.channel.project,
            item_id=row.item_id,
            action=Event.Action.ALERTED,
            details={"channel": taken.channel.name, "kind": row.kind},
        )
        for row in fresh
        if row.item_id
    )
    # It answers again: what waits for another try need not wait longer.
    taken.channel.deliveries.filter(state=State.WAITING).update(due_at=Now())


def _note_failure(taken: Claim, rows: QuerySet[Delivery], failed: NotDelivered, after: float) -> None:
    told = clean(channels.hidden(reasons.shown(failed.reason), taken.channel))[:CHARACTERS]
    final = Q(attempts__gte=ATTEMPTS) | Q(kind=Kind.TEST)
    lost = rows.exclude(state=State.SENT) if failed.permanent else rows.exclude(state=State.SENT).filter(final)
    lost.update(state=State.FAILED, error=told, due_at=None)
    wait = timedelta(seconds=max(after, pause(max(row.attempts for row in taken.rows))))
    rows.filter(state=State.SENDING).update(state=State.WAITING, error=told, due_at=Now() + wait)
    # What has been told once, and is to be told again, is tried as long as it burns.
    rows.filter(state=State.SENT).update(error=told, due_at=Now() + wait)
