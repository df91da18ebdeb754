"""Verdicts: what people say about items, when that is enough, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from analysis import agreement, alerts, grouping, queue
from analysis.engine.schema import NORMAL
from analysis.models import Comment, Event, Finding, Item, Lease, Verdict
from analysis.states import STATES, UNDECIDED
from analysis.timeline import record
from duolog import access
from duolog.models import Role
from logs.models import Label, Sequence
from workers.jobs import Conflict, JobFailed

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

UNDO = timedelta(hours=24)
"""How long one may take back what one said; later an item is opened again instead."""
LABEL = f"""
    INSERT INTO {Label._meta.db_table} (sequence_id, value, type, source, user_id, confidence, statement)
    SELECT sequence, %(value)s, %(type)s, '{Label.Source.REVIEW}', %(user)s, %(confidence)s, %(statement)s
    FROM (SELECT sequence_id FROM {Finding._meta.db_table} WHERE item_id = %(item)s UNION SELECT %(sequence)s)
      AS judged (sequence) ORDER BY sequence
"""  # noqa: S608 - names of tables


@dataclass(frozen=True, slots=True)
class Said:
    """What a reviewer says: normal, or anomalous and of which `type`; `lines` (0-based) bear it out."""

    anomalous: bool
    type: str = ""
    lines: tuple[int, ...] = ()
    note: str = ""
    seconds: float | None = None


# --- saying -----------------------------------------------------------------------------------------------------


@transaction.atomic
def judge(*, user: AbstractBaseUser, item: Item, said: Said, seen: int | None = None) -> Item:
    """Keep a reviewer's verdict on an item, or an adjudicator's on a disputed one; settle it where that is enough.

    `seen` is the round of the item that the reviewer saw. Raises Conflict where it is not to be judged any more, or not
    by them, and JobFailed for what makes no sense.
    """
    held = _held(item)
    unchanged(held, seen)
    _check(said, held)
    adjudication = held.state == Item.State.DISPUTED
    verdicts = list(counting(held))
    _may_judge(user, held, verdicts, adjudication)
    final = Verdict.objects.create(
        item=held, round=held.round, user_id=user.pk, adjudication=adjudication,
        anomalous=said.anomalous, type=said.type, lines=sorted(set(said.lines)), note=said.note, seconds=said.seconds,
    )  # fmt: skip
    verdicts.append(final)
    queue.release(user=user, item=held)
    record([held], Event.Action.JUDGED, user=user)
    if adjudication or len(verdicts) >= queue.policy(held.project).reviewers:
        if adjudication or len({each.says for each in verdicts}) == 1:
            _settle(held, verdicts)
        else:
            _move(held, Item.State.DISPUTED)
            record([held], Event.Action.DISPUTED)
    return held


@transaction.atomic
def undo(*, user: AbstractBaseUser, project: str) -> Item:
    """Take back the last that a reviewer said in a project, with the labels it gave; return its item, held for them.

    Raises JobFailed where there is nothing to take back, or others have built upon it.
    """
    mine = Verdict.objects.filter(user=user.pk, item__project=project, undone_at=None)
    mine = mine.filter(round=F("item__round"), created_at__gt=timezone.now() - UNDO)
    last = mine.order_by("-id").first()
    if last is None:
        raise JobFailed(gettext("there is nothing to take back"))
    held = _held(last.item)
    newest = counting(held).order_by("-id").first()
    if newest != last:
        raise Conflict(gettext("%(item)s has been judged by others since: open it again instead") % {"item": held})
    if held.state == Item.State.MUTED or held.merged_into_id:
        raise Conflict(_changed(held))
    Verdict.objects.filter(pk=last.pk).update(undone_at=timezone.now())
    _withdraw(held)
    _move(held, Item.State.DISPUTED if last.adjudication else Item.State.OPEN)
    alerts.notify([held])
    record([held], Event.Action.UNDONE, user=user)
    draft = {"anomalous": last.anomalous, "type": last.type, "lines": last.lines, "note": last.note}
    Lease.objects.update_or_create(
        item=held, user_id=user.pk, defaults={"until": timezone.now() + queue.HELD, "draft": draft}
    )
    return held


@transaction.atomic
def reopen(*, user: AbstractBaseUser, item: Item) -> Item:
    """Ask about a decided item again: its labels are withdrawn, and the verdicts on it are history."""
    held = _held(item)
    if held.merged_into_id:
        raise Conflict(_changed(held))
    if held.state in UNDECIDED:
        return held
    if held.state == Item.State.MUTED:
        raise Conflict(
            gettext("%(item)s is muted: end the mute rule “%(rule)s”") % {"item": held, "rule": held.muted_by}
        )
    _withdraw(held)
    held.round += 1
    _move(held, Item.State.OPEN)
    alerts.notify([held])
    record([held], Event.Action.REOPENED, user=user)
    return held


@transaction.atomic
def decide(*, user: AbstractBaseUser, finding: Finding, state: Finding.State) -> Finding:
    """Confirm, dismiss or reopen the item of a finding, as a verdict on all that say the same; return the finding.

    Who decides otherwise than was decided opens it again first.
    """
    item = finding.item or _gathered(finding)
    if state == Finding.State.MUTED:
        raise JobFailed(gettext("findings are muted by rules"))
    if state != finding.state:
        if item.state not in UNDECIDED:
            item = reopen(user=user, item=item)
        if state != Finding.State.OPEN:
            anomalous = state == Finding.State.CONFIRMED
            judge(user=user, item=item, said=Said(anomalous, item.type if anomalous else ""))
    finding.refresh_from_db()
    return finding


def unchanged(item: Item, seen: int | None) -> None:
    """Raise Conflict where an item is decided, merged, or not in the round that somebody saw (None: any)."""
    undecided = item.state in UNDECIDED and not item.merged_into_id
    if not undecided or seen not in (None, item.round):
        raise Conflict(_changed(item))


# --- what others see --------------------------------------------------------------------------------------------


def counting(item: Item) -> QuerySet[Verdict]:
    """Return the verdicts that count: those of this round that nobody took back, the oldest first."""
    return Verdict.objects.filter(item=item, round=item.round, undone_at=None).select_related("user").order_by("id")


def shown(item: Item, user: AbstractBaseUser) -> QuerySet[Verdict]:
    """Return the verdicts that somebody may see: while an item is open their own, so that all judge it blind."""
    found = counting(item)
    return found.filter(user=user.pk) if item.state == Item.State.OPEN else found


def remarks(item: Item, user: AbstractBaseUser) -> QuerySet[Comment]:
    """Return the comments that somebody may see: their own while an item is open and several are to judge it blind."""
    found = Comment.objects.filter(item=item).select_related("user").order_by("id")
    return found.filter(user=user.pk) if blind(item) else found


def blind(item: Item) -> bool:
    """Tell whether those who judge an item must not see what the others say about it."""
    return item.state == Item.State.OPEN and queue.policy(item.project).reviewers > 1


# --- the rest ---------------------------------------------------------------------------------------------------


@transaction.atomic
def assign(*, user: AbstractBaseUser, item: Item, owner: AbstractBaseUser | None) -> None:
    """Make somebody the owner of an item (None: nobody); raise JobFailed for one who may not review it."""
    held = _held(item)
    if owner is not None and not access.may(owner, Role.REVIEWER, held.project):
        told = {"name": owner.get_username(), "project": held.project}
        raise JobFailed(gettext("%(name)s is no reviewer of project %(project)s") % told)
    Item.objects.filter(pk=held.pk).update(owner=owner.pk if owner else None)
    record([held], Event.Action.ASSIGNED, user=user, owner=owner.get_username() if owner else "")


@transaction.atomic
def comment(*, user: AbstractBaseUser, item: Item, text: str) -> Comment:
    """Keep a remark on an item; members of its project whose @name stands in it find it among their mentions."""
    made = Comment.objects.create(item=item, user_id=user.pk, text=text)
    made.mentions.set(mentioned(text, item.project))
    return made


def mentioned(text: str, project: str) -> list[int]:
    """Return the numbers of the members of a project whose @name stands in a text."""
    # A name ends where none could go on: Chinese puts no space behind it.
    members = access.members(project).values_list("pk", "username") if "@" in text else []
    return [pk for pk, name in members if re.search(rf"@{re.escape(name)}(?![A-Za-z0-9_@+-])", text)]


@transaction.atomic
def merge(*, user: AbstractBaseUser, items: Iterable[Item], into: Item) -> Item:
    """Make several open items one: all their findings are those of `into` from now on; raise JobFailed if they cannot.

    Verdicts stay with the items they were given on, and count no more.
    """
    numbers = {item.pk for item in items} - {into.pk}
    every = Item.objects.select_for_update(no_key=True).filter(pk__in={*numbers, into.pk}).order_by("pk").in_bulk()
    target = every[into.pk]
    sources = [every[number] for number in sorted(numbers)]
    for each in every.values():
        if each.project != target.project or each.kind != Item.Kind.FINDINGS or each.merged_into_id:
            raise JobFailed(gettext("%(item)s cannot be merged into %(into)s") % {"item": each, "into": target})
        if each.state not in UNDECIDED:
            raise Conflict(_changed(each))
    Finding.objects.filter(item__in=numbers).update(item=target)
    Item.objects.filter(Q(pk__in=numbers) | Q(merged_into__in=numbers)).update(merged_into=target)
    Lease.objects.filter(item__in=numbers).delete()
    target.findings_count += sum(each.findings_count for each in sources)
    target.first_seen_at = min(each.first_seen_at for each in every.values())
    target.last_seen_at = max(each.last_seen_at for each in every.values())
    target.save(update_fields=["findings_count", "first_seen_at", "last_seen_at"])
    alerts.resolve(sources)
    record(sources, Event.Action.MERGED, user=user, into=target.pk)
    record([target], Event.Action.MERGED, user=user, merged=sorted(numbers))
    return target


# --- helpers ----------------------------------------------------------------------------------------------------


def _gathered(finding: Finding) -> Item:
    """Return the item of a finding that was opened before there were items."""
    with connection.cursor() as cursor:
        cursor.execute(grouping.TURN)
    grouping.gather()
    finding.refresh_from_db()
    assert finding.item is not None  # noqa: S101 - for the type checker
    return finding.item


def _held(item: Item) -> Item:
    # The race: two verdicts on an item at once, each the first that it sees. The row makes the second one wait.
    return Item.objects.select_for_update(no_key=True).get(pk=item.pk)


def _check(said: Said, item: Item) -> None:
    if said.type and (not said.anomalous or said.type == NORMAL):
        raise JobFailed(gettext("what is normal has no type, and “%(type)s” is none") % {"type": NORMAL})
    if said.lines:
        length = Sequence.objects.values_list("length", flat=True).get(pk=item.sequence_id)
        if not 0 <= min(said.lines) <= max(said.lines) < length:
            raise JobFailed(gettext("the sequence has the lines 1 to %(last)d") % {"last": length})


def _may_judge(user: AbstractBaseUser, item: Item, said: list[Verdict], adjudication: bool) -> None:
    if not any(each.user_id == user.pk for each in said):
        return
    if not adjudication:
        raise Conflict(gettext("you have judged %(item)s already") % {"item": item})
    if not access.may(user, Role.OWNER, item.project):
        text = gettext("you are one of those who disagree on %(item)s: somebody else has to decide")
        raise Conflict(text % {"item": item})
    # An owner may settle a dispute of their own: else a team of two has nobody who could.
    Verdict.objects.filter(pk__in=[each.pk for each in said if each.user_id == user.pk]).update(
        undone_at=timezone.now()
    )


def _settle(item: Item, verdicts: list[Verdict]) -> None:
    """Decide as the last verdict says: the others agree with it, or it is an adjudication."""
    final = verdicts[-1]
    item.statement, item.settled_at, item.type = uuid4(), timezone.now(), final.type
    _move(item, Item.State.CONFIRMED if final.anomalous else Item.State.DISMISSED)
    alerts.resolve([item])
    with connection.cursor() as cursor:
        told: dict[str, Any] = {
            "value": int(final.anomalous), "type": final.type, "user": final.user_id,
            "confidence": agreement.confidence(item=item, verdicts=verdicts),
            "statement": item.statement, "item": item.pk, "sequence": item.sequence_id,
        }  # fmt: skip
        cursor.execute(LABEL, told)
        record([item], Event.Action.SETTLED, labels=cursor.rowcount, anomalous=final.anomalous, type=final.type)


def _withdraw(item: Item) -> None:
    if item.statement:
        Label.objects.filter(statement=item.statement).delete()
    item.statement = item.settled_at = None


def _move(item: Item, state: Item.State) -> None:
    """Store an item in another state, and its findings with it."""
    item.state = state
    item.save(update_fields=["state", "round", "type", "statement", "settled_at"])
    try:
        with transaction.atomic():
            Finding.objects.filter(item=item).exclude(state=STATES[state]).update(state=STATES[state])
    except IntegrityError as error:
        raise Conflict(
            gettext("a newer scan found a sequence of %(item)s again: judge that") % {"item": item}
        ) from error
    if state != Item.State.OPEN:
        Lease.objects.filter(item=item).delete()


def _changed(item: Item) -> str:
    if item.merged_into_id:
        return gettext("%(item)s was merged into #%(other)d") % {"item": item, "other": item.merged_into_id}
    told = {"item": item, "state": item.get_state_display()}
    return gettext("%(item)s has changed since you opened it: it is %(state)s now") % told
