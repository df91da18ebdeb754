"""Jobs of this app; see workers.jobs for how one is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from django.utils.translation import gettext

from detection import aliases, promotion, scan, thresholds, versions
from detection.aliases import CHAMPION
from detection.models import ModelAlias, Scan, Scorecard
from duolog.plugins import guard, registry
from duolog.plugins.points import Generator
from logs import datasets, ingest
from logs.models import Label
from training import (
    calibration,
    evaluation,
    fitting,
    gaps,
    learning_curves,
    refresh,
    scorecards,
    snapshot,
    splits,
)
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job

KINDS = {"sequences": "microservices", "analysis": "incidents"}
"""What can be generated, and the plugin that does it."""
SLUG = re.compile(r"[-\w]{0,50}", re.ASCII)


@dataclass(frozen=True)
class GenerateOptions:
    """How many sequences of which kind to add to which dataset.

    `generator` names another plugin than that of the kind; `options` are the plugin's own.
    """

    dataset: str
    count: int
    seed: int = 0
    kind: Literal["sequences", "analysis"] = "sequences"
    generator: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(gettext("count must be at least 1"))


@job("generate")
class Generate(Job[GenerateOptions]):
    """Add labelled synthetic sequences to a dataset."""

    def run(self, options: GenerateOptions, ctx: RunContext) -> Finish:
        """Generate straight into the staging table."""
        name = options.generator or KINDS[options.kind]
        plugin = cast(Generator, registry.create("duolog.generators", name, options.options))
        ctx.stage(gettext("generating"), total=options.count)
        records = guard.call(plugin, "generate", options.count, options.seed)
        origin = f"{name} seed={options.seed}"
        staged = ingest.stage(records, source=Label.Source.GENERATOR, origin=origin, ctx=ctx)

        def finish() -> Mapping[str, Any]:
            dataset = datasets.get_or_create(project=ctx.run.project, name=options.dataset)
            return {"dataset": dataset.name, **staged.commit(dataset, ctx.run)}

        return finish


@dataclass(frozen=True)
class SplitOptions:
    """Sizes of the parts; all zero means eight tenths, one tenth and one tenth of what has a label.

    `strategy` (see `training.engine.split`) says which sequence goes where.
    """

    dataset: str
    train: int = 0
    validation: int = 0
    test: int = 0
    seed: int = 0
    strategy: Literal["random", "chronological", "template", "source"] = "random"

    def __post_init__(self) -> None:
        sizes = (self.train, self.validation, self.test)
        if min(sizes) < 0 or (any(sizes) and not (self.train and self.validation)):
            raise ValueError(gettext("give a size for train and for validation, and for test if you want that part"))


@job("split")
class Split(Job[SplitOptions]):
    """Divide the labelled sequences of a dataset into train, validation and test."""

    def run(self, options: SplitOptions, ctx: RunContext) -> Finish:
        """Choose the members; they are stored as a new revision."""
        dataset = splits.whole(project=ctx.run.project, ref=options.dataset)
        sizes = {"train": options.train, "validation": options.validation, "test": options.test}
        parts = splits.divide(dataset, sizes, options.seed, strategy=options.strategy, ctx=ctx)
        return lambda: splits.store(parts, run=ctx.run)


@dataclass(frozen=True)
class FitOptions:
    """Which detector to train on which dataset; `options` are the detector's own, `name` is the model's.

    Without a name the model is called after dataset and detector. `threshold` is a policy of `detection.thresholds`;
    without one the detector chooses itself.
    """

    dataset: str
    detector: str = "moe"
    name: str = ""
    threshold: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(self.name):
            raise ValueError(gettext("a model's name holds letters, digits, - and _ only, at most 50"))
        if self.threshold:
            thresholds.parse(self.threshold)


@job("fit-detector", queue="gpu")
class FitDetector(Job[FitOptions]):
    """Train a detector on a frozen snapshot of a dataset and propose it as the next version of its model."""

    def run(self, options: FitOptions, ctx: RunContext) -> Finish:
        """Fit, measure on the validation part, and keep the artifact."""
        detector = versions.create(options.detector, options.options)
        ctx.stage(gettext("reading"))
        data = snapshot.take(
            project=ctx.run.project, ref=options.dataset, labels=detector.needs_labels, before=ctx.run.created_at
        )
        sizes = {"detector": options.detector, "train": len(data.train), "validation": len(data.validation)}
        ctx.log(gettext("fits %(detector)s on %(train)d sequences, %(validation)d to validate") % sizes)
        if data.newer_labels:
            message = gettext(
                "%(labels)d labels were stated after the split was made, and are not learned from; "
                "`duolog split --dataset %(dataset)s` takes them in"
            )
            ctx.log(message % {"labels": data.newer_labels, "dataset": data.lineage["dataset"]}, "warning")
        dataset, _part = datasets.resolve(project=ctx.run.project, ref=options.dataset)
        plan = calibration.plan(options.threshold, data, dataset)
        name = options.name or fitting.model_name(options.dataset, options.detector)
        versions.require_name(project=ctx.run.project, name=name, kind=versions.DETECTOR)
        fitted, loaded = fitting.fit(detector, data, ctx, plugin=options.detector, name=name, plan=plan)

        def finish() -> Mapping[str, Any]:
            version = versions.propose(fitted, project=ctx.run.project)
            metrics: Mapping[str, Any] = next(iter(fitted.metrics.values()), {})
            return {"model": str(version), "threshold": loaded.threshold, "metrics": versions.figures(metrics)}

        return finish


@dataclass(frozen=True)
class RefreshOptions:
    """Which version (see `versions.resolve`) is to follow which dataset, by how many of its newest sequences."""

    dataset: str
    model: str = ""
    sequences: int = 1000

    def __post_init__(self) -> None:
        if self.sequences < 1:
            raise ValueError(gettext("sequences must be at least 1"))


@job("refresh", queue="gpu")
class Refresh(Job[RefreshOptions]):
    """Fit a detector that needs no labels anew on the newest sequences its version has scanned.

    The next version of the name takes the champion's place if it stays quiet on the window before.
    """

    def run(self, options: RefreshOptions, ctx: RunContext) -> Finish:
        """Fit, and look back."""
        project = ctx.run.project
        old = versions.resolve(project=project, ref=options.model)
        dataset, part = datasets.resolve(project=project, ref=options.dataset)
        detector = versions.create(old.detector, old.options)
        if part or detector.needs_labels:
            raise JobFailed(gettext("only a detector without labels follows a dataset; `duolog train` is for others"))
        scans = Scan.objects.filter(version=old, dataset=dataset, shadow_of=None).exclude(part=scan.REVIEWED)
        newest = scans.order_by("-pk").first()
        if newest is None:
            told = {"version": old, "dataset": dataset.name}
            text = gettext("%(version)s has not scanned %(dataset)s yet: scan it first")
            raise JobFailed(text % told)
        ctx.stage(gettext("reading"))
        found = refresh.windows(newest, options.sequences)
        fitted, loaded = fitting.fit(detector, found.data, ctx, plugin=old.detector, name=old.name)
        ctx.stage(gettext("scoring"), total=len(found.before))
        share = refresh.alarms(loaded, found.before, ctx)

        def finish() -> Mapping[str, Any]:
            version = versions.propose(fitted, project=project)
            calm = share <= refresh.MOST_ALARMS
            live = ModelAlias.objects.filter(version=old, alias=CHAMPION).exists()
            if calm and live:
                reason = gettext("refreshed from %(version)s: alarms on %(share)s of the window before")
                told = {"version": old, "share": f"{share:.1%}"}
                aliases.point(version, CHAMPION, user=ctx.run.created_by, reason=reason % told)
            return {
                "model": str(version),
                "refreshed": str(old),
                "sequences": len(found.data.train),
                "left_out": found.left_out,
                "before": len(found.before),
                "alarms_before": share,
                "promoted": calm and live,
            }

        return finish


@dataclass(frozen=True)
class EvaluateOptions:
    """Which model (see `versions.resolve`) to measure on which dataset (`name` or `name:part`).

    A dataset without a part means its test part if it has one, else all of it.
    """

    dataset: str
    model: str = ""


@job("evaluate", queue="infer")
class Evaluate(Job[EvaluateOptions]):
    """Measure a model version on labelled sequences and keep the figures with it."""

    def run(self, options: EvaluateOptions, ctx: RunContext) -> Finish:
        """Score the part and compare with its labels."""
        project = ctx.run.project
        version = versions.resolve(project=project, ref=options.model)
        dataset, part = datasets.resolve(project=project, ref=options.dataset)
        part = part or ("test" if "test" in splits.parts(dataset) else None)
        where = f"{dataset.name}:{part}" if part else dataset.name
        ctx.log(gettext("measures %(version)s on %(where)s") % {"version": version, "where": where})
        loaded = versions.load(version)
        ctx.stage(gettext("scoring"), total=datasets.count(dataset, part))
        metrics = evaluation.measure(loaded, datasets.read(dataset, part), ctx, *evaluation.kept(version))

        def finish() -> Mapping[str, Any]:
            versions.measured(version, where, metrics)
            return {"model": str(version), "dataset": where, "metrics": versions.figures(metrics)}

        return finish


@dataclass(frozen=True)
class GapOptions:
    """Which dataset to compare with which `real` one."""

    dataset: str
    real: str

    def __post_init__(self) -> None:
        if self.dataset == self.real:
            raise ValueError(gettext("name two datasets: one that is synthetic, and a real one to compare it with"))


@job("measure-gap", queue="gpu")
class MeasureGap(Job[GapOptions]):
    """Measure how far a synthetic dataset is from a real one, and keep the figures with it."""

    def run(self, options: GapOptions, ctx: RunContext) -> Finish:
        """Compare samples of both."""
        synthetic, real = (splits.whole(project=ctx.run.project, ref=ref) for ref in (options.dataset, options.real))
        values = gaps.measure(synthetic, real, ctx)

        def finish() -> Mapping[str, Any]:
            gaps.store(synthetic, real, values, run=ctx.run)
            return {"dataset": synthetic.name, "real": real.name, **values}

        return finish


Protocol = Literal["random", "chronological", "template", "source"]


@dataclass(frozen=True)
class ScorecardOptions:
    """Which model's recipe (see `versions.resolve`) to try on which dataset: every protocol, `seeds` times."""

    dataset: str
    model: str = ""
    protocols: tuple[Protocol, ...] = get_args(Protocol)
    seeds: int = promotion.TRIALS

    def __post_init__(self) -> None:
        if self.seeds < 1 or not self.protocols:
            raise ValueError(gettext("name a protocol, and at least 1 seed"))


@job("scorecard", queue="gpu")
class MakeScorecard(Job[ScorecardOptions]):
    """Train a version's recipe anew under each protocol, measure it, and keep the scorecard with the version."""

    def run(self, options: ScorecardOptions, ctx: RunContext) -> Finish:
        """Try and sum up; what a dataset cannot give is skipped with its reason."""
        project = ctx.run.project
        version = versions.resolve(project=project, ref=options.model)
        dataset = splits.whole(project=project, ref=options.dataset)
        card = scorecards.measure(version, dataset, dict.fromkeys(options.protocols), options.seeds, ctx)
        told = {"seeds": options.seeds, "protocols": card.protocols, "instability": card.instability}

        def finish() -> Mapping[str, Any]:
            kept = Scorecard.objects.create(project=project, version=version, dataset=dataset, run=ctx.run, **told)
            return {"scorecard": kept.pk, "model": str(version), "dataset": dataset.name, **told}

        return finish


@dataclass(frozen=True)
class LearningCurveOptions:
    """Which model's recipe (see `versions.resolve`) to train on few and on all labels of which dataset."""

    dataset: str
    model: str = ""
    draws: int = 3

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise ValueError(gettext("draws must be at least 1"))


@job("learning-curve", queue="gpu")
class DrawLearningCurve(Job[LearningCurveOptions]):
    """Train a version's recipe on few and on all labels, measure it, and keep the curve with the version."""

    def run(self, options: LearningCurveOptions, ctx: RunContext) -> Finish:
        """Try and sum up."""
        project = ctx.run.project
        version = versions.resolve(project=project, ref=options.model)
        dataset = splits.whole(project=project, ref=options.dataset)
        found = learning_curves.measure(version, dataset, options.draws, ctx)

        def finish() -> Mapping[str, Any]:
            versions.learned(version, dataset.name, found)
            return {"model": str(version), "dataset": dataset.name, **found}

        return finish
