"""How well a detector does on sequences whose labels are known."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from django.utils.translation import gettext

from detection import scan
from detection.models import ModelVersion
from detection.versions import Loaded
from duolog.plugins.types import Context, LogSequence
from training.engine import leakage
from workers import store
from workers.jobs import JobFailed


def measure(
    loaded: Loaded, sequences: Iterable[LogSequence], ctx: Context, learned: leakage.Fingerprints | None
) -> dict[str, Any]:
    """Return the figures of `detection.engine.metrics.evaluate` on the sequences that have a label.

    Also "ece" (expected calibration error) and "plots" (see `detection.engine.curves`). With what the detector
    `learned`, "leakage" is among them: the share of these sequences whose template sequence it was trained on. Memory
    is bounded. Raises JobFailed where no sequence has a label.
    """
    from detection.engine import curves, metrics  # read scikit-learn, which a web process need not load

    labels, scores, judged = array("b"), array("d"), []
    labelled = (sequence for sequence in sequences if sequence.label is not None)
    while batch := list(islice(labelled, scan.BATCH)):
        for scored in scan.score(loaded, batch, ctx, explain=False):
            labels.append(scored.sequence.label or 0)
            scores.append(scored.score)
        if learned is not None:
            judged.append(templates(batch))  # 16 bytes a sequence
    if not labels:
        raise JobFailed(gettext("no sequence has a label to compare with"))
    figures: dict[str, Any] = metrics.evaluate(labels, scores, loaded.threshold)
    figures["ece"] = curves.calibration_error(labels, scores)
    figures["plots"] = curves.draw(labels, scores, loaded.threshold)
    return figures if learned is None else {**figures, "leakage": leakage.share(np.concatenate(judged), learned)}


def templates(sequences: Iterable[LogSequence]) -> leakage.Fingerprints:
    """Return the fingerprints of the sequences' template sequences."""
    return leakage.of(sequence.entries for sequence in sequences)


def learned(version: ModelVersion) -> leakage.Fingerprints | None:
    """Return the template sequences that a version was trained on; None where it was stored without them."""
    return leakage.load(store.verify(version.path, version.sha256))
