"""Mute rules: made after a back-test, applied to items as they come, ended when their time is over or they drift.

Whoever makes items or gives them another type calls `apply` in the same transaction, and `seen` for findings that
joined a muted item.

The race: a rule is made (or ends) while items are made. Their transaction does not see the rule, which is not
committed, and the rule's does not see the items: such an item would stay open, or be hidden for good by a rule that has
ended. So `apply` holds an advisory lock of the project, shared, from before it reads the rules to the end of its
transaction, and a change of the rules is first committed, then waits for whoever holds that lock (`_wait`), and then
looks once more for items that it missed: those who had read the old rules have committed, all others read the new ones.
It waits without a lock of its own and takes rows that are free before, one at a time after, so it stops nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext, ngettext

from analysis import alerts, backtest
from analysis.backtest import BackTest
from analysis.engine import muting
from analysis.engine.muting import Facts, Sums
from analysis.models import Event, Finding, Item, MuteDay, MuteRule
from analysis.states import follow
from detection.models import Score
from duolog.plugins.types import Reason
from logs import reasons, templates
from logs.engine.user_patterns import checked
from workers import streams
from workers.jobs import JobFailed

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_DAYS = 365
"""A rule holds for so long at most."""
MOST_RULES = 200
"""Rules of a project that hold at once: each is tried on every new item."""
BATCH = 500
"""Items that are changed in one transaction."""

LOOK_BACK = timedelta(days=1)
"""Rules made since then are applied again by the sweeper: whoever made them may have died before they were done."""

FINDING, ITEM, SCORE = (model._meta.db_table for model in (Finding, Item, Score))
# A finding counts on the day on which it was opened: what a rule hides of the days before it was made is no flood.
HIDDEN = f"""
    SELECT item.muted_by_id, (finding.created_at AT TIME ZONE 'UTC')::date, count(*), sum(score.value),
           sum(score.value ^ 2)
    FROM {FINDING} finding JOIN {ITEM} item ON item.id = finding.item_id
    JOIN {SCORE} score ON score.id = finding.score_id
    WHERE item.muted_by_id IS NOT NULL AND item.state = '{Item.State.MUTED}'
      AND finding.state = '{Finding.State.MUTED}' AND finding.{{column}} = ANY(%s)
    GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - names of tables and states
ADD = f"""
    INSERT INTO {MuteDay._meta.db_table} AS known (rule_id, day, findings, score, squares) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (rule_id, day) DO UPDATE SET findings = known.findings + excluded.findings,
        score = known.score + excluded.score, squares = known.squares + excluded.squares
"""  # noqa: S608 - the name of a table
LOCK = "hashtext('analysis_muting'), hashtext(%s)"


# --- items ------------------------------------------------------------------------------------------------------


def apply(items: Iterable[Item]) -> list[Item]:
    """Bring items in step with the rules that hold, in the caller's transaction, and return those that are muted now.

    Call it when items are new, open again, or have got another type: an open item that a rule matches is muted, a muted
    one that none matches any more is open. The items given are told so.
    """
    given: dict[str, dict[int, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        given[item.project][item.pk].append(item)
    muted = []
    for project in sorted(given):
        for row in _settle(project, sorted(given[project])):
            muted += [row] * (row.state == Item.State.MUTED)
            for item in given[project][row.pk]:
                item.state, item.muted_by = row.state, row.muted_by
    return muted


def seen(findings: Iterable[int]) -> None:
    """Count findings, by their numbers, that joined muted items, in the caller's transaction.

    Call it when the items are of their newest sequence: one that its rule no longer matches, since an expression may
    speak of what varies, is open again. Where much more is hidden than the rule was made for, it ends once the caller
    has committed.
    """
    wanted = list(findings)
    apply(Item.objects.filter(findings__in=wanted, state=Item.State.MUTED).distinct())
    _count("id", wanted)


def _settle(
    project: str, items: Iterable[int], *, user: User | None = None, free: bool = False, details: Any = None
) -> list[Item]:
    """Mute open items that a rule matches, open muted ones that none does; return those that changed, locked.

    `free`: leave those alone that somebody else has locked. `details` tell why what is opened is.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock_shared({LOCK})", [project])
    rules = list(living(project))
    rows = Item.objects.select_for_update(no_key=True, skip_locked=free, of=("self",)).select_related("muted_by")
    rows = rows.filter(pk__in=list(items), kind=Item.Kind.FINDINGS, state__in=[Item.State.OPEN, Item.State.MUTED])
    if not rules:  # as in most projects
        rows = rows.filter(state=Item.State.MUTED)
    changed, events = defaultdict(list), []
    for row, rule in _matched(rows.order_by("pk"), rules):
        hides = row.muted_by if row.state == Item.State.MUTED else None
        if rule == hides and (rule or row.state == Item.State.OPEN):
            continue
        why = details or {"why": "unlike" if row.muted_by in rules else MuteRule.Why.EXPIRED}
        told = {"rule": rule.pk} if rule else {"rule": row.muted_by_id, **why}
        action = Event.Action.MUTED if rule else Event.Action.UNMUTED
        events.append(Event(project=project, item=row, action=action, user=user, details=told))
        row.state, row.muted_by = (Item.State.MUTED, rule) if rule else (Item.State.OPEN, None)
        changed[row.muted_by].append(row)
    for rule, of_rule in changed.items():
        state = Item.State.MUTED if rule else Item.State.OPEN
        Item.objects.filter(pk__in=[row.pk for row in of_rule]).update(state=state, muted_by=rule)
        follow(of_rule, state)
        (alerts.resolve if rule else alerts.notify)(of_rule)
    Event.objects.bulk_create(events)
    _count("item_id", [row.pk for rule, of_rule in changed.items() if rule for row in of_rule])
    return [row for of_rule in changed.values() for row in of_rule]


def _matched(items: QuerySet[Item], rules: Sequence[MuteRule]) -> Iterator[tuple[Item, MuteRule | None]]:
    """Yield each item with the oldest of the rules that matches it; lines are read where some rule asks for them."""
    pairs = list(zip(rules, backtest.conditions_of(rules), strict=True))
    reads = any(rule.template or rule.expression for rule in rules)
    rows = list(items.select_related("muted_by", "sequence") if reads else items)
    for project in {rule.template.project_id for rule in rules if rule.template}:
        templates.store_numbers(project, [row.sequence for row in rows])
    for row in rows:
        lines = (row.sequence.templates or (), row.sequence.entries) if reads else ()
        facts = Facts(row.service, row.type, *lines)
        yield row, next((rule for rule, conditions in pairs if muting.holds(conditions, facts)), None)


def living(project: str) -> QuerySet[MuteRule]:
    """Return the rules of a project that hold, the oldest first."""
    rules = MuteRule.objects.filter(project=project, ended_at=None, expires_at__gt=Now())
    return rules.select_related("template__project").order_by("pk")


def _count(column: str, values: list[int]) -> None:
    """Count findings that are hidden; once that is committed, see whether their rules still do what they were for."""
    with connection.cursor() as cursor:
        cursor.execute(HIDDEN.format(column=column), [values])
        for rule, days in groupby(cursor.fetchall(), key=itemgetter(0)):
            rows = list(days)
            # The rule's row first: who has it may add to its days, and all take rules in the same order.
            MuteRule.objects.filter(pk=rule).update(hidden=F("hidden") + sum(row[2] for row in rows))
            cursor.executemany(ADD, rows)
            transaction.on_commit(partial(end_if_drifted, rule), robust=True)


# --- rules ------------------------------------------------------------------------------------------------------


def check(rule: MuteRule) -> None:
    """Raise JobFailed, in the reader's language, if this is no rule."""
    if not (rule.template or rule.service or rule.type or rule.expression):
        raise JobFailed(gettext("A rule names a template, a service, a type or an expression, or several of them."))
    if rule.template and rule.template.project.slug != rule.project:
        raise JobFailed(gettext("This template belongs to another project."))
    try:
        if rule.expression:
            checked(rule.expression)
    except ValueError as error:
        reason = error.args[0]
        raise JobFailed(reasons.shown(reason) if isinstance(reason, Reason) else str(error)) from error


def back_test(rule: MuteRule) -> BackTest:
    """Return what a rule that is not saved would have hidden; raise JobFailed if it is none."""
    check(rule)
    return backtest.back_test(rule)


def create(rule: MuteRule, *, user: User, even_so: bool = False) -> MuteRule:
    """Save a rule after a back-test, mute what is open and matches, and return it.

    Raises JobFailed if it makes no sense, gives no reason, ends too late, or would have hidden confirmed incidents,
    unless it is wanted `even_so`. Not for a transaction of the caller's: it waits for others to commit.
    """
    rule.reason = rule.reason.strip()
    if not rule.reason:
        raise JobFailed(gettext("Say why: a rule needs a reason."))
    if not timedelta(0) < rule.expires_at - datetime.now(UTC) <= timedelta(days=MOST_DAYS):
        raise JobFailed(gettext("A rule expires in the future, within %(days)d days.") % {"days": MOST_DAYS})
    if living(rule.project).count() >= MOST_RULES:
        text = gettext("project %(project)s has %(most)d mute rules already, and no more are allowed")
        raise JobFailed(text % {"project": rule.project, "most": MOST_RULES})
    tested = back_test(rule)
    if tested.confirmed and not even_so:
        raise JobFailed(" ".join([warning(tested.confirmed), gettext("Say that you want it even so, or name more.")]))
    rule.back_test, rule.rate, rule.created_by = tested.as_json(), tested.rate, user
    with transaction.atomic():
        rule.save()
        figures = {name: rule.back_test[name] for name in ("items", "findings", "confirmed")}
        _tell(rule, MADE, user, reason=rule.reason, expires_at=rule.expires_at.isoformat(), **figures)
    _mute(rule, user)
    rule.refresh_from_db()
    return rule


def warning(confirmed: int) -> str:
    """Return what speaks against a rule that would have hidden so many confirmed items."""
    text = ngettext(
        "This rule would have hidden %(count)d confirmed incident.",
        "This rule would have hidden %(count)d confirmed incidents.",
        confirmed,
    )
    return text % {"count": confirmed}


def end(rule: MuteRule, *, user: User | None = None, why: str = MuteRule.Why.PERSON, **figures: Any) -> bool:
    """End a rule and open what it hides, unless another one hides it, too; return whether it held until now.

    `figures` tell in the record what spoke for it. Not for a transaction of the caller's, as `create`.
    """
    with transaction.atomic():
        # The race: two end it at once, a person and the sweeper, say. One of them finds it living.
        won = MuteRule.objects.filter(pk=rule.pk, ended_at=None).update(ended_at=Now(), ended_why=why)
        if won:
            _tell(rule, why, user, **figures)
    if won:
        _release(rule, user, **figures)
    rule.refresh_from_db()
    return bool(won)


def end_if_drifted(pk: int) -> bool:
    """End a rule that hides far more than on its busiest day before it was made, or what scores clearly worse."""
    rule = MuteRule.objects.filter(pk=pk, ended_at=None).first()
    if rule is None:
        return False
    busiest, before = rule.back_test["busiest"], Sums(**rule.back_test["scores"])
    for day in rule.days.filter(day__gte=datetime.now(UTC).date() - timedelta(days=1)):
        now = Sums(day.findings, day.score, day.squares)
        if muting.is_flood(day.findings, busiest):
            return end(rule, why=MuteRule.Why.DRIFT, day=day.day.isoformat(), findings=day.findings, busiest=busiest)
        if muting.is_worse(now, before):
            means = round(now.mean, 4), round(before.mean, 4)
            return end(rule, why=MuteRule.Why.DRIFT, day=day.day.isoformat(), score=means[0], score_before=means[1])
    return False


def tidy() -> int:
    """End rules whose time is over or that drift, finish what others began, and return how many rules ended."""
    ended = sum(end(rule, why=MuteRule.Why.EXPIRED) for rule in MuteRule.objects.filter(GONE))
    ended += sum(map(end_if_drifted, MuteRule.objects.filter(ended_at=None).values_list("pk", flat=True)))
    for rule in MuteRule.objects.filter(ended_at=None, created_at__gt=Now() - LOOK_BACK).select_related("template"):
        _mute(rule, rule.created_by)
    for rule in MuteRule.objects.filter(ended_at__isnull=False, items__state=Item.State.MUTED).distinct():
        _release(rule, None)
    return ended


GONE = Q(ended_at=None, expires_at__lte=Now())
MADE = "made"


def history(rule: MuteRule) -> QuerySet[Event]:
    """Return what was done to a rule, the newest first."""
    events = Event.objects.filter(project=rule.project, action=Event.Action.RULE, details__rule=rule.pk)
    return events.select_related("user")


def _tell(rule: MuteRule, did: str, user: User | None, **figures: Any) -> None:
    details = {"rule": rule.pk, "did": did, **figures}
    Event.objects.create(project=rule.project, action=Event.Action.RULE, user=user, details=details)


def _mute(rule: MuteRule, user: User | None) -> None:
    """Mute what is open and matches a rule that is committed."""
    _wait(rule.project)
    _in_step(rule, lambda: backtest.matching(rule, Item.objects.filter(state=Item.State.OPEN)), user)


def _release(rule: MuteRule, user: User | None, **figures: Any) -> None:
    """Open what a rule hides that has ended, and that is committed."""
    _wait(rule.project)
    hidden = Item.objects.filter(state=Item.State.MUTED, muted_by=rule).order_by("pk")
    details = {"why": MuteRule.objects.values_list("ended_why", flat=True).get(pk=rule.pk), **figures}
    _in_step(rule, lambda: hidden.values_list("pk", flat=True), user, details)


def _in_step(rule: MuteRule, find: Callable[[], Iterable[int]], user: User | None, details: Any = None) -> None:
    wanted = list(find())
    for start in range(0, len(wanted), BATCH):
        with transaction.atomic():
            _settle(rule.project, wanted[start : start + BATCH], user=user, free=True, details=details)
    for pk in list(find()):  # somebody had them locked; who waits for one row at a time waits for nobody crosswise
        with transaction.atomic():
            _settle(rule.project, [pk], user=user, details=details)


def _wait(project: str) -> None:
    """Wait until those have committed who may have read the rules before they changed."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock({LOCK})", [project])


streams.CHORES.append(tidy)
