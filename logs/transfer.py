"""Files in and out: an upload becomes a run that imports it; a dataset becomes a file."""

from __future__ import annotations

import dataclasses
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext

from duolog.plugins import guard, registry
from duolog.plugins.points import Format
from duolog.plugins.types import LogSequence
from logs import datasets
from logs.files import GROUP
from logs.models import Dataset
from workers import runs
from workers.jobs import JobFailed
from workers.models import Run

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def uploads() -> Path:
    """Return the folder of uploaded files that wait for their import."""
    return Path(settings.HOME) / "uploads"


def import_upload(
    dataset: Dataset,
    upload: UploadedFile[Any],
    *,
    format: str = "auto",  # noqa: A002 - the word users know
    options: dict[str, Any] | None = None,
    user: AbstractBaseUser | None = None,
) -> Run:
    """Keep an uploaded file and queue the run that imports and then removes it; raise JobFailed if it is too large."""
    if (upload.size or 0) > settings.MAX_UPLOAD_BYTES:
        most = filesizeformat(settings.MAX_UPLOAD_BYTES)
        raise JobFailed(gettext("the file is larger than %(most)s") % {"most": most})
    folder = uploads() / secrets.token_hex(8)
    folder.mkdir(parents=True)
    place = folder / Path(upload.name or "upload").name
    with place.open("wb") as stream:
        for chunk in upload.chunks():
            stream.write(chunk)
    wanted = {"path": str(place), "dataset": dataset.name, "format": format, "options": options or {}}
    return runs.enqueue(job="import-data", options=wanted, project=dataset.project.slug, user=user)


def filename(dataset: Dataset, format: str, part: str | None = None) -> str:  # noqa: A002
    """Return the name of an exported file."""
    extension = (*_format(format).extensions, "")[0]
    infix = "" if extension == f".{format}" else f".{format}"
    return f"{dataset.name}{f'-{part}' if part else ''}{infix}{extension}".replace("/", "_")


def write(dataset: Dataset, stream: BinaryIO, *, format: str, part: str | None = None) -> int:  # noqa: A002
    """Write a dataset, or a part of its newest split, and return the number of sequences.

    Raises JobFailed for a format that there is not or that cannot be written.
    """
    plugin = _format(format)
    if type(plugin).write is Format.write:
        raise JobFailed(gettext("format %(format)s can only be read") % {"format": format})
    return cast(int, guard.call(plugin, "write", _without_keys(datasets.read(dataset, part)), stream))


def export(
    dataset: Dataset,
    folder: Path,
    *,
    format: str,  # noqa: A002
    part: str | None = None,
    force: bool = False,
) -> tuple[Path, int]:
    """Write a file into `folder`, whole or not at all; return it and the number of its sequences.

    Raises JobFailed where the file is there already, unless `force` says to replace it.
    """
    place = folder / filename(dataset, format, part)
    if place.exists() and not force:
        raise JobFailed(gettext("%(file)s is there already; --force replaces it") % {"file": place})
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as stream:
            count = write(dataset, stream, format=format, part=part)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)
    return place, count


def _format(name: str) -> Format:
    try:
        return cast(Format, registry.create(GROUP, name, {}))
    except registry.PluginUnavailable as error:
        raise JobFailed(str(error)) from error


def _without_keys(sequences: Iterator[LogSequence]) -> Iterator[LogSequence]:
    """Leave out the primary key, which means nothing elsewhere."""
    for sequence in sequences:
        yield dataclasses.replace(sequence, meta={key: value for key, value in sequence.meta.items() if key != "pk"})
