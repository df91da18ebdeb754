"""What an item's state makes of its findings."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.models import Finding, Item

UNDECIDED = (Item.State.OPEN, Item.State.DISPUTED)
STATES = {
    Item.State.OPEN: Finding.State.OPEN,
    Item.State.DISPUTED: Finding.State.OPEN,
    Item.State.CONFIRMED: Finding.State.CONFIRMED,
    Item.State.DISMISSED: Finding.State.DISMISSED,
    Item.State.MUTED: Finding.State.MUTED,
}


def follow(items: Iterable[Item], state: Item.State) -> None:
    """Give the undecided findings of items what their new state makes of them."""
    waiting = Finding.objects.filter(item__in=[item.pk for item in items])
    waiting.filter(state__in=[Finding.State.OPEN, Finding.State.MUTED]).update(state=STATES[state])
