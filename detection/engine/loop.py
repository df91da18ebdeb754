"""Training and scoring of the small model.

It lies in `detection` although training it is: a detector plugin carries its own `fit`, and detection imports nothing
from the training app.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from detection.engine import calibrate, metrics, serialize
from detection.engine.config import MoEConfig, Training
from detection.engine.data import Batch, LogSequenceDataset, Lines, pad, windows
from detection.engine.device import device, native_bf16
from detection.engine.moe import EncoderWithMoE, balance_loss, entropy_loss
from duolog.plugins.types import Context, Vectors

SAVE_SECONDS = 10.0
"""Least time between two checkpoints, about 30 MB each."""
LINES_AT_ONCE = 8192
"""Lines, padding included, that are scored in one go: fills two cores, and bounds memory whatever the lengths."""


def train(
    model: EncoderWithMoE,
    options: Training,
    data: LogSequenceDataset,
    validation: tuple[Sequence[Lines], NDArray[np.int64]],
    vectors: Vectors,
    ctx: Context,
) -> None:
    """Train `model` in place, resuming from the newest checkpoint of `ctx`.

    A resumed training ends with the weights of an uninterrupted one: the order of batches depends on seed and epoch
    only, and nothing else is random.
    """
    table = torch.from_numpy(vectors).to(device())
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
    )
    # Rare anomalies count more, but not in full: the threshold is chosen later, and a weight of 40 makes it ragged.
    share = float(data.labels.mean())
    weight = torch.tensor(((1 - share) / share) ** 0.5, device=table.device)
    done, saved_at, per_epoch = _restore(model, optimizer, ctx), time.monotonic(), data.steps(options.batch)
    for epoch in range(done // per_epoch, 2 * options.epochs):
        model.moe.gated = epoch >= options.epochs
        ctx.stage(f"train {epoch + 1}/{2 * options.epochs}", per_epoch)
        ctx.advance(done - epoch * per_epoch)
        for batch in data.batches(options.batch, (options.seed, epoch), done - epoch * per_epoch):
            loss = _step(model, optimizer, table, batch, weight, options)
            done += 1
            ctx.advance()
            if done % 10 == 0:
                ctx.metric("loss", loss.item(), done)
            save = partial(_save, model, optimizer, done) if time.monotonic() - saved_at > SAVE_SECONDS else None
            ctx.checkpoint(done, save)
            saved_at = time.monotonic() if save else saved_at
        _validate(model, validation, table, ctx, done)


def _step(
    model: EncoderWithMoE,
    optimizer: torch.optim.Optimizer,
    table: Tensor,
    batch: Batch,
    weight: Tensor,
    options: Training,
) -> Tensor:
    model.train()
    where = table.device
    lines, owner, labels = batch.lines.to(where), batch.owner.to(where), batch.labels.to(where)
    used, lines = distinct(lines)
    with torch.autocast(where.type, torch.bfloat16, enabled=native_bf16()):
        logits, gate = model(table[used], lines)
    logits = torch.full_like(labels, -torch.inf).scatter_reduce(0, owner, logits.float(), "amax")  # [S] from [W]
    loss = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)
    total = loss
    if model.moe.gated:
        total = loss + options.balance * balance_loss(gate) + options.entropy * entropy_loss(gate)
    optimizer.zero_grad()
    total.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


def distinct(lines: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that `lines` [W, L, 1 + C] use, and `lines` pointing into them; padding stays -1."""
    index = lines[..., 0]
    mask = index >= 0
    used, inverse = index[mask].unique(return_inverse=True)
    return used, torch.cat([index.masked_scatter(mask, inverse).unsqueeze(-1), lines[..., 1:]], -1)


def score(model: EncoderWithMoE, rows: Sequence[Lines], vectors: Vectors, ctx: Context) -> NDArray[np.float64]:
    """Return one probability a sequence; equal windows are computed once, and no lines score 0."""
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
    logits = _logits(model, distinct_windows, torch.from_numpy(vectors), where, ctx)
    best = np.array([max((logits[part] for part in mine), default=-np.inf) for mine in owners], np.float64)
    return 1 / (1 + np.exp(-best))


@torch.inference_mode()
def _logits(
    model: EncoderWithMoE, parts: Sequence[Lines], table: Tensor, where: torch.device, ctx: Context
) -> NDArray[np.float64]:
    model.eval()
    order = sorted(range(len(parts)), key=lambda position: len(parts[position]))
    logits = np.empty(len(parts), np.float64)
    start = 0
    while start < len(order):
        ctx.checkpoint()
        size = max(1, LINES_AT_ONCE // len(parts[order[start]]))
        members = order[start : start + size]
        members = members[: max(1, LINES_AT_ONCE // len(parts[members[-1]]))]
        used, lines = distinct(pad([parts[position] for position in members]))
        logits[members] = model(table[used].to(where), lines.to(where))[0].double().cpu().numpy()
        start += len(members)
    return logits


def _validate(
    model: EncoderWithMoE,
    validation: tuple[Sequence[Lines], NDArray[np.int64]],
    table: Tensor,
    ctx: Context,
    step: int,
) -> None:
    rows, labels = validation
    if not len(labels):
        return
    scores = score(model, rows, table.cpu().numpy(), ctx)
    found = metrics.evaluate(labels, scores, calibrate.best_f1(labels, scores))
    for name in ("f1", "precision", "recall", "pr_auc"):
        ctx.metric(f"validation_{name}", found[name], step)


def _save(model: EncoderWithMoE, optimizer: torch.optim.Optimizer, step: int, folder: Path) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, slot in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in slot.items()}
    serialize.save(folder, {name: tensor.cpu().numpy() for name, tensor in tensors.items()}, {"step": step})


def _restore(model: EncoderWithMoE, optimizer: torch.optim.Optimizer, ctx: Context) -> int:
    """Take up the newest checkpoint; return how many steps are done."""
    if (kept := ctx.resume()) is None:
        return 0
    arrays, state = serialize.load(kept[1])
    weights: dict[str, Tensor] = {}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind == "model":
            weights[rest] = torch.from_numpy(array)
        else:
            number, _, slot = rest.partition(".")
            slots.setdefault(int(number), {})[slot] = torch.from_numpy(array)
    model.load_state_dict(weights)
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(state["step"])


def build(config: MoEConfig, dim: int, seed: int) -> EncoderWithMoE:
    """Return a new model whose weights depend on `seed` only."""
    with torch.random.fork_rng(devices=[]):  # leaves the process's own random state alone
        torch.manual_seed(seed)
        return EncoderWithMoE(config, dim).to(device())
