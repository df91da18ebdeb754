"""The field's detectors: each finds what its paper says it finds, and not what it cannot see."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detection.detectors.counts import Counts, CountsOptions
from detection.detectors.next_keys import DeepLog, KeyOptions, LogBert, NoNormal
from duolog.plugins.options import OptionsError, build
from duolog.plugins.types import LogSequence, NullContext

STEPS = [f"INFO step {name} done" for name in "abcdefghijklmnop"]


def flows(count: int, seed: int, *, reverse: float = 0.0) -> list[LogSequence]:
    """Sixteen steps in one order, some repeated; the anomalous have them the other way round."""
    chance, made = random.Random(seed), []
    for number in range(count):
        lines = [step for step in STEPS for _ in range(chance.choice([1, 1, 2]))]
        label = int(chance.random() < reverse)
        made.append(LogSequence(f"s{number}", tuple(lines[::-1] if label else lines), label))
    return made


def area(detector: Any, sequences: list[LogSequence]) -> float:
    labels = [sequence.label for sequence in sequences]
    return float(roc_auc_score(labels, detector.score(sequences, None, NullContext())))


@pytest.mark.parametrize("detector", [DeepLog, LogBert])
def test_order_is_seen_by_those_that_predict_keys(detector: Any) -> None:
    fitted = detector(KeyOptions(candidates=3, hidden=32, layers=1, batch=16))
    threshold = fitted.fit(flows(200, 1), [], None, NullContext())
    judged = flows(100, 2, reverse=0.3)
    assert area(fitted, judged) > 0.98
    scores, labels = fitted.score(judged, None, NullContext()), np.array([one.label for one in judged])
    assert (scores[labels == 1] >= threshold).mean() > 0.95
    assert (scores[labels == 0] >= threshold).mean() < 0.1


@pytest.mark.parametrize("method", ["forest", "pca"])
def test_counts_do_not_see_order_but_a_flood(method: str) -> None:
    fitted = Counts(CountsOptions(method=method))  # type: ignore[arg-type]
    threshold = fitted.fit(flows(200, 1), [], None, NullContext())  # type: ignore[arg-type]
    (usual,) = flows(1, 5)
    backwards, flood = LogSequence("r", usual.entries[::-1]), LogSequence("f", (*usual.entries, *STEPS[:4] * 30))
    scores = fitted.score([usual, backwards, flood], None, NullContext())  # type: ignore[arg-type]
    assert scores[0] == scores[1] < threshold <= scores[2]


@pytest.mark.parametrize("detector", [DeepLog(), LogBert(), Counts(CountsOptions(method="pca"))])
def test_lines_never_seen_are_found(detector: Any, shop) -> None:
    detector.fit(shop(300, 1, anomalous=0), shop(100, 2), None, NullContext())
    assert area(detector, shop(200, 3)) > 0.95


def test_what_is_known_to_be_anomalous_is_not_learned() -> None:
    with pytest.raises(NoNormal, match="none is normal"):
        DeepLog().fit([LogSequence("a", ("x",), 1)], [], None, NullContext())  # type: ignore[arg-type]


def test_a_sequence_longer_than_the_window_is_read_to_its_end() -> None:
    fitted = DeepLog(KeyOptions(candidates=3, hidden=32, layers=1, window=16, batch=16))
    fitted.fit(flows(100, 1), [], None, NullContext())  # type: ignore[arg-type]
    (usual,) = flows(1, 5)
    odd = LogSequence("o", (*usual.entries, "FATAL out of memory"))
    low, high = fitted.score([usual, odd], None, NullContext())  # type: ignore[arg-type]
    assert low < high


@pytest.mark.parametrize(
    ("options", "values"),
    [(KeyOptions, {"hidden": 30}), (KeyOptions, {"window": 1}), (CountsOptions, {"method": "svm"})],
)
def test_options_that_make_no_sense_are_refused(options: type, values: dict[str, Any]) -> None:
    with pytest.raises(OptionsError):
        build(options, values)
