"""`duolog export`: a dataset as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from logs import datasets, seed_names, transfer
from workers.console import DuologCommand
from workers.jobs import JobFailed


class Command(DuologCommand):
    help = str(_("Write a dataset, or one part of its newest split, into a file."))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, metavar="NAME[:PART]", help=str(_("dataset, or a part of it")))
        parser.add_argument(
            "--format", default="",
            help=str(_("jsonl (default), seed, training, csv, parquet; of analysed ones classification, alpaca, chat")),
        )  # fmt: skip
        parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=str(_("folder to write into")))
        parser.add_argument(
            "--names", choices=["dataset", "source"], default="dataset",
            help=str(
                _(
                    "what files are called: after the dataset, or as those of the source design, all of them at once "
                    "(train_data.json, ...; with --format only those of one format)"
                )
            ),
        )  # fmt: skip
        parser.add_argument("--force", action="store_true", help=str(_("replace a file that is there already")))

    def handle(
        self,
        *args: Any,
        dataset: str,
        out: Path,
        names: str,
        force: bool,
        project: str,
        **options: Any,
    ) -> None:
        kind = options["format"]
        try:
            found, part = datasets.resolve(project=project, ref=dataset)
            if names == "source":
                if part:
                    raise JobFailed(gettext("%(ref)s is a part already; name the dataset") % {"ref": dataset})
                files = seed_names.export(found, out, format=kind, force=force)
            else:
                files = [transfer.export(found, out, format=kind or "jsonl", part=part, force=force)]
        except JobFailed as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        if options["json"] and names == "source":
            self.stdout.write(json.dumps({"dataset": dataset, "files": {str(file): count for file, count in files}}))
        elif options["json"]:
            self.stdout.write(json.dumps({"dataset": dataset, "file": str(files[0][0]), "sequences": files[0][1]}))
        else:
            for file, count in files:
                self.stdout.write(gettext("%(count)d sequences in %(file)s") % {"count": count, "file": file})
