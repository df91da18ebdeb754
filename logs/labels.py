"""Which label counts: that of the source that outweighs the others, and of its statements the newest."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, OuterRef, QuerySet, Subquery, When

from logs.models import Label, Sequence, Split


def counting(sequences: QuerySet[Sequence], *, last: int | None = None) -> QuerySet[Any]:
    """Annotate sequences with `label` (0, 1 or None) and `type` (None without a label).

    With `last`, as of then: a label with a greater key was stated later and is left aside.
    """
    weight = Case(*(When(source=source, then=rank) for rank, source in enumerate(Label.Source.values)))
    stated = Label.objects.filter(sequence=OuterRef("pk")).order_by(weight.desc(), "-id")
    stated = stated if last is None else stated.filter(pk__lte=last)
    return sequences.annotate(label=Subquery(stated.values("value")[:1]), type=Subquery(stated.values("type")[:1]))


def newer(part: Split) -> int:
    """Return how many labels people have stated in the dataset since a division was made."""
    if part.last_label is None:
        return 0
    stated = Label.objects.filter(source=Label.Source.REVIEW, pk__gt=part.last_label)
    return stated.filter(sequence__dataset=part.dataset_id).count()
