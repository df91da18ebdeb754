"""Who is told that an item is open, and that it is settled: rows in the queue of deliveries, and nothing else.

Called by the services of review, within their transactions; `analysis.deliveries` sends what is committed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import partial

from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from analysis import deliveries, messages, routes
from analysis.models import Channel, Delivery, Item
from analysis.states import UNDECIDED
from workers import streams

State, Kind = Delivery.State, Delivery.Kind


@transaction.atomic
def notify(items: Iterable[Item]) -> int:
    """Queue what tells of open items, for every channel of their project one of whose routes lets them through.

    Again while an item is open it does nothing, so it may be called whenever something about one has changed. An item
    whose severity nobody knows goes nowhere yet, and one that no model flagged (a control) nowhere at all. Return how
    many rows were queued or had been.
    """
    opened = defaultdict(list)
    for item in items:
        if item.state in UNDECIDED and item.severity and item.kind == Item.Kind.FINDINGS and not item.merged_into_id:
            opened[item.project].append(item)
    _begin_again([item for each in opened.values() for item in each])
    channels = Channel.objects.filter(project__in=opened, enabled=True).prefetch_related("routes")
    at = now()
    rows = [
        Delivery(channel=channel, item=item, round=item.round, kind=Kind.FIRING, labels=messages.labels(item))
        for channel in channels
        for item in opened[channel.project]
        if any(
            routes.matches(route, severity=item.severity, service=item.service, at=at) for route in channel.routes.all()
        )
    ]
    _queue(rows)
    return len(rows)


@transaction.atomic
def resolve(items: Iterable[Item]) -> int:
    """Queue what tells that items are settled, for the channels that were told of them, and drop what waits to tell.

    Return how many rows were queued or had been.
    """
    told = Delivery.objects.filter(item__in=[item.pk for item in items], kind=Kind.FIRING, closed=False)
    # The race: somebody sends it at this very moment. We wait until they have claimed it, or they pass it over; what
    # they claimed is being sent, and its channel hears of the end after the beginning.
    held = _held(told)
    Delivery.objects.filter(pk__in=[row.pk for row in held if row.state == State.WAITING]).delete()
    rows = [
        Delivery(channel_id=row.channel_id, item_id=row.item_id, round=row.round, kind=Kind.RESOLVED, labels=row.labels)
        for row in held
        if row.state in (State.SENDING, State.SENT) and row.channel.enabled
    ]
    _queue(rows)
    return len(rows)


def _begin_again(items: list[Item]) -> None:
    """Let items be told of anew that were said to be over, and are open in the same round: a verdict was taken back."""
    rounds = {item.pk: item.round for item in items}
    over = Delivery.objects.filter(item__in=rounds, kind=Kind.RESOLVED, closed=False)
    again = [row for row in _held(over) if row.round == rounds[row.item_id or 0]]
    unheard = {row.pk for row in again if row.state == State.WAITING and not row.attempts}
    Delivery.objects.filter(pk__in=unheard).delete()
    for row in again:
        if row.pk not in unheard:
            same = Delivery.objects.filter(channel=row.channel_id, item=row.item_id, round=row.round)
            same.filter(kind=Kind.FIRING).update(closed=True, due_at=None)
            same.filter(kind=Kind.RESOLVED).update(closed=True)


def _held(rows: QuerySet[Delivery]) -> list[Delivery]:
    """Return rows, locked, as they are once nobody else changes them."""
    return list(rows.select_for_update(of=("self",), no_key=True).select_related("channel").order_by("pk"))


def _queue(rows: list[Delivery]) -> None:
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    for channel in {row.channel_id for row in rows}:
        transaction.on_commit(partial(streams.ring, deliveries.STAGE, channel))
