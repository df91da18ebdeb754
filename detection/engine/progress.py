"""How far a training is, kept so that a later attempt goes on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from detection.engine import serialize
from detection.engine.moe import EncoderWithMoE
from detection.engine.tuning import Tuning
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


class Learner(nn.Module):
    """All that learns: the small model and, if it is trained too, what of the encoder asks for gradients."""

    def __init__(self, model: EncoderWithMoE, encoder: Tuning | None) -> None:
        super().__init__()
        self.model, self.encoder = model, nn.ParameterList(encoder.parameters() if encoder else [])


def save(
    learner: Learner, average: AveragedModel, optimizer: torch.optim.Optimizer, at: Progress, folder: Path
) -> None:
    """Write weights, their average, the best so far, moments of the optimizer and where the training stands."""
    tensors = {f"model.{name}": tensor for name, tensor in learner.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in at.weights.items()}
    for number, slot in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in slot.items()}
    stands = {name: getattr(at, name) for name in ("step", "epoch", "batch", "best", "waited", "parts")}
    serialize.save(folder, {name: tensor.cpu().numpy() for name, tensor in tensors.items()}, stands)


def restore(learner: Learner, average: AveragedModel, optimizer: torch.optim.Optimizer, ctx: Context) -> Progress:
    """Take up the newest checkpoint; return where it stands."""
    if (kept := ctx.resume()) is None:
        return Progress()
    arrays, stands = serialize.load(kept[1])
    weights: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "best": {}}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind in weights:
            weights[kind][rest] = torch.from_numpy(array)
        else:
            number, _, slot = rest.partition(".")
            slots.setdefault(int(number), {})[slot] = torch.from_numpy(array)
    learner.load_state_dict(weights["model"])
    average.load_state_dict(weights["average"])
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return Progress(**stands, weights=weights["best"])
