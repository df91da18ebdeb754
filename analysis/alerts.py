"""Who is told that an item is open, and that it is settled: rows in the queue of deliveries, and nothing else.

Called by the services of review, within their transactions; `analysis.deliveries` sends what is committed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import partial

from django.db import transaction
from django.utils.timezone import now

from analysis import deliveries, messages, routes
from analysis.models import Channel, Delivery, Item
from workers import streams

OPEN = (Item.State.OPEN, Item.State.DISPUTED)


def notify(items: Iterable[Item]) -> int:
    """Queue what tells of open items, for every channel of their project one of whose routes lets them through.

    Again for the same round of an item it does nothing, so it may be called whenever something about one has changed.
    An item whose severity nobody knows goes nowhere yet. Return how many rows were queued or had been.
    """
    opened = defaultdict(list)
    for item in items:
        if item.state in OPEN and item.severity:
            opened[item.project].append(item)
    channels = Channel.objects.filter(project__in=opened, enabled=True).prefetch_related("routes")
    at = now()
    rows = [
        Delivery(channel=channel, item=item, round=item.round, kind=Delivery.Kind.FIRING, labels=messages.labels(item))
        for channel in channels
        for item in opened[channel.project]
        if any(
            routes.matches(route, severity=item.severity, service=item.service, at=at) for route in channel.routes.all()
        )
    ]
    _queue(rows)
    return len(rows)


def resolve(items: Iterable[Item]) -> int:
    """Queue what tells that items are settled, for the channels that were told of them, and drop what waits to tell.

    Return how many rows were queued or had been.
    """
    firing = Delivery.objects.filter(item__in=[item.pk for item in items], kind=Delivery.Kind.FIRING)
    with transaction.atomic():
        # The race: somebody sends it at this very moment. What they have claimed is no longer waiting, and is seen by
        # the second statement, so that the channel hears of the end after the beginning. Hence this order.
        firing.filter(state=Delivery.State.WAITING).delete()
        told = firing.filter(state__in=[Delivery.State.SENDING, Delivery.State.SENT], channel__enabled=True)
        rows = [
            Delivery(
                channel_id=row.channel_id,
                item_id=row.item_id,
                round=row.round,
                kind=Delivery.Kind.RESOLVED,
                labels=row.labels,
            )
            for row in told
        ]
        firing.filter(state=Delivery.State.SENT).update(due_at=None)
        _queue(rows)
    return len(rows)


def _queue(rows: list[Delivery]) -> None:
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    for channel in {row.channel_id for row in rows}:
        transaction.on_commit(partial(streams.ring, deliveries.STAGE, channel))
