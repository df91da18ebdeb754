"""Jobs of this app; see workers.jobs for how one is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from duolog.plugins.guard import PluginUnavailable
from duolog.plugins.types import Context, Record
from logs import datasets, ingest, transfer
from logs.files import Opened, UnknownFormat, open_records
from logs.models import Label
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class ImportOptions:
    """What to import, and into which dataset; `options` are those of the format."""

    path: str
    dataset: str
    format: str = "auto"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.dataset or len(self.dataset) > 100 or ":" in self.dataset:
            raise ValueError(gettext("a dataset's name has 1 to 100 characters, and no colon among them"))


@job("import-data")
class ImportData(Job[ImportOptions]):
    """Read a file of sequences or lines into a dataset; nothing of it is seen before all of it is stored."""

    def run(self, options: ImportOptions, ctx: RunContext) -> Finish:
        """Stage the file's records; rows that make no sense go to the dataset's quarantine."""
        place = Path(options.path)
        upload = transfer.upload_of(place)
        # An upload lies in a folder of its own: the name is what people know it by.
        origin = transfer.title(upload) if upload else options.path
        try:
            opened = open_records(place, options.format, options.options)
            staged = ingest.stage(_told(opened, place.name, ctx), source=Label.Source.IMPORT, origin=origin, ctx=ctx)
        except OSError as error:
            reason = {"file": options.path, "reason": error.strerror or error}
            raise JobFailed(gettext("%(file)s cannot be read: %(reason)s") % reason) from error
        except (PluginUnavailable, UnknownFormat) as error:
            raise JobFailed(str(error)) from error

        def finish() -> dict[str, Any]:
            dataset = datasets.get_or_create(project=ctx.run.project, name=options.dataset)
            if upload:
                transaction.on_commit(partial(shutil.rmtree, upload, ignore_errors=True))
            counts = staged.commit(dataset, ctx.run)
            return {"dataset": dataset.name, "format": opened.format, "encoding": opened.source.encoding, **counts}

        return finish


def _told(opened: Opened, name: str, ctx: Context) -> Iterator[Record]:
    """Yield the records, and tell how many MiB of the file are behind."""
    ctx.stage(gettext("Reading %(file)s (MiB)") % {"file": name}, total=-(-opened.size // MEBIBYTE))
    told = 0
    for record in opened.records:
        if (behind := opened.position() // MEBIBYTE) > told:
            ctx.advance(behind - told)
            told = behind
        yield record
