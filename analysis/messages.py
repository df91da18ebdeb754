"""What a channel is told about items: their state, what an analyst says of them, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext, override

from analysis.models import AnomalyReport, Delivery, Item
from duolog.plugins.types import Alert, Language
from logs.engine import taxonomy
from logs.labels import named

TONGUES: dict[str, str] = {"zh": "zh-hans", "en": "en"}


def labels(item: Item) -> dict[str, str]:
    """Return what an item is called in other systems, from the first time that they are told of it to the last.

    No score is among it: with another label it would be another alert.
    """
    known = taxonomy.types().get(item.type)
    found = {
        "alertname": "DuologAnomaly",
        "project": item.project,
        "item": str(item.pk),
        "service": item.service,
        "type": item.type,
        "category": known.category if known else "",
        "severity": item.severity,
    }
    return {name: value for name, value in found.items() if value}


def alerts(deliveries: Sequence[Delivery], language: str) -> list[Alert]:
    """Return what deliveries tell, in their order, with titles in a language (zh, en); their items are fetched already.

    One query, however many there are.
    """
    items = [row.item_id for row in deliveries if row.item_id]
    done = AnomalyReport.objects.filter(finding__item__in=items, state=AnomalyReport.State.DONE)
    reports = done.order_by("finding__item_id", "-id").distinct("finding__item_id")
    texts = dict(reports.values_list("finding__item_id", "texts"))
    with override(TONGUES.get(language, language)):
        return [_alert(row, row.item, texts.get(row.item.pk, {})) if row.item else _test(row) for row in deliveries]


def _alert(row: Delivery, item: Item, texts: dict[str, Any]) -> Alert:
    over = row.kind == Delivery.Kind.RESOLVED
    summaries: dict[Language, str] = {
        tongue: texts[tongue]["summary"] for tongue in ("zh", "en") if texts.get(tongue, {}).get("summary")
    }
    return Alert(
        id=str(row.pk),
        project=item.project,
        kind="resolved" if over else "firing",
        title=named(item.type) or gettext("anomalous sequence"),
        started=item.first_seen_at,
        ended=(item.settled_at or now()) if over else None,
        service=item.service,
        type=item.type,
        category=row.labels.get("category", ""),
        severity=item.severity,
        score=item.score.value if item.score else None,
        count=item.findings_count or 1,
        url=settings.PUBLIC_URL + reverse("review", args=[item.pk]),
        summary=summaries,
        labels=row.labels,
    )


def _test(row: Delivery) -> Alert:
    return Alert(
        id=str(row.pk),
        project=row.channel.project,
        kind="firing",
        title=gettext("a test message of Duolog"),
        started=row.created_at,
        severity="low",
        url=settings.PUBLIC_URL,
        summary={
            "zh": "这是一条测试消息：能看到它，说明该告警渠道可用。",
            "en": "This is a test: whoever reads it knows that this channel works.",
        },
        labels={"alertname": "DuologTest", "project": row.channel.project, "severity": "low"},
    )
