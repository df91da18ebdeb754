"""Thresholds, measures and blame on plain numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from detection.engine.blame import MOST, blame, flips
from detection.engine.calibrate import best_f1
from detection.engine.metrics import evaluate
from detection.engine.routing import summary
from duolog.plugins.types import LogSequence

SAMPLES = st.lists(st.tuples(st.booleans(), st.integers(0, 20).map(lambda n: n / 20)), min_size=2, max_size=60)


@settings(deadline=None)
@given(SAMPLES)
def test_no_threshold_has_a_better_f1(sample):
    labels, scores = np.array([a for a, _ in sample]), np.array([b for _, b in sample])
    chosen = best_f1(labels, scores)
    if labels.all() or not labels.any():
        assert chosen == 0.5
        return
    best = max(f1_score(labels, scores >= at, zero_division=0) for at in np.unique(scores))
    assert evaluate(labels, scores, chosen)["f1"] == pytest.approx(best)


def test_the_threshold_lies_in_the_middle_of_the_gap():
    assert best_f1([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == pytest.approx(0.5)


def test_a_score_at_the_threshold_counts_as_anomalous():
    found = evaluate([0, 1, 1, 0], [0.5, 0.5, 0.4, 0.1], 0.5)
    assert (found["precision"], found["recall"], found["accuracy"]) == (0.5, 0.5, 0.5)
    assert (found["sequences"], found["anomalous"]) == (4, 2)


def test_measures_without_anomalies_are_zero_and_not_an_error():
    found = evaluate([0, 0], [0.1, 0.2], 0.5)
    assert (found["f1"], found["pr_auc"], found["accuracy"]) == (0, 0, 1)


def count_bad(sequences: list[LogSequence]) -> np.ndarray:
    return np.array([0.9 if any("bad" in line for line in s.entries) else 0.1 for s in sequences])


def test_blame_goes_to_the_lines_without_which_the_score_falls():
    calls = []

    def score(sequences):
        calls.append(len(sequences))
        return count_bad(sequences)

    weights = blame(
        score,
        [
            LogSequence("one", ("fine", "bad", "fine")),
            LogSequence("twins", ("bad 1", "fine", "bad 2"), times=(1.0, 2.0, 3.0)),
            LogSequence("alone", ("bad",)),
            LogSequence("calm", ("fine", "good")),
        ],
    )
    assert [list(weight) for weight in weights] == [[0, 1, 0], [0.5, 0, 0.5], [1], [0, 0]]
    assert len(calls) == 1, "all counterfactuals in one call"


def test_the_lines_that_flip_the_verdict_are_as_few_as_it_takes():
    calls = []

    def score(sequences):
        calls.append(len(sequences))
        return np.array([min(sum("bad" in line for line in set(s.entries)) / 3, 1) for s in sequences])

    found = flips(
        score,
        [
            LogSequence("two of three", ("bad a", "fine", "bad b", "bad c")),
            LogSequence("twins", ("bad 1", "fine", "bad 2", "bad b"), times=(1.0, 2.0, 3.0, 4.0)),
            LogSequence("alone", ("bad",)),
            LogSequence("too many", tuple(f"bad {letter}" for letter in "abcdefghijklmnop")),
        ],
        threshold=0.5,
    )
    assert found == [(0, 2), (0, 2), (), ()]
    assert len(calls) <= MOST, "a round of all sequences in one call"


def test_nothing_flips_a_verdict_that_no_line_carries():
    calls = []

    def score(sequences):
        calls.append(1)
        return np.full(len(sequences), 0.9)

    assert flips(score, [LogSequence("missing step", ("a", "b", "c", "d"))], 0.5) == [()]
    assert len(calls) == 2, "it gives up when dropping more does not help"


def test_routing_shows_who_works_for_what_and_who_is_idle():
    weights = np.array([[0.7, 0.3, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    found = summary(weights, ["", "", "timeout"])
    assert found["load"] == [0.4, 0.6, 0]
    assert found["types"] == {"": [0.6, 0.4, 0.0], "timeout": [0, 1, 0]}
    assert found["collapsed"] == [2]
    assert found["fired"] == pytest.approx(5 / 3, abs=0.01)
