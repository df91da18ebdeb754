"""`duolog import_data`: files or folders of sequences or lines into a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any, cast

import msgspec
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from duolog.plugins.options import OptionsError, parse_pairs
from duolog.plugins.registry import PluginError
from logs.labels import named
from logs.models import QuarantinedRow
from logs.preview import Preview, look
from logs.streams import UnknownFormat
from workers.console import DuologCommand, perform
from workers.models import Run

REASONS = 3
COUNTS = ("sequences", "anomalous", "labelled", "duplicates", "quarantined")


class Command(DuologCommand):
    help = str(
        _(
            "Import log files into a dataset: sequences (seed, jsonl, training, csv, parquet), lines of text, "
            "HuggingFace datasets, Loghub's HDFS and BGL. --dry-run shows what would come of it, and stores nothing."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "files", nargs="+", metavar="PATH", help=str(_("file (may be gzipped) or folder to import"))
        )
        parser.add_argument("--dataset", metavar="NAME", help=str(_("dataset to import into")))
        parser.add_argument("--format", default="auto", help=str(_("format of the files (default: %(default)s)")))
        parser.add_argument(
            "--set", action="append", default=[], metavar="OPTION=VALUE",
            help=str(_("option of the format, such as label=is_bad or window=50; --dry-run lists them; repeatable")),
        )  # fmt: skip
        parser.add_argument(
            "--window", type=int, metavar="N", help=str(_("short for --set window=N: lines a sequence"))
        )
        parser.add_argument(
            "--session", metavar="REGEX",
            help=str(_("short for --set session=REGEX: lines that share what this finds are one sequence")),
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help=str(_("show ten sequences and what was understood")))

    def handle(
        self,
        *args: Any,
        files: list[str],
        dataset: str | None,
        format: str,  # noqa: A002
        project: str,
        dry_run: bool,
        **options: Any,
    ) -> None:
        try:
            wanted: dict[str, Any] = dict(parse_pairs(options["set"]))
        except OptionsError as error:
            raise CommandError(str(error)) from error
        wanted |= {name: options[name] for name in ("window", "session") if options[name] is not None}
        for file in files:
            if not Path(file).exists():
                raise CommandError(gettext("there is no file %(file)s") % {"file": file})
        if dry_run:
            self._preview(files, format, wanted, as_json=options["json"])
            return
        if dataset is None:
            raise CommandError(gettext("--dataset is missing: the name of the dataset to import into"))
        runs = []
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

    def _preview(self, files: list[str], format: str, options: dict[str, Any], *, as_json: bool) -> None:  # noqa: A002
        found = []
        for file in files:
            try:
                found.append(look(file, format, options))
            except (OSError, UnknownFormat, OptionsError, PluginError) as error:
                raise CommandError(str(error)) from error
        if as_json:
            each = [{"file": file, **msgspec.to_builtins(one)} for file, one in zip(files, found, strict=True)]
            self.stdout.write(json.dumps({"files": each}, ensure_ascii=False))
            return
        console = Console(file=cast(IO[str], self.stdout))
        for file, one in zip(files, found, strict=True):
            _print(console, Path(file).name, one)

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


def _print(console: Console, name: str, one: Preview) -> None:
    """Show a preview: how the file is understood, and its first sequences."""
    facts = Table.grid(padding=(0, 2))
    labels = {"normal": gettext("normal"), "anomalous": gettext("anomalous"), "none": gettext("no label")}
    read = ngettext("%(count)d sequence", "%(count)d sequences", one.read) % {"count": one.read}
    for title, value in (
        (gettext("file"), f"{name}, {one.bytes:,} B" + (f", {one.packed}" if one.packed else "")),
        (gettext("files"), str(one.files) if one.files > 1 else ""),
        (gettext("format"), one.format),
        (gettext("encoding"), one.encoding),
        (gettext("understood"), _pairs(one.understood)),
        (gettext("options"), _pairs(one.options)),
        (gettext("read"), read if one.whole else gettext("%(read)s, from the beginning of the file") % {"read": read}),
        (gettext("labels"), ", ".join(f"{labels[label]} {count}" for label, count in one.labels.items() if count)),
        (gettext("types"), ", ".join(f"{named(kind)} {count}" for kind, count in one.types.items())),
        (gettext("quarantined"), str(one.refusals) if one.refusals else ""),
    ):
        if value:
            facts.add_row(escape(title), escape(value))
    console.print(facts)
    table = Table(gettext("sequence id"), gettext("label"), gettext("type"), gettext("lines"), gettext("beginning"))
    for row in one.sequences:
        label = {0: labels["normal"], 1: labels["anomalous"], None: ""}[row["label"]]
        beginning = "\n".join(escape(line.split("\n")[0][:100]) for line in row["log_entries"][:2])
        table.add_row(
            escape(row["sequence_id"]), label, escape(named(row["type"] or "")), str(row["length"]), beginning
        )
    console.print(table)
    for row in one.refused:
        console.print(f"  {name}:{row['row']}: {row['reason']}", markup=False, soft_wrap=True)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _reasons(runs: list[Run]) -> list[str]:
    """Return the first rows that were refused, and why."""
    rows = QuarantinedRow.objects.filter(run__in=runs).order_by("id")[:REASONS]
    return [f"{Path(row.file).name}:{row.row}: {row.why}" for row in rows]
