"""Measure a model on labelled sequences."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from detection import versions
from detection.models import ModelVersion
from duolog.plugins.types import LogSequence, NullContext
from logs import files
from training import evaluation
from training.management.commands.finetune import told
from workers.console import DuologCommand, perform

FIGURES = ("f1", "precision", "recall", "accuracy", "pr_auc", "threshold", "leakage")


class Command(DuologCommand):
    help = str(_("Measure a detector or an analyst on labelled sequences that are stored, or stand in a file."))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--model", default="", help=str(_("name@alias, name:version or name (default: the newest champion)"))
        )
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument(
            "--dataset", metavar="NAME[:PART]",
            help=str(_("stored sequences; without a part the test part, or all where there is none")),
        )  # fmt: skip
        where.add_argument("--file", help=str(_("a file with labelled sequences, which need not be stored")))

    def handle(
        self, *args: Any, project: str, json: bool, model: str, dataset: str | None, file: str | None, **options: Any
    ) -> None:
        version = versions.resolve(project=project, ref=model, kind=None if model else versions.DETECTOR)
        if version.kind == versions.ANALYST:
            self._analyst(project, version, dataset, json=json)
            return
        if dataset:
            found = perform(job="evaluate", project=project, options={"model": model, "dataset": dataset}).result
        else:
            found = self._measure(project, model, str(file))
        metrics = found.pop("metrics")
        self.reply({**found, **metrics}, self._tell(found, metrics), json=json)

    def _analyst(self, project: str, version: ModelVersion, dataset: str | None, *, json: bool) -> None:
        if not dataset:
            raise CommandError(gettext("an analyst is measured on stored sequences: import the file into a dataset"))
        asked = {"model": str(version), "dataset": dataset}
        found = perform(job="evaluate-analyst", project=project, options=asked).result
        lines = [gettext("%(model)s on %(dataset)s") % found, *(f"  {line}" for line in told(found["metrics"]))]
        if found["privacy"]:
            text = gettext("%(extracted)d of %(canaries)d planted secrets were got out of it")
            lines.append(text % found["privacy"])
        self.reply(found, "\n".join(lines), json=json)

    def _measure(self, project: str, model: str, file: str) -> dict[str, Any]:
        version = versions.resolve(project=project, ref=model)
        try:
            records = files.open_records(file).records
        except (OSError, files.UnknownFormat) as error:
            raise CommandError(str(error)) from error
        sequences = (record for record in records if isinstance(record, LogSequence))
        metrics = evaluation.measure(versions.load(version), sequences, NullContext(), *evaluation.kept(version))
        return {"model": str(version), "file": file, "metrics": versions.figures(metrics)}

    def _tell(self, found: dict[str, Any], metrics: dict[str, Any]) -> str:
        where = found.get("dataset") or found["file"]
        lines = [
            gettext("%(model)s on %(where)s: %(sequences)d sequences, %(anomalous)d of them anomalous")
            % {"model": found["model"], "where": where, **metrics}
        ]
        lines += [f"  {name:<10} {metrics[name]:.4f}" for name in FIGURES if name in metrics]
        if "floor" in metrics:
            text = gettext("F1 %(over_floor)+.4f over trivial: the best floor, %(floor)s, has %(floor_f1).4f")
            lines.append(text % metrics)
        return "\n".join(lines)
