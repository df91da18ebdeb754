"""Few labels: the small model starts from the labels-free detector, and learns what a handful of verdicts adds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detection.detectors.moe import Moe
from detection.engine.config import MoEOptions
from detection.engine.familiar import Familiar
from detection.engine.fitting import folds
from detection.engine.metrics import evaluate
from duolog.plugins.types import NullContext

OPTIONS = MoEOptions(hidden=64, intermediate=32, batch=16, epochs=1, learning_rate=1e-3)
RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(12, 8)).astype(np.float32)


def rows(count: int) -> list[np.ndarray]:
    return [RANDOM.integers(0, 8, RANDOM.integers(3, 9)).astype(np.int32) for _ in range(count)]


@pytest.fixture(scope="module")
def stream(shop):
    """200 sequences of a stream of which somebody labelled 20, and others to measure on."""
    found = shop(200, seed=5, anomalous=0.1)
    anomalous = [number for number, one in enumerate(found) if one.label][:6]
    stated = {*anomalous, *[number for number, one in enumerate(found) if not one.label][:14]}
    return [one if n in stated else replace(one, label=None) for n, one in enumerate(found)], shop(200, seed=6)


@pytest.fixture(scope="module")
def trained(stream, vectors):
    detector = Moe(OPTIONS)
    return detector, detector.fit(stream[0], [], vectors, NullContext())


def test_twenty_labels_and_an_unlabelled_stream_make_a_detector_with_a_threshold(stream, vectors, trained):
    detector, threshold = trained
    scores = detector.score(stream[1], vectors, NullContext())
    assert evaluate([one.label for one in stream[1]], scores, threshold)["f1"] > 0.9


def test_what_it_knows_of_the_stream_is_kept(stream, vectors, trained, tmp_path):
    detector, _ = trained
    detector.save(tmp_path)
    again = Moe(OPTIONS)
    again.load(tmp_path)
    np.testing.assert_array_equal(
        again.score(stream[1], vectors, NullContext()), detector.score(stream[1], vectors, NullContext())
    )


def test_equal_sequences_score_equal_in_any_company(stream, vectors, trained):
    twins = [stream[1][0], *stream[1][:50], stream[1][0]]
    scores = trained[0].score(twins, vectors, NullContext())
    assert scores[0] == scores[1] == scores[-1]
    assert abs(scores[0] - trained[0].score(twins[:1], vectors, NullContext())[0]) < 1e-5


def test_fewer_sequences_than_tell_what_is_usual_are_learned_from_all_the_same(shop, vectors):
    few = shop(12, seed=7, anomalous=0.5)
    detector = Moe(OPTIONS)
    detector.fit(few, [], vectors, NullContext())
    assert detector.familiar is None
    assert np.isfinite(detector.score(few, vectors, NullContext())).all()


def test_features_of_what_was_learned_from_mean_the_same_as_those_of_new_sequences():
    known, new = rows(200), rows(200)
    familiar, features = Familiar.learn(known, np.zeros(200, bool), TABLE, seed=0)
    ratio = np.median(features, axis=0) / np.median(familiar.features(new, TABLE), axis=0)
    assert ((ratio > 0.8) & (ratio < 1.25)).all()


def test_what_a_person_called_normal_is_familiar_however_it_looks():
    known, odd = rows(60), [np.array([9, 10, 11], np.int32)]
    said = np.array([False] * 60 + [True])
    strange, _ = Familiar.learn([*known, *odd], np.zeros(61, bool), TABLE, seed=0)
    called, _ = Familiar.learn([*known, *odd], said, TABLE, seed=0)
    asked = [np.array([9, 10, 11], np.int32)]
    assert called.features(asked, TABLE)[0, 1] < strange.features(asked, TABLE)[0, 1]  # its lines are less rare


def test_no_lines_have_no_features():
    familiar, _ = Familiar.learn(rows(40), np.zeros(40, bool), TABLE, seed=0)
    found = familiar.features([np.array([], np.int32), rows(1)[0]], TABLE)
    assert not found[0].any()
    assert found[1].any()


def test_folds_spread_both_labels_and_hold_everyone_once():
    labels = np.array([1] * 5 + [0] * 15)
    found = folds(labels, seed=1)
    assert sorted(np.concatenate(found).tolist()) == list(range(20))
    assert all(labels[fold].any() for fold in found)
    assert folds(np.array([1, 0, 0, 0]), seed=1) == []  # without it nothing anomalous would be learned from


def sure(labels: list[int], surprises: list[float]) -> list[int]:
    """Say which of some sequences without a label the labels-free detector is believed on, of ten each way."""
    from detection.engine.fitting import Fitting

    familiar, _ = Familiar.learn(rows(40), np.zeros(40, bool), TABLE, seed=0)
    familiar = replace(familiar, limit=6.0)
    features = np.array([[value, 0, 0] for value in [*surprises, *[1.0] * 10, *[9.0] * 10]], np.float32)
    told = np.array(labels)
    fitting = Fitting(OPTIONS, [], told, [], np.ones(len(told)), features, familiar, TABLE)
    return fitting._sure()[1].tolist()


def test_labels_that_contradict_the_labels_free_detector_are_not_outvoted_by_its_word():
    usual, alarm = 1.0, 9.0
    assert sure([0, 0, 1], [usual, usual, alarm]) == [0] * 10 + [1] * 10
    assert sure([0, 0, 0], [usual, usual, alarm]) == [0] * 10  # false alarms: no word of it is an anomaly
    assert sure([0, 1, 1], [usual, usual, alarm]) == []  # misses: what it calls usual need not be
