"""Blame without scoring anew for every line: the gradient of the logit by what a line says.

The counterfactual (`detection.engine.blame`) costs as many passes as a sequence has different lines; here one pass
forth and back gives the blame of all of them: the gradient halfway from a sequence whose every line is their mean to
the sequence itself, times that way (integrated gradients, Sundararajan et al. 2017, arXiv:1703.01365, by the midpoint;
three points agreed no better). It needs no weights of its own, so every version of the small model has it.
docs/results.md compares it with an attention pool as third part of the head, whose weights agree with the
counterfactual less (they say where the model looks, not which way that moves the score), and with leaving lines out of
the pool alone, which does not see what attention has already carried from line to line.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detection.engine.data import Lines, windows
from detection.engine.moe import EncoderWithMoE
from detection.engine.scoring import in_batches
from duolog.plugins.types import Context, Vectors


def blame(model: EncoderWithMoE, lines: Sequence[Lines], vectors: Vectors, ctx: Context) -> list[NDArray[np.float64]]:
    """Return one weight a line as `detection.engine.blame.blame` does: >= 0, sum 1, or all 0 if no line matters.

    Lines that say the same share what they cause. Of a sequence of several windows the most suspicious is explained.
    """
    model.eval()
    size = model.config.window
    owner = [(number, at) for number, line in enumerate(lines) for at in windows(_numbers(len(line)), size)]
    alike: dict[bytes, list[int]] = {}  # equal windows are explained once
    for position, (number, at) in enumerate(owner):
        alike.setdefault(lines[number][at[:, 0]].tobytes(), []).append(position)
    firsts = list(alike.values())
    parts = [lines[owner[first][0]][owner[first][1][:, 0]] for first, *_ in firsts]
    best = np.full(len(lines), -np.inf)
    weights = [np.zeros(len(line)) for line in lines]
    for members, (caused, logits) in in_batches(model, parts, torch.from_numpy(vectors), ctx, partial(_caused, model)):
        for member, weight, logit in zip(members, caused.double().cpu().numpy(), logits.tolist(), strict=True):
            for number, at in map(owner.__getitem__, firsts[member]):
                if logit > best[number]:
                    best[number], weights[number][:] = logit, 0
                    weights[number][at[:, 0]] = weight[: len(at)]
    return [weight / (weight.sum() or 1) for weight in weights]


def _caused(model: EncoderWithMoE, table: Tensor, lines: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each line adds to the logit, >= 0, [W, L], and the logits [W], for rows of `table` [R, D]."""
    index = lines[..., 0]
    mask = index >= 0  # [W, L]
    lengths = mask.sum(1)  # [W]
    places = index + torch.arange(len(index), device=index.device).unsqueeze(1) * len(table)
    # One row for each line that a window has (M), or the gradients of windows that share a line would mix.
    own, said, times = places[mask].unique(return_inverse=True, return_counts=True)
    window, rows = own // len(table), table[own % len(table)]  # [M] and [M, D]
    mean = rows.new_zeros(len(index), rows.shape[1]).index_add(0, window, rows * times.unsqueeze(1))
    start = (mean / lengths.unsqueeze(1))[window]  # [M, D]
    lines = torch.cat([index.masked_scatter(mask, said).unsqueeze(-1), lines[..., 1:]], -1)
    with torch.enable_grad():
        halfway = ((start + rows) / 2).requires_grad_()
        (slope,) = torch.autograd.grad(model(halfway, lines)[0].sum(), halfway)
    each = (slope * (rows - start)).sum(1).clamp_min(0)  # [M]
    each = torch.where(times == lengths[window], 1, each) / times  # a line that is all there is takes it all
    with torch.no_grad():
        return torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, each[said]), model(rows, lines)[0]


def _numbers(count: int) -> Lines:
    return np.arange(count, dtype=np.int32)[:, None]
