"""Scoring with the small model, and which of its experts do the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detection.engine import memory
from detection.engine.data import Lines, pad, windows
from detection.engine.moe import LINES_AT_ONCE, EncoderWithMoE
from duolog.plugins.types import Context, Vectors

T = TypeVar("T")
Features = NDArray[np.float32]
"""[S, 3], those of `detection.engine.familiar`."""


def distinct(lines: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that `lines` [W, L, 1 + C] use, and `lines` pointing into them; padding stays -1."""
    index = lines[..., 0]
    mask = index >= 0
    used, inverse = index[mask].unique(return_inverse=True)
    return used, torch.cat([index.masked_scatter(mask, inverse).unsqueeze(-1), lines[..., 1:]], -1)


def score(
    model: EncoderWithMoE, rows: Sequence[Lines], vectors: Vectors, ctx: Context, features: Features | None = None
) -> NDArray[np.float64]:
    """Return one probability a sequence; no lines score 0.

    `features` [S, 3] are those of `detection.engine.familiar`, if the model knows them.
    """
    told = logits(model, rows, vectors, ctx)
    return 1 / (1 + np.exp(-(told if features is None else told + familiar(model, features))))


def logits(model: EncoderWithMoE, rows: Sequence[Lines], vectors: Vectors, ctx: Context) -> NDArray[np.float64]:
    """Return what the lines say, without `familiar`: one logit a sequence; equal windows are computed once."""
    where = next(model.parameters()).device
    parts: dict[bytes, int] = {}
    owners: list[list[int]] = []
    distinct_windows: list[Lines] = []
    for row in rows:
        mine = []
        for part in windows(row, model.config.window):
            position = parts.setdefault(part.tobytes(), len(parts))
            if position == len(distinct_windows):
                distinct_windows.append(part)
            mine.append(position)
        owners.append(mine)
    said = _logits(model, distinct_windows, torch.from_numpy(vectors), where, ctx)
    return np.array([max((said[part] for part in mine), default=-np.inf) for mine in owners], np.float64)


@torch.inference_mode()
def familiar(model: EncoderWithMoE, features: Features) -> NDArray[np.float64]:
    """Return what `features` [S, 3] say, one logit a sequence."""
    # Not a matrix product: its last bit could depend on how many sequences are scored together.
    told = torch.from_numpy(features).to(model.familiar.weight.device) * model.familiar.weight
    found: NDArray[np.float64] = (told.sum(1) + model.familiar.bias).double().cpu().numpy()
    return found


@torch.inference_mode()
def _logits(
    model: EncoderWithMoE, parts: Sequence[Lines], table: Tensor, where: torch.device, ctx: Context
) -> NDArray[np.float64]:
    model.eval()
    found = np.empty(len(parts), np.float64)
    for members, values in in_batches(model, parts, table, ctx, lambda used, lines: model(used, lines)[0]):
        found[members] = values.double().cpu().numpy()
    return found


@torch.inference_mode()
def route(model: EncoderWithMoE, lines: Sequence[Lines], vectors: Vectors, ctx: Context) -> NDArray[np.float64]:
    """Return [S, B·E]: how much each expert of each of the B blocks weighs in a sequence, on average over its lines.

    The experts of a block sum to 1; a sequence of several windows counts their common lines twice, and one without
    lines uses no expert.
    """
    model.eval()
    owner = [number for number, line in enumerate(lines) for _ in windows(line, model.config.window)]
    parts = [part for line in lines for part in windows(line, model.config.window)]
    total = np.zeros((len(lines), model.config.depth * model.config.experts))
    counts = np.zeros(len(lines))
    for members, (_, gates, _) in in_batches(model, parts, torch.from_numpy(vectors), ctx, model):
        weights = torch.cat([gate.weights for gate in gates], -1).double().cpu().numpy()  # [N, B·E]
        whose = np.repeat([owner[member] for member in members], [len(parts[member]) for member in members])
        np.add.at(total, whose, weights)
        np.add.at(counts, whose, 1)
    return total / np.maximum(counts, 1)[:, None]


def in_batches(
    model: EncoderWithMoE, parts: Sequence[Lines], table: Tensor, ctx: Context, forward: Callable[[Tensor, Tensor], T]
) -> Iterator[tuple[list[int], T]]:
    """Yield which windows of like length went together, and what `forward` makes of their rows of `table` and of them.

    Where the device is out of memory the batches of this model shrink once (`detection.engine.memory`).
    """
    order = sorted(range(len(parts)), key=lambda position: len(parts[position]))
    where, start = next(model.parameters()).device, 0
    while start < len(order):
        ctx.checkpoint()
        size = max(1, model.at_once // len(parts[order[start]]))
        members = order[start : start + size]
        members = members[: max(1, model.at_once // len(parts[members[-1]]))]
        used, lines = distinct(pad([parts[position] for position in members]))
        found = None
        try:
            found = forward(table[used].to(where), lines.to(where))
        except torch.OutOfMemoryError:
            if model.at_once < LINES_AT_ONCE or len(members) == 1:
                raise
        if found is None:
            model.at_once //= memory.SHRINK
            memory.release(ctx)
            continue
        yield members, found
        start += len(members)
