"""Console: what the page of review shows of an item, to whom."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from analysis import queue, report_page, review
from analysis.models import Comment, Event, Finding, Item, Lease, Verdict
from analysis.tape import tape
from duolog import access
from duolog.models import Role
from duolog.pages import facts
from logs.engine import taxonomy
from logs.labels import named

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, User

KEYS = 9
"""Types that have a key of their own."""
RECENT, EVENTS, NAMES = 200, 30, 9
"""Verdicts that tell which types are usual here; things that happened; and people, that are shown."""
JUDGE, SETTLE, LOOK = "judge", "settle", "look"
"""What somebody may do about an item."""
ANSWERS = frozenset({"root_cause", "label", "type"})
"""What may come with a sequence and would tell the answer."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A verdict, and who is named as its author."""

    who: str
    verdict: Verdict

    @property
    def says(self) -> str:
        """The verdict in words."""
        if not self.verdict.anomalous:
            return gettext("normal")
        return named(self.verdict.type) or gettext("anomalous, of no type")

    @property
    def lines(self) -> list[int]:
        """The marked lines, from 1."""
        return [line + 1 for line in self.verdict.lines]


def fragment(user: User, item: Any, language: str = "") -> dict[str, Any]:
    """Return what is shown of an item, as `whole` reads it.

    While several judge it blind nobody sees what the others say. Whoever settles a dispute sees both sides, and not
    whose they are, in an order that says nothing: an argument should weigh, not a name or who was first. Owners make no
    exception. Once it is settled all stand by their names.
    """
    is_reviewer = access.may(user, Role.REVIEWER, item.project)
    finding = newest(item)
    called = names(item)
    mode, why = may_do(user, item, is_reviewer)
    noted: dict[str, Any] = {}
    if mode != LOOK:
        noted = Lease.objects.filter(item=item, user=user.pk).values_list("draft", flat=True).first() or {}
    usual = _usual(item)
    blame = item.score.blame if item.score else None
    shown = tape(item.sequence, blame)
    return {
        "item": item,
        "mode": mode,
        "why": why,
        "blind": item.state == Item.State.OPEN and item.reviewers > 1,
        "severity": report_page.SEVERITIES.get(item.severity, ""),
        "tape": shown,
        "start": min(noted["lines"]) + 1 if noted.get("lines") else shown.hottest,
        "marked": {line + 1 for line in noted.get("lines", ())},
        "noted": noted,
        "meta": facts({name: value for name, value in item.sequence.meta.items() if name not in ANSWERS}),
        "finding": finding,
        "row": finding,  # as the panel of reports calls it
        **(report_page.panel(finding, language) if finding else {}),
        "types": list(enumerate(_likely(item, usual, noted), start=1)),
        "opinions": opinions(item, user, called),
        "comments": comments(item, user, called),
        "events": _events(item, user),
        "is_engineer": access.may(user, Role.ENGINEER, item.project),
        "is_reviewer": is_reviewer,
        "mute": f"{reverse('admin:analysis_muterule_new')}?item={item.pk}",
    }


def newest(item: Item) -> Finding | None:
    """Return the finding that stands for an item: that of its score, or else the newest; None where it has none."""
    found = Finding.objects.filter(item=item)
    return found.filter(score=item.score_id).first() or found.order_by("-pk").first()


def may_do(user: User, item: Item, is_reviewer: bool) -> tuple[str, str]:
    """Return what somebody may do about an item, and where that is only to look, why."""
    if not is_reviewer:
        return LOOK, gettext("To judge it you need the role “reviewer”.")
    if item.merged_into_id:
        return LOOK, gettext("It was merged into #%(other)d.") % {"other": item.merged_into_id}
    this = Item.objects.filter(pk=item.pk)
    if item.state == Item.State.OPEN and queue.for_user(user, this).exists():
        return JUDGE, ""
    if item.state == Item.State.DISPUTED and queue.to_settle(user, this).exists():
        return SETTLE, ""
    if item.state not in (Item.State.OPEN, Item.State.DISPUTED):
        return LOOK, ""
    if review.counting(item).filter(user=user.pk).exists():
        if item.state == Item.State.DISPUTED:
            return LOOK, gettext("You are one of those who disagree: somebody else settles it.")
        return LOOK, gettext("You have judged it; others have not yet.")
    held = Lease.objects.filter(item=item, until__gt=timezone.now()).exclude(user=user.pk).select_related("user")
    who = ", ".join(each.user.get_username() for each in held[:NAMES])
    return LOOK, gettext("%(who)s is reviewing it.") % {"who": who} if who else gettext("It has all its verdicts.")


def opinions(item: Item, user: User, called: dict[int, str]) -> list[Opinion]:
    """Return the verdicts that somebody may see."""
    said = list(review.shown(item, user))
    if item.state == Item.State.DISPUTED:
        said.sort(key=lambda verdict: called[verdict.user_id])
    return [Opinion(_called(verdict.user, user, called), verdict) for verdict in said]


def comments(item: Item, user: User, called: dict[int, str]) -> list[tuple[str, Comment]]:
    """Return the comments that somebody may see, with who is named as their author."""
    return [(_called(each.user, user, called), each) for each in review.remarks(item, user)]


def names(item: Item) -> dict[int, str]:
    """Return what those who dispute an item are called while they do: A, B, in an order that only a hash knows."""
    if item.state != Item.State.DISPUTED:
        return {}
    said = review.counting(item).values_list("user", flat=True)
    mixed = sorted(said, key=lambda pk: blake2b(f"{item.pk} {item.round} {pk}".encode()).digest())
    return {pk: chr(ord("A") + place) for place, pk in enumerate(mixed)}


def types_of(item: Item) -> list[str]:
    """Return all types to choose from: those that Duolog knows, and those that were used here of late."""
    return list(dict.fromkeys([*_usual(item), *taxonomy.types()]))


def _called(author: AbstractBaseUser, user: AbstractBaseUser, called: dict[int, str]) -> str:
    return gettext("you") if author.pk == user.pk else called.get(author.pk, author.get_username())


def _usual(item: Item) -> list[str]:
    """Return the types that people said of late in the project, the most frequent first; not on this item."""
    said = Verdict.objects.filter(item__project=item.project, undone_at=None).exclude(item=item)
    recent = said.order_by("-id").values_list("type", flat=True)[:RECENT]
    return [name for name, _ in Counter(filter(None, recent)).most_common()]


def _likely(item: Item, usual: list[str], noted: dict[str, Any]) -> list[str]:
    """Return the types that get a key: what the report says, its kin, what is usual here; then what was chosen."""
    known = taxonomy.types()
    told = known.get(item.type)
    kin = [name for name, each in known.items() if told and each.category == told.category]
    undecided = item.state in (Item.State.OPEN, Item.State.DISPUTED)
    first = [item.type] if item.type and undecided else []
    mixed = dict.fromkeys([*first, *usual[:4], *kin, *usual, *known])
    found = list(mixed)[:KEYS]
    chosen = noted.get("type")
    return [*found, chosen] if chosen and chosen not in found else found


def _events(item: Item, user: AbstractBaseUser) -> list[dict[str, Any]]:
    """Return what happened, the newest first; while people are still to decide, not who judged."""
    hidden = {Event.Action.JUDGED, Event.Action.UNDONE}
    decided = item.state not in (Item.State.OPEN, Item.State.DISPUTED)
    rows = item.events.select_related("user").order_by("-id")[:EVENTS]
    return [
        {
            "at": event.at,
            "what": event.get_action_display(),
            "who": event.user.get_username()
            if event.user and (decided or event.action not in hidden or event.user_id == user.pk)
            else "",
        }
        for event in rows
    ]


def whole(items: QuerySet[Item]) -> QuerySet[Any]:
    """Join to items what their page shows."""
    return queue.counted(items).select_related("sequence__dataset", "score__scan__version", "owner", "muted_by")
