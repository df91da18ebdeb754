"""Which label counts: that of the source that outweighs the others, and of its statements the newest."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, OuterRef, QuerySet, Subquery, When
from django.utils.translation import get_language, pgettext

from logs.models import Label, Sequence, Split


def counting(sequences: QuerySet[Sequence], *, last: int | None = None) -> QuerySet[Any]:
    """Annotate sequences with `label` (0, 1 or None), and its `type` and `confidence` (None without a label).

    With `last`, as of then: a label with a greater key was stated later and is left aside.
    """
    weight = Case(*(When(source=source, then=rank) for rank, source in enumerate(Label.Source.values)))
    stated = Label.objects.filter(sequence=OuterRef("pk")).order_by(weight.desc(), "-id")
    stated = stated if last is None else stated.filter(pk__lte=last)
    found = {name: Subquery(stated.values(name)[:1]) for name in ("type", "confidence")}
    return sequences.annotate(label=Subquery(stated.values("value")[:1]), **found)


def named(kind: str) -> str:
    """Return an anomaly type, or a category, as people call it: in English with its Chinese name behind it.

    The English names are those of the catalogue that `make messages` writes; any other type is called what it is.
    """
    # Without a catalogue of their own for these, Chinese readers would be given the default language's.
    name = kind if not kind or (get_language() or "").startswith("zh") else pgettext("anomaly", kind)
    return kind if name == kind else f"{name} ({kind})"


def newer(part: Split) -> int:
    """Return how many labels people have stated in the dataset since a division was made."""
    if part.last_label is None:
        return 0
    stated = Label.objects.filter(source=Label.Source.REVIEW, pk__gt=part.last_label)
    return stated.filter(sequence__dataset=part.dataset_id).count()
