"""A BERT and its tokenizer as one module: lines in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class MeanPooled(nn.Module):
    """The mean of a line's token vectors.

    `tokens` gives the ids of each line, never none. With `bf16` fp32 weights compute in bfloat16.
    """

    def __init__(
        self, bert: Any, tokens: Callable[[Sequence[str]], list[list[int]]], pad: int, *, bf16: bool = False
    ) -> None:
        super().__init__()
        self.bert, self._tokens, self._pad, self._bf16 = bert, tokens, pad, bf16

    def forward(self, lines: Sequence[str]) -> Tensor:
        """Return float32 [len(lines), D]."""
        return self.pool(self._tokens(lines))

    def pool(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Return float32 [len(ids), D] for the tokens of each line."""
        where = next(self.bert.parameters()).device
        tokens = torch.full((len(ids), max(map(len, ids))), self._pad, dtype=torch.long)  # [B, T]
        mask = torch.zeros_like(tokens)  # [B, T]
        for position, row in enumerate(ids):
            tokens[position, : len(row)] = torch.tensor(row)
            mask[position, : len(row)] = 1
        mask = mask.to(where)
        with torch.autocast(where.type, torch.bfloat16, enabled=self._bf16):
            hidden = self.bert(input_ids=tokens.to(where), attention_mask=mask).last_hidden_state  # [B, T, D]
        weight = mask.unsqueeze(-1).float()  # [B, T, 1]
        return (hidden.float() * weight).sum(1) / weight.sum(1)
