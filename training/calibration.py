"""What stands between a fitted detector and a version: temperature, threshold, and the reference for drift."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from django.utils.translation import gettext

from detection import scan, thresholds
from detection.versions import Loaded
from duolog.plugins.types import Context
from logs.models import Dataset
from training.snapshot import Snapshot
from workers.jobs import JobFailed

ENOUGH = 2000
"""Sequences that the reference is made of where none are held out."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A detector whose scores are probabilities as far as labels allow, and what its version keeps beside."""

    loaded: Loaded
    policy: dict[str, Any]
    reference: dict[str, Any]


def plan(policy: str, data: Snapshot, dataset: Dataset) -> thresholds.Plan | None:
    """Return how to choose the threshold on the validation part; None: as the detector does itself.

    Raises JobFailed where the policy asks for what the part does not have: now, before hours of training.
    """
    if not policy:
        return None
    labelled = [sequence for sequence in data.validation if sequence.label is not None]
    if not labelled:
        text = gettext("the threshold policy %(policy)s takes a validation part with labels, and %(dataset)s has none")
        raise JobFailed(text % {"policy": policy, "dataset": dataset.name})
    return thresholds.plan(thresholds.parse(policy), labelled, dataset)


def calibrate(loaded: Loaded, data: Snapshot, chosen_by: thresholds.Plan | None, ctx: Context) -> Calibrated:
    """Fit the temperature on the labelled validation part, choose the threshold, and count what is usual."""
    from detection.engine import calibrate as engine
    from detection.engine import drift

    held_out = data.validation or data.train[-ENOUGH:]
    ctx.stage(gettext("calibrating"), total=len(held_out))
    tally, scores = drift.Tally(), []
    for batch in scan.batches(held_out, scan.BATCH):
        tally.add(batch)
        scores += [scored.score for scored in scan.score(loaded, batch, ctx, explain=False)]
    labelled = np.array([bool(data.validation) and sequence.label is not None for sequence in held_out])
    labels = np.array([sequence.label for sequence in held_out if data.validation and sequence.label is not None])
    values = np.array(scores)
    temperature = engine.temperature(labels, values[labelled]) if labels.size else 1.0
    tempered = engine.temper(values, temperature)
    tally.scores = tempered.tolist()
    threshold = float(engine.temper(loaded.threshold, temperature))
    policy: dict[str, Any] = {}
    if chosen_by:
        chosen = chosen_by.choose(tempered[labelled], f"{data.lineage['dataset']}:validation")
        threshold, policy = chosen.threshold, chosen.as_json()
    calibrated = replace(loaded, temperature=temperature, threshold=threshold)
    return Calibrated(calibrated, policy, drift.Reference.of(tally).as_json())
