"""How far a training is, kept so that a later attempt goes on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from detection.engine import serialize
from detection.engine.moe import EncoderWithMoE
from detection.engine.tuning import PREFIX, Tuning
from duolog.plugins.types import Context


@dataclass
class Progress:
    """Where a training stands: `step` batches in all, `batch` of them in `epoch`; the best of its stage so far.

    A batch is learned in so many `parts`: 1, or SHRINK since the device was out of memory.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float = -1.0
    waited: int = 0
    parts: int = 1
    weights: dict[str, Tensor] = field(default_factory=dict)


def state(model: EncoderWithMoE, encoder: Tuning | None) -> dict[str, Tensor]:
    """Return all weights that learn, by name."""
    return model.state_dict() | (encoder.state() if encoder else {})


def put(model: EncoderWithMoE, encoder: Tuning | None, weights: dict[str, Tensor]) -> None:
    """Take up what `state` gave."""
    if encoder:
        encoder.restore(weights)
    model.load_state_dict({name: tensor for name, tensor in weights.items() if not name.startswith(PREFIX)})


def save(
    model: EncoderWithMoE, encoder: Tuning | None, optimizer: torch.optim.Optimizer, at: Progress, folder: Path
) -> None:
    """Write weights, the best so far, moments of the optimizer and where the training stands."""
    tensors = {f"model.{name}": tensor for name, tensor in state(model, encoder).items()}
    tensors |= {f"best.{name}": tensor for name, tensor in at.weights.items()}
    for number, slot in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in slot.items()}
    stands = {name: getattr(at, name) for name in ("step", "epoch", "batch", "best", "waited", "parts")}
    serialize.save(folder, {name: tensor.cpu().numpy() for name, tensor in tensors.items()}, stands)


def restore(model: EncoderWithMoE, encoder: Tuning | None, optimizer: torch.optim.Optimizer, ctx: Context) -> Progress:
    """Take up the newest checkpoint; return where it stands."""
    if (kept := ctx.resume()) is None:
        return Progress()
    arrays, stands = serialize.load(kept[1])
    weights: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind in weights:
            weights[kind][rest] = torch.from_numpy(array)
        else:
            number, _, slot = rest.partition(".")
            slots.setdefault(int(number), {})[slot] = torch.from_numpy(array)
    put(model, encoder, weights["model"])
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return Progress(**stands, weights=weights["best"])
