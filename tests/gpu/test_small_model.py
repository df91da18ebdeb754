"""The small model on a CUDA device: it scores as the CPU does, learns, and the encoder can learn with it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from detection.detectors.moe import Moe
from detection.encoders.bert import Bert
from detection.engine import device, loop, scoring
from detection.engine.config import MoEConfig, MoEOptions
from detection.engine.vectors import VectorStore
from duolog.plugins.types import LogSequence, NullContext

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
LINES = ["request accepted", "order created", "cache hit for key <*>", "payment done in <*>", "response sent"]


def make(count: int, seed: int) -> list[LogSequence]:
    chance = random.Random(seed)
    sequences = []
    for number in range(count):
        lines, label = chance.choices(LINES, k=chance.randrange(3, 20)), number % 3 == 0
        if label:
            lines.insert(chance.randrange(len(lines)), "FATAL connection pool exhausted")
        sequences.append(LogSequence(str(number), tuple(lines), int(label)))
    return sequences


def test_warm_scores_are_those_of_the_cpu(monkeypatch):
    table = np.random.default_rng(0).normal(size=(50, 384)).astype(np.float32)
    chance = np.random.default_rng(1)
    rows = [
        np.column_stack([chance.integers(0, 50, length), np.full((length, 4), -1)]).astype(np.int32)
        for length in chance.integers(1, 300, 500)
    ]
    scores = []
    for where in ("cuda", "cpu"):
        monkeypatch.setattr(loop, "device", lambda where=where: torch.device(where))
        model = loop.build(MoEConfig(), 384, seed=1)
        model.gate(on=True)
        scores.append(scoring.score(model, rows, table, NullContext()))
    np.testing.assert_allclose(*scores, atol=1e-3)


@pytest.mark.parametrize("trainable", [False, True])
def test_it_learns_and_comes_back(trainable: bool, tmp_path: Path):
    assert device.device().type == "cuda"
    options = MoEOptions(batch=16, epochs=4, learning_rate=3e-4, encoder_trainable=trainable)
    detector, vectors, test = Moe(options), VectorStore(Bert()), make(90, seed=2)
    threshold = detector.fit(make(240, seed=1), make(60, seed=3), vectors, NullContext())
    scores = detector.score(test, vectors, NullContext())
    assert np.mean((scores >= threshold) == [sequence.label for sequence in test]) > 0.95
    detector.save(tmp_path)
    loaded = Moe()
    loaded.load(tmp_path)
    np.testing.assert_allclose(loaded.score(test, vectors, NullContext()), scores, atol=1e-3)
