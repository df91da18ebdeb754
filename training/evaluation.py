"""How well a detector does on sequences whose labels are known."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from django.utils.translation import gettext

from detection import scan
from detection.versions import Loaded
from duolog.plugins.types import Context, LogSequence
from workers.jobs import JobFailed


def measure(loaded: Loaded, sequences: Iterable[LogSequence], ctx: Context) -> dict[str, float]:
    """Return the figures of `detection.engine.metrics.evaluate` on the sequences that have a label.

    Memory is bounded. Raises JobFailed where no sequence has a label.
    """
    from detection.engine import metrics  # reads scikit-learn, which a web process need not load

    labels, scores = array("b"), array("d")
    labelled = (sequence for sequence in sequences if sequence.label is not None)
    for scored in scan.score(loaded, labelled, ctx, explain=False):
        labels.append(scored.sequence.label or 0)
        scores.append(scored.score)
    if not labels:
        raise JobFailed(gettext("no sequence has a label to compare with"))
    return metrics.evaluate(labels, scores, loaded.threshold)
