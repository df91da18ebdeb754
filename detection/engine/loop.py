"""Training of the small model.

It lies in `detection` although training it is: a detector plugin carries its own `fit`, and detection imports nothing
from the training app.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from detection.engine import calibrate, memory, metrics, progress, scoring
from detection.engine.config import MoEConfig, Training
from detection.engine.data import Batch, Lines, LogSequenceDataset
from detection.engine.device import device, native_bf16
from detection.engine.moe import EncoderWithMoE, balance_loss, entropy_loss, z_loss
from detection.engine.progress import Learner, Progress
from detection.engine.scoring import Features
from detection.engine.tuning import Tuning
from duolog.plugins.types import Context, Vectors

Look = Callable[[Tensor], Tensor]
"""From indices of rows to rows [rows, D] of the vector table."""
Tensors = tuple[Tensor, ...] | list[Tensor]
Validation = tuple[Sequence[Lines], NDArray[np.int64], Features]
"""Lines, labels and features (`detection.engine.familiar`) of the validation part."""

SAVE_SECONDS = 10.0
"""Least time between two checkpoints, about 40 MB each; six times that with an encoder, about 400 MB."""
DECAY = 0.995
"""Of the average of the weights; lower in the first steps, which would else never be forgotten."""
RARE = 4.0
"""Weight of a line that is marked as a root cause: one in thirty or so is."""
STEPS = 25
"""Least steps of a stage: with few sequences it takes more epochs than the options say."""
FASTER = 100
"""How many times faster the three weights of the labels-free features learn: they have a long way to go."""


def train(
    model: EncoderWithMoE,
    options: Training,
    data: LogSequenceDataset,
    validation: Validation,
    vectors: Vectors,
    ctx: Context,
    encoder: Tuning | None = None,
) -> None:
    """Train `model` in place, resuming from the newest checkpoint of `ctx`; in stage two `encoder` as well.

    It ends with the moving average of its weights, which generalises better than the last of them (Polyak and Juditsky
    1992; Izmailov et al. 2018, arXiv:1803.05407), and it is the average that is validated. A resumed training ends with
    the weights of an uninterrupted one: the order of batches depends on seed and epoch only, and nothing else is
    random.
    """
    table = torch.from_numpy(vectors).to(device())
    learner = Learner(model, encoder)
    options = replace(options, epochs=max(options.epochs, -(-STEPS // data.steps(options.batch))))
    optimizer = _optimizer(learner, options)
    # Rare anomalies count more, but not in full: the threshold is chosen later, and a weight of 40 makes it ragged.
    share = float(np.average(data.labels, weights=data.confidence))
    weight = torch.tensor(((1 - share) / share) ** 0.5 if options.class_weights else 1.0, device=table.device)
    average = AveragedModel(learner, multi_avg_fn=_blend)
    averaged: Learner = average.module  # type: ignore[assignment]
    at = progress.restore(learner, average, optimizer, ctx)
    saved_at, per_epoch = time.monotonic(), data.steps(options.batch)
    while at.epoch < 2 * options.epochs:
        second = at.epoch >= options.epochs
        for each in (learner, averaged):
            each.model.gate(second)
        look = encoder if encoder and second else table.__getitem__
        ctx.stage(f"train {at.epoch + 1}/{2 * options.epochs}", per_epoch)
        ctx.advance(at.batch)
        for batch in data.batches(options.batch, (options.seed, at.epoch), at.batch):
            loss = _learn(learner, look, batch, weight, options, at, ctx)
            at.step, at.batch = at.step + 1, at.batch + 1
            stepped = at.batch % options.accumulate == 0 or at.batch == per_epoch
            if stepped:
                torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                average.update_parameters(learner)
            ctx.advance()
            if at.step % 10 == 0:
                ctx.metric("loss", loss.item(), at.step)
            due = stepped and time.monotonic() - saved_at > SAVE_SECONDS * (6 if encoder else 1)
            ctx.checkpoint(at.step, partial(progress.save, learner, average, optimizer, at) if due else None)
            saved_at = time.monotonic() if due else saved_at
        seen, now = validation[0], vectors
        if encoder and second and len(seen):
            now = encoder.fill(vectors, seen, averaged.encoder)
        found = _validate(averaged.model, validation, now, ctx, at.step)
        _next_epoch(learner, averaged, at, found, options)
    learner.load_state_dict(averaged.state_dict())


def _blend(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
    """Move the average by one step."""
    torch._foreach_lerp_(averaged, current, 1 - min(DECAY, (1 + int(count)) / (10 + int(count))))


def _optimizer(learner: Learner, options: Training) -> torch.optim.Optimizer:
    rest = [weight for name, weight in learner.model.named_parameters() if not name.startswith("familiar.")]
    own = list(learner.model.familiar.parameters())
    groups: list[dict[str, Any]] = [
        {"params": rest},
        {"params": own, "lr": FASTER * options.learning_rate, "weight_decay": 0.0},
    ]
    if len(learner.encoder):
        groups.append({"params": list(learner.encoder), "lr": options.encoder_learning_rate})
    return torch.optim.AdamW(groups, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)


def _next_epoch(learner: Learner, averaged: Learner, at: Progress, found: float | None, options: Training) -> None:
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
        for each in (learner, averaged):
            each.load_state_dict(at.weights)
        at.epoch, at.best, at.waited, at.weights = end, -1.0, 0, {}


def _learn(
    learner: Learner, look: Look, batch: Batch, weight: Tensor, options: Training, at: Progress, ctx: Context
) -> Tensor:
    """Add the gradients of a batch to those that are there; return its loss. Out of memory, it shrinks once.

    In parts the loss is the same; only the routing losses are then means over smaller batches.
    """
    whole, parameters = torch.zeros((), device=weight.device), list(learner.parameters())
    pieces = list(memory.split(batch, at.parts)) if at.parts > 1 else [batch]
    while pieces:
        part = len(pieces[0].labels) / len(batch.labels)
        try:
            loss, gradients = _gradients(learner, look, pieces[0], weight, options, part / options.accumulate)
        except torch.OutOfMemoryError:
            if at.parts > 1 or len(batch.labels) == 1:
                raise
            loss = None
        if loss is None:  # nothing of it has been added yet
            at.parts = memory.SHRINK
            memory.release(ctx)
            pieces = list(memory.split(batch, at.parts))
            continue
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        whole += part * loss
        pieces = pieces[1:]
    return whole


def _gradients(
    learner: Learner, look: Look, batch: Batch, weight: Tensor, options: Training, share: float
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """Return the loss of a batch, and the gradients of `share` of it."""
    model = learner.model.train()
    where = weight.device
    lines, owner, labels = batch.lines.to(where), batch.owner.to(where), batch.labels.to(where)
    confidence, there = batch.confidence.to(where), lines[..., 0] >= 0
    causes = batch.causes.to(where)[there]  # [N]
    trust = confidence[owner][:, None].expand_as(there)[there]  # [N]
    used, lines = scoring.distinct(lines)
    with torch.autocast(where.type, torch.bfloat16, enabled=native_bf16()):
        logits, gates, suspected = model(look(used), lines)
    logits = torch.full_like(labels, -torch.inf).scatter_reduce(0, owner, logits.float(), "amax")  # [S] from [W]
    logits = logits + model.familiar(batch.features.to(where)).squeeze(-1)
    loss = sequence_loss(logits, labels, weight, options, confidence)
    total = loss + options.causes * cause_loss(suspected.float(), causes, trust)
    for gate in gates if model.blocks[0].moe.gated else ():
        routing = options.balance * balance_loss(gate) + options.entropy * entropy_loss(gate)
        total = total + (routing + options.router_z * z_loss(gate)) / len(gates)
    # Not `backward`: where memory ends on its way, it has added a part of the gradients already.
    return loss.detach(), torch.autograd.grad(total * share, list(learner.parameters()), allow_unused=True)


def sequence_loss(
    logits: Tensor, labels: Tensor, weight: Tensor, options: Training, confidence: Tensor | float = 1.0
) -> Tensor:
    """Return the mean loss of logits [S] for labels [S], of which the anomalous ones weigh `weight`.

    Each counts as much as its `confidence` [S].
    """
    smooth = labels * (1 - options.label_smoothing) + options.label_smoothing / 2
    losses = F.binary_cross_entropy_with_logits(logits, smooth, pos_weight=weight, reduction="none")  # [S]
    if options.focal:
        losses = losses * (labels - logits.sigmoid()).abs() ** options.focal  # what is sure already counts little
    return (losses * confidence).mean()


def cause_loss(logits: Tensor, causes: Tensor, confidence: Tensor | float = 1.0) -> Tensor:
    """Return the mean loss of logits [N] of lines being root causes, over the lines of which it is known.

    Each counts as much as the `confidence` [N] in its sequence's label.
    """
    known = causes >= 0
    weight = torch.where(causes == 1, RARE, 1.0) * known * confidence
    losses = F.binary_cross_entropy_with_logits(logits, (causes == 1).float(), weight=weight, reduction="sum")
    return losses / known.sum().clamp_min(1)


def _validate(
    model: EncoderWithMoE,
    validation: Validation,
    vectors: Vectors,
    ctx: Context,
    step: int,
) -> float | None:
    """Record the figures of the validation part, and return its PR-AUC; None if there is no such part."""
    rows, labels, features = validation
    if not len(labels):
        return None
    scores = scoring.score(model, rows, vectors, ctx, features)
    found = metrics.evaluate(labels, scores, calibrate.best_f1(labels, scores))
    for name in ("f1", "precision", "recall", "pr_auc"):
        ctx.metric(f"validation_{name}", found[name], step)
    return found["pr_auc"]


def build(config: MoEConfig, dim: int, seed: int) -> EncoderWithMoE:
    """Return a new model whose weights depend on `seed` only."""
    with torch.random.fork_rng(devices=[]):  # leaves the process's own random state alone
        torch.manual_seed(seed)
        return EncoderWithMoE(config, dim).to(device())
