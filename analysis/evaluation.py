"""How well a version of an analyst does on labelled sequences: the job that measures it, and attacks it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from analysis import analyst, cases
from analysis.analyst import Chosen
from detection import versions
from detection.models import ModelVersion
from detection.promotion import PRIVACY
from duolog.plugins import guard
from duolog.plugins.types import Case, Context, Language, LogSequence, NullContext, Report, Unexplained
from logs import datasets
from logs.engine import canaries, taxonomy
from logs.models import Dataset
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job

BATCH = 16
LANGUAGES: tuple[Language, ...] = ("zh", "en")
SCORE, THRESHOLD = 1.0, 0.5
"""What every case is said to have got: all that comes before an analyst was flagged, and this tells it no label."""


@dataclass(frozen=True)
class EvaluateAnalystOptions:
    """Which version of an analyst (see `versions.resolve`) to measure on which dataset (`name` or `name:part`).

    Without a part it is the test part, else validation, else all. So many whole `reports` are written; of the other
    sequences only the verdict is asked for.
    """

    dataset: str
    model: str = ""
    reports: int = 30

    def __post_init__(self) -> None:
        if self.reports < 1:
            raise ValueError(gettext("reports must be at least 1"))


@job("evaluate-analyst", queue="infer", follows="finetune")
class EvaluateAnalyst(Job[EvaluateAnalystOptions]):
    """Measure a version of an analyst beside the rules, and try to get secrets out of it."""

    def run(self, options: EvaluateAnalystOptions, ctx: RunContext) -> Finish:
        """Ask for verdicts, for some reports, and for what was planted."""
        project = ctx.run.project
        version = versions.resolve(project=project, ref=options.model, kind=versions.ANALYST)
        dataset, part = datasets.resolve(project=project, ref=options.dataset)
        part = part or _part(dataset)
        where = f"{dataset.name}:{part}" if part else dataset.name
        ctx.log(gettext("measures %(version)s on %(where)s") % {"version": version, "where": where})
        labelled = [one for one in datasets.read(dataset, part) if one.label is not None]
        if not labelled:
            raise JobFailed(gettext("no sequence has a label to compare with"))
        asked = build(labelled, project)
        chosen = analyst.choose(project=project, ref=str(version))
        found = verdicts(chosen, labelled, asked, project, ctx)
        anomalous = [case for case, one in zip(asked, labelled, strict=True) if one.label] or asked
        found |= reports(chosen, _spread(anomalous, options.reports), ctx)
        attacked = attack(chosen, version, anomalous, ctx)

        def finish() -> Mapping[str, Any]:
            versions.measured(version, where, found)
            if attacked:
                versions.measured(version, PRIVACY, attacked)
            version.refresh_from_db(fields=["metrics"])
            champion = versions.crown_first(version)
            told = {"model": str(version), "dataset": where, "champion": champion}
            return {**told, "metrics": found, PRIVACY: attacked}

        return finish

    def follow(self, result: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Measure what was fine-tuned just now."""
        return {"dataset": result["dataset"], "model": result["model"]}


def build(sequences: Sequence[LogSequence], project: str) -> list[Case]:
    """Return sequences as an analyst gets them: redacted, without labels and answers."""
    names = cases.types(project=project)
    return [Case(one, SCORE, THRESHOLD, types=names) for one in cases.redacted(project=project, sequences=sequences)]


def verdicts(
    chosen: Chosen, labelled: Sequence[LogSequence], asked: Sequence[Case], project: str, ctx: Context
) -> dict[str, Any]:
    """Return the figures of the analyst's verdicts, with those of the rules on the same sequences."""
    from analysis.engine import figures

    floor = analyst.choose(project=project, ref=analyst.RULES)
    ctx.stage(gettext("judging"), total=len(asked))
    found = []
    for each in (chosen, floor):
        said: list[Report | Unexplained] = []
        for start in range(0, len(asked), BATCH):
            ctx.checkpoint()
            batch = asked[start : start + BATCH]
            said += _explain(each, batch, (), ctx if each is chosen else NullContext())
            ctx.advance(len(batch) if each is chosen else 0)
        judged = [
            figures.Judged(
                anomalous=bool(one.label),
                type=(one.type or "") if one.label else "",
                category=_category(one),
                report=report if isinstance(report, Report) else None,
                incident=str(one.meta.get("incident") or ""),
            )
            for one, report in zip(labelled, said, strict=True)
        ]
        found.append(figures.measure(judged))
    return figures.beside(found[0], analyst.RULES, found[1])


def reports(chosen: Chosen, asked: Sequence[Case], ctx: Context) -> dict[str, Any]:
    """Return the share of whole reports that are `valid`, of their claims that are `grounded`, and `seconds_a_report`.

    Claims of all reports are counted together, before anything is struck from them; None where nothing was claimed.
    """
    from analysis.engine import grounding, schema

    ctx.stage(gettext("writing reports"), total=len(asked))
    valid, held, claims = 0, 0, 0
    began = time.perf_counter()
    for case in asked:
        ctx.checkpoint()
        (report,) = _explain(chosen, [case], LANGUAGES, ctx)
        ctx.advance()
        if not isinstance(report, Report):
            continue
        try:
            schema.from_json(schema.as_json(report))
        except (AttributeError, TypeError, ValueError):  # names that are none, as in reports._wrong
            continue
        valid += 1
        told = grounding.check(report, case.sequence).claims
        held, claims = held + sum(claim.found for claim in told), claims + len(told)
    seconds = time.perf_counter() - began
    return {
        "reports": len(asked),
        "valid": valid / len(asked),
        "claims": claims,
        "grounded": held / claims if claims else None,
        "seconds_a_report": seconds / len(asked),
    }


def attack(chosen: Chosen, version: ModelVersion, carriers: Sequence[Case], ctx: Context) -> dict[str, Any]:
    """Return how many of the canaries planted in a version's training data can be got out of it; {} without any.

    Each is asked for twice: by the line that it stood in without it, and with its first half. Nothing redacts these:
    who attacks chooses the lines.
    """
    planted = version.lineage.get("canaries", {})
    made = canaries.make(planted.get("seed", 0), planted.get("count", 0))
    ctx.stage(gettext("attacking"), total=len(made))
    extracted = attacks = 0
    for number, canary in enumerate(made):
        carrier = carriers[number % len(carriers)]
        tries = canaries.attacks(canary, carrier.sequence)
        leaked = False
        for sequence in tries:
            ctx.checkpoint()
            case = Case(sequence, SCORE, THRESHOLD, types=carrier.types)
            (report,) = _explain(chosen, [case], LANGUAGES, ctx)
            leaked |= canaries.leaks(canary, sequence, _texts(report))
        attacks += len(tries)
        extracted += leaked
        ctx.advance()
    counts = {"canaries": len(made), "attacks": attacks, "extracted": extracted}
    return {**counts, "rate": extracted / len(made)} if made else {}


def _explain(
    chosen: Chosen, asked: Sequence[Case], languages: Sequence[Language], ctx: Context
) -> list[Report | Unexplained]:
    found: list[Report | Unexplained] = guard.call(chosen.plugin, "explain", asked, languages, ctx, _unwatched)
    return found


def _unwatched(number: int, text: str) -> None:
    """Nobody reads along."""


def _texts(report: Report | Unexplained) -> list[str]:
    if isinstance(report, Unexplained):
        return [report.reason]
    worded = [part for text in report.texts.values() for part in (text.summary, text.root_cause, *text.recommendations)]
    return [report.type, *worded, *(one.quote for one in report.evidence)]


def _category(sequence: LogSequence) -> str:
    """Return the category of what a label names, else that of the sequence's own answer."""
    if not sequence.label:
        return ""
    if known := taxonomy.types().get(sequence.type or ""):
        return known.category
    told = sequence.meta.get("analysis") or {}
    return str(told.get("category") or "")


def _spread(asked: Sequence[Case], count: int) -> list[Case]:
    """Return `count` cases from among all, evenly spread."""
    count = min(count, len(asked))
    return [asked[number * len(asked) // count] for number in range(count)]


def _part(dataset: Dataset) -> str | None:
    for name in ("test", "validation"):
        try:
            return datasets.newest(dataset, name).name
        except JobFailed:
            continue
    return None
