"""Findings that say the same become one item, so that a flood of them is one card and one verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from analysis import alerts, muting
from analysis.engine.priority import priority
from analysis.models import AnomalyReport, Event, Finding, Item, ReviewPolicy
from analysis.states import STATES, UNDECIDED
from analysis.timeline import record
from logs.engine.fingerprint import fingerprints

PAGE = 1000
"""Findings whose lines are read at once."""
PLACE = f"""
    UPDATE {Finding._meta.db_table} finding SET item_id = placed.item, state = placed.state
    FROM unnest(%(findings)s::bigint[], %(items)s::bigint[], %(states)s::text[]) AS placed (finding, item, state)
    WHERE finding.id = placed.finding
"""  # noqa: S608 - the name of a table
# The race: a transaction takes lower numbers than another one, and commits after it. Whoever asks for what is newer
# than the last number they know would miss these. So findings are opened by one transaction at a time.
TURN = "SELECT pg_advisory_xact_lock(hashtext('analysis_finding'))"
Key = tuple[str, bytes, str]


@dataclass(frozen=True, slots=True)
class Fresh:
    """A finding that is in no item yet."""

    pk: int
    sequence: int
    score: int
    value: float
    threshold: float


@dataclass(slots=True)
class Gathered:
    """The items, by number, that new findings opened; and the findings that joined one that is muted."""

    opened: dict[int, Item] = field(default_factory=dict)
    hidden: list[int] = field(default_factory=list)


def gather() -> None:
    """Put every finding that is in no item into one; mute what rules say.

    A finding joins the item of its project, template sequence and service, and is decided as that is: what somebody
    called a false alarm stays one. What was confirmed, and quiet for a while, opens again. Called in the transaction
    that opens the findings, which holds `TURN`: so nobody else makes or joins items of findings meanwhile.
    """
    found = Gathered()
    while page := _page():
        _place(page, found)
    muting.apply(found.opened.values())
    alerts.notify(found.opened.values())
    muting.seen(found.hidden)


def _page() -> dict[Key, list[Fresh]]:
    """Return the next findings without an item, by what they have in common, the oldest first."""
    rows = Finding.objects.filter(item=None).order_by("pk")[:PAGE].values_list(
        "pk", "project", "sequence", "score", "score__value", "score__scan__threshold",
        "sequence__entries", "sequence__meta__service",
    )  # fmt: skip
    read = list(rows)
    marks = fingerprints([row[6] for row in read])
    groups: dict[Key, list[Fresh]] = defaultdict(list)
    for (pk, project, sequence, score, value, threshold, _lines, service), mark in zip(read, marks, strict=True):
        named = service[:200] if isinstance(service, str) else ""
        groups[project, mark, named].append(Fresh(pk, sequence, score, value, threshold))
    return groups


def _place(groups: dict[Key, list[Fresh]], found: Gathered) -> None:
    now = timezone.now()
    items = _known(groups)
    made = [
        Item(project=project, fingerprint=mark, service=service, sequence_id=fresh[-1].sequence, last_seen_at=now)
        for (project, mark, service), fresh in groups.items()
        if (project, mark, service) not in items
    ]
    Item.objects.bulk_create(made)
    items |= {(item.project, bytes(item.fingerprint), item.service): item for item in made}
    reopened = _reopened({item.pk: item for item in items.values()}.values(), now)
    for key, fresh in groups.items():
        _join(items[key], fresh)
        items[key].last_seen_at = now
    touched = list({item.pk: item for item in items.values()}.values())
    columns = [
        "state",
        "round",
        "sequence",
        "score",
        "findings_count",
        "priority",
        "last_seen_at",
        "settled_at",
        "statement",
    ]
    Item.objects.bulk_update(touched, columns)
    record(made, Event.Action.OPENED)
    record(reopened, Event.Action.REOPENED)
    placed = [(each.pk, items[key]) for key, fresh in groups.items() for each in fresh]
    with connection.cursor() as cursor:
        cursor.execute(
            PLACE,
            {
                "findings": [pk for pk, _item in placed],
                "items": [item.pk for _pk, item in placed],
                "states": [STATES[Item.State(item.state)].value for _pk, item in placed],
            },
        )
    found.opened |= {item.pk: item for item in [*made, *reopened]}
    found.hidden += [pk for pk, item in placed if item.state == Item.State.MUTED]


def _known(groups: Iterable[Key]) -> dict[Key, Item]:
    """Return the items there are, locked; in place of one that was merged, the one it was merged into."""
    keys = set(groups)
    rows = Item.objects.filter(kind=Item.Kind.FINDINGS, fingerprint__in={mark for _, mark, _ in keys})
    known = {(item.project, bytes(item.fingerprint), item.service): item for item in rows}
    known = {key: item for key, item in known.items() if key in keys}
    # The race: a verdict settles an item while a finding joins it, and the finding stays open for ever.
    locked = lock({item.merged_into_id or item.pk for item in known.values()})
    return {key: locked[item.merged_into_id or item.pk] for key, item in known.items()}


def _reopened(items: Iterable[Item], now: datetime) -> list[Item]:
    """Open those again that were confirmed and have been quiet for a while: it is back, and may be something else."""
    quiet = dict(ReviewPolicy.objects.values_list("project", "quiet_hours"))
    default = ReviewPolicy().quiet_hours
    again = [
        item
        for item in items
        if item.state == Item.State.CONFIRMED
        and now - item.last_seen_at > timedelta(hours=quiet.get(item.project, default))
    ]
    for item in again:
        item.state, item.round, item.settled_at = Item.State.OPEN, item.round + 1, None
        item.statement = None  # what was said then stays true of what was seen then, whatever is undone from here on
    return again


def _join(item: Item, fresh: list[Fresh]) -> None:
    item.findings_count += len(fresh)
    if item.state in (Item.State.CONFIRMED, Item.State.DISMISSED):
        return
    newest = fresh[-1]
    item.sequence_id, item.score_id = newest.sequence, newest.score
    item.priority = priority(
        score=newest.value, threshold=newest.threshold, reach=item.findings_count, doubted=item.doubted
    )


def lock(items: Iterable[int] | QuerySet[Any, Any]) -> dict[int, Item]:
    """Lock items, by number, and return them; before any of their findings, and in one order, as everybody does."""
    return Item.objects.select_for_update(no_key=True).filter(pk__in=items).order_by("pk").in_bulk()


def reported(reports: Iterable[AnomalyReport]) -> None:
    """Let items that nobody decided on say what the newest reports on their findings do; called as these are stored."""
    newest = {report.finding_id: report for report in reports}
    items = Item.objects.filter(findings__in=list(newest), state__in=[*UNDECIDED, Item.State.MUTED])
    told = dict(Finding.objects.filter(pk__in=list(newest)).values_list("item", "pk"))
    rows = list(lock(items.values("pk")).values())
    for item in rows:
        report = newest[told[item.pk]]
        item.type, item.severity = report.type, report.severity
    Item.objects.bulk_update(rows, ["type", "severity"])
    muting.apply(rows)
    alerts.notify(rows)
