"""Sequences that no finding speaks of and people are asked about all the same: doubts of the shadow, and controls."""

from __future__ import annotations

import random

from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from analysis import queue
from analysis.engine.priority import DOUBTED, priority
from analysis.models import Event, Item
from analysis.timeline import record
from detection.models import Scan, Score
from logs.engine.fingerprint import fingerprints
from logs.models import Sequence

DOUBTS = 200
"""Items of doubt that a scan makes at most, those of which the shadow is surest."""
POOL = 20_000
"""The newest sequences of a dataset among which controls are drawn."""


def doubt(scans: QuerySet[Scan]) -> None:
    """Make items of what only the shadow of these scans flags, and put first what only the champion does.

    Called in the transaction that opens findings. Again for the same scans it does nothing.
    """
    disputed = Score.objects.filter(scan__shadow_of__in=scans)
    if not disputed.exists():
        return
    normal = disputed.filter(anomalous=False).values("sequence")
    doubted = Item.objects.filter(findings__sequence__in=normal, state=Item.State.OPEN, doubted=False)
    Item.objects.filter(pk__in=doubted.values("pk")).update(doubted=True, priority=F("priority") + DOUBTED)
    alone = disputed.filter(anomalous=True, items=None).exclude(
        sequence__items__kind__in=[Item.Kind.DOUBT, Item.Kind.CONTROL]
    )
    rows = list(alone.select_related("scan").order_by("-value")[:DOUBTS])
    _make({row.sequence_id: row for row in rows}, Item.Kind.DOUBT)


def controls() -> int:
    """Draw sequences that no model flagged and nobody labelled, so that each project has its share of them open.

    A chore of the sweeper, and safe in many copies; returns how many were drawn.
    """
    drawn = 0
    opened = Item.objects.filter(state=Item.State.OPEN, merged_into=None).order_by()
    counts = opened.values("project").annotate(
        others=Count("pk", ~Q(kind=Item.Kind.CONTROL)), controls=Count("pk", Q(kind=Item.Kind.CONTROL))
    )
    for row in counts:
        share = queue.policy(row["project"]).control_share
        missing = -int(-row["others"] * share // 1) - row["controls"]
        if missing > 0:
            drawn += _draw(row["project"], missing)
    return drawn


@transaction.atomic
def _draw(project: str, count: int) -> int:
    # The race: two sweepers draw for the same project. One of them finds the lock taken and leaves it to the other.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('analysis_control'), hashtext(%s))", [project])
        if not cursor.fetchone()[0]:
            return 0
    watched = Scan.objects.filter(project=project, shadow_of=None).values("dataset")
    unseen = Sequence.objects.filter(dataset__in=watched, findings=None, items=None, labels=None)
    pool = list(unseen.order_by("-id").values_list("pk", flat=True)[:POOL])
    chosen = random.sample(pool, min(count, len(pool)))
    scores = Score.objects.filter(sequence__in=chosen, scan__shadow_of=None).select_related("scan").order_by("pk")
    known = {score.sequence_id: score for score in scores}
    return _make({pk: known.get(pk) for pk in chosen}, Item.Kind.CONTROL)


def _make(chosen: dict[int, Score | None], kind: Item.Kind) -> int:
    rows = list(Sequence.objects.filter(pk__in=chosen).select_related("dataset__project"))
    marks = fingerprints([row.entries for row in rows])
    items = []
    for row, mark in zip(rows, marks, strict=True):
        score = chosen[row.pk]
        service = row.meta.get("service")
        items.append(
            Item(
                project=row.dataset.project.slug, kind=kind, fingerprint=mark, sequence=row, score=score,
                service=service[:200] if isinstance(service, str) else "", last_seen_at=timezone.now(),
                doubted=kind == Item.Kind.DOUBT, priority=_priority(score, kind),
            )
        )  # fmt: skip
    made = Item.objects.bulk_create(items)
    record(made, Event.Action.OPENED)
    return len(made)


def _priority(score: Score | None, kind: Item.Kind) -> float:
    if score is None:
        return 0.0
    return priority(score=score.value, threshold=score.scan.threshold, reach=1, doubted=kind == Item.Kind.DOUBT)
