"""Items of review without findings, and what people say about them."""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import Any

from django.contrib.auth.models import User

from analysis.models import Item, Verdict
from duolog.models import Membership
from logs import datasets
from logs.models import Sequence


def asked(count: int, project: str = "ours", entries: Many[str] = ("INFO starts", "ERROR disk is full")) -> list[Item]:
    """Store sequences with an item each."""
    dataset = datasets.get_or_create(project=project, name="asked")
    known = dataset.sequences.count()
    rows = Sequence.objects.bulk_create(
        Sequence(dataset=dataset, key=f"q{known + n}", entries=list(entries), length=len(entries)) for n in range(count)
    )
    return Item.objects.bulk_create(
        Item(project=project, kind=Item.Kind.CONTROL, fingerprint=bytes(16), sequence=row) for row in rows
    )


def people(*names: str, project: str = "ours", role: str = "reviewer") -> list[User]:
    """Make users who are members of the project."""
    users = [User.objects.create_user(name, is_staff=True) for name in names]
    Membership.objects.bulk_create(Membership(user=user, project=project, role=role) for user in users)
    return users


def say(item: Item, user: User, what: str, **more: Any) -> Verdict:
    """Store a verdict: "" is normal, "anomalous" is without a type, and anything else is one."""
    kind = "" if what == "anomalous" else what
    return Verdict.objects.create(item=item, user=user, anomalous=bool(what), type=kind, **more)
