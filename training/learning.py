"""Learning from verdicts: the job, and how its candidate stands beside the version that is to be better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext

from detection import aliases, learning, scan, thresholds, versions
from detection.aliases import SHADOW
from detection.models import ModelVersion
from detection.versions import Fitted, Loaded
from duolog.plugins.types import LogSequence
from logs import datasets
from logs.models import Dataset, Label, Split
from training import calibration, evaluation, fitting, snapshot, splits
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job

FIRST: tuple[str, dict[str, Any]] = ("moe", {})
"""Detector and options of the version that follows one without labels: it starts as that one, and a few labels are
enough for it (`training.learning_curves`)."""
SHOWN = ("f1", "precision", "recall", "pr_auc", "threshold", "types")
"""What a candidate keeps of the champion's figures, beside its own."""
MOST = 2000
"""Reviewed sequences, the newest, of which the candidate's scores are kept."""


@dataclass(frozen=True)
class LearnOptions:
    """Which version (see `versions.resolve`) is to learn from the verdicts on which dataset.

    Without a dataset it is the one with the most verdicts that are new to it.
    """

    dataset: str = ""
    model: str = ""


@job("learn", queue="gpu")
class Learn(Job[LearnOptions]):
    """Take new verdicts into the next division, fit the next version of the champion's name, and make it the shadow.

    Both are measured on the same test part. Becoming the champion is for people to decide.
    """

    def run(self, options: LearnOptions, ctx: RunContext) -> Finish:
        """Divide, fit and compare; the division is stored together with the version that learned from it."""
        project = ctx.run.project
        champion = versions.resolve(project=project, ref=options.model)
        dataset = _dataset(champion, options.dataset)
        parts, told = _take_in(champion, dataset, ctx)
        data = snapshot.of(dataset, parts, ctx.run.created_at)
        plugin, chosen = (champion.detector, champion.options)
        if not versions.create(plugin, chosen).needs_labels:
            plugin, chosen = FIRST
        sizes = {"detector": plugin, "train": len(data.train), "unlabelled": len(data.unlabelled)}
        ctx.log(gettext("fits %(detector)s on %(train)d labelled sequences, %(unlabelled)d without a label") % sizes)
        plan = _plan(champion, data, dataset, ctx)
        fitted, loaded = fitting.fit(
            versions.create(plugin, chosen), data, ctx, plugin=plugin, name=champion.name, plan=plan
        )
        reviewed = _reviewed(dataset, parts["train"])
        compared = _compare(champion, fitted, loaded, _held_out(dataset, parts, reviewed), ctx)
        scores = _score(loaded, dataset, reviewed, ctx)

        def finish() -> Mapping[str, Any]:
            stored = splits.store(list(parts.values()), run=ctx.run)
            metrics = {where: {**two, "champion": _beside(champion, one)} for where, (one, two) in compared.items()}
            lineage = {**fitted.lineage, "revision": stored["revision"], "after": str(champion), **told}
            version = versions.propose(
                replace(fitted, lineage=lineage, metrics={**fitted.metrics, **metrics}), project=project
            )
            for where, (figures, _) in compared.items():
                versions.measured(champion, where, figures)
            scan.keep(scores, version=version, dataset=dataset, part=scan.REVIEWED, run=ctx.run)
            reason = gettext("learned from %(verdicts)d verdicts") % told
            aliases.point(version, SHADOW, user=ctx.run.created_by, reason=reason)
            return {
                "model": str(version),
                "dataset": dataset.name,
                "after": str(champion),
                **told,
                "revision": stored["revision"],
                "parts": {name: stored[name] for name in parts},
                "compared": {where: _short(one, two) for where, (one, two) in compared.items()},
            }

        return finish


def _dataset(champion: ModelVersion, name: str) -> Dataset:
    if name:
        return splits.whole(project=champion.project, ref=name)
    if found := learning.news([champion]):
        return found[0].dataset
    raise JobFailed(gettext("no verdict is new to %(version)s: review its findings first") % {"version": champion})


def _take_in(champion: ModelVersion, dataset: Dataset, ctx: RunContext) -> tuple[dict[str, Split], dict[str, Any]]:
    """Return the unsaved parts of the division that takes the verdicts in, and what they are.

    It goes on from the division of the newest version of the name, whose test part none of them has learned from, and
    else from the dataset's newest. Raises JobFailed where training would learn the same as that version has.
    """
    last = learning.basis(champion, dataset)
    old = splits.parts(dataset, before=ctx.run.created_at, revision=last.lineage["revision"] if last else None)
    parts = {part.name: part for part in splits.extend(dataset, old, before=ctx.run.created_at, ctx=ctx)}
    learned = {name: parts[name].sha256 for name in ("train", "validation") if name in parts}
    if last and learned.items() <= last.lineage["parts"].items():
        text = gettext(
            "%(version)s has learned from all verdicts on %(dataset)s already: review more findings, or make it the "
            "champion if it is better; `duolog promote --model %(version)s` does that"
        )
        raise JobFailed(text % {"version": last, "dataset": dataset.name})
    known = last.lineage["last_label"] if last else 0
    said = Label.objects.filter(
        source=Label.Source.REVIEW, sequence__dataset=dataset, pk__gt=known or 0, pk__lte=parts["train"].last_label
    )
    rows = list(said.values_list("statement", "pk", "type", "value", "sequence"))
    kinds = {(statement or pk): kind or evaluation.UNTYPED[value] for statement, pk, kind, value, _ in rows}
    types: dict[str, int] = {}
    for kind in kinds.values():
        types[kind] = types.get(kind, 0) + 1
    before = {pk for part in old.values() for pk in part.sequence_ids}
    lost = len(before - {pk for part in parts.values() for pk in part.sequence_ids})
    told = {"verdicts": len(kinds), "sequences": len({row[-1] for row in rows}), "types": types, "withdrawn": lost}
    text = gettext("%(verdicts)d new verdicts on %(sequences)d sequences; %(withdrawn)d sequences lost their label")
    ctx.log(text % told)
    for name, part in parts.items():
        sizes = {
            "part": name,
            "members": len(part.sequence_ids),
            "before": len(old[name].sequence_ids) if name in old else 0,
        }
        ctx.log(gettext("%(part)s: %(members)d sequences (%(before)d before)") % sizes)
    return parts, told


def _plan(champion: ModelVersion, data: snapshot.Snapshot, dataset: Dataset, ctx: RunContext) -> thresholds.Plan | None:
    """Return how the champion's policy chooses the threshold, or None where so few labels keep no promise."""
    try:
        return calibration.plan(champion.policy.get("policy", ""), data, dataset)
    except JobFailed as error:
        told = {"policy": champion.policy["policy"], "error": error}
        ctx.log(
            gettext("the detector chooses its threshold itself, and not by %(policy)s: %(error)s") % told, "warning"
        )
        return None


def _reviewed(dataset: Dataset, train: Split) -> set[int]:
    said = Label.objects.filter(source=Label.Source.REVIEW, sequence__dataset=dataset, pk__lte=train.last_label)
    return set(said.values_list("sequence", flat=True))


def _held_out(dataset: Dataset, parts: Mapping[str, Split], reviewed: set[int]) -> dict[str, list[LogSequence]]:
    """Return the test part, and what people reviewed of it, by what they are called; without what is empty."""
    test = list(datasets.read(dataset, parts["test"])) if "test" in parts else []
    found = {"test": test, scan.REVIEWED: [one for one in test if one.meta["pk"] in reviewed]}
    return {f"{dataset.name}:{name}": members for name, members in found.items() if members}


Compared = dict[str, tuple[dict[str, Any], dict[str, Any]]]
"""Figures of the champion and of the candidate, by what both were measured on."""


def _compare(
    champion: ModelVersion, fitted: Fitted, loaded: Loaded, held_out: Mapping[str, list[LogSequence]], ctx: RunContext
) -> Compared:
    """Measure both on the same sequences, from which the candidate has not learned."""
    ctx.stage(gettext("comparing"), total=2 * sum(map(len, held_out.values())))
    live, kept = versions.load(champion), (evaluation.kept(champion), evaluation.kept(fitted.artifact))
    found: Compared = {}
    for where, members in held_out.items():
        one, two = (
            evaluation.measure(each, members, ctx, *known) for each, known in zip((live, loaded), kept, strict=True)
        )
        found[where] = one, two
        told = {"where": where, "champion": champion, "one": one["f1"], "two": two["f1"]}
        ctx.log(gettext("%(where)s: F1 of %(champion)s %(one).3f, of the candidate %(two).3f") % told)
    return found


def _score(loaded: Loaded, dataset: Dataset, reviewed: Iterable[int], ctx: RunContext) -> scan.Findings:
    newest = sorted(reviewed)[-MOST:]
    ctx.stage(gettext("scoring"), total=len(newest))
    rows = dataset.sequences.filter(pk__in=newest)
    found = scan.Findings()
    for scored in scan.score(loaded, (row.sequence for row in datasets.read_stored(rows)), ctx):
        found.add(scored)
    return found


def _beside(champion: ModelVersion, figures: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": str(champion), "id": champion.pk, **{name: figures[name] for name in SHOWN}}


def _short(champion: Mapping[str, Any], candidate: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sequences": candidate["sequences"],
        "champion": {name: champion[name] for name in ("f1", "precision", "recall")},
        "candidate": {name: candidate[name] for name in ("f1", "precision", "recall")},
    }
