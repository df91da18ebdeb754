"""A detector that learns without labels follows its stream: what it is fitted on anew, and whether that did it good."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext

from detection import scan
from detection.models import Scan, Score
from detection.versions import Loaded
from duolog.plugins.types import Context, LogSequence
from logs import datasets
from logs.models import Sequence
from training.engine.split import content, digest
from training.snapshot import Snapshot
from workers.jobs import JobFailed

MOST_FLAGGED = 0.2
"""A larger share of alarms than this is no handful of anomalies but a stream that has moved, and stays to be learned
from: labels-free detectors bear as much (`detection.engine.neighbours`), and what people called anomalous goes anyway.
"""
MOST_ALARMS = 0.05
"""Share of the window before, without what was flagged there, that a refreshed version may flag and still go live. An
outage that fills the newest window and was learned as usual makes the time before it look odd."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The newest sequences of a scan to learn from, those `before` them to check with, and how many were left out."""

    data: Snapshot
    before: list[LogSequence]
    left_out: int


def windows(newest: Scan, size: int) -> Windows:
    """Return the newest `size` sequences that a scan saw, and as many before them; half of all where it saw fewer.

    Out go sequences that somebody called anomalous, and those that the scan flagged and nobody called normal, unless
    more than MOST_FLAGGED are flagged. Raises JobFailed where there are too few.
    """
    rows = (
        Score.objects.filter(scan=newest).order_by("-sequence_id").values_list("sequence_id", "anomalous")[: 2 * size]
    )
    flagged = dict(rows)
    stored = datasets.read_stored(Sequence.objects.filter(pk__in=list(flagged)))
    seen = [each.sequence for each in stored]
    if len(seen) < 2:
        raise JobFailed(gettext("the scan saw too few sequences to learn from the newest of them"))
    size = min(size, len(seen) // 2)
    recent, before = seen[-size:], seen[:-size]
    moved = sum(flagged[each.meta["pk"]] for each in recent) > MOST_FLAGGED * size

    def usual(sequence: LogSequence, *, alarms: bool) -> bool:
        return sequence.label == 0 or (sequence.label is None and not (alarms and flagged[sequence.meta["pk"]]))

    kept = [each for each in recent if usual(each, alarms=not moved)]
    lineage = {
        "dataset": newest.dataset.name,
        "revision": None,
        "strategy": None,
        "parts": {"": digest(map(content, kept))},
        "scan": newest.pk,
        "refreshed": str(newest.version),
    }
    data = Snapshot(train=kept, validation=[], unlabelled=[], lineage=lineage)
    return Windows(data, [each for each in before if usual(each, alarms=True)], size - len(kept))


def alarms(loaded: Loaded, sequences: list[LogSequence], ctx: Context) -> float:
    """Return the share of sequences that a version flags; 0 of none."""
    found = [each.anomalous for each in scan.score(loaded, sequences, ctx, explain=False)]
    return sum(found) / max(1, len(found))
