"""Aliases of model versions: what is live, what was live when, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils.translation import gettext

from detection import promotion
from detection.models import AliasChange, ModelAlias, ModelVersion
from workers.jobs import JobFailed

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CHAMPION = "champion"
"""What `scan`, `detect` and `evaluate` use unless told otherwise."""
SHADOW = "shadow"
"""A challenger: it scores what the champion scores, and only where they disagree is its score kept."""


class PromotionRefused(JobFailed):
    """The version should not become the champion; the message says why, and that a reason overrides it."""


def point(version: ModelVersion, alias: str, user: User | None = None, reason: str = "") -> ModelAlias:
    """Let an alias of the version's name point to it from now on, and record who moved it and why.

    Raises PromotionRefused for a champion that something speaks against, unless a reason is given, which is recorded
    together with what it overrides.
    """
    problems = promotion.problems(version) if alias == CHAMPION else []
    if problems and not reason:
        text = gettext("%(version)s is not fit to be the %(alias)s: %(problems)s. A reason overrides this")
        raise PromotionRefused(text % {"version": version, "alias": alias, "problems": "; ".join(problems)})
    return _point(version, alias, user=user, reason=reason, problems=problems)


def rollback(
    *, project: str, name: str, alias: str = CHAMPION, user: User | None = None, reason: str = ""
) -> ModelAlias:
    """Let an alias point again to the version that it pointed to before the present one; twice goes back by two.

    What was live once needs no permission to be it again. Raises JobFailed where there is nothing before.
    """
    with transaction.atomic():
        lock(project, name)
        live: list[ModelVersion] = []
        changes = AliasChange.objects.filter(project=project, name=name, alias=alias).order_by("id")
        for change in changes.select_related("version"):
            if change.rollback and len(live) > 1:
                live.pop()
            elif not live or live[-1] != change.version:
                live.append(change.version)
        if len(live) < 2:
            text = gettext("%(name)s@%(alias)s never pointed to another version: there is nothing to go back to")
            raise JobFailed(text % {"name": name, "alias": alias})
        return _point(live[-2], alias, user=user, reason=reason, rollback=True)


def history(changes: QuerySet[AliasChange]) -> QuerySet[AliasChange]:
    """Annotate changes with `until`, when the alias was moved on; None: it still stands."""
    same = AliasChange.objects.filter(project=OuterRef("project"), name=OuterRef("name"), alias=OuterRef("alias"))
    following = same.filter(pk__gt=OuterRef("pk")).order_by("pk")
    return changes.annotate(until=Subquery(following.values("set_at")[:1]))


def lock(project: str, name: str) -> None:
    """Let whoever else changes what a model's name stands for wait until this transaction ends."""
    # The race: two runs propose versions of one name, and both read the same highest number. A lock on the name until
    # the transaction ends lets the second one wait; the unique constraint would only let it fail, after all its work.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"model {project}/{name}"])


@transaction.atomic
def _point(
    version: ModelVersion,
    alias: str,
    *,
    user: User | None,
    reason: str,
    problems: list[str] | None = None,
    rollback: bool = False,
) -> ModelAlias:
    # The race: two people move one alias at once. Under the lock the order of the history is that of the alias.
    lock(version.project, version.name)
    key: dict[str, Any] = {"project": version.project, "name": version.name, "alias": alias}
    row, _ = ModelAlias.objects.update_or_create(**key, defaults={"version": version, "set_at": Now(), "set_by": user})
    AliasChange.objects.create(
        **key, version=version, set_by=user, reason=reason, problems=problems or [], rollback=rollback
    )
    return row
