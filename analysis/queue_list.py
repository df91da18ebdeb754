"""Console: what the queue of review can be narrowed to, and what its cards show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from analysis import queue
from analysis.models import Finding, Item, Lease
from analysis.queue import Order
from analysis.report_page import SEVERITIES
from detection.models import Score
from duolog import access
from duolog.charts import Spark, sparks
from duolog.models import Role
from logs.engine import taxonomy
from logs.labels import named
from logs.models import Project
from logs.models import Sequence as Row

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

PAGE = 30
MOST = 99
"""Items are counted so far; what is beyond is “99+”."""
CHOICES = 500
"""Services and types that are offered at most, of what waits."""
BARS, DAYS = 24, 30
"""Bars of a card's timeline, and days that it reaches back at most."""
RECENT = 300
"""Findings of an item, the newest, that its timeline is drawn from."""
STATES = {
    "mine": _("To judge"),
    "disputed": _("Disputed"),
    "open": _("Open"),
    "decided": _("Decided"),
    "muted": _("Muted"),
}
ORDERS = {"teaching": _("what teaches most"), "newest": _("newest"), "gravest": _("gravest")}
FACTS = f"""
    SELECT item.id, left(coalesce(sequence.entries[hot.place], sequence.entries[1], ''), 300), (
        SELECT array_agg(person.username ORDER BY lease.id) FROM {Lease._meta.db_table} lease
        JOIN auth_user person ON person.id = lease.user_id WHERE lease.item_id = item.id AND lease.until > now()
    ), (
        SELECT array_agg(newest.created_at) FROM (
            SELECT created_at FROM {Finding._meta.db_table} WHERE item_id = item.id ORDER BY created_at DESC
            LIMIT {RECENT}
        ) newest
    )
    FROM {Item._meta.db_table} item JOIN {Row._meta.db_table} sequence ON sequence.id = item.sequence_id
    LEFT JOIN {Score._meta.db_table} score ON score.id = item.score_id
    LEFT JOIN LATERAL (
        SELECT place FROM unnest(score.blame) WITH ORDINALITY AS line (weight, place) ORDER BY weight DESC, place
        LIMIT 1
    ) hot ON true
    WHERE item.id = ANY(%s)
"""  # noqa: S608 - names of tables


@dataclass(frozen=True)
class Filters:
    """What a queue is narrowed to, as its address tells; "" is all of it."""

    state: str = "mine"
    project: str = ""
    service: str = ""
    severity: str = ""
    type: str = ""
    kind: str = ""
    owner: str = ""
    mentions: str = ""
    order: str = "teaching"

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Filters:
        """Return what an address or a form says; what makes no sense is left aside."""
        values = {each.name: str(told.get(each.name, each.default)) for each in fields(cls)}
        values["state"] = values["state"] if values["state"] in STATES else "mine"
        values["order"] = values["order"] if values["order"] in ORDERS else "teaching"
        return cls(**values)

    @property
    def told(self) -> dict[str, str]:
        """What is not as usual, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(Filters, name)}

    @property
    def address(self) -> str:
        """The query string that says so, with its question mark; "" where all is as usual."""
        return f"?{urlencode(self.told)}" if self.told else ""

    @property
    def way(self) -> Order:
        """The order of the queue."""
        return cast(Order, self.order)

    @property
    def narrowed(self) -> bool:
        """Whether anything beside state and order is asked for."""
        return bool(self.told.keys() - {"state", "order"})

    def narrow(self, user: AbstractBaseUser, items: QuerySet[Item]) -> QuerySet[Item]:
        """Return those of the items that are asked for, whatever their state."""
        for name in ("project", "service", "severity", "type", "kind"):
            if value := getattr(self, name):
                items = items.filter(**{name: value})
        if self.owner:
            items = items.filter(owner=user.pk if self.owner == "me" else None)
        if self.mentions:
            items = items.filter(pk__in=Item.objects.filter(comments__mentions=user.pk).values("pk"))
        return items

    def stated(self, user: AbstractBaseUser, items: QuerySet[Item]) -> QuerySet[Item]:
        """Return those of the items that are in the state that is asked for."""
        if self.state == "mine":
            return queue.for_user(user, items)
        items = items.filter(merged_into=None)
        if self.state == "disputed":
            return items.filter(state=Item.State.DISPUTED)
        if self.state == "open":
            return items.filter(state__in=[Item.State.OPEN, Item.State.DISPUTED])
        if self.state == "muted":
            return items.filter(state=Item.State.MUTED)
        return items.filter(state__in=[Item.State.CONFIRMED, Item.State.DISMISSED])


@dataclass(frozen=True, slots=True)
class Card:
    """An item as the queue shows it: its most suspicious line, who holds it, and its findings over time."""

    item: Any
    suspect: str
    holders: list[str]
    sparks: list[Spark] = field(default_factory=list)

    @property
    def severity(self) -> Any:
        """Severity in words."""
        return SEVERITIES.get(self.item.severity, "")


def cards(items: QuerySet[Any], page: int) -> tuple[list[Card], bool]:
    """Return the cards of a page (from 0) of a queue, and whether there are more; three queries, however many."""
    rows = list(queue.counted(items).select_related("owner")[page * PAGE : (page + 1) * PAGE + 1])
    shown = rows[:PAGE]
    with connection.cursor() as cursor:
        cursor.execute(FACTS, [[item.pk for item in shown]])
        told = {pk: rest for pk, *rest in cursor.fetchall()}
    now = timezone.now()
    since = max(min((item.first_seen_at for item in shown), default=now), now - timedelta(days=DAYS))
    drawn = []
    for item in shown:
        suspect, holders, times = told[item.pk]
        drawn.append(Card(item, suspect, holders or [], _sparks(times or [], since, now)))
    return drawn, len(rows) > PAGE


def _sparks(times: Sequence[datetime], since: datetime, now: datetime) -> list[Spark]:
    width = (now - since) / BARS or timedelta(seconds=1)
    counts = Counter(min(BARS - 1, int((at - since) / width)) for at in times if at >= since)
    return sparks([counts[place] for place in range(BARS)])


Select = tuple[str, Any, list[tuple[str, Any]], str]


def selects(user: access.Who, filters: Filters, names: list[str]) -> list[Select]:
    """Return what can be chosen: name, title, values with their names, and the value that is chosen.

    Services and types are those of what waits.
    """
    waits = access.visible(user, Item.objects.filter(undecided()))
    pairs = list(waits.order_by().values_list("service", "type").distinct()[:CHOICES])
    types = {kind for _service, kind in pairs if kind}
    services = sorted({service for service, _type in pairs if service})
    every: list[tuple[str, Any, list[tuple[str, Any]]]] = [
        ("project", _("project"), [(name, name) for name in names] if len(names) > 1 else []),
        ("service", _("service"), [(name, name) for name in services]),
        ("severity", _("severity"), [(name, SEVERITIES[name]) for name in reversed(taxonomy.SEVERITIES)]),
        ("type", _("type"), sorted(((kind, named(kind)) for kind in types), key=lambda pair: pair[1])),
        ("kind", _("asked because"), list(Item.Kind.choices)),
        ("owner", _("owner"), [("me", _("me")), ("nobody", _("nobody"))]),
        ("mentions", _("comments"), [("me", _("mention me"))]),
    ]
    return [(name, title, found, getattr(filters, name)) for name, title, found in every if found]


def waiting(request: HttpRequest) -> Counter[str]:
    """Return how many items wait for whoever asks, by state (open, disputed), MOST + 1 at most; asked once a request.

    Only of projects where they may judge.
    """
    found: Counter[str] | None = getattr(request, "_review_waiting", None)
    if found is None:
        user = access.person(request)
        mine = reviewable(request).order_by()
        judge, settle = (
            each.values_list("state", flat=True)[: MOST + 1]
            for each in (queue.for_user(user, mine), queue.to_settle(user, mine))
        )
        found = Counter(judge.union(settle, all=True))
        request._review_waiting = found  # type: ignore[attr-defined]
    return found


def projects(request: HttpRequest) -> list[str]:
    """Return the slugs of the projects where whoever asks may judge; asked once a request."""
    found: list[str] | None = getattr(request, "_review_projects", None)
    if found is None:
        mine = access.visible(access.person(request), Project.objects.order_by("slug"), "slug", Role.REVIEWER)
        found = list(mine.values_list("slug", flat=True))
        request._review_projects = found  # type: ignore[attr-defined]
    return found


def reviewable(request: HttpRequest) -> QuerySet[Item]:
    """Return the items of projects where whoever asks may judge.

    Their names, and no condition on memberships: of a single project the index then gives the first in order.
    """
    return Item.objects.filter(project__in=projects(request))


def capped(count: int) -> str:
    """Return a number that was counted to MOST + 1, as people read it."""
    return f"{MOST}+" if count > MOST else str(count)


def undecided() -> Q:
    """Return the condition on items that people still have to decide on."""
    return Q(state__in=[Item.State.OPEN, Item.State.DISPUTED], merged_into=None)
