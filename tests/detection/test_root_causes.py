"""Marked root causes teach the small model which lines matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from detection.detectors.moe import Moe, _causes
from detection.engine import loop
from detection.engine.config import MoEOptions
from duolog.plugins.types import LogSequence, NullContext

OPTIONS = MoEOptions(hidden=128, intermediate=64, batch=32, epochs=2, learning_rate=1e-3)


def said(label: int, marked: object = None) -> LogSequence:
    meta = {} if marked is None else {"root_cause": marked}
    return LogSequence("a", ("one", "two", "three"), label=label, meta=meta)


def test_a_normal_sequence_has_no_root_cause_and_an_unmarked_one_says_nothing():
    found = _causes([said(0), said(1, [1]), said(1)])
    assert [each.tolist() for each in found] == [[0, 0, 0], [0, 1, 0], [-1, -1, -1]]


@pytest.mark.parametrize("marked", [[3], [-1], ["1"], [True], "1", {"0": 1}, 1])
def test_marks_that_make_no_sense_are_no_marks(marked):
    assert _causes([said(1, marked), said(1, [0])])[0].tolist() == [-1, -1, -1]


def test_without_any_marks_nothing_is_known_of_any_line():
    assert all(each.tolist() == [-1] * 3 for each in _causes([said(0), said(1)]))


def test_lines_of_which_nobody_said_do_not_teach():
    logits = torch.tensor([0.0, 5.0, -5.0], requires_grad=True)
    loop.cause_loss(logits, torch.tensor([-1, 1, -1])).backward()
    assert logits.grad is not None and (logits.grad != 0).tolist() == [False, True, False]
    assert loop.cause_loss(logits, torch.tensor([-1, -1, -1])).item() == 0


def test_the_model_learns_to_point_at_the_marked_line(shop, vectors):
    """The planted line of an anomalous sequence is marked in training, and found in sequences never seen."""
    marked = [replace(one, meta={"root_cause": [planted(one)]}) if one.label else one for one in shop(320, seed=1)]
    detector = Moe(OPTIONS)
    detector.fit(marked, [], vectors, NullContext())
    hits = []
    for one in (each for each in shop(100, seed=3) if each.label):
        rows, table = detector._lines([one], vectors, NullContext())
        with torch.inference_mode():
            causes = detector.model(torch.from_numpy(table), torch.from_numpy(rows[0]).long()[None]).causes
        hits.append(int(causes.argmax()) == planted(one))
    assert np.mean(hits) > 0.9


def planted(sequence: LogSequence) -> int:
    return next(number for number, line in enumerate(sequence.entries) if line.startswith(("ERROR", "FATAL", "WARN")))
