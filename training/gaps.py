"""Measuring the gap between a synthetic dataset and a real one: samples, both trainings, and options that are tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from django.conf import settings
from django.db.models.functions import MD5, Now
from django.utils.translation import gettext

from detection import line_vectors, versions
from duolog.plugins import guard, registry
from duolog.plugins.options import as_json
from duolog.plugins.points import Generator
from duolog.plugins.types import Context, LineVectors, LogSequence
from logs import datasets
from logs.models import Dataset, Gap
from logs.models import Sequence as Stored
from training import evaluation
from workers.jobs import JobFailed
from workers.models import Run
from workers.states import Status

SEQUENCES, LINES = 2000, 200_000
"""The sample of a dataset: at most so many sequences, and lines (some 40 MB of text)."""
TRIED = 1000
"""Sequences generated to try an option."""
GENERATOR = "microservices"
"""The generator whose options are known here."""
DETECTOR: tuple[str, dict[str, Any]] = ("moe", {"epochs": 4, "batch": 32})
"""What learns from samples: more and smaller steps than the default, which is meant for more sequences."""
RARE = 10
"""Sequences of a label below which nothing can be learned, or measured."""


def measure(dataset: Dataset, real: Dataset, ctx: Context) -> dict[str, Any]:
    """Return what `Gap.values` holds, by samples of both datasets.

    `auc` of each group of features and of `all`, None where it cannot be compared; `limit`, the AUC from which on a
    group gives the synthetic sequences away; `coverage` (see `engine.gap`); `transfer`, the figures on one half of the
    real sequences after training on the synthetic and on the other half of the real ones, or the label that is
    `missing` on a side; `options` that bring a group down and, in `total`, all of them but wording, the greatest effect
    first; `generated`, whether there were any to try. Raises JobFailed where a dataset holds too little.
    """
    from training.engine import gap  # reads scikit-learn, which a web process need not load

    ctx.stage(gettext("reading"))
    ours, theirs = sample(dataset), sample(real)
    for side, found in ((dataset, ours), (real, theirs)):
        if len(found) < gap.LEAST:
            told = {"dataset": side, "found": len(found), "least": gap.LEAST}
            raise JobFailed(gettext("a sample of %(dataset)s holds %(found)d sequences; %(least)d are needed") % told)
    vectors = line_vectors.store(settings.ENCODER)
    rows, table = vectors.index([*ours, *theirs], ctx)
    ctx.stage(gettext("telling apart"))
    at, real_at = gap.moments(ours), gap.moments(theirs)
    whole = gap.in_whole_seconds(at) or gap.in_whole_seconds(real_at)
    words, real_words = gap.wording(rows[: len(ours)], rows[len(ours) :], table)
    reference = gap.features(theirs, real_at, whole_seconds=whole) | {"wording": real_words}
    auc = gap.compare(gap.features(ours, at, whole_seconds=whole) | {"wording": words}, reference)
    ctx.checkpoint()
    coverage = gap.coverage(rows[: len(ours)], rows[len(ours) :], table)
    limit = gap.limit(len(ours), len(theirs))
    given = generated_with(dataset)
    telling = {name: value for name, value in auc.items() if value is not None and value >= limit}
    tried: list[dict[str, Any]] = []
    made: dict[str, Any] = {}  # features under the options tried: two groups may ask for the same
    if given is not None:
        wanted = gap.candidates(theirs)
        asked = [(name, each) for name in telling for each in wanted.get(name, ()) if {**given, **each} != given]
        ctx.stage(gettext("trying options"), total=len(asked))
        for name, each in asked:
            ctx.checkpoint()
            if str(each) not in made:
                sequences = generate({**given, **each})
                made[str(each)] = gap.features(sequences, gap.moments(sequences), whole_seconds=whole)
            after = gap.auc(made[str(each)][name], reference[name])
            tried.append({"group": name, "options": each, "before": telling[name], "after": after})
            ctx.advance()
    helpful = best(tried, gap.HELPS)
    for one in helpful:
        shown = made[str(one["options"])]
        others = (
            (value, gap.auc(shown[name], reference[name])) for name, value in auc.items() if value and name in shown
        )
        one["total"] = sum(before - (after or before) for before, after in others)
    return {
        "sequences": {"synthetic": len(ours), "real": len(theirs)},
        "auc": auc,
        "limit": limit,
        "coverage": coverage,
        "transfer": transfer(ours, theirs, vectors, ctx),
        "generated": given is not None,
        # What brings one group down may bring others up: more lines by noise are noisier ones.
        "options": sorted(
            (one for one in helpful if one["total"] >= gap.HELPS), key=lambda one: one["total"], reverse=True
        ),
    }


def store(dataset: Dataset, real: Dataset, values: Mapping[str, Any], *, run: Run) -> None:
    """Keep what was measured in place of what was before; called in the run's fenced transaction."""
    found = {"values": values, "run": run, "measured_at": Now()}
    Gap.objects.update_or_create(dataset=dataset, real=real, defaults=found)


def sample(dataset: Dataset) -> list[LogSequence]:
    """Return sequences drawn by the hash of their ids: the same ones as long as the dataset is the same."""
    drawn = Stored.objects.filter(dataset=dataset, length__gt=0).order_by(MD5("key"))
    chosen, lines = [], 0
    for pk, length in drawn.values_list("pk", "length")[:SEQUENCES]:
        lines += length
        if lines > LINES:
            break
        chosen.append(pk)
    return [row.sequence for row in datasets.read_stored(Stored.objects.filter(pk__in=chosen))]


def generated_with(dataset: Dataset) -> dict[str, Any] | None:
    """Return all options of the run that generated the dataset last; None where none did, or by another generator."""
    made = Run.objects.filter(
        project=dataset.project.slug, job="generate", status=Status.SUCCEEDED, result__dataset=dataset.name,
        finished_at__gte=dataset.created_at,
    )  # fmt: skip
    last = made.order_by("-finished_at").first()
    if last is None or last.options["kind"] != "sequences" or last.options["generator"] not in ("", GENERATOR):
        return None
    return as_json(registry.create("duolog.generators", GENERATOR, last.options["options"]).options)


def generate(options: Mapping[str, Any]) -> list[LogSequence]:
    """Return sequences of the generator under these options."""
    plugin = cast(Generator, registry.create("duolog.generators", GENERATOR, options))
    return list(guard.call(plugin, "generate", TRIED, 0))


def best(tried: Sequence[dict[str, Any]], helps: float) -> list[dict[str, Any]]:
    """Return of each group what brings it down most, if it does."""
    found: dict[str, dict[str, Any]] = {}
    for each in sorted(tried, key=lambda each: each["before"] - (each["after"] or each["before"]), reverse=True):
        if each["after"] is not None and each["before"] - each["after"] >= helps:
            found.setdefault(each["group"], each)
    return list(found.values())


def transfer(
    synthetic: Sequence[LogSequence], real: Sequence[LogSequence], vectors: LineVectors, ctx: Context
) -> dict[str, Any]:
    """Train on synthetic, test on real (Esteban et al. 2017, arXiv:1706.02633), beside training on real.

    Both are tested on the same half of the real sequences; the threshold is chosen on a fifth of what was learned from.
    `guess` is the F1 of calling all of them anomalous. Where one side has too few sequences of a label nothing is
    trained, and `missing` names the side, with how many there are of each label.
    """
    from sklearn.model_selection import train_test_split

    from detection.engine.vectors import Quiet

    def halve(sequences: Sequence[LogSequence], share: float) -> tuple[list[LogSequence], list[LogSequence]]:
        labels = [one.label for one in sequences]
        first, second = train_test_split(sequences, test_size=share, stratify=labels, random_state=0)
        return first, second

    sides = {"real": real, "synthetic": synthetic}
    labelled = {name: [one for one in side if one.label is not None] for name, side in sides.items()}
    for name, side in labelled.items():
        counts = Counter(one.label for one in side)
        if min(counts[0], counts[1]) < RARE:
            return {"missing": name, "normal": counts[0], "anomalous": counts[1]}
    seen, test = halve(labelled["real"], 0.5)
    found: dict[str, Any] = {}
    for name, learned in (("synthetic", labelled["synthetic"]), ("real", seen)):
        ctx.stage(gettext("learning from samples"))
        train, validation = halve(learned, 0.2)
        detector = versions.create(*DETECTOR)
        # Quiet: two trainings in one run would take up each other's checkpoints.
        threshold = guard.call(detector, "fit", train, validation, vectors, Quiet(ctx))
        ctx.stage(gettext("scoring"), total=len(test))
        found[name] = evaluation.measure(versions.Loaded(detector, vectors, threshold), test, ctx, None, None)
    share = float(np.mean([one.label for one in test]))
    return {**found, "guess": 2 * share / (1 + share)}
