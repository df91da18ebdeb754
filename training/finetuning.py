"""Fine-tuning an analyst: the job, and what it may learn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from django.utils.translation import gettext

from detection import versions
from duolog.plugins import guard, registry
from duolog.plugins.options import as_json
from duolog.plugins.points import Analyst
from duolog.plugins.types import LogSequence
from logs.engine import canaries, taxonomy
from logs.models import Project
from training import fitting, snapshot
from training.jobs import SLUG
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job

GROUP = versions.GROUPS[versions.ANALYST]


@dataclass(frozen=True)
class FinetuneOptions:
    """Which analyst to fine-tune on which dataset, from which `base`; `options` are the analyst's own.

    Without a base the analyst decides; without a `name` the model is called after dataset and analyst. So many
    `canaries` are planted (`logs.engine.canaries`).
    """

    dataset: str
    analyst: str = "local"
    base: str = ""
    name: str = ""
    canaries: int = 5
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(self.name):
            raise ValueError(gettext("a model's name holds letters, digits, - and _ only, at most 50"))
        if self.canaries < 0:
            raise ValueError(gettext("canaries must be at least 0"))


@job("finetune", queue="gpu")
class Finetune(Job[FinetuneOptions]):
    """Fine-tune an analyst on a frozen snapshot of a dataset and propose it as the next version of its model."""

    def run(self, options: FinetuneOptions, ctx: RunContext) -> Finish:
        """Fit, and keep the artifact; measuring it is another job's, which follows."""
        project = ctx.run.project
        plugin = create(options, project)
        name = options.name or fitting.model_name(options.dataset, options.analyst)
        versions.require_name(project=project, name=name, kind=versions.ANALYST)
        ctx.stage(gettext("reading"))
        data = snapshot.take(project=project, ref=options.dataset, labels=True, before=ctx.run.created_at)
        train, validation = (lessons(part) for part in (data.train, data.validation))
        # The same seed in a second attempt, which goes on from a checkpoint.
        seed = ctx.run.pk.int % 2**32
        train = canaries.plant(train, canaries.make(seed, options.canaries), seed)
        told = {"analyst": options.analyst, "train": len(train), "validation": len(validation)}
        ctx.log(gettext("fine-tunes %(analyst)s on %(train)d sequences, %(validation)d to validate") % told)
        figures = guard.call(plugin, "fit", train, validation, ctx)
        base = str(getattr(plugin.options, "base", ""))
        parts = {part: digest for part, digest in data.lineage["parts"].items() if part != "unlabelled"}
        planted = {"seed": seed, "count": options.canaries}
        fitted = versions.Fitted(
            kind=versions.ANALYST,
            name=name,
            detector=options.analyst,
            options=as_json(plugin.options),
            encoder=base,
            encoder_digest="",
            threshold=0.5,  # it has none
            metrics={"fit": figures},
            lineage={**data.lineage, "parts": parts, "base": base, "canaries": planted},
            artifact=ctx.artifact("model", lambda folder: guard.call(plugin, "save", folder)),
        )

        def finish() -> Mapping[str, Any]:
            version = versions.propose(fitted, project=project)
            return {"model": str(version), "dataset": data.lineage["dataset"], "metrics": figures}

        return finish


def create(options: FinetuneOptions, project: str) -> Analyst:
    """Return an analyst that can be fine-tuned; raise JobFailed for one that cannot, or that would send lines away."""
    chosen = {**options.options, "base": options.base} if options.base else options.options
    plugin = cast(Analyst, registry.create(GROUP, options.analyst, chosen))
    if not guard.attribute(plugin, "learns"):
        raise JobFailed(gettext("the analyst %(name)s cannot be fine-tuned") % {"name": options.analyst})
    if guard.attribute(plugin, "remote") and not Project.objects.filter(slug=project, remote_analysts=True).exists():
        text = gettext("the analyst %(name)s would send lines to another machine, and project %(project)s forbids that")
        raise JobFailed(text % {"name": options.analyst, "project": project})
    return plugin


def lessons(sequences: Iterable[LogSequence]) -> list[LogSequence]:
    """Return the labelled sequences, without the answers that people have overruled since."""
    return [
        one
        if agrees(one)
        else replace(one, meta={name: value for name, value in one.meta.items() if name != "analysis"})
        for one in sequences
        if one.label is not None
    ]


def agrees(sequence: LogSequence) -> bool:
    """Tell whether a sequence's model answer says what its label says; one that names nothing contradicts nothing."""
    told = sequence.meta.get("analysis") or {}
    named = [part for part in ("type", "category") if part in told]
    if any(bool(told[part]) != bool(sequence.label) for part in named):
        return False
    if not sequence.label or not sequence.type:
        return True
    known = taxonomy.types().get(sequence.type)
    if "type" in named:
        return told["type"] in {sequence.type, known.english if known else None}
    return not known or "category" not in named or told["category"] in (known.category, None)
