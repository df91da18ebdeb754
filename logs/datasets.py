"""Datasets by name, and their sequences with the labels that count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext

from duolog.plugins.types import LogSequence
from logs import labels
from logs.models import Dataset, Project, Sequence, Split
from workers.jobs import JobFailed

FETCH = 2000
"""Rows a fetch from the server-side cursor."""
SOURCES = ("source", "service")


class Stored(NamedTuple):
    """A sequence and what its row tells beside it."""

    sequence: LogSequence
    started_at: datetime | None
    origin: str

    @property
    def source(self) -> str:
        """Where it comes from: what it says itself (`source`, else `service`), else the file or generator."""
        meta = self.sequence.meta
        return next((meta[name] for name in SOURCES if isinstance(meta.get(name), str) and meta[name]), self.origin)


def get_or_create(*, project: str, name: str) -> Dataset:
    """Return the dataset of that name, made where it is not there yet, and its project with it."""
    home, _ = Project.objects.get_or_create(slug=project, defaults={"name": project})
    return Dataset.objects.get_or_create(project=home, name=name)[0]


def resolve(*, project: str, ref: str) -> tuple[Dataset, str | None]:
    """Return the dataset and part that "name" or "name:part" refers to; raise JobFailed, with what there is."""
    datasets = Dataset.objects.filter(project__slug=project)
    name, _, part = ref.rpartition(":")
    if found := datasets.filter(name=ref).first():
        return found, None
    if not name or not (found := datasets.filter(name=name).first()):
        known = ", ".join(datasets.order_by("name").values_list("name", flat=True)[:20]) or "-"
        message = gettext("project %(project)s has no dataset %(name)s; there are: %(known)s")
        raise JobFailed(message % {"project": project, "name": ref, "known": known})
    newest(found, part)
    return found, part


def newest(dataset: Dataset, part: str) -> Split:
    """Return a part of the dataset's newest split; raise JobFailed, with the parts there are."""
    parts = Split.objects.filter(dataset=dataset).order_by("-revision", "pk")
    last = parts.first()
    current = parts.filter(revision=last.revision) if last else parts
    if split := current.filter(name=part).first():
        return split
    known = ", ".join(current.values_list("name", flat=True)) or "-"
    message = gettext("dataset %(dataset)s has no part %(part)s; there are: %(known)s")
    raise JobFailed(message % {"dataset": dataset.name, "part": part, "known": known})


def read(dataset: Dataset, part: str | Split | None = None) -> Iterator[LogSequence]:
    """Yield the sequences of a dataset, or of a part of its newest split, in the order in which they were stored.

    `id` is `Sequence.key`, `meta["pk"]` the primary key, `label` the label that counts: the newest, or, of a `Split`
    that is given as such, the one that counted when the division was made. Memory is bounded.
    """
    last = part.last_label if isinstance(part, Split) else None
    return (stored.sequence for stored in read_stored(_sequences(dataset, part), last))


def read_stored(sequences: QuerySet[Sequence], last_label: int | None = None) -> Iterator[Stored]:
    """Yield sequences as `read` does, and what their rows tell beside; `last_label` as in `labels.counting`."""
    rows = labels.counting(sequences, last=last_label).order_by("id")
    columns = rows.values_list(
        "pk", "key", "entries", "label", "type", "confidence", "times", "meta", "started_at", "origin"
    )
    for pk, key, entries, label, kind, confidence, times, meta, started_at, origin in columns.iterator(FETCH):
        sure = 1.0 if confidence is None else confidence
        sequence = LogSequence(key, tuple(entries), label, kind or None, tuple(times or ()), {**meta, "pk": pk}, sure)
        yield Stored(sequence, started_at, origin)


def count(dataset: Dataset, part: str | Split | None = None) -> int:
    """Return how many sequences `read` yields."""
    return _sequences(dataset, part).count()


def _sequences(dataset: Dataset, part: str | Split | None) -> QuerySet[Sequence]:
    if part is None:
        return Sequence.objects.filter(dataset=dataset)
    split = newest(dataset, part) if isinstance(part, str) else part
    # One array as one parameter; a list of keys would be thousands of them.
    members = RawSQL("SELECT unnest(%s::bigint[])", [split.sequence_ids])
    return Sequence.objects.filter(dataset=dataset, pk__in=members)
