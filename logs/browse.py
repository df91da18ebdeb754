"""Look through sequences that `labels.counting` annotated, by label and text; download a dataset."""

from __future__ import annotations

import tempfile
from typing import Any

from django.db.models import CharField, F, Func, IntegerField, Q, QuerySet
from django.http import FileResponse
from django.utils.translation import gettext_lazy as _

from duolog.plugins import registry
from duolog.plugins.points import Format
from logs import transfer
from logs.files import GROUP
from logs.models import Dataset, Sequence

LABELS = [("anomalous", _("anomalous")), ("normal", _("normal")), ("none", _("none"))]
VALUES = {"anomalous": 1, "normal": 0}


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


def containing(queryset: QuerySet[Sequence], text: str) -> QuerySet[Sequence]:
    """Keep those with `text` in a line or in their id, whatever its case."""
    return queryset.alias(text=Lines(F("entries"))).filter(Q(text__icontains=text) | Q(key__icontains=text))


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
