"""How well a detector does on sequences whose labels are known."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from django.utils.translation import gettext

from detection import scan
from detection.detectors.moe import Moe
from detection.models import ModelVersion
from detection.versions import Loaded
from duolog.plugins.types import Context, LogSequence
from training.engine import leakage
from workers import store
from workers.jobs import JobFailed
from workers.models import Artifact

if TYPE_CHECKING:
    from detection.engine.floors import Floors

UNTYPED = ("normal", "anomalous")
"""What stands for the type of a sequence that has none, by its label."""


def measure(
    loaded: Loaded,
    sequences: Iterable[LogSequence],
    ctx: Context,
    learned: leakage.Fingerprints | None,
    floors: Floors | None = None,
) -> dict[str, Any]:
    """Return the figures of `detection.engine.metrics.evaluate` on the sequences that have a label.

    Also "ece" (expected calibration error), "plots" (see `detection.engine.curves`), "types", how many `sequences` of
    each type there are and how many of them are `flagged`, and "routing", which experts of the small model did the work
    (`detection.engine.routing`). With what the detector `learned`, "leakage" is there, too: the share of these
    sequences whose template sequence it was trained on. With `floors`, the best of them on these very sequences is: its
    name ("floor"), its F1 and PR-AUC, and by how much the detector's F1 exceeds it ("over_floor"). Memory is bounded.
    Raises JobFailed where no sequence has a label.
    """
    from detection.engine import curves, metrics, routing  # read scikit-learn, which a web process need not load
    from detection.engine import floors as trivial

    labels, scores, judged, rivals = array("b"), array("d"), [], []
    fired, types = [], []
    labelled = (sequence for sequence in sequences if sequence.label is not None)
    while batch := list(islice(labelled, scan.BATCH)):
        for scored in scan.score(loaded, batch, ctx, explain=False):
            labels.append(scored.sequence.label or 0)
            scores.append(scored.score)
            types.append(scored.sequence.type or UNTYPED[scored.sequence.label or 0])
        if isinstance(loaded.detector, Moe):
            fired.append(loaded.detector.route(batch, loaded.vectors, ctx))  # 32 bytes a sequence
        if learned is not None:
            judged.append(templates(batch))  # 16 bytes a sequence
        if floors is not None:
            rivals.append(floors.scores(batch))  # 8 bytes a sequence and floor
    if not labels:
        raise JobFailed(gettext("no sequence has a label to compare with"))
    figures: dict[str, Any] = metrics.evaluate(labels, scores, loaded.threshold)
    flagged = Counter(kind for kind, score in zip(types, scores, strict=True) if score >= loaded.threshold)
    figures["types"] = {
        kind: {"sequences": count, "flagged": flagged[kind]} for kind, count in Counter(types).most_common()
    }
    if fired:
        figures["routing"] = routing.summary(np.concatenate(fired), types)
        if idle := figures["routing"]["collapsed"]:
            told = {"experts": ", ".join(str(number + 1) for number in idle)}
            ctx.log(gettext("experts that do less than 1 %% of the work: %(experts)s") % told, "warning")
    figures["ece"] = curves.calibration_error(labels, scores)
    figures["plots"] = curves.draw(labels, scores, loaded.threshold)
    if learned is not None:
        figures["leakage"] = leakage.share(np.concatenate(judged), learned)
    if floors is not None:
        measured = floors.measure(labels, np.concatenate(rivals))
        name = trivial.best(measured)
        best = measured[name]
        figures |= {"floor": name, "floor_f1": best["f1"], "floor_pr_auc": best["pr_auc"]}
        figures["over_floor"] = figures["f1"] - best["f1"]
    return figures


def templates(sequences: Iterable[LogSequence]) -> leakage.Fingerprints:
    """Return the fingerprints of the sequences' template sequences."""
    return leakage.of(sequence.entries for sequence in sequences)


def kept(version: ModelVersion | Artifact) -> tuple[leakage.Fingerprints | None, Floors | None]:
    """Return the template sequences that a version, or what is to be one, learned from, and the floors, or None."""
    from detection.engine.floors import Floors

    folder = store.verify(version.path, version.sha256)
    return leakage.load(folder), Floors.load(folder)
