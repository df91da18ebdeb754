"""Scorecards: a version's recipe, trained and measured anew under every protocol, several times over."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from django.utils.translation import gettext
from numpy.typing import NDArray

from detection import line_vectors, scan, thresholds, versions
from detection.models import ModelVersion
from detection.versions import Loaded
from duolog.plugins import guard
from duolog.plugins.types import LogSequence
from logs import datasets
from logs.engine.fingerprint import fingerprints
from logs.models import Dataset
from logs.models import Sequence as Row
from training import splits
from training.engine import instability, leakage, protocol, split
from workers.context import RunContext
from workers.jobs import JobFailed

GROWN = 100
"""Anomalous sequences of a trial that are judged line by line."""
DISTURBED = 1000
"""Sequences of the test part that are disturbed."""
FILE = "trials.json"


@dataclass(frozen=True, slots=True)
class Card:
    """What came out: by protocol the `training.engine.protocol.summary` or {"skipped": why}, and the instability."""

    protocols: dict[str, dict[str, Any]]
    instability: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """One version's recipe and all labelled sequences it is tried on."""

    version: ModelVersion
    dataset: Dataset
    sequences: list[LogSequence]
    members: list[split.Member]
    ctx: RunContext

    def divide(self, strategy: str, seed: int) -> dict[str, list[LogSequence]]:
        """Return the sequences of each part; raises SplitError."""
        found = split.split(self.members, protocol.parts(len(self.members)), seed, strategy)
        return {name: [self.sequences[position] for position in positions] for name, positions in found.items()}

    def fit(self, parts: dict[str, list[LogSequence]], seed: int) -> Loaded:
        """Return the version's detector, trained with its options and this seed."""
        from detection.engine.vectors import Quiet

        options = dict(self.version.options)
        plugin = versions.create(self.version.detector, options)
        if "seed" in {field.name for field in fields(plugin.options)}:
            plugin = versions.create(self.version.detector, {**options, "seed": seed})
        vectors = line_vectors.store(self.version.encoder)
        # Quiet: the checkpoints are this run's, and a detector would take another trial's for its own.
        threshold = guard.call(plugin, "fit", parts["train"], parts["validation"], vectors, Quiet(self.ctx))
        return Loaded(plugin, vectors, threshold)

    def by_policy(self, loaded: Loaded, held_out: list[LogSequence]) -> Loaded:
        """Return it with the threshold that the version's policy chooses; raises JobFailed where it cannot."""
        if not (policy := self.version.policy.get("policy")):
            return loaded
        plan = thresholds.plan(thresholds.parse(policy), held_out, self.dataset)
        return replace(loaded, threshold=plan.choose(self.rate(loaded, held_out), "").threshold)

    def rate(self, loaded: Loaded, sequences: Iterable[LogSequence]) -> NDArray[np.float64]:
        """Return the scores of sequences."""
        from detection.engine.vectors import Quiet

        return np.array(
            [one.score for one in scan.score(loaded, sequences, Quiet(self.ctx), explain=False)], np.float64
        )

    def trial(self, strategy: str, seed: int) -> tuple[dict[str, Any], Loaded, list[LogSequence]]:
        """Divide, fit, and measure on the test part; return the figures, the detector, and the test part."""
        from detection.engine import metrics
        from detection.engine.floors import Floors

        parts = self.divide(strategy, seed)
        began = time.perf_counter()
        loaded = self.by_policy(self.fit(parts, seed), parts["validation"])
        fitted = time.perf_counter()
        test, threshold = parts["test"], loaded.threshold
        scores = self.rate(loaded, test)
        scored = time.perf_counter()
        labels = [sequence.label or 0 for sequence in test]
        floors = Floors.fit(parts["train"], parts["validation"], labels=loaded.detector.needs_labels)
        rivals = np.concatenate([floors.scores(batch) for batch in scan.batches(test, scan.BATCH)])
        prints = {name: leakage.of(one.entries for one in parts[name]) for name in ("train", "test")}
        anomalous = [one for one in test if one.label and one.entries][:GROWN]
        found = metrics.evaluate(labels, scores, threshold)
        figures = {
            **{name: found[name] for name in ("f1", "precision", "recall", "pr_auc")},
            "false_alarms": protocol.false_alarms(labels, scores, threshold),
            "leakage": leakage.share(prints["test"], prints["train"]),
            **protocol.time_to_detect(lambda grown: self.rate(loaded, grown), anomalous, threshold),
            "seconds_to_train": fitted - began,
            "seconds_to_score": 1000 * (scored - fitted) / len(test),
            "floors": floors.measure(labels, rivals),
        }
        return figures, loaded, test

    def disturb(self, loaded: Loaded, test: list[LogSequence], seed: int) -> dict[str, Any]:
        """Return F1 by kind and percent of disturbed lines, and why a kind is not measured."""
        from detection.engine import metrics

        curves: dict[str, list[tuple[int, float]]] = {}
        missing: dict[str, str] = {}
        twins = instability.twins(test)
        for kind in instability.KINDS:
            chosen = [one for one in test if kind != "reworded" or one.id in twins][:DISTURBED]
            if not chosen:
                missing[kind] = gettext("no sequence is told in two languages; generate analysis sets in pairs")
                continue
            labels, curves[kind] = [one.label or 0 for one in chosen], []
            for share in (0.0, *instability.LEVELS):
                other = [instability.disturb(one, kind, share, seed, twins.get(one.id)) for one in chosen]
                found = metrics.evaluate(labels, self.rate(loaded, other), loaded.threshold)
                curves[kind].append((round(100 * share), found["f1"]))
        return {"curves": curves, "not_measured": missing}


def measure(version: ModelVersion, dataset: Dataset, protocols: Collection[str], seeds: int, ctx: RunContext) -> Card:
    """Train and measure the version's recipe `seeds` times under each protocol.

    What one protocol cannot divide is skipped, with the reason. The instability is that of the first trial of the first
    protocol that could be tried. Finished trials are kept as the run's checkpoint. Raises JobFailed where no protocol
    could be tried.
    """
    tried_on = bench(version, dataset, ctx)
    done = _resume(ctx)
    ctx.stage(gettext("trials"), total=len(protocols) * seeds)
    skipped: dict[str, str] = {}
    for name, seed in ((name, seed) for name in protocols for seed in range(seeds)):
        ctx.advance()
        key = f"{name}/{seed}"
        if name in skipped or key in done:
            continue
        ctx.checkpoint()
        ctx.log(gettext("protocol %(name)s, seed %(seed)d") % {"name": name, "seed": seed})
        try:
            figures, loaded, test = tried_on.trial(name, seed)
        except (split.SplitError, JobFailed) as error:  # no division, or none that the threshold's policy can do with
            skipped[name] = splits.explain(dataset, error) if isinstance(error, split.SplitError) else str(error)
            ctx.log(skipped[name], "warning")
            continue
        done[key] = figures
        if "instability" not in done:
            done["instability"] = {"protocol": name, **tried_on.disturb(loaded, test, seed)}
        ctx.checkpoint(len(done), lambda folder: _save(folder, done))
    tried = {name: [done[f"{name}/{seed}"] for seed in range(seeds) if f"{name}/{seed}" in done] for name in protocols}
    if not any(tried.values()):
        raise JobFailed("\n".join(skipped.values()))
    found = {name: protocol.summary(trials) if trials else {"skipped": skipped[name]} for name, trials in tried.items()}
    return Card(found, done["instability"])


def bench(version: ModelVersion, dataset: Dataset, ctx: RunContext) -> Bench:
    """Read the labelled sequences of a dataset and encode their lines."""
    made = Bench(version, dataset, *_read(dataset, ctx), ctx)
    vectors = line_vectors.store(version.encoder)
    for batch in scan.batches(made.sequences, scan.BATCH):
        vectors.index(batch, ctx)  # ahead of all clocks: else the first trial pays for the others
    return made


def _read(dataset: Dataset, ctx: RunContext) -> tuple[list[LogSequence], list[split.Member]]:
    """Return all labelled sequences, and what splitting sees of them; training holds them in memory, too."""
    ctx.stage(gettext("reading"), total=datasets.count(dataset))
    stored: Iterator[datasets.Stored] = datasets.read_stored(Row.objects.filter(dataset=dataset))
    sequences: list[LogSequence] = []
    members: list[split.Member] = []
    texts: dict[str, str] = {}
    while batch := list(islice(stored, splits.BATCH)):
        ctx.checkpoint()
        labelled = [row for row in batch if row.sequence.label is not None]
        prints = fingerprints([row.sequence.entries for row in labelled])
        members += [splits.member(row, template, texts) for row, template in zip(labelled, prints, strict=True)]
        sequences += [row.sequence for row in labelled]
        ctx.advance(len(batch))
    return sequences, members


def _save(folder: Path, done: dict[str, Any]) -> None:
    (folder / FILE).write_text(json.dumps(done), encoding="utf-8")


def _resume(ctx: RunContext) -> dict[str, Any]:
    kept = ctx.resume()
    found: dict[str, Any] = json.loads((kept[1] / FILE).read_text(encoding="utf-8")) if kept else {}
    return found
