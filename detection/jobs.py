"""Jobs of this app; see workers.jobs for how one is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext

from detection import scan, shadow, thresholds, versions
from logs import datasets
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job

SAMPLE = 5000
"""Sequences of a scan, evenly spread, whose templates are counted for drift."""


@dataclass(frozen=True)
class ScanOptions:
    """Which dataset (`name` or `name:part`) to score with which model (see `versions.resolve`).

    `explain` says where the blame of the anomalous lines comes from (`detection.scan.Explain`).
    """

    dataset: str
    model: str = ""
    explain: scan.Explain = "counterfactual"


@dataclass(frozen=True)
class ThresholdOptions:
    """How to choose the threshold of a model anew (see `thresholds.parse`), and on which labelled `name` or part.

    `reason` is recorded with it.
    """

    dataset: str
    threshold: str
    model: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        thresholds.parse(self.threshold)


@job("choose-threshold", queue="infer")
class ChooseThreshold(Job[ThresholdOptions]):
    """Choose a version's threshold anew; the fitted detector and its temperature stay as they are."""

    def run(self, options: ThresholdOptions, ctx: RunContext) -> Finish:
        """Score the labelled sequences, and record what was chosen, by whom and why."""
        project = ctx.run.project
        dataset, part = datasets.resolve(project=project, ref=options.dataset)
        version = versions.resolve(project=project, ref=options.model)
        sequences = [each for each in datasets.read(dataset, part) if each.label is not None]
        if not sequences:
            raise JobFailed(gettext("no sequence has a label to compare with"))
        plan = thresholds.plan(thresholds.parse(options.threshold), sequences, dataset)
        loaded = versions.load(version)
        ctx.stage(gettext("scoring"), total=len(sequences))
        scores = [scored.score for scored in scan.score(loaded, sequences, ctx, explain=False)]
        chosen = plan.choose(np.array(scores), options.dataset)

        def finish() -> dict[str, object]:
            change = versions.rethreshold(version, chosen, reason=options.reason, run=ctx.run)
            return {"model": str(version), "before": change.before, **chosen.as_json()}

        return finish


@job("scan", queue="infer")
class ScanDataset(Job[ScanOptions]):
    """Score every sequence of a dataset or a part of it, and keep scores and blame.

    A champion is watched by its shadow, if there is one (`detection.shadow`).
    """

    def run(self, options: ScanOptions, ctx: RunContext) -> Finish:
        """Score in batches; the result names the scan."""
        from detection.engine import drift  # reads scipy, which a web process need not load

        project = ctx.run.project
        dataset, part = datasets.resolve(project=project, ref=options.dataset)
        version = versions.resolve(project=project, ref=options.model)
        ctx.log(gettext("scores %(dataset)s with %(version)s") % {"dataset": options.dataset, "version": version})
        loaded, challenger = versions.load(version), shadow.challenger(version, ctx)
        total = datasets.count(dataset, part)
        ctx.stage(gettext("scoring"), total=total)
        found, seen = scan.Findings(), drift.Tally()
        for batch in scan.batches(datasets.read(dataset, part), scan.BATCH):
            ctx.checkpoint()
            scored = scan.score_batch(loaded, batch, ctx, how=options.explain)
            for each in scored:
                found.add(each)
            if challenger:
                challenger.judge(scored, ctx)
            if version.reference:
                seen.add(batch[:: max(1, total // SAMPLE)])
            ctx.advance(len(batch))
        reference = drift.Reference(**version.reference) if version.reference else None
        moved = drift.compare(reference, found.values, seen) if reference else {}

        def finish() -> dict[str, object]:
            kept = scan.keep(found, version=version, dataset=dataset, part=part, run=ctx.run, drift=moved)
            told: dict[str, object] = {"drift": moved["level"]} if moved else {}
            if challenger:
                beside = challenger.keep(kept, dataset=dataset, part=part, run=ctx.run)
                told |= {"shadow": str(challenger.version), "disagreements": beside.scores.count()}
            return {
                "scan": kept.pk,
                "model": str(version),
                "dataset": options.dataset,
                "sequences": kept.sequences,
                "anomalous": kept.anomalous,
                **told,
            }

        return finish
