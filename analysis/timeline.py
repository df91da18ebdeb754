"""What happened to items: written by whatever changes them, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from analysis.models import Event, Item

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def record(
    items: Iterable[Item], action: Event.Action, *, user: AbstractBaseUser | None = None, **details: Any
) -> None:
    """Add an event to each item's timeline; `user` is who did it (None: Duolog itself)."""
    Event.objects.bulk_create(
        Event(project=item.project, item=item, action=action, user_id=user.pk if user else None, details=details)
        for item in items
    )
