"""Which experts of the small model did the work on one sequence."""

from __future__ import annotations

from dataclasses import dataclass

from detection import charts, versions
from detection.detectors.moe import Moe
from detection.models import Score
from duolog.plugins.types import LogSequence, NullContext
from logs import datasets
from logs.models import Sequence

IDLE = 0.005
"""An expert with less of the work than this is left out."""


@dataclass(frozen=True, slots=True)
class Fired:
    """An expert and its part of the work on a sequence; the experts of a block sum to 1."""

    name: str
    share: float


def fired(score: Score) -> list[Fired]:
    """Return the experts that worked on the sequence of a score, the busiest first; none where the model has none.

    The model is loaded where it is asked (and kept, as in a worker), so ask for what somebody wants to see. Raises
    VersionError, ArtifactDamaged or PluginError where it cannot be.
    """
    loaded = versions.load(score.scan.version)
    if not isinstance(loaded.detector, Moe):
        return []
    weights = loaded.detector.route([_read(score.sequence_id)], loaded.vectors, NullContext())[0].tolist()
    names = [charts.expert(number, loaded.detector.options.experts, len(weights)) for number in range(len(weights))]
    found = [Fired(name, share) for name, share in zip(names, weights, strict=True) if share >= IDLE]
    return sorted(found, key=lambda each: -each.share)


def _read(pk: int) -> LogSequence:
    return next(datasets.read_stored(Sequence.objects.filter(pk=pk))).sequence
