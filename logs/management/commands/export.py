"""`duolog export`: a dataset as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from logs import datasets, transfer
from workers.console import DuologCommand
from workers.jobs import JobFailed


class Command(DuologCommand):
    help = str(_("Write a dataset, or one part of its newest split, into a file."))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, metavar="NAME[:PART]", help=str(_("dataset, or a part of it")))
        parser.add_argument("--format", default="jsonl", help=str(_("seed, training, jsonl or csv")))
        parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=str(_("folder to write into")))
        parser.add_argument("--force", action="store_true", help=str(_("replace a file that is there already")))

    def handle(
        self,
        *args: Any,
        dataset: str,
        out: Path,
        force: bool,
        project: str,
        **options: Any,
    ) -> None:
        try:
            found, part = datasets.resolve(project=project, ref=dataset)
            file, count = transfer.export(found, out, format=options["format"], part=part, force=force)
        except JobFailed as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        if options["json"]:
            self.stdout.write(json.dumps({"dataset": dataset, "file": str(file), "sequences": count}))
        else:
            self.stdout.write(gettext("%(count)d sequences in %(file)s") % {"count": count, "file": file})
