"""A label weighs as much as it is likely to be right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from detection.detectors.moe import Moe
from detection.engine import loop, memory
from detection.engine.config import MoEOptions
from detection.engine.data import LogSequenceDataset
from detection.engine.metrics import evaluate
from duolog.plugins.types import LogSequence, NullContext

OPTIONS = MoEOptions(hidden=64, intermediate=32, batch=32, epochs=2, learning_rate=1e-3)


def f1(train: list[LogSequence], validation: list[LogSequence], test: list[LogSequence], vectors: Any) -> float:
    detector = Moe(OPTIONS)
    threshold = detector.fit(train, validation, vectors, NullContext())
    scores = detector.score(test, vectors, NullContext())
    return evaluate([each.label for each in test], scores, threshold)["f1"]


def half_wrong(sequences: list[LogSequence], seed: int) -> list[LogSequence]:
    """Flip half of the labels, and say of these that they are hardly likely to be right."""
    wrong = np.random.default_rng(seed).permutation(len(sequences))[: len(sequences) // 2]
    flipped = list(sequences)
    for number in wrong:
        flipped[number] = replace(flipped[number], label=1 - (flipped[number].label or 0), confidence=0.05)
    return flipped


@pytest.mark.slow
def test_wrong_labels_of_which_one_is_told_so_do_little_harm(shop: Any, vectors: Any) -> None:
    train, validation, test = half_wrong(shop(160, seed=1), 1), half_wrong(shop(80, seed=2), 2), shop(120, seed=3)
    believed = [[replace(each, confidence=1.0) for each in part] for part in (train, validation)]
    weighed, plain = f1(train, validation, test, vectors), f1(*believed, test, vectors)
    assert weighed > 0.9
    assert weighed > plain + 0.2


def test_labels_without_any_weight_still_make_two_classes(shop: Any, vectors: Any) -> None:
    nothing = [replace(each, confidence=0.0) for each in shop(60, seed=4)]
    detector = Moe(OPTIONS)
    detector.fit(nothing, nothing, vectors, NullContext())
    assert np.isfinite(detector.score(nothing, vectors, NullContext())).all()


def test_losses_are_weighed() -> None:
    logits, labels, one = torch.tensor([3.0, 1.0]), torch.tensor([0.0, 1.0]), torch.tensor(1.0)
    each = [loop.sequence_loss(logits[n : n + 1], labels[n : n + 1], one, OPTIONS).item() for n in (0, 1)]
    found = loop.sequence_loss(logits, labels, one, OPTIONS, torch.tensor([0.25, 1.0])).item()
    assert found == pytest.approx((0.25 * each[0] + each[1]) / 2)
    causes = torch.tensor([1, 0, -1])
    lines = torch.tensor([0.5, 0.5, 0.5])
    sure = loop.cause_loss(lines, causes, torch.tensor([1.0, 1.0, 1.0])).item()
    assert sure == loop.cause_loss(lines, causes).item()
    assert loop.cause_loss(lines, causes, torch.tensor([0.5, 0.5, 1.0])).item() == pytest.approx(sure / 2)


def test_a_batch_and_its_parts_carry_the_weight_of_each_sequence() -> None:
    rows = [np.full((1 + number, 5), number, np.int32) for number in range(7)]
    data = LogSequenceDataset(rows, [number % 2 for number in range(7)], 4, confidence=np.arange(7) / 10)
    (batch,) = data.batches(8, (0,))
    for part in [batch, *memory.split(batch, 3)]:
        first = {owner: int(line) for owner, line in zip(part.owner.tolist(), part.lines[:, 0, 0], strict=True)}
        assert part.confidence.tolist() == pytest.approx([first[owner] / 10 for owner in range(len(part.labels))])
