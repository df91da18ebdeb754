"""Items of review and channels to tell of them."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from analysis import channels
from analysis.models import Channel, Delivery, Item
from logs import datasets
from logs.models import Sequence

SECRET = "a secret of the webhook"


def item(project: str = "shop", **values: Any) -> Item:
    """An open item, of high severity."""
    dataset = datasets.get_or_create(project=project, name="d")
    sequence = Sequence.objects.create(dataset=dataset, key=os.urandom(8).hex(), entries=["a", "b"], length=2)
    told = {"service": "checkout", "type": "超时异常", "severity": "high", "findings_count": 3}
    return Item.objects.create(project=project, fingerprint=os.urandom(16), sequence=sequence, **told | values)


def webhook(url: str, project: str = "shop", name: str = "hook", **values: Any) -> Channel:
    """A channel to a webhook."""
    options = {"url": f"{url}/hook?token=t0ken-of-mine", "secret": SECRET, "language": "en"}
    return channels.create(project=project, name=name, notifier="webhook", options=options, **values)


def ready(channel: Channel) -> None:
    """Fill a channel's bucket, and let all that waits be due."""
    Channel.objects.filter(pk=channel.pk).update(ready_at=Now() - timedelta(hours=1))
    Delivery.objects.filter(channel=channel, due_at__isnull=False).update(due_at=Now())


def states(channel: Channel) -> list[tuple[str, str]]:
    """Kind and state of all that a channel is to be told, in order."""
    return list(channel.deliveries.order_by("pk").values_list("kind", "state"))
