"""Which items a mute rule matches, and what it would have hidden."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from analysis.engine import muting
from analysis.engine.muting import Conditions, Sums
from analysis.models import Finding, Item, MuteRule
from detection.models import Score
from logs import templates
from logs.models import Sequence, Template

DAYS = 90
"""How far to look back."""
LINKS = 10
"""Confirmed items that are named."""
FETCH, FILL = 500, 200
"""Sequences that are read at once, and that get templates in one transaction."""

FINDING, ITEM, SCORE = (model._meta.db_table for model in (Finding, Item, Score))
PER_DAY = f"""
    SELECT (finding.created_at AT TIME ZONE 'UTC')::date, count(*), sum(score.value), sum(score.value ^ 2)
    FROM {FINDING} finding JOIN {SCORE} score ON score.id = finding.score_id
    WHERE finding.item_id = ANY(%s) AND finding.created_at >= %s GROUP BY 1 ORDER BY 1
"""  # noqa: S608 - names of tables
STATES = f"""
    SELECT item.id, CASE WHEN item.state = '{Item.State.CONFIRMED}' OR EXISTS (
               SELECT FROM {FINDING} WHERE item_id = item.id AND state = '{Finding.State.CONFIRMED}'
           ) THEN '{Item.State.CONFIRMED}' ELSE item.state END
    FROM {ITEM} item WHERE item.id = ANY(%s) ORDER BY item.id DESC
"""  # noqa: S608 - names of tables and states


@dataclass(frozen=True, slots=True)
class BackTest:
    """What a rule would have hidden in the last `days`: items by their state, findings by their day (UTC).

    `confirmed` are items of which somebody confirmed a finding, whatever became of them later; the newest of them are
    `links`. `observed` are the days since the project's first finding, at most `days`; the rate is one on these.
    """

    days: int
    observed: float
    items: int
    findings: int
    confirmed: int
    dismissed: int
    open: int
    muted: int
    links: list[int]
    per_day: list[int]
    until: date
    scores: Sums

    @property
    def rate(self) -> float:
        """Findings a day."""
        return self.findings / self.observed

    @property
    def busiest(self) -> int:
        """Findings of the day that had most."""
        return max(self.per_day)

    def as_json(self) -> dict[str, Any]:
        """Return it as `MuteRule.back_test` keeps it."""
        return asdict(self) | {"until": self.until.isoformat(), "busiest": self.busiest, "rate": self.rate}


def back_test(rule: MuteRule, *, days: int = DAYS) -> BackTest:
    """Return what a rule, saved or not, would have hidden if it had held for the last `days`."""
    until = datetime.now(UTC)
    since = until - timedelta(days=days)
    first = Finding.objects.filter(project=rule.project).order_by("pk").values_list("created_at", flat=True).first()
    found = Finding.objects.filter(item=OuterRef("pk"), created_at__gte=since)
    items = list(matching(rule, Item.objects.filter(Exists(found))))
    with connection.cursor() as cursor:
        cursor.execute(PER_DAY, [items, since])
        counted = {day: (count, total, squares) for day, count, total, squares in cursor}
        cursor.execute(STATES, [items])
        states = dict(cursor.fetchall())
    by_state = list(states.values())
    confirmed = [pk for pk, state in states.items() if state == Item.State.CONFIRMED]
    sums = [sum(column) for column in zip(*counted.values(), strict=True)] or [0, 0.0, 0.0]
    dates = [until.date() - timedelta(days=back) for back in range(days, -1, -1)]
    return BackTest(
        days=days,
        observed=max(1.0, (until - max(since, first or since)) / timedelta(days=1)),
        items=len(items),
        findings=sums[0],
        confirmed=len(confirmed),
        dismissed=by_state.count(Item.State.DISMISSED),
        open=by_state.count(Item.State.OPEN) + by_state.count(Item.State.DISPUTED),
        muted=by_state.count(Item.State.MUTED),
        links=confirmed[:LINKS],
        per_day=[counted[day][0] if day in counted else 0 for day in dates],
        until=until.date(),
        scores=Sums(*sums),
    )


# --- matching ---------------------------------------------------------------------------------------------------


def matching(rule: MuteRule, items: QuerySet[Item]) -> Iterator[int]:
    """Yield the primary keys of the items of findings, of those given, that a rule of their project matches.

    Service, type and template are looked up by the database; lines are read for an expression only, and only of what
    is left then.
    """
    found = items.filter(project=rule.project, kind=Item.Kind.FINDINGS, merged_into=None)
    found = found.filter(service=rule.service) if rule.service else found
    found = found.filter(type=rule.type) if rule.type else found
    (conditions,) = conditions_of([rule])
    if rule.template:
        lacking = found.filter(sequence__templates=None).values_list("sequence", flat=True)
        _fill(rule.template.project_id, list(lacking.order_by("sequence")))
        found = found.filter(sequence__templates__overlap=sorted(conditions.templates or ()))
    if not rule.expression:
        yield from found.values_list("pk", flat=True).order_by("pk").iterator()
        return
    for pk, lines in found.values_list("pk", "sequence__entries").order_by("pk").iterator(FETCH):
        if muting.matches(rule.expression, lines):
            yield pk


def conditions_of(rules: Iterable[MuteRule]) -> list[Conditions]:
    """Return what rules name, in order, for `analysis.engine.muting`: a template with all that was merged into it."""
    wanted = list(rules)
    bases = [(rule.template.merged_into_id or rule.template.pk) if rule.template else None for rule in wanted]
    numbers: dict[int, set[int]] = {base: set() for base in bases if base}
    if numbers:
        rows = Template.objects.filter(Q(pk__in=numbers) | Q(merged_into__in=numbers))
        for pk, into, number in rows.values_list("pk", "merged_into", "number"):
            numbers[into or pk].add(number)
    return [
        Conditions(rule.service, rule.type, frozenset(numbers[base]) if base else None, rule.expression)
        for rule, base in zip(wanted, bases, strict=True)
    ]


def _fill(project: int, sequences: list[int]) -> None:
    """Give sequences the numbers of their templates, some at a time: whoever writes templates holds a lock."""
    for start in range(0, len(sequences), FILL):
        some = Sequence.objects.filter(pk__in=sequences[start : start + FILL])
        templates.store_numbers(project, some.only("entries", "templates"))
