"""Items of review with real findings, scores and sequences behind them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import count

from analysis.models import Finding, Item
from analysis.states import STATES
from detection.models import ModelVersion, Scan, Score
from logs import datasets
from logs.engine.fingerprint import fingerprints
from logs.models import Sequence as Row

_numbers = count()


def make_item(
    project: str = "mine",
    *,
    entries: Sequence[str] = ("start", "it failed", "end"),
    service: str = "shop",
    type: str = "",  # noqa: A002 - the item's
    state: str = Item.State.OPEN,
    findings: int = 1,
    score: float = 0.9,
    at: datetime | None = None,
) -> Item:
    """Store an item with so many findings, all of them with the same lines; `at` is when these were opened."""
    (mark,) = fingerprints([entries])
    item = Item(project=project, fingerprint=mark, service=service, type=type, state=state)
    return add_findings(item, entries, findings, score=score, at=at)


def add_findings(
    item: Item, entries: Sequence[str], findings: int = 1, *, score: float = 0.9, at: datetime | None = None
) -> Item:
    """Store further findings of an item, whose sequence is that of the newest then."""
    dataset = datasets.get_or_create(project=item.project, name="items")
    version, _ = ModelVersion.objects.get_or_create(
        project=item.project, name="m", number=1, detector="moe", threshold=0.5
    )
    scan, _ = Scan.objects.get_or_create(
        project=item.project, version=version, dataset=dataset, threshold=0.5, sequences=0, anomalous=0
    )
    lines = list(entries)
    meta = {"service": item.service} if item.service else {}
    rows = Row.objects.bulk_create(
        Row(dataset=dataset, key=f"item-{next(_numbers)}", entries=lines, length=len(lines), meta=meta)
        for _ in range(findings)
    )
    blame = [1 / len(lines)] * len(lines)
    scores = Score.objects.bulk_create(
        Score(scan=scan, sequence=row, value=score, anomalous=True, blame=blame) for row in rows
    )
    item.sequence, item.score = rows[-1], scores[-1]
    item.findings_count += findings
    item.save()
    made = Finding.objects.bulk_create(
        Finding(
            project=item.project, score=each, sequence=each.sequence, model="m", item=item,
            state=STATES[Item.State(item.state)],
        )
        for each in scores
    )  # fmt: skip
    if at:
        Finding.objects.filter(pk__in=[each.pk for each in made]).update(created_at=at)
    return item
