"""The labels-free detector: it needs no labels, some hundred sequences, and little of what is usual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detection.detectors.neighbours import Neighbours, NeighboursOptions, TooFew
from detection.engine.blame import blame
from duolog.plugins.options import OptionsError, build
from duolog.plugins.types import LogSequence, NullContext


def fitted(sequences, vectors, **options) -> Neighbours:
    detector = Neighbours(NeighboursOptions(**options))
    assert detector.fit([replace(s, label=None) for s in sequences], [], vectors, NullContext()) == 0.5
    return detector


@pytest.mark.parametrize("count", [60, 300])
def test_it_finds_what_is_new_and_hardly_anything_else(count, shop, vectors):
    detector, seen = fitted(shop(count, 1, anomalous=0), vectors), shop(400, 2)
    scores, labels = detector.score(seen, vectors, NullContext()), np.array([s.label for s in seen])
    assert roc_auc_score(labels, scores) > 0.99
    assert (scores[labels == 1] >= 0.5).mean() > 0.95
    assert (scores[labels == 0] >= 0.5).mean() < 0.02


def test_a_tenth_of_anomalies_among_the_fitted_does_not_blind_it(shop, vectors):
    detector, seen = fitted(shop(300, 1, anomalous=0.1), vectors), shop(400, 2)
    scores, labels = detector.score(seen, vectors, NullContext()), np.array([s.label for s in seen])
    assert roc_auc_score(labels, scores) > 0.97


def test_one_new_line_among_sixty_is_enough(vectors):
    quiet = [LogSequence(str(n), ("INFO tick <*>",) * 40 + ("DEBUG idle",) * (18 + n % 5)) for n in range(60)]
    broken = replace(quiet[0], entries=(*quiet[0].entries, "PANIC could not write to file: No space left on device"))
    detector = fitted(quiet, vectors)
    scores = detector.score([broken, *quiet], vectors, NullContext())
    assert scores[0] > 0.5
    assert (scores[1:] < 0.5).all()
    (weights,) = blame(lambda part: detector.score(part, vectors, NullContext()), [broken])
    assert weights.argmax() == len(broken.entries) - 1


def test_a_flood_of_known_lines_is_unusual_too(vectors):
    quiet = [LogSequence(str(n), ("INFO tick <*>",) * (9 + n % 3) + ("WARN retry <*>",)) for n in range(60)]
    flood = LogSequence("flood", ("WARN retry <*>",) * 40)
    assert fitted(quiet, vectors).score([flood], vectors, NullContext())[0] > 0.5


def test_sequences_that_are_all_alike_can_be_fitted(vectors):
    same = [LogSequence(str(n), ("INFO ok", "INFO done")) for n in range(40)]
    detector = fitted(same, vectors)
    scores = detector.score([same[0], LogSequence("x", ("FATAL out of memory",)), LogSequence("e", ())], vectors,
                            NullContext())  # fmt: skip
    assert scores[0] < 0.5 < scores[1]
    assert scores[2] == 0


def test_a_saved_detector_scores_the_same(shop, vectors, tmp_path):
    detector, seen = fitted(shop(100, 1), vectors), shop(50, 2)
    detector.save(tmp_path)
    loaded = Neighbours()
    loaded.load(tmp_path)
    np.testing.assert_array_equal(
        loaded.score(seen, vectors, NullContext()), detector.score(seen, vectors, NullContext())
    )


def test_scores_do_not_depend_on_what_is_scored_with_them(shop, vectors):
    detector, seen = fitted(shop(100, 1), vectors), shop(50, 2)
    alone = np.concatenate([detector.score([s], vectors, NullContext()) for s in seen])
    np.testing.assert_allclose(detector.score(seen, vectors, NullContext()), alone, atol=1e-4)


def test_a_handful_is_too_few(shop, vectors):
    with pytest.raises(TooFew, match="20"):
        fitted(shop(5, 1), vectors)


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(OptionsError):
        build(NeighboursOptions, {"sequences": 3})


@pytest.mark.slow
@pytest.mark.parametrize("name, least", [("hdfs_templates", 0.997), ("openstack_kalaki_raw", 0.998)])
def test_real_logs(name, least, shared_data, vectors):
    """400 unlabelled normal sequences of a real system; mean of two draws."""
    import gzip

    from logs.formats.jsonl import Jsonl

    with gzip.open(shared_data / name / "train.jsonl.gz") as stream:
        sequences = [record for record in Jsonl().read(stream) if isinstance(record, LogSequence)]
    labels = np.array([s.label for s in sequences])
    areas = []
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(sequences))
        normal = order[labels[order] == 0]
        detector = fitted([sequences[number] for number in normal[:400]], vectors)
        rest = np.setdiff1d(order, normal[:400])[:: max(1, len(order) // 4000)]
        scores = detector.score([sequences[number] for number in rest], vectors, NullContext())
        areas.append(roc_auc_score(labels[rest], scores))
    assert np.mean(areas) >= least
