"""What the benchmarks measure against: a BERT of base shape that reads every line."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from transformers import BertConfig, BertModel

from detection.encoders.bert import Bert
from detection.engine.device import device

BATCH = 32


class BertBase:
    """BERT-base (12 layers, 768 wide, 12 heads) with random weights, which take as long as trained ones.

    Lines are tokenised beforehand by the built-in encoder's tokenizer, and sorted into batches of like length.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.model = BertModel(BertConfig(), add_pooling_layer=False)
        torch.nn.Module.to(self.model, device=device(), dtype=dtype)
        self.words = Bert()

    def batches(self, lines: Sequence[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return token ids and masks, [BATCH, T] each."""
        ids = sorted(self.words._token_ids(lines), key=len)
        made = []
        for start in range(0, len(ids), BATCH):
            rows = [torch.tensor(row) % 30_522 for row in ids[start : start + BATCH]]  # BERT's vocabulary is smaller
            tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            lengths = torch.tensor([len(row) for row in rows])
            made.append((tokens.to(device()), (torch.arange(tokens.shape[1]) < lengths[:, None]).long().to(device())))
        return made

    def read(self, batches: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> float:
        """Return the seconds that reading takes."""
        self.model.eval()
        began = time.perf_counter()
        with torch.inference_mode():
            for tokens, mask in batches:
                self.model(input_ids=tokens, attention_mask=mask).last_hidden_state.mean(1).cpu()
        return time.perf_counter() - began

    def learn(self, batches: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[float, float]:
        """Return the seconds of forward and backward over the batches, and of one step of the optimizer (AdamW)."""
        self.model.train()
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-5, fused=True)
        spent = []
        for _ in range(2):  # the first step also makes room for the moments
            began = time.perf_counter()
            for tokens, mask in batches:
                self.model(input_ids=tokens, attention_mask=mask).last_hidden_state.mean().backward()
            learned = time.perf_counter()
            optimizer.step()
            optimizer.zero_grad()
            spent.append((learned - began, time.perf_counter() - learned))
        return spent[-1]
