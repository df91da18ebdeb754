"""Training and scoring of the small model.

It lies in `detection` although training it is: a detector plugin carries its own `fit`, and detection imports nothing
from the training app.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from detection.engine import calibrate, metrics, serialize
from detection.engine.config import MoEConfig, Training
from detection.engine.data import Batch, Lines, LogSequenceDataset, pad, windows
from detection.engine.device import device, native_bf16
from detection.engine.moe import EncoderWithMoE, balance_loss, entropy_loss, z_loss
from duolog.plugins.types import Context, Vectors

Tensors = tuple[Tensor, ...] | list[Tensor]

SAVE_SECONDS = 10.0
"""Least time between two checkpoints, about 40 MB each."""
DECAY = 0.995
"""Of the average of the weights; lower in the first steps, which would else never be forgotten."""
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

    It ends with the moving average of its weights, which generalises better than the last of them (Polyak and Juditsky
    1992; Izmailov et al. 2018, arXiv:1803.05407), and it is the average that is validated. A resumed training ends with
    the weights of an uninterrupted one: the order of batches depends on seed and epoch only, and nothing else is
    random.
    """
    table = torch.from_numpy(vectors).to(device())
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
    )
    # Rare anomalies count more, but not in full: the threshold is chosen later, and a weight of 40 makes it ragged.
    share = float(data.labels.mean())
    weight = torch.tensor(((1 - share) / share) ** 0.5 if options.class_weights else 1.0, device=table.device)
    average = AveragedModel(model, multi_avg_fn=_blend)
    averaged: EncoderWithMoE = average.module  # type: ignore[assignment]
    at, saved_at, per_epoch = _restore(model, average, optimizer, ctx), time.monotonic(), data.steps(options.batch)
    while at.epoch < 2 * options.epochs:
        for each in (model, averaged):
            each.gate(at.epoch >= options.epochs)
        ctx.stage(f"train {at.epoch + 1}/{2 * options.epochs}", per_epoch)
        ctx.advance(at.batch)
        for batch in data.batches(options.batch, (options.seed, at.epoch), at.batch):
            loss = _learn(model, table, batch, weight, options)
            at.step, at.batch = at.step + 1, at.batch + 1
            stepped = at.batch % options.accumulate == 0 or at.batch == per_epoch
            if stepped:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                average.update_parameters(model)
            ctx.advance()
            if at.step % 10 == 0:
                ctx.metric("loss", loss.item(), at.step)
            due = stepped and time.monotonic() - saved_at > SAVE_SECONDS
            ctx.checkpoint(at.step, partial(_save, model, average, optimizer, at) if due else None)
            saved_at = time.monotonic() if due else saved_at
        found = _validate(averaged, validation, table, ctx, at.step)
        _next_epoch(model, averaged, at, found, options)
    model.load_state_dict(averaged.state_dict())


def _blend(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
    """Move the average by one step."""
    torch._foreach_lerp_(averaged, current, 1 - min(DECAY, (1 + int(count)) / (10 + int(count))))


@dataclass
class _Progress:
    """Where a training stands: `step` batches in all, `batch` of them in `epoch`; the best of its stage so far."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float = -1.0
    waited: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)


def _next_epoch(
    model: EncoderWithMoE, averaged: EncoderWithMoE, at: _Progress, found: float | None, options: Training
) -> None:
    """Go on; with a patience, keep the best weights of a stage, and leave it when they do not get better."""
    at.epoch, at.batch = at.epoch + 1, 0
    if not options.patience or found is None:
        return
    if found > at.best:
        at.best, at.waited = found, 0
        at.weights = {name: tensor.clone() for name, tensor in averaged.state_dict().items()}
    else:
        at.waited += 1
    end = options.epochs if at.epoch <= options.epochs else 2 * options.epochs  # of this stage
    if at.waited >= options.patience or at.epoch == end:
        for each in (model, averaged):
            each.load_state_dict(at.weights)
        at.epoch, at.best, at.waited, at.weights = end, -1.0, 0, {}


def _learn(model: EncoderWithMoE, table: Tensor, batch: Batch, weight: Tensor, options: Training) -> Tensor:
    """Add the gradients of a batch to those that are there; return its loss."""
    model.train()
    where = table.device
    lines, owner, labels = batch.lines.to(where), batch.owner.to(where), batch.labels.to(where)
    used, lines = distinct(lines)
    with torch.autocast(where.type, torch.bfloat16, enabled=native_bf16()):
        logits, gates = model(table[used], lines)
    logits = torch.full_like(labels, -torch.inf).scatter_reduce(0, owner, logits.float(), "amax")  # [S] from [W]
    loss = sequence_loss(logits, labels, weight, options)
    total = loss
    for gate in gates if model.blocks[0].moe.gated else ():
        routing = options.balance * balance_loss(gate) + options.entropy * entropy_loss(gate)
        total = total + (routing + options.router_z * z_loss(gate)) / len(gates)
    (total / options.accumulate).backward()
    return loss.detach()


def sequence_loss(logits: Tensor, labels: Tensor, weight: Tensor, options: Training) -> Tensor:
    """Return the mean loss of logits [S] for labels [S], of which the anomalous ones weigh `weight`."""
    smooth = labels * (1 - options.label_smoothing) + options.label_smoothing / 2
    losses = F.binary_cross_entropy_with_logits(logits, smooth, pos_weight=weight, reduction="none")  # [S]
    if options.focal:
        losses = losses * (labels - logits.sigmoid()).abs() ** options.focal  # what is sure already counts little
    return losses.mean()


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
    logits = np.empty(len(parts), np.float64)
    for members, used, lines in _in_batches(parts, table, ctx):
        logits[members] = model(used.to(where), lines.to(where))[0].double().cpu().numpy()
    return logits


@torch.inference_mode()
def route(model: EncoderWithMoE, lines: Sequence[Lines], vectors: Vectors, ctx: Context) -> NDArray[np.float64]:
    """Return [S, B·E]: how much each expert of each of the B blocks weighs in a sequence, on average over its lines.

    The experts of a block sum to 1; a sequence of several windows counts their common lines twice, and one without
    lines uses no expert.
    """
    model.eval()
    where = next(model.parameters()).device
    owner = [number for number, line in enumerate(lines) for _ in windows(line, model.config.window)]
    parts = [part for line in lines for part in windows(line, model.config.window)]
    total = np.zeros((len(lines), model.config.depth * model.config.experts))
    counts = np.zeros(len(lines))
    for members, used, padded in _in_batches(parts, torch.from_numpy(vectors), ctx):
        _, gates = model(used.to(where), padded.to(where))
        weights = torch.cat([gate.weights for gate in gates], -1).double().cpu().numpy()  # [N, B·E]
        whose = np.repeat([owner[member] for member in members], [len(parts[member]) for member in members])
        np.add.at(total, whose, weights)
        np.add.at(counts, whose, 1)
    return total / np.maximum(counts, 1)[:, None]


def _in_batches(parts: Sequence[Lines], table: Tensor, ctx: Context) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Yield which windows of like length go together, the rows of the table that they use, and themselves, padded."""
    order = sorted(range(len(parts)), key=lambda position: len(parts[position]))
    start = 0
    while start < len(order):
        ctx.checkpoint()
        size = max(1, LINES_AT_ONCE // len(parts[order[start]]))
        members = order[start : start + size]
        members = members[: max(1, LINES_AT_ONCE // len(parts[members[-1]]))]
        used, lines = distinct(pad([parts[position] for position in members]))
        yield members, table[used], lines
        start += len(members)


def _validate(
    model: EncoderWithMoE,
    validation: tuple[Sequence[Lines], NDArray[np.int64]],
    table: Tensor,
    ctx: Context,
    step: int,
) -> float | None:
    """Record the figures of the validation part, and return its PR-AUC; None if there is no such part."""
    rows, labels = validation
    if not len(labels):
        return None
    scores = score(model, rows, table.cpu().numpy(), ctx)
    found = metrics.evaluate(labels, scores, calibrate.best_f1(labels, scores))
    for name in ("f1", "precision", "recall", "pr_auc"):
        ctx.metric(f"validation_{name}", found[name], step)
    return found["pr_auc"]


def _save(
    model: EncoderWithMoE, average: AveragedModel, optimizer: torch.optim.Optimizer, at: _Progress, folder: Path
) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in at.weights.items()}
    for number, slot in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in slot.items()}
    state = {name: getattr(at, name) for name in ("step", "epoch", "batch", "best", "waited")}
    serialize.save(folder, {name: tensor.cpu().numpy() for name, tensor in tensors.items()}, state)


def _restore(
    model: EncoderWithMoE, average: AveragedModel, optimizer: torch.optim.Optimizer, ctx: Context
) -> _Progress:
    """Take up the newest checkpoint; return where it stands."""
    if (kept := ctx.resume()) is None:
        return _Progress()
    arrays, state = serialize.load(kept[1])
    weights: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "best": {}}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind in weights:
            weights[kind][rest] = torch.from_numpy(array)
        else:
            number, _, slot = rest.partition(".")
            slots.setdefault(int(number), {})[slot] = torch.from_numpy(array)
    model.load_state_dict(weights["model"])
    average.load_state_dict(weights["average"])
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return _Progress(**state, weights=weights["best"])


def build(config: MoEConfig, dim: int, seed: int) -> EncoderWithMoE:
    """Return a new model whose weights depend on `seed` only."""
    with torch.random.fork_rng(devices=[]):  # leaves the process's own random state alone
        torch.manual_seed(seed)
        return EncoderWithMoE(config, dim).to(device())
