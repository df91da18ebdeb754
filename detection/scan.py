"""Score sequences with a version, and keep what a scan found."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from detection.detectors.moe import Moe
from detection.models import ModelVersion, Scan, Score
from detection.versions import Loaded
from duolog.plugins.types import Context, LogSequence
from logs.models import Dataset
from workers.models import Run

BATCH = 1024
"""Sequences scored at once: enough to fill the processor, few enough for progress and bounded memory."""


REVIEWED = "reviewed"
"""What a scan is of, in place of a part, that keeps what a new version says of sequences that people reviewed."""

Explain = Literal["counterfactual", "fast"]
"""Where blame comes from: each line dropped and all scored again, or, of the small model, gradients."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A sequence with its score; `blame` has one weight a line, and only an anomalous one has it."""

    sequence: LogSequence
    score: float
    anomalous: bool
    blame: tuple[float, ...] | None


def score(loaded: Loaded, sequences: Iterable[LogSequence], ctx: Context, *, explain: bool = True) -> Iterator[Scored]:
    """Yield each sequence with its score, in order and in bounded memory; with `explain`, the anomalous with blame."""
    for batch in batches(sequences, BATCH):
        ctx.checkpoint()
        yield from score_batch(loaded, batch, ctx, explain=explain)
        ctx.advance(len(batch))


def score_batch(
    loaded: Loaded, batch: list[LogSequence], ctx: Context, *, explain: bool = True, how: Explain = "counterfactual"
) -> list[Scored]:
    """Return the sequences of one batch with their scores, in order; `how` says where the blame comes from."""

    def rate(part: list[LogSequence]) -> NDArray[np.float64]:
        return loaded.score(part, ctx)

    values = rate(batch)
    anomalous = values >= loaded.threshold
    flagged = [sequence for sequence, flag in zip(batch, anomalous, strict=True) if flag] if explain else []
    weights = iter(_blame(loaded, rate, flagged, ctx, how) if flagged else [])
    return [
        Scored(sequence, float(value), bool(flag), tuple(map(float, next(weights))) if explain and flag else None)
        for sequence, value, flag in zip(batch, values, anomalous, strict=True)
    ]


def _blame(
    loaded: Loaded,
    rate: Callable[[list[LogSequence]], NDArray[np.float64]],
    flagged: list[LogSequence],
    ctx: Context,
    how: Explain,
) -> list[NDArray[np.float64]]:
    from detection.engine.blame import blame  # engines may import torch, and the web process must start without it

    if how == "fast" and isinstance(loaded.detector, Moe):
        return loaded.detector.blame(flagged, loaded.vectors, ctx)
    return blame(rate, flagged)


def flips(loaded: Loaded, sequences: list[LogSequence], ctx: Context) -> list[tuple[int, ...]]:
    """Return for each anomalous sequence the few lines without which it would not be (`detection.engine.blame`)."""
    from detection.engine import blame

    return blame.flips(lambda part: loaded.score(part, ctx), sequences, loaded.threshold)


def batches(items: Iterable[LogSequence], size: int) -> Iterator[list[LogSequence]]:
    """Cut a stream into lists of `size`; the last may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


@dataclass
class Findings:
    """What a scan found so far: 17 bytes a sequence, and the blame of the anomalous ones."""

    sequences: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    blame: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def add(self, scored: Scored) -> None:
        """Take one scored sequence in."""
        pk = scored.sequence.meta["pk"]
        self.sequences.append(pk)
        self.values.append(scored.score)
        if scored.anomalous:
            self.blame[pk] = scored.blame or ()


def keep(
    found: Findings,
    *,
    version: ModelVersion,
    dataset: Dataset,
    part: str | None,
    run: Run,
    drift: Mapping[str, Any] | None = None,
    shadow_of: Scan | None = None,
    totals: tuple[int, int] | None = None,
) -> Scan:
    """Store a scan with all its scores by one binary COPY; called in the run's fenced transaction.

    `totals` are how many sequences were scored and anomalous where `found` holds only some of them.
    """
    sequences, anomalous = totals or (len(found.sequences), len(found.blame))
    scan = Scan.objects.create(
        project=run.project,
        version=version,
        dataset=dataset,
        part=part or "",
        threshold=version.threshold,
        sequences=sequences,
        anomalous=anomalous,
        drift=dict(drift or {}),
        shadow_of=shadow_of,
        run=None if shadow_of else run,  # a run has one scan, the champion's
    )
    add(scan, found)
    return scan


def add(scan: Scan, found: Findings) -> None:
    """Store scores of a scan by one binary COPY."""
    columns = "scan_id, sequence_id, value, anomalous, blame"
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {Score._meta.db_table} ({columns}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["int8", "int8", "float8", "bool", "float8[]"])
        for pk, value in zip(found.sequences, found.values, strict=True):
            blame = found.blame.get(pk)
            copy.write_row((scan.pk, pk, value, blame is not None, list(blame) if blame is not None else None))
