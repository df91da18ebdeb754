"""An encoder that learns with the model (`encoder.trainable=true`).

Sequences share their lines, so a step encodes each distinct line of its batch once and gathers: the gradients of all
places where a line stands meet in its one vector. The encoder learns in the second stage only, when the layers above it
are no longer random: that keeps more of what it knew than training all from the start (Kumar et al. 2022, "Fine-Tuning
can Distort Pretrained Features", arXiv:2202.10054), and leaves the first stage as fast as it is. Dropout stays off, so
that a resumed training ends where an uninterrupted one does.

Memory: lines go through in chunks of AT_ONCE whose inner results are computed again on the way back (gradient
checkpointing, Chen et al. 2016, arXiv:1604.06174), so at any time those of one chunk are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from detection.engine.data import Lines
from detection.engine.device import device
from duolog.plugins.points import Encoder
from duolog.plugins.types import Vectors

AT_ONCE = 32
"""Lines that are encoded in one go."""
PREFIX = "encoder."
"""Marks the encoder's tensors among those of a version."""

Weights = Mapping[str, NDArray[Any]]


class NotTrainable(ValueError):
    """The encoder has no part that could learn; the message says what to do."""


class TunedEncoder(Encoder):
    """An encoder some of whose weights are others: those that were trained, [name → tensor].

    Its digest covers them, so its vectors are never taken for those of the encoder that it was made from.
    """

    def __init__(self, base: Encoder, weights: Weights, module: nn.Module | None = None) -> None:
        super().__init__(base.options)
        self._base, self._weights, self._module = base, weights, module
        total = hashlib.sha256(base.digest.encode())
        for name in sorted(weights):
            total.update(name.encode() + np.ascontiguousarray(weights[name]).tobytes())
        self._digest = total.hexdigest()

    @property
    def dim(self) -> int:
        """Length of one vector."""
        return self._base.dim

    @property
    def digest(self) -> str:
        """SHA-256 over the digest of the encoder it was made from and the trained weights."""
        return self._digest

    def encode(self, lines: Sequence[str]) -> Vectors:
        """Return float32 [len(lines), dim]; the weights are read on the first line that is not cached."""
        if self._module is None:
            self._module = _module(self._base)
            _fill(self._module, self._weights)
        with torch.inference_mode():
            vectors: Vectors = _encode(self._module, lines).float().cpu().numpy()
        return vectors


class Tuning:
    """The table of line vectors in training: its rows are computed when they are asked for, and gradients reach them.

    `lines` says what each row that is used stands for.
    """

    def __init__(self, encoder: Encoder, lines: Mapping[int, str]) -> None:
        self._base, self._lines = encoder, lines
        self.module = _module(encoder)

    def __call__(self, rows: Tensor) -> Tensor:
        """Return [len(rows), D] for indices of rows."""
        return _encode(self.module, [self._lines[row] for row in rows.tolist()])

    @torch.no_grad()
    def fill(self, table: Vectors, rows: Sequence[Lines], weights: Iterable[Tensor]) -> Vectors:
        """Return `table` [R, D] where the rows in use have the vectors that `weights` give, not the present ones."""
        used = np.unique(np.concatenate([row[:, 0] for row in rows]))
        table, own = table.copy(), list[Tensor](self.parameters())
        present = [parameter.clone() for parameter in own]
        torch._foreach_copy_(own, list(weights))
        table[used] = self(torch.from_numpy(used)).float().cpu().numpy()
        torch._foreach_copy_(own, present)
        return table

    def parameters(self) -> list[nn.Parameter]:
        """Return what learns."""
        return [parameter for _, parameter in _learning(self.module)]

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return the weights that learn, by name."""
        return {name: parameter.detach().cpu().numpy().copy() for name, parameter in _learning(self.module)}


def _module(encoder: Encoder) -> nn.Module:
    try:
        module: nn.Module = encoder.trainable()
    except NotImplementedError as error:
        raise NotTrainable(f"{error}: train without encoder.trainable, or choose another encoder") from error
    if not _learning(module):
        raise NotTrainable(f"nothing in the encoder {type(encoder).__name__} asks for gradients")
    return module.eval().to(device())


def _learning(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


@torch.no_grad()
def _fill(module: nn.Module, weights: Mapping[str, Any]) -> None:
    """Put weights in their places; raise NotTrainable if they are another encoder's."""
    own = dict(_learning(module))
    if own.keys() != weights.keys():
        raise NotTrainable("the trained weights of the encoder do not fit the one that is installed: train again")
    for name, parameter in own.items():
        parameter.copy_(torch.as_tensor(weights[name]))


def _encode(module: nn.Module, lines: Sequence[str]) -> Tensor:
    """Return [len(lines), D] on the module's device; lines of like length share a chunk."""
    order = sorted(range(len(lines)), key=lambda row: len(lines[row]))
    chunks = list(_chunks([lines[row] for row in order]))
    if torch.is_grad_enabled() and len(chunks) > 1:
        parts = [checkpoint(module, chunk, use_reentrant=False, preserve_rng_state=False) for chunk in chunks]
    else:
        parts = [module(chunk) for chunk in chunks]
    vectors = torch.cat(parts)
    return vectors[torch.tensor(order, device=vectors.device).argsort()]


def _chunks(lines: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(lines), AT_ONCE):
        yield lines[start : start + AT_ONCE]
