"""From a detector and a snapshot to a fitted version: threshold, floors, figures on the validation part, artifact."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.utils.text import slugify
from django.utils.translation import gettext

from detection import line_vectors, thresholds, versions
from duolog.plugins import guard
from duolog.plugins.options import as_json
from duolog.plugins.points import Detector
from training import calibration, evaluation
from training.engine import leakage
from training.snapshot import Snapshot
from workers.context import RunContext


def fit(
    detector: Detector, data: Snapshot, ctx: RunContext, *, plugin: str, name: str, plan: thresholds.Plan | None = None
) -> tuple[versions.Fitted, versions.Loaded]:
    """Return what `versions.propose` stores as the next version of `name`, and the same ready to score.

    `plugin` is the detector's entry-point name. Without a `plan` the detector chooses its threshold itself. Figures are
    there where the validation part has labels.
    """
    from detection.engine.floors import Floors  # reads scikit-learn

    vectors = line_vectors.store(settings.ENCODER)
    threshold = guard.call(detector, "fit", [*data.train, *data.unlabelled], data.validation, vectors, ctx)
    calibrated = calibration.calibrate(versions.Loaded(detector, vectors, threshold), data, plan, ctx)
    loaded = calibrated.loaded
    ctx.stage(gettext("fitting the trivial floors"))
    floors = Floors.fit(data.train, data.validation, labels=detector.needs_labels)
    learned = evaluation.templates(data.train)
    metrics = {}
    if any(sequence.label is not None for sequence in data.validation):
        ctx.stage(gettext("validating"), total=len(data.validation))
        metrics[f"{data.lineage['dataset']}:validation"] = evaluation.measure(
            loaded, data.validation, ctx, learned, floors
        )

    def save(folder: Path) -> None:
        guard.call(detector, "save", folder)
        leakage.save(learned, folder)
        floors.save(folder)

    fitted = versions.Fitted(
        name=name,
        detector=plugin,
        options=as_json(detector.options),
        encoder=settings.ENCODER,
        encoder_digest=vectors.digest,
        temperature=loaded.temperature,
        threshold=loaded.threshold,
        policy=calibrated.policy,
        reference=calibrated.reference,
        metrics=metrics,
        lineage=data.lineage,
        artifact=ctx.artifact("model", save),
    )
    return fitted, loaded


def model_name(dataset: str, plugin: str) -> str:
    """Return what a model is called that nobody gave a name: after dataset and plugin."""
    slug = slugify(dataset)[: 49 - len(plugin)].strip("-")
    return f"{slug}-{plugin}" if slug else plugin
