"""Rivals that learn which lines follow or surround each other: DeepLog and LogBERT, small and in their own terms.

DeepLog: Du et al., CCS 2017, "DeepLog: Anomaly Detection and Diagnosis from System Logs through Deep Learning".
LogBERT: Guo et al., IJCNN 2021, "LogBERT: Log Anomaly Detection via BERT".
Both read lines as keys, learn from normal sequences, and ask whether the key that came is among the likeliest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from detection.engine.device import device
from duolog.plugins.types import Context

PAD, UNKNOWN, START, MASKED, KEYS = 0, 1, 2, 3, 4
"""Numbers of the special keys; those of lines begin at KEYS."""
MASKS = 4
"""Every so-manieth key is masked at once; so many passes judge each key once (LogBERT: a random share, once)."""
LINES_AT_ONCE = 8192
Row = NDArray[np.int64]


class NextKey(nn.Module):
    """An LSTM that predicts each key from those before it; DeepLog looks at ten of them, this one at all."""

    def __init__(self, keys: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(keys, hidden, padding_idx=PAD)
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, keys)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits [B, L, keys] for `batch` [B, L]."""
        start = torch.full_like(batch[:, :1], START)
        seen, _ = self.lstm(self.embed(torch.cat([start, batch[:, :-1]], 1)))
        return self.head(seen)

    def loss(self, batch: Tensor, random: torch.Generator) -> Tensor:
        """Return the cross-entropy of what came next."""
        return F.cross_entropy(self(batch).flatten(0, 1), batch.flatten(), ignore_index=PAD)

    def ranks(self, batch: Tensor) -> Tensor:
        """Return how many keys were likelier than each one that came, [B, L]."""
        return _ranks(self(batch), batch)


class MaskedKey(nn.Module):
    """A transformer encoder that predicts masked keys from those around them, and keeps sequences close together.

    The latter is LogBERT's volume of hypersphere minimisation, on the mean of a sequence instead of a [DIST] token.
    """

    ALPHA = 0.1

    def __init__(self, keys: int, hidden: int, layers: int, window: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(keys, hidden, padding_idx=PAD)
        self.place = nn.Parameter(torch.randn(window, hidden) * 0.02)
        layer = nn.TransformerEncoderLayer(hidden, 4, 2 * hidden, 0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(hidden, keys)

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, L, keys] and the sequences' means [B, hidden] for `batch` [B, L], some of it masked."""
        there = batch != PAD
        seen = self.encoder(self.embed(batch) + self.place[: batch.shape[1]], src_key_padding_mask=~there)
        mean = (seen * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        return self.head(seen), mean

    def loss(self, batch: Tensor, random: torch.Generator) -> Tensor:
        """Return the cross-entropy of masked keys, and the spread of the sequences about their centre."""
        hidden = (torch.rand(batch.shape, generator=random).to(batch.device) < 1 / MASKS) & (batch != PAD)
        hidden[:, 0] |= ~hidden.any(1)  # each sequence has one
        logits, mean = self(batch.masked_fill(hidden, MASKED))
        spread = ((mean - mean.mean(0).detach()) ** 2).mean()
        return F.cross_entropy(logits[hidden], batch[hidden]) + self.ALPHA * spread

    def ranks(self, batch: Tensor) -> Tensor:
        """Return how many keys were likelier than each one that came, [B, L], when that one is masked."""
        found, places = torch.zeros_like(batch), torch.arange(batch.shape[1], device=batch.device)
        for turn in range(MASKS):
            hidden = ((places % MASKS == turn) & (batch != PAD)).expand_as(batch)
            found = torch.where(hidden, _ranks(self(batch.masked_fill(hidden, MASKED))[0], batch), found)
        return found


KeyModel = NextKey | MaskedKey


def train(model: KeyModel, rows: Sequence[Row], epochs: int, batch: int, rate: float, seed: int, ctx: Context) -> None:
    """Train in place on windows of keys; the seed decides the order and the masks."""
    where = device()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    order, random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    model.train()
    for epoch in range(epochs):
        parts = list(_batches([rows[at] for at in order.permutation(len(rows))], batch))
        ctx.stage(f"train {epoch + 1}/{epochs}", len(parts))
        for step, part in enumerate(parts, epoch * len(parts)):
            ctx.checkpoint()
            loss = model.loss(part.to(where), random)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            ctx.advance()
            ctx.metric("loss", loss.item(), step)
    model.eval()


@torch.inference_mode()
def ranks(model: KeyModel, rows: Sequence[Row], ctx: Context) -> list[Row]:
    """Return for each window how many keys were likelier than each one that came; equal windows are judged once."""
    model.eval()
    distinct = sorted({row.tobytes(): row for row in rows}.values(), key=len)
    found: dict[bytes, Row] = {}
    start = 0
    while start < len(distinct):
        ctx.checkpoint()
        part = distinct[start : start + max(1, LINES_AT_ONCE // len(distinct[start]))]
        part = part[: max(1, LINES_AT_ONCE // len(part[-1]))]
        judged = model.ranks(_pad(part).to(device())).cpu().numpy()
        found |= {row.tobytes(): judged[at, : len(row)] for at, row in enumerate(part)}
        start += len(part)
    return [found[row.tobytes()] for row in rows]


def _ranks(logits: Tensor, came: Tensor) -> Tensor:
    logits = logits.clone()
    logits[..., :KEYS] = -torch.inf  # none of these can come; what is unknown comes last
    return (logits > logits.gather(-1, came[..., None])).sum(-1)


def _batches(rows: Sequence[Row], size: int) -> Iterator[Tensor]:
    for start in range(0, len(rows), size):
        yield _pad(rows[start : start + size])


def _pad(rows: Sequence[Row]) -> Tensor:
    table = np.full((len(rows), max(map(len, rows))), PAD, np.int64)
    for position, row in enumerate(rows):
        table[position, : len(row)] = row
    return torch.from_numpy(table)
