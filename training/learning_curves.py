"""Learning curves: what a version's recipe reaches on a fixed test part with no, few and all labels.

The few are those that a review would give: half of them of what is most
suspicious to the labels-free detector, the others at random.
All else that is not for testing stays in the stream, without its labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from django.utils.translation import gettext
from numpy.typing import NDArray

from detection import line_vectors, scan, versions
from detection.engine.familiar import SEQUENCES
from detection.models import ModelVersion
from detection.versions import Loaded
from duolog.plugins import guard
from duolog.plugins.types import LogSequence
from logs.models import Dataset
from training import scorecards, splits
from training.engine import protocol, split
from workers.context import RunContext
from workers.jobs import JobFailed

LABELS = (20, 50, 200)
"""Numbers of labels between none and all."""
FREE = "neighbours"


def measure(version: ModelVersion, dataset: Dataset, draws: int, ctx: RunContext) -> dict[str, Any]:
    """Return `test`, `draws` and `points`: for each number of `labels` mean and spread of `f1` and `pr_auc`.

    A number of labels is skipped where the dataset has no more, or where no draw has both. Raises JobFailed where the
    recipe reads no labels, or the dataset cannot be divided.
    """
    if not versions.create(version.detector, dict(version.options)).needs_labels:
        raise JobFailed(gettext("%(version)s reads no labels, so there is nothing to learn") % {"version": version})
    bench = scorecards.bench(version, dataset, ctx)
    try:
        parts = bench.divide("random", 0)
    except split.SplitError as error:
        raise JobFailed(splits.explain(dataset, error)) from error
    pool, test = [*parts["train"], *parts["validation"]], parts["test"]
    sizes = [size for size in LABELS if size < len(pool)]
    ctx.stage(gettext("trials"), total=draws * (len(sizes) + 2))
    found: dict[int, list[dict[str, float]]] = {}
    for seed in range(draws):
        drawn = np.random.default_rng(seed).permutation(len(pool))[:SEQUENCES]
        stream = [replace(pool[number], label=None) for number in drawn]
        free = _free(stream, seed, bench, ctx)
        found.setdefault(0, []).append(_figures(bench, free, test))
        ctx.advance()
        order = verdicts(bench.rate(free, stream), free.threshold, seed)
        for size in sizes:
            ctx.checkpoint()
            chosen = set(order[:size].tolist())
            train = [pool[number] if place in chosen else stream[place] for place, number in enumerate(drawn)]
            if len({one.label for one in train if one.label is not None}) == 2:
                loaded = bench.fit({"train": train, "validation": []}, seed)
                found.setdefault(size, []).append(_figures(bench, loaded, test))
            ctx.advance()
        ctx.checkpoint()
        found.setdefault(len(pool), []).append(_figures(bench, bench.fit(parts, seed), test))
        ctx.advance()
    points = [
        {"labels": labels, **{name: protocol.spread(row[name] for row in rows) for name in ("f1", "pr_auc")}}
        for labels, rows in sorted(found.items())
    ]
    return {"test": len(test), "draws": draws, "points": points}


def verdicts(scores: NDArray[np.float64], threshold: float, seed: int) -> NDArray[np.int64]:
    """Return the order in which a review comes to sequences: a suspicious one, one at random, and so on.

    Suspicious are those with the highest scores; all those at or above the threshold are alike.
    """
    random = np.random.default_rng(seed).permutation(len(scores))
    suspicious = random[np.argsort(-np.minimum(scores[random], threshold), kind="stable")]
    turns = np.column_stack([suspicious, random]).ravel()
    _, first = np.unique(turns, return_index=True)
    return turns[np.sort(first)]


def _free(stream: Sequence[LogSequence], seed: int, bench: scorecards.Bench, ctx: RunContext) -> Loaded:
    from detection.engine.vectors import Quiet

    plugin = versions.create(FREE, {"seed": seed})
    vectors = line_vectors.store(bench.version.encoder)
    return Loaded(plugin, vectors, guard.call(plugin, "fit", stream, [], vectors, Quiet(ctx)))


def _figures(bench: scorecards.Bench, loaded: Loaded, test: list[LogSequence]) -> dict[str, float]:
    from detection.engine import metrics

    scores = np.concatenate([bench.rate(loaded, batch) for batch in scan.batches(test, scan.BATCH)])
    return metrics.evaluate([one.label or 0 for one in test], scores, loaded.threshold)
