"""Who looks at what next: items in the order of what a verdict teaches, each held by as many as may still judge it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from django.db import transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext

from analysis.models import Item, Lease, ReviewPolicy, Verdict
from duolog import access
from duolog.models import Role
from logs.engine import taxonomy
from logs.models import Project
from workers.jobs import Conflict

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

HELD = timedelta(minutes=15)
"""How long an item is held without a sign of life; a page that is looked at gives one a minute."""
GRAVITY = Case(*(When(severity=name, then=rank) for rank, name in enumerate(taxonomy.SEVERITIES)), default=-1)
ORDERS: dict[str, tuple[Any, ...]] = {
    "teaching": ("-priority", "-id"),
    "newest": ("-last_seen_at", "-id"),
    "gravest": (GRAVITY.desc(), "-priority", "-id"),
}
"""Ways to order a queue: by what a verdict teaches, by when it was last seen, by severity."""
SAID = Verdict.objects.filter(item=OuterRef("pk"), round=OuterRef("round"), undone_at=None)
"""The verdicts on an item that count, for queries on items."""
Order = Literal["teaching", "newest", "gravest"]


def policy(project: str) -> ReviewPolicy:
    """Return how a project reviews."""
    return ReviewPolicy.objects.filter(pk=project).first() or ReviewPolicy(project=project)


def counted(items: QuerySet[Item]) -> QuerySet[Any]:
    """Annotate items with the verdicts that they were `given` in this round, and the `reviewers` that they want."""
    wanted = ReviewPolicy.objects.filter(project=OuterRef("project")).values("reviewers")
    return items.annotate(
        given=Coalesce(Subquery(_count(SAID)), 0), reviewers=Coalesce(Subquery(wanted), ReviewPolicy().reviewers)
    )


def for_user(user: AbstractBaseUser, items: QuerySet[Item]) -> QuerySet[Any]:
    """Narrow items to those that the user may still judge: open ones that have too few verdicts, and none of theirs.

    Others may hold an item as long as there is a verdict left for this user to give.
    """
    held = Lease.objects.filter(item=OuterRef("pk"), until__gt=timezone.now()).exclude(user=user.pk)
    free = counted(items.filter(state=Item.State.OPEN, merged_into=None)).exclude(Exists(SAID.filter(user=user.pk)))
    return free.alias(held=Coalesce(Subquery(_count(held)), 0)).filter(given__lt=F("reviewers") - F("held"))


def to_settle(user: AbstractBaseUser, items: QuerySet[Item]) -> QuerySet[Item]:
    """Narrow items to the disputed ones that the user may settle: nobody else holds them, and no verdict is theirs.

    Owners may settle a dispute of their own, as `analysis.review.judge` has it.
    """
    held = Lease.objects.filter(item=OuterRef("pk"), until__gt=timezone.now()).exclude(user=user.pk)
    owned = access.visible(user, Project.objects.all(), "slug", Role.OWNER).values("slug")
    disputed = items.filter(state=Item.State.DISPUTED, merged_into=None)
    return disputed.filter(~Exists(SAID.filter(user=user.pk)) | Q(project__in=owned)).exclude(Exists(held))


def claim(
    *, user: AbstractBaseUser, items: QuerySet[Item], order: Order = "teaching", settle: bool = False
) -> Item | None:
    """Return the next of these items for a reviewer, and hold it for them; None where there is none.

    One that they hold already comes first. Of the others a share are controls (`ReviewPolicy.control_share`). With
    `settle` it is one of those that others dispute.
    """
    with transaction.atomic():
        free = to_settle(user, items) if settle else for_user(user, items)
        mine = free.filter(leases__user=user.pk, leases__until__gt=timezone.now())
        found = mine.order_by("leases__id").first() or _next(free, order)
        return hold(user=user, item=found) if found else None


@transaction.atomic
def hold(*, user: AbstractBaseUser, item: Item) -> Item:
    """Hold an item, or go on holding it; raise Conflict where others hold it and no verdict is left to give."""
    # The race: two reviewers ask for the last verdict that an item lacks. Its row makes the second one wait and see.
    locked = Item.objects.select_for_update(no_key=True).get(pk=item.pk)
    free = {Item.State.OPEN: for_user, Item.State.DISPUTED: to_settle}.get(Item.State(locked.state))
    if free and not free(user, Item.objects.filter(pk=locked.pk)).exists():
        if Verdict.objects.filter(item=locked, round=locked.round, user=user.pk, undone_at=None).exists():
            raise Conflict(gettext("you have judged %(item)s already") % {"item": locked})
        raise Conflict(gettext("somebody else is reviewing %(item)s") % {"item": locked})
    Lease.objects.update_or_create(item=locked, user_id=user.pk, defaults={"until": timezone.now() + HELD})
    return locked


def release(*, user: AbstractBaseUser, item: Item) -> None:
    """Let go of an item."""
    Lease.objects.filter(user=user.pk, item=item).delete()


def keep_draft(*, user: AbstractBaseUser, item: Item, draft: dict[str, Any]) -> None:
    """Keep what a reviewer has noted down so far, and the item for them."""
    hold(user=user, item=item)
    Lease.objects.filter(user=user.pk, item=item).update(draft=draft)


def forget_leases() -> int:
    """Delete leases that ended a day ago, drafts and all; a chore of the sweeper."""
    return Lease.objects.filter(until__lt=timezone.now() - timedelta(days=1)).delete()[0]


def _next(free: QuerySet[Item], order: Order) -> Item | None:
    # Skipped are rows that somebody claims at this moment: they are theirs.
    rows = free.select_for_update(no_key=True, skip_locked=True, of=("self",)).order_by(*ORDERS[order])
    controls, others = rows.filter(kind=Item.Kind.CONTROL), rows.exclude(kind=Item.Kind.CONTROL)
    first = others.first()
    if first and random.random() >= policy(first.project).control_share:
        return first
    return controls.first() or first


def _count(rows: QuerySet[Any]) -> QuerySet[Any, Any]:
    return rows.order_by().values("item").annotate(n=Count("pk")).values("n")
