"""Training and scoring of the small model.

It lies in `detection` although training it is: a detector plugin carries its own `fit`, and detection imports nothing
from the training app.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from detection.engine import calibrate, metrics, serialize
from detection.engine.config import MoEConfig, Training
from detection.engine.data import Batch, Lines, LogSequenceDataset, pad, windows
from detection.engine.device import device, native_bf16
from detection.engine.moe import EncoderWithMoE, balance_loss, entropy_loss, z_loss
from duolog.plugins.types import Context, Vectors

Features = NDArray[np.float32]
Validation = tuple[Sequence[Lines], NDArray[np.int64], Features]
"""Lines, labels and features (`detection.engine.familiar`) of the validation part."""
SAVE_SECONDS = 10.0
"""Least time between two checkpoints, about 30 MB each."""
STEPS = 25
"""Least steps of a stage: with few sequences it takes more epochs than the options say."""
FASTER = 100
"""How many times faster the three weights of the labels-free features learn: they have a long way to go."""
LINES_AT_ONCE = 8192
"""Lines, padding included, that are scored in one go: fills two cores, and bounds memory whatever the lengths."""


def train(
    model: EncoderWithMoE,
    options: Training,
    data: LogSequenceDataset,
    validation: Validation,
    vectors: Vectors,
    ctx: Context,
) -> None:
    """Train `model` in place, resuming from the newest checkpoint of `ctx`.

    A resumed training ends with the weights of an uninterrupted one: the order of batches depends on seed and epoch
    only, and nothing else is random.
    """
    table = torch.from_numpy(vectors).to(device())
    options = replace(options, epochs=max(options.epochs, -(-STEPS // data.steps(options.batch))))
    optimizer = _optimizer(model, options)
    # Rare anomalies count more, but not in full: the threshold is chosen later, and a weight of 40 makes it ragged.
    share = float(data.labels.mean())
    weight = torch.tensor(((1 - share) / share) ** 0.5 if options.class_weights else 1.0, device=table.device)
    at, saved_at, per_epoch = _restore(model, optimizer, ctx), time.monotonic(), data.steps(options.batch)
    while at.epoch < 2 * options.epochs:
        model.gate(at.epoch >= options.epochs)
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
            ctx.advance()
            if at.step % 10 == 0:
                ctx.metric("loss", loss.item(), at.step)
            due = stepped and time.monotonic() - saved_at > SAVE_SECONDS
            ctx.checkpoint(at.step, partial(_save, model, optimizer, at) if due else None)
            saved_at = time.monotonic() if due else saved_at
        found = _validate(model, validation, table, ctx, at.step)
        _next_epoch(model, at, found, options)


def _optimizer(model: EncoderWithMoE, options: Training) -> torch.optim.Optimizer:
    others = [weight for name, weight in model.named_parameters() if not name.startswith("familiar.")]
    groups: list[dict[str, Any]] = [
        {"params": others, "weight_decay": options.weight_decay},
        {"params": list(model.familiar.parameters()), "weight_decay": 0.0, "lr": FASTER * options.learning_rate},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)


@dataclass
class _Progress:
    """Where a training stands: `step` batches in all, `batch` of them in `epoch`; the best of its stage so far."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float = -1.0
    waited: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)


def _next_epoch(model: EncoderWithMoE, at: _Progress, found: float | None, options: Training) -> None:
    """Go on; with a patience, keep the best weights of a stage, and leave it when they do not get better."""
    at.epoch, at.batch = at.epoch + 1, 0
    if not options.patience or found is None:
        return
    if found > at.best:
        at.best, at.waited = found, 0
        at.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    else:
        at.waited += 1
    end = options.epochs if at.epoch <= options.epochs else 2 * options.epochs  # of this stage
    if at.waited >= options.patience or at.epoch == end:
        model.load_state_dict(at.weights)
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
    logits = logits + model.familiar(batch.features.to(where)).squeeze(-1)
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
    for members, used, lines in _in_batches(parts, table, ctx):
        found[members] = model(used.to(where), lines.to(where))[0].double().cpu().numpy()
    return found


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
    validation: Validation,
    table: Tensor,
    ctx: Context,
    step: int,
) -> float | None:
    """Record the figures of the validation part, and return its PR-AUC; None if there is no such part."""
    rows, labels, features = validation
    if not len(labels):
        return None
    scores = score(model, rows, table.cpu().numpy(), ctx, features)
    found = metrics.evaluate(labels, scores, calibrate.best_f1(labels, scores))
    for name in ("f1", "precision", "recall", "pr_auc"):
        ctx.metric(f"validation_{name}", found[name], step)
    return found["pr_auc"]


def _save(model: EncoderWithMoE, optimizer: torch.optim.Optimizer, at: _Progress, folder: Path) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in at.weights.items()}
    for number, slot in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in slot.items()}
    state = {name: getattr(at, name) for name in ("step", "epoch", "batch", "best", "waited")}
    serialize.save(folder, {name: tensor.cpu().numpy() for name, tensor in tensors.items()}, state)


def _restore(model: EncoderWithMoE, optimizer: torch.optim.Optimizer, ctx: Context) -> _Progress:
    """Take up the newest checkpoint; return where it stands."""
    if (kept := ctx.resume()) is None:
        return _Progress()
    arrays, state = serialize.load(kept[1])
    weights: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind in weights:
            weights[kind][rest] = torch.from_numpy(array)
        else:
            number, _, slot = rest.partition(".")
            slots.setdefault(int(number), {})[slot] = torch.from_numpy(array)
    model.load_state_dict(weights["model"])
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return _Progress(**state, weights=weights["best"])


def build(config: MoEConfig, dim: int, seed: int) -> EncoderWithMoE:
    """Return a new model whose weights depend on `seed` only."""
    with torch.random.fork_rng(devices=[]):  # leaves the process's own random state alone
        torch.manual_seed(seed)
        return EncoderWithMoE(config, dim).to(device())
