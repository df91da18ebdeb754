"""What the processes of one training tell each other; one alone is rank 0 of 1, and none of this costs it anything."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import distributed


def rank() -> int:
    """Return this process's number; 0 is the one that reports, judges and keeps checkpoints."""
    return distributed.get_rank() if _several() else 0


def size() -> int:
    """Return how many processes there are."""
    return distributed.get_world_size() if _several() else 1


def agree(value: float) -> float:
    """Return rank 0's value everywhere: what is decided by a clock or a judgement is decided once."""
    if not _several():
        return value
    told = torch.tensor([value], dtype=torch.float32, device=_device())
    distributed.broadcast(told, 0)
    return float(told)


def share(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Give all ranks the parameters of rank 0: an adapter begins at random, and all have to begin alike."""
    for parameter in parameters if _several() else ():
        distributed.broadcast(parameter.data, 0)


def average(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Replace each gradient by its mean over the ranks, in one message."""
    if not _several():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten().float() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= size()
    for gradient, mean in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _device() -> str:
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"
