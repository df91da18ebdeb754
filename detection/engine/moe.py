"""The small model: line vectors, self-attention over a sequence, a Top-P mixture of experts, one score.

Letters in shapes: R rows of the vector table, D encoder dimension, W windows, L lines of a window, H hidden, E experts,
I inner size of an expert.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detection.engine.config import MoEConfig
from detection.engine.familiar import FEATURES
from detection.engine.inputs import CODES

LINES_AT_ONCE = 8192
"""Lines, padding included, that are scored in one go: fills two cores, and bounds memory whatever the lengths."""
REPEATS = 3
"""A line said more often than this before is like one said so often."""

TRUST = 0.5
"""Logits for each unit of labels-free surprise before anything is learned."""


class Gate(NamedTuple):
    """The router's word on each line: `weights` [..., E] as used, `probabilities` before the cut, and its `logits`."""

    weights: Tensor
    probabilities: Tensor
    logits: Tensor


class TopPMoE(nn.Module):
    """A feed-forward layer of experts of which each line uses as many as it needs.

    Top-P routing (Huang et al. 2024, "Harder Tasks Need More Experts", arXiv:2403.07652): the likeliest experts are
    kept until their probabilities sum to `top_p`, at least one, and renormalised. While `gated` is False all experts
    weigh the same (stage one of training). All experts are computed in one matrix product and weighed: up to some
    four experts that beats sending each line only to its own.
    """

    def __init__(self, config: MoEConfig) -> None:
        super().__init__()
        self.experts, self.top_p, self.gated = config.experts, config.top_p, False
        self.router = nn.Linear(config.hidden, config.experts, bias=False)
        self.inner = nn.Linear(config.hidden, config.experts * config.intermediate)
        self.outer = nn.Linear(config.experts * config.intermediate, config.hidden, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.experts, config.hidden))
        nn.init.normal_(self.outer.weight, std=config.intermediate**-0.5)

    def gate(self, x: Tensor) -> Gate:
        """Return the weights of the experts for lines `x` [..., H]."""
        logits = self.router(x).float()  # [..., E]
        probabilities = logits.softmax(-1)
        if not self.gated:
            return Gate(torch.full_like(probabilities, 1 / self.experts), probabilities, logits)
        ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
        needed = ranked.cumsum(-1) - ranked < self.top_p  # what stands before is not yet enough
        kept = torch.zeros_like(needed).scatter(-1, order, needed)
        weights = probabilities * kept
        return Gate(weights / weights.sum(-1, keepdim=True), probabilities, logits)

    def forward(self, x: Tensor) -> tuple[Tensor, Gate]:
        """Return the mixed output [..., H] for lines `x` [..., H], and the gate."""
        gate = self.gate(x)
        inner = F.gelu(self.inner(x)).unflatten(-1, (self.experts, -1))  # [..., E, I]
        weights = gate.weights.to(inner.dtype)
        inner = (inner * weights.unsqueeze(-1)).flatten(-2)  # [..., E·I]
        return self.outer(inner) + weights @ self.bias, gate


def balance_loss(gate: Gate) -> Tensor:
    """Return E · Σ share of work · mean probability: 1 when the experts are used alike (Switch, arXiv:2101.03961)."""
    share = gate.weights.detach().mean(0)  # [E]
    return gate.weights.shape[-1] * (share * gate.probabilities.mean(0)).sum()


def entropy_loss(gate: Gate) -> Tensor:
    """Return the router's mean entropy: low when it is sure, else Top-P would keep every expert (arXiv:2403.07652)."""
    return torch.special.entr(gate.probabilities).sum(-1).mean()


def z_loss(gate: Gate) -> Tensor:
    """Return the mean square of the router's log-partition: keeps its logits small (ST-MoE, arXiv:2202.08906)."""
    return gate.logits.logsumexp(-1).square().mean()


class Block(nn.Module):
    """Self-attention over the lines of a window, then the experts, line by line."""

    def __init__(self, config: MoEConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden)
        self.attended = nn.Linear(config.hidden, config.hidden)
        self.norm1, self.norm2 = nn.LayerNorm(config.hidden), nn.LayerNorm(config.hidden)
        self.moe = TopPMoE(config)

    def forward(self, x: Tensor, qkv: Tensor, mask: Tensor) -> tuple[Tensor, Gate]:
        """Return the lines anew, [N, H], for `x` [N, H], its `qkv` [N, 3H] and where they stand, `mask` [W, L]."""
        padded = qkv.new_zeros(*mask.shape, qkv.shape[-1])  # [W, L, 3H]
        padded[mask] = qkv
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in padded.chunk(3, -1))
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        attended = attended.transpose(1, 2).flatten(-2)[mask]  # [N, H]
        x = self.norm1(x + self.attended(attended))
        mixed, gate = self.moe(x)
        return self.norm2(x + mixed), gate


class EncoderWithMoE(nn.Module):
    """From rows of a vector table to one logit a window.

    A line is what it says, where it stands, what stands right before and after it (a short convolution, which spares
    the attention the learning of "next to"), how often it was said before (attention averages, so it cannot count), and
    what `detection.engine.inputs` reads off it.

    The table and not [W, L, D] goes in: projection and the first block's query, key and value are linear in these
    parts, so they are computed once for each distinct line of a batch, and gathered and added up, which is exact.
    """

    mean: Tensor
    scale: Tensor
    blocks: Sequence[Block]

    def __init__(self, config: MoEConfig, dim: int) -> None:
        super().__init__()
        self.config, self.dim = config, dim
        self.at_once = LINES_AT_ONCE
        # Encoder vectors lie in a narrow cone (cosines of .8 to .9 between any two); `standardise` spreads them.
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.project = nn.Linear(dim, config.hidden)
        self.before = nn.Linear(dim, config.hidden, bias=False)
        self.after = nn.Linear(dim, config.hidden, bias=False)
        self.repeats = nn.Parameter(torch.zeros(REPEATS + 1, config.hidden))
        self.codes = nn.Parameter(torch.zeros(CODES, config.hidden))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))  # type: ignore[assignment]
        self.head = nn.Linear(2 * config.hidden, 1)
        self.familiar = nn.Linear(FEATURES, 1)
        nn.init.zeros_(self.familiar.weight)  # until `familiarise`, it says nothing
        nn.init.zeros_(self.familiar.bias)

    def gate(self, on: bool) -> None:
        """Turn the gates of all blocks on or off."""
        for block in self.blocks:
            block.moe.gated = on

    def standardise(self, table: Tensor) -> None:
        """Take the centre and spread of training's distinct lines `table` [R, D]."""
        self.mean.copy_(table.mean(0))
        self.scale.copy_(table.std(0, correction=0).clamp_min(1e-6))

    def familiarise(self, limit: float) -> None:
        """Start from the labels-free detector (`detection.engine.familiar`): what is below its `limit` is normal."""
        with torch.no_grad():
            self.familiar.weight.fill_(TRUST)
            self.familiar.bias.fill_(-TRUST * limit)

    def forward(self, table: Tensor, lines: Tensor) -> tuple[Tensor, list[Gate]]:
        """Return logits [W] and, for each block, the gate of all N lines.

        Of each of `lines` [W, L, 1 + C] comes first its row in `table` [R, D], -1 is padding, then the codes of
        `detection.engine.inputs`, -1 says nothing. Every window needs at least one line. Only the attention sees
        padding: what is done line by line, most of the work, is done for the N lines that are there.
        """
        index, codes = lines[..., 0], lines[..., 1:]
        mask = index >= 0  # [W, L]
        lengths = mask.sum(1)  # [W]
        vectors = (table - self.mean) / self.scale  # [R, D]
        places = positions(index.shape[1], self.config.hidden, table.device)  # [L, H]
        parts = [self.project(vectors), self.before(vectors), self.after(vectors), self.repeats, places, self.codes]
        starts = [0, *accumulate(map(len, parts))][:-1]
        first = torch.tensor(starts + starts[-1:] * (codes.shape[-1] - 1), device=index.device)
        which = torch.stack(
            [
                index,
                F.pad(index, (1, -1), value=-1),
                F.pad(index, (-1, 1), value=-1),
                _said_before(index),
                torch.arange(index.shape[1], device=index.device).expand_as(index),
            ],
            -1,
        )  # [W, L, 5], a row of each part; -1: there is no line before the first
        nothing = sum(map(len, parts))
        which = torch.cat([which, codes], -1)[mask]  # [N, 5 + C]
        rows = torch.where(which < 0, nothing, which + first)
        whole = torch.cat([*parts, places.new_zeros(1, places.shape[1])])  # [nothing + 1, H]
        x = F.embedding_bag(rows, whole, mode="sum")  # [N, H]
        qkv = self.blocks[0].qkv
        projected = F.embedding_bag(rows, F.linear(whole, qkv.weight), mode="sum") + qkv.bias  # [N, 3H]
        gates = []
        for number, block in enumerate(self.blocks):
            x, gate = block(x, block.qkv(x) if number else projected, mask)
            gates.append(gate)
        return self.head(_pool(x, lengths)).squeeze(-1), gates


def _said_before(index: Tensor) -> Tensor:
    """Return how often each line of `index` [W, L] stands earlier in its window, at most REPEATS; [W, L]."""
    same = index.unsqueeze(2) == index.unsqueeze(1)  # [W, L, L]
    return same.tril(-1).sum(-1).clamp_max(REPEATS)


def _pool(x: Tensor, lengths: Tensor) -> Tensor:
    """Return mean and maximum over each window's lines, [W, 2H]: a single odd line must not drown in the mean."""
    x = x.float()  # sums of hundreds of lines
    return torch.cat([torch.segment_reduce(x, how, lengths=lengths) for how in ("mean", "max")], -1)


def positions(length: int, size: int, device: torch.device) -> Tensor:
    """Return sines and cosines [length, size] (Vaswani et al. 2017): unlike learned ones, right at unseen lengths."""
    rates = torch.exp(torch.arange(0, size, 2, device=device) * (-math.log(10_000.0) / size))
    angles = torch.arange(length, device=device).unsqueeze(1) * rates  # [length, size / 2]
    return torch.cat([angles.sin(), angles.cos()], -1)
