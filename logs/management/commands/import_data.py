"""`duolog import_data`: files of sequences or lines into a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rich.console import Console
from rich.table import Table

from logs.models import QuarantinedRow
from workers.console import DuologCommand, perform
from workers.models import Run

REASONS = 3
COUNTS = ("sequences", "anomalous", "labelled", "duplicates", "quarantined")


class Command(DuologCommand):
    help = str(_("Import log files into a dataset: sequences (seed, jsonl, training, csv) or lines of text."))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help=str(_("file to import; may be gzipped")))
        parser.add_argument("--dataset", required=True, metavar="NAME", help=str(_("dataset to import into")))
        parser.add_argument("--format", default="auto", help=str(_("format of the files (default: %(default)s)")))
        cut = parser.add_mutually_exclusive_group()
        cut.add_argument("--window", type=int, metavar="N", help=str(_("text: cut into windows of N lines")))
        cut.add_argument(
            "--session", metavar="REGEX", help=str(_("text: lines that share what this finds are one sequence"))
        )

    def handle(self, *args: Any, files: list[str], dataset: str, format: str, project: str, **options: Any) -> None:  # noqa: A002
        wanted = {name: options[name] for name in ("window", "session") if options[name] is not None}
        runs = []
        for file in files:
            if not Path(file).is_file():
                raise CommandError(gettext("there is no file %(file)s") % {"file": file})
        for file in files:
            values = {"path": str(Path(file).resolve()), "dataset": dataset, "format": format, "options": wanted}
            runs.append(perform(job="import-data", options=values, project=project))
        totals = {name: sum(run.result[name] for run in runs) for name in COUNTS}
        reasons = _reasons(runs)
        if options["json"]:
            each = [{"file": file, "run": str(run.pk), **run.result} for file, run in zip(files, runs, strict=True)]
            answer = {"dataset": dataset, "project": project, **totals, "reasons": reasons, "files": each}
            self.stdout.write(json.dumps(answer, ensure_ascii=False))
        else:
            self._show(files, runs, reasons)
        if not totals["sequences"] + totals["duplicates"]:
            raise CommandError(gettext("nothing could be imported"))

    def _show(self, files: list[str], runs: list[Run], reasons: list[str]) -> None:
        table = Table(gettext("file"), gettext("format"))
        for name in (gettext("new"), gettext("anomalous"), gettext("there already"), gettext("quarantined")):
            table.add_column(name, justify="right", no_wrap=True)
        for file, run in zip(files, runs, strict=True):
            counts = (f"{run.result[name]:,}" for name in COUNTS if name != "labelled")
            table.add_row(Path(file).name, run.result["format"], *counts)
        console = Console(file=cast(IO[str], self.stdout))
        console.print(table)
        for reason in reasons:
            console.print(f"  {reason}", markup=False, soft_wrap=True)


def _reasons(runs: list[Run]) -> list[str]:
    """Return the first rows that were refused, and why."""
    rows = QuarantinedRow.objects.filter(run__in=runs).order_by("id")[:REASONS]
    return [f"{Path(row.file).name}:{row.row}: {row.reason}" for row in rows]
