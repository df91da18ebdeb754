"""May this user do that on this project? Admin, API and pages all ask here, and nowhere else.

A project that a user is no member of does not exist for them: they get 404, never 403.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now
from django.http import Http404, HttpRequest
from django.utils.translation import gettext

from duolog.models import ApiToken, Membership, Role

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

    Who = AbstractBaseUser | AnonymousUser

TOKEN_PREFIX = "duo_"  # noqa: S105 - makes a leaked token easy to find
USED_AT_EVERY = timedelta(minutes=1)
RANK = {role: rank for rank, role in enumerate(Role)}

M = TypeVar("M", bound=Model)


def visible(user: Who, queryset: QuerySet[M], field: str = "project", role: Role = Role.VIEWER) -> QuerySet[M]:
    """Narrow a queryset to the projects on which the user holds a role; `field` leads to a row's project slug."""
    if not user.is_active:
        return queryset.none()
    if getattr(user, "is_superuser", False):
        return queryset
    held = Membership.objects.filter(user=user.pk, role__in=_at_least(role))
    return queryset.filter(**{f"{field}__in": held.values("project")})


def may(user: Who, role: Role, project: str) -> bool:
    """Tell whether the user holds this role, or a higher one, on a project."""
    return _rank(user, project) >= RANK[role]


def may_anywhere(user: Who, role: Role) -> bool:
    """Tell whether there may be a project on which the user holds this role: whether to offer a page at all.

    Every entry of the menu asks, so what is held is kept with the user, whom each request reads anew.
    """
    if not user.is_active:
        return False
    if getattr(user, "is_superuser", False):
        return True
    held: set[str] | None = getattr(user, "_roles_held", None)
    if held is None:
        held = set(Membership.objects.filter(user=user.pk).order_by().values_list("role", flat=True).distinct())
        user._roles_held = held  # type: ignore[attr-defined]
    return not held.isdisjoint(_at_least(role))


def require(user: Who, role: Role, project: str) -> None:
    """Raise Http404 to a stranger of the project, PermissionDenied to a member whose role is too low."""
    rank = _rank(user, project)
    if rank < 0:
        raise Http404
    if rank < RANK[role]:
        needed = gettext("this needs the role “%(role)s” on project %(project)s")
        raise PermissionDenied(needed % {"role": role.label, "project": project})


def members(project: str, role: Role = Role.VIEWER) -> QuerySet[User]:
    """Return the active users who hold this role, or a higher one, on a project; site admins are named by none."""
    from django.contrib.auth.models import User as Account

    held = Membership.objects.filter(project=project, role__in=_at_least(role))
    return Account.objects.filter(is_active=True, pk__in=held.values("user"))


def _at_least(role: Role) -> list[Role]:
    return [each for each in Role if RANK[each] >= RANK[role]]


def _rank(user: Who, project: str) -> int:
    """Return the rank of the user's role on a project; -1: none."""
    if not user.is_active:
        return -1
    if getattr(user, "is_superuser", False):
        return RANK[Role.OWNER]
    held = Membership.objects.filter(user=user.pk, project=project).values_list("role", flat=True).first()
    return -1 if held is None else RANK[Role(held)]


def person(request: HttpRequest) -> User:
    """Return who is logged in; raise PermissionDenied if nobody is."""
    if not request.user.is_authenticated:
        raise PermissionDenied
    return request.user


# --- tokens -----------------------------------------------------------------------------------------------------


def issue_token(
    *,
    user: AbstractBaseUser,
    name: str,
    expires_at: datetime | None = None,
    project: str = "",
    source: str = "",
    lines_per_second: int | None = None,
) -> str:
    """Store the hash of a new token and return its text, which nobody can read again.

    With a `project` it is a shipper's: it sends lines there, into `source`, and does nothing else.
    """
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)
    ApiToken.objects.create(
        user_id=user.pk, name=name, sha256=_sha256(text), expires_at=expires_at,
        project=project, source=source, lines_per_second=lines_per_second,
    )  # fmt: skip
    return text


def find_token(text: str, *, shipper: bool = False) -> ApiToken | None:
    """Return the living token of an active user that has this text, and note that it was used.

    It is one that stands for its user, or, with `shipper`, one that sends lines: neither passes for the other.
    """
    living = ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), user__is_active=True)
    living = living.exclude(project="") if shipper else living.filter(project="")
    token = living.select_related("user").filter(sha256=_sha256(text)).first()
    if token is not None:
        # At most one write a minute, decided in the database: a busy client must not turn reads into writes.
        stale = Q(used_at=None) | Q(used_at__lt=Now() - USED_AT_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(used_at=Now())
    return token


def _sha256(text: str) -> str:
    # No salt and no slow hash: the text is 256 random bits, so there is nothing to guess.
    return hashlib.sha256(text.encode()).hexdigest()
