"""Look through sequences that `labels.counting` annotated, by label and text; download a dataset."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from typing import Any

from django.db.models import CharField, F, Func, IntegerField, Q, QuerySet, Value
from django.db.models.functions import Collate
from django.http import FileResponse
from django.utils.translation import gettext_lazy as _

from duolog.plugins import registry
from duolog.plugins.points import Format
from logs import labels, transfer
from logs.files import GROUP
from logs.models import Dataset, Sequence

LABELS = [("anomalous", _("anomalous")), ("normal", _("normal")), ("none", _("none"))]
VALUES = {"anomalous": 1, "normal": 0}
PAGE = 20
WINDOW = 5000
"""Sequences looked through by one query."""
SECONDS = 3.0


class Cardinality(Func):
    """Length of an array, without reading it."""

    function = "cardinality"
    output_field = IntegerField()


class Lines(Func):
    """An array of lines as one text, to search in."""

    function = "array_to_string"
    template = "%(function)s(%(expressions)s, E'\\n')"
    output_field = CharField()


def with_label(queryset: QuerySet[Any], label: str) -> QuerySet[Sequence]:
    """Keep those with a label of `LABELS`."""
    return queryset.filter(label=VALUES[label]) if label in VALUES else queryset.filter(label=None)


def with_type(queryset: QuerySet[Any], kind: str) -> QuerySet[Sequence]:
    """Keep those of this anomaly type."""
    return queryset.filter(type=kind)


def containing(queryset: QuerySet[Sequence], text: str) -> QuerySet[Sequence]:
    """Keep those with `text` in a line or in their id, whatever the case of its letters from A to Z."""
    # In this collation there are no other cases to fold, and three times as many lines are searched in the same time.
    lines, wanted = Collate(Lines(F("entries")), "C"), Collate(Value(text), "C")
    return queryset.alias(text=lines).filter(Q(text__icontains=wanted) | Q(key__icontains=text))


@dataclass(frozen=True, slots=True)
class Found:
    """A page of sequences; `after` is where the next one begins (None: there is none).

    `looked` is how many sequences were looked at when time was up before the page was full; 0: it was not.
    """

    rows: list[Any]
    after: int | None
    looked: int = 0


def look(dataset: Dataset, *, after: int, label: str = "", kind: str = "", text: str = "") -> Found:
    """Return the next `PAGE` sequences after a key that have this label and type and hold this text.

    No index can find a text in the middle of a line but one that would make imports many times slower. So sequences
    are looked through in the order in which they are stored, for `SECONDS`, and the next page goes on from there.
    """
    every = Sequence.objects.filter(dataset=dataset).order_by("pk")
    fitting = labels.counting(every)
    fitting = with_label(fitting, label) if label else fitting
    fitting = with_type(fitting, kind) if kind else fitting
    fitting = containing(fitting, text) if text else fitting
    rows: list[Any] = []
    deadline, looked = time.monotonic() + SECONDS, 0
    while True:
        last = every.filter(pk__gt=after).values_list("pk", flat=True)[WINDOW - 1 : WINDOW].first()
        window = fitting.filter(pk__gt=after) if last is None else fitting.filter(pk__gt=after, pk__lte=last)
        rows += window[: PAGE + 1 - len(rows)]
        if len(rows) > PAGE:
            return Found(rows[:PAGE], rows[PAGE - 1].pk)
        if last is None:
            return Found(rows, None)
        after, looked = last, looked + WINDOW
        if time.monotonic() > deadline:
            return Found(rows, after, looked)


def writable() -> list[str]:
    """Return the names of the formats that can be written."""
    entries = [entry for entry in registry.discover(GROUP) if entry.status in ("found", "ready")]
    names = []
    for entry in entries:
        try:
            cls = registry.get(GROUP, entry.name)
        except registry.PluginUnavailable:
            continue  # the plugin page tells why
        if getattr(cls, "write", None) is not Format.write:
            names.append(entry.name)
    return names


def download(dataset: Dataset, *, format: str, part: str | None) -> FileResponse:  # noqa: A002 - the word users know
    """Return a dataset or a part of it as a file to download; raise JobFailed as `transfer.write` does."""
    # On disk: sizes are not bounded, and a format that fails half way must not have sent half a file.
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    transfer.write(dataset, file, format=format, part=part)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=transfer.filename(dataset, format, part))
