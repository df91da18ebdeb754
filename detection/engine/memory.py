"""What happens where the device's memory does not suffice: the batch shrinks once, and the work goes on."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from detection.engine.data import Batch
from duolog.plugins.types import Context

SHRINK = 4
"""A batch that does not fit becomes so many parts. One that then still does not fit is an error: somebody else has the
memory, or a single sequence is too long for it, and going on in ever smaller parts would take days."""


def release(ctx: Context) -> None:
    """Give back what the failed batch held, and say so. Call it outside of `except`: the error holds on to tensors."""
    ctx.log(f"the device is out of memory: goes on with batches of a {SHRINK}th of the size", "warning")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def split(batch: Batch, parts: int) -> Iterator[Batch]:
    """Yield a batch in `parts` pieces of whole sequences, or fewer, with no more padding than each needs."""
    size = -(-len(batch.labels) // parts)
    for start in range(0, len(batch.labels), size):
        mine = (batch.owner >= start) & (batch.owner < start + size)  # [W]
        lines = batch.lines[mine]
        longest = int((lines[..., 0] >= 0).sum(1).max())
        end = start + size
        yield Batch(
            lines[:, :longest],
            batch.owner[mine] - start,
            batch.labels[start:end],
            batch.features[start:end],
            batch.causes[mine, :longest],
            batch.confidence[start:end],
        )
