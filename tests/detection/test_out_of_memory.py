"""A device that is out of memory once: the batch shrinks, and figures are as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from detection.engine import loop, scoring
from detection.engine.config import MoEConfig, Training
from detection.engine.data import LogSequenceDataset
from detection.engine.memory import SHRINK
from detection.engine.moe import LINES_AT_ONCE, EncoderWithMoE
from duolog.plugins.types import NullContext

TABLE = np.random.default_rng(0).normal(size=(20, 12)).astype(np.float32)
PLAIN = Training(epochs=1, batch=32, balance=0, entropy=0, router_z=0, learning_rate=1e-3)


class Log(NullContext):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str, level: str = "info") -> None:
        self.lines.append(f"{level}: {message}")


def make(seed: int = 1) -> EncoderWithMoE:
    return loop.build(MoEConfig(hidden=32, heads=4, intermediate=16, window=16), 12, seed=seed)


def sequences(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    lengths = random.integers(1, 30, count)
    return [np.column_stack([random.integers(0, 20, n), np.full((n, 4), -1)]).astype(np.int32) for n in lengths]


def runs_out(monkeypatch: pytest.MonkeyPatch, model: EncoderWithMoE, times: int, at: int = 0) -> list[int]:
    """Let the forward pass fail `times` times from call `at` on; return the windows of every call."""
    real, calls = model.forward, []

    def forward(table: torch.Tensor, lines: torch.Tensor):
        calls.append(len(lines))
        if at < len(calls) <= at + times:
            raise torch.OutOfMemoryError("CUDA out of memory (not really)")
        return real(table, lines)

    monkeypatch.setattr(model, "forward", forward)
    return calls


def train(model: EncoderWithMoE, options: Training, ctx: NullContext) -> np.ndarray:
    """Train, and return what the model then says of other sequences."""
    rows = sequences(100)
    data = LogSequenceDataset(rows, [int(row[0, 0] < 8) for row in rows], window=16)
    loop.train(model, options, data, ([], np.zeros(0, np.int64), np.zeros((0, 3), np.float32)), TABLE, ctx)
    return scoring.score(model, sequences(40), TABLE, NullContext())


def test_scoring_goes_on_in_smaller_batches_and_remembers(monkeypatch):
    rows, model, ctx = sequences(400), make(), Log()
    expected = scoring.score(model, rows, TABLE, ctx)
    calls = runs_out(monkeypatch, model, times=1)
    np.testing.assert_allclose(scoring.score(model, rows, TABLE, ctx), expected, atol=1e-6)
    assert max(calls[1:]) < calls[0]
    assert [line for line in ctx.lines if line.startswith("warning: the device is out of memory")] == ctx.lines != []
    assert model.at_once == LINES_AT_ONCE // SHRINK


def test_scoring_shrinks_only_once(monkeypatch):
    model = make()
    runs_out(monkeypatch, model, times=2)
    with pytest.raises(torch.OutOfMemoryError):
        scoring.score(model, sequences(400), TABLE, Log())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_training_learns_the_same_in_parts(monkeypatch, accumulate):
    options, ctx = replace(PLAIN, accumulate=accumulate), Log()
    expected = train(make(), options, ctx)
    model = make()
    calls = runs_out(monkeypatch, model, times=1, at=1)
    found = train(model, options, ctx)
    assert calls[2] < calls[1] and len(ctx.lines) == 1
    # Not the weights: Adam makes much of gradients that are nothing but rounding, as those of the keys' bias are.
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.02)


def test_training_shrinks_only_once(monkeypatch):
    model = make()
    runs_out(monkeypatch, model, times=2, at=1)
    with pytest.raises(torch.OutOfMemoryError):
        train(model, PLAIN, Log())
