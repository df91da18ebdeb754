"""Jobs of this app; see workers.jobs for how one is written."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext

from detection import scan, versions
from logs import datasets
from workers.context import RunContext
from workers.jobs import Finish, Job, job


@dataclass(frozen=True)
class ScanOptions:
    """Which dataset (`name` or `name:part`) to score with which model (see `versions.resolve`)."""

    dataset: str
    model: str = ""


@job("scan", queue="infer")
class ScanDataset(Job[ScanOptions]):
    """Score every sequence of a dataset or a part of it, and keep scores and blame."""

    def run(self, options: ScanOptions, ctx: RunContext) -> Finish:
        """Score in batches; the result names the scan."""
        project = ctx.run.project
        dataset, part = datasets.resolve(project=project, ref=options.dataset)
        version = versions.resolve(project=project, ref=options.model)
        ctx.log(gettext("scores %(dataset)s with %(version)s") % {"dataset": options.dataset, "version": version})
        loaded = versions.load(version)
        ctx.stage(gettext("scoring"), total=datasets.count(dataset, part))
        found = scan.Findings()
        for scored in scan.score(loaded, datasets.read(dataset, part), ctx):
            found.add(scored)

        def finish() -> dict[str, object]:
            kept = scan.keep(found, version=version, dataset=dataset, part=part, run=ctx.run)
            return {
                "scan": kept.pk,
                "model": str(version),
                "dataset": options.dataset,
                "sequences": kept.sequences,
                "anomalous": kept.anomalous,
            }

        return finish
