"""Files in and out: an upload becomes a run that imports it; a dataset becomes a file."""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec
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


PENDING = ".pending"
"""Marks an upload that nobody has asked to import yet, and says whose it is."""
FORGOTTEN_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Pending:
    """Where an upload is to go, and who brought it (primary key)."""

    project: str
    dataset: str
    user: int | None = None


def uploads() -> Path:
    """Return the folder of uploaded files that wait for their import."""
    return Path(settings.HOME) / "uploads"


def upload_of(path: Path) -> Path | None:
    """Return the folder of the upload that a path lies in, if it does."""
    return next((folder for folder in (path, *path.parents) if folder.parent == uploads()), None)


def title(upload: Path) -> str:
    """Return the name that people know an upload by: its file's, or those of all."""
    return ", ".join(sorted(file.name for file in upload.iterdir() if file.name != PENDING))


def keep(dataset: str, project: str, files: Sequence[UploadedFile[Any]], user: int | None = None) -> Path:
    """Keep uploaded files until they are imported, and return their folder; raise JobFailed if they are too large.

    Uploads that nobody came back to for a day are removed.
    """
    if sum(file.size or 0 for file in files) > settings.MAX_UPLOAD_BYTES:
        most = filesizeformat(settings.MAX_UPLOAD_BYTES)
        raise JobFailed(gettext("the file is larger than %(most)s") % {"most": most})
    names = [Path(file.name or "").name.lstrip("._") or "upload" for file in files]
    if len(set(names)) < len(names):
        raise JobFailed(gettext("two of the files have the same name"))
    for marker in uploads().glob(f"*/{PENDING}"):
        with suppress(FileNotFoundError):  # the race: its owner imports it, or another upload cleans up, too
            if time.time() - marker.stat().st_mtime > FORGOTTEN_SECONDS:
                shutil.rmtree(marker.parent, ignore_errors=True)
    folder = uploads() / secrets.token_hex(8)
    folder.mkdir(parents=True)
    try:
        for name, upload in zip(names, files, strict=True):
            with (folder / name).open("xb") as stream:
                for chunk in upload.chunks():
                    stream.write(chunk)
        pending = Pending(project, dataset, user)
        (folder / PENDING).write_bytes(msgspec.json.encode(pending))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def pending(token: str) -> tuple[Path, Pending]:
    """Return the folder of an upload that waits for its import, and whose it is; raise LookupError if there is none."""
    folder = uploads() / token
    if folder.parent != uploads():
        raise LookupError(token)
    try:
        return folder, msgspec.json.decode((folder / PENDING).read_bytes(), type=Pending)
    except (OSError, msgspec.DecodeError) as error:
        raise LookupError(token) from error


def data(folder: Path) -> Path:
    """Return what there is to import of an upload: its only file, or the folder."""
    files = [file for file in folder.iterdir() if file.name != PENDING]
    return files[0] if len(files) == 1 else folder


def import_upload(
    dataset: Dataset,
    upload: UploadedFile[Any],
    *,
    format: str = "auto",  # noqa: A002 - the word users know
    options: dict[str, Any] | None = None,
    user: AbstractBaseUser | None = None,
) -> Run:
    """Keep an uploaded file and queue the run that imports and then removes it; raise JobFailed if it is too large."""
    folder = keep(dataset.name, dataset.project.slug, [upload])
    return import_kept(folder, format=format, options=options, user=user)


def import_kept(
    folder: Path,
    *,
    format: str = "auto",  # noqa: A002
    options: dict[str, Any] | None = None,
    user: AbstractBaseUser | None = None,
) -> Run:
    """Queue the run that imports an upload and then removes it."""
    place, (_, waits) = data(folder), pending(folder.name)
    wanted = {"path": str(place), "dataset": waits.dataset, "format": format, "options": options or {}}
    run = runs.enqueue(job="import-data", options=wanted, project=waits.project, user=user)
    (folder / PENDING).unlink(missing_ok=True)
    return run


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
    return cast(int, guard.call(plugin, "write", sequences(dataset, part), stream))


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
    refuse_to_replace([] if force else [place])
    return place, whole(place, lambda stream: write(dataset, stream, format=format, part=part))


def refuse_to_replace(places: Iterable[Path]) -> None:
    """Raise JobFailed for the first of the files that is there already."""
    for place in places:
        if place.exists():
            raise JobFailed(gettext("%(file)s is there already; --force replaces it") % {"file": place})


def whole(place: Path, fill: Callable[[BinaryIO], int]) -> int:
    """Write a file whole or not at all, and return what `fill` does."""
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as stream:
            count = fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _format(name: str) -> Format:
    try:
        return cast(Format, registry.create(GROUP, name, {}))
    except registry.PluginUnavailable as error:
        raise JobFailed(str(error)) from error


def sequences(dataset: Dataset, part: str | None = None) -> Iterator[LogSequence]:
    """Yield what is to be written: sequences without their primary key, which means nothing elsewhere."""
    for sequence in datasets.read(dataset, part):
        yield dataclasses.replace(sequence, meta={key: value for key, value in sequence.meta.items() if key != "pk"})
