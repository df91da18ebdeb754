"""The supervised detector on the real encoder: it learns, resumes, repeats, and keeps what it learned."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detection.detectors.moe import Moe, NotTrainable
from detection.engine import loop, serialize
from detection.engine.blame import blame
from detection.engine.config import MoEOptions
from detection.engine.metrics import evaluate
from duolog.plugins.types import LogSequence, NullContext

OPTIONS = MoEOptions(hidden=128, intermediate=64, batch=32, epochs=3, learning_rate=1e-3)


class Interrupted(Exception):
    pass


class Watched(NullContext):
    """Keeps every checkpoint and metric, and stops at step `until`."""

    def __init__(self, folder: Path, until: int = -1, start: tuple[int, Path] | None = None) -> None:
        self.folder, self.until, self.start = folder, until, start
        self.metrics: dict[str, list[float]] = {}
        self.kept: tuple[int, Path] | None = None

    def metric(self, name: str, value: float, step: int) -> None:
        self.metrics.setdefault(name, []).append(value)

    def checkpoint(self, step=0, save=None):
        if save:
            place = self.folder / str(step)
            place.mkdir()
            save(place)
            self.kept = (step, place)
        if step == self.until:
            raise Interrupted

    def resume(self):
        return self.start


@pytest.fixture(scope="module")
def data(shop):
    return shop(320, seed=1), shop(80, seed=2), shop(200, seed=3)


@pytest.fixture(scope="module")
def trained(data, vectors) -> tuple[Moe, float]:
    detector = Moe(OPTIONS)
    return detector, detector.fit(data[0], data[1], vectors, NullContext())


def test_it_learns_what_an_error_is(data, vectors, trained):
    detector, threshold = trained
    scores = detector.score(data[2], vectors, NullContext())
    assert evaluate([s.label for s in data[2]], scores, threshold)["f1"] > 0.95


@pytest.mark.parametrize("how", ["counterfactual", "fast"])
def test_blame_finds_the_planted_line(data, vectors, trained, how):
    detector, _ = trained
    flagged = [s for s in data[2] if s.label]
    if how == "fast":
        weights = detector.blame(flagged, vectors, NullContext())
    else:
        weights = blame(lambda part: detector.score(part, vectors, NullContext()), flagged)
    hits = 0
    for sequence, weight in zip(flagged, weights, strict=True):
        assert len(weight) == len(sequence.entries)
        assert (weight >= 0).all()
        assert weight.sum() == pytest.approx(1) or not weight.any()
        hits += sequence.entries[int(weight.argmax())].split()[0] in {"ERROR", "FATAL", "WARN"}
    assert hits >= 0.9 * len(flagged)


def test_fast_blame_of_a_long_sequence_explains_its_most_suspicious_window(vectors, trained):
    quiet, odd = "INFO 订单服务 创建订单 <*> 成功", "FATAL connection pool exhausted"
    entries = [quiet] * 700
    entries[611] = odd
    long, alone, empty = (LogSequence("s", tuple(each)) for each in (entries, [odd], []))
    found = trained[0].blame([long, alone, empty], vectors, NullContext())
    assert [len(weights) for weights in found] == [700, 1, 0]
    assert found[0].argmax() == 611 and found[0].sum() == pytest.approx(1)
    assert not found[0][:300].any(), "what lies in other windows has no part in it"
    assert found[1] == [1]


def test_the_same_seed_gives_the_same_scores(data, vectors, trained):
    detector = Moe(OPTIONS)
    assert detector.fit(data[0], data[1], vectors, NullContext()) == trained[1]
    again = detector.score(data[2], vectors, NullContext())
    np.testing.assert_array_equal(again, trained[0].score(data[2], vectors, NullContext()))


@pytest.mark.parametrize("until", [7, 30, 41])
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(until, data, vectors, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    killed = Watched(tmp_path, until=until)
    with pytest.raises(Interrupted):
        Moe(OPTIONS).fit(data[0], data[1], vectors, killed)
    assert killed.kept and killed.kept[0] == until
    resumed, later = Moe(OPTIONS), Watched(tmp_path / "none", start=killed.kept)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 1e9)
    assert resumed.fit(data[0], data[1], vectors, later) == trained[1]
    mine, whole = resumed.model.state_dict(), trained[0].model.state_dict()
    assert all(np.array_equal(mine[name], whole[name]) for name in whole)


def test_early_stopping_keeps_the_best_weights_also_when_it_is_interrupted(data, vectors, tmp_path, monkeypatch):
    options = replace(OPTIONS, epochs=6, patience=1, accumulate=3, hidden=64, learning_rate=3e-3)
    whole, watched = Moe(options), Watched(tmp_path)
    threshold = whole.fit(data[0], data[1], vectors, watched)
    curve = watched.metrics["validation_pr_auc"]
    assert len(curve) < 2 * options.epochs, "it stopped early"
    scores = whole.score(data[1], vectors, NullContext())
    best = evaluate([s.label for s in data[1]], scores, threshold)["pr_auc"]
    assert best >= curve[-1]
    assert best in curve

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    killed = Watched(tmp_path, until=25)
    with pytest.raises(Interrupted):
        Moe(options).fit(data[0], data[1], vectors, killed)
    assert killed.kept and killed.kept[0] == 23, "nothing is kept between two steps of the optimizer"
    monkeypatch.setattr(loop, "SAVE_SECONDS", 1e9)
    resumed = Moe(options)
    assert resumed.fit(data[0], data[1], vectors, Watched(tmp_path / "none", start=killed.kept)) == threshold
    np.testing.assert_array_equal(
        resumed.score(data[2], vectors, NullContext()), whole.score(data[2], vectors, NullContext())
    )


def test_the_curves_show_loss_and_validation(data, vectors, tmp_path):
    watched = Watched(tmp_path)
    Moe(OPTIONS).fit(data[0], data[1], vectors, watched)
    assert watched.metrics["loss"][-1] < watched.metrics["loss"][0]
    assert len(watched.metrics["validation_f1"]) == 2 * OPTIONS.epochs


def test_the_last_of_the_curves_tells_of_the_model_that_comes_out(data, vectors, tmp_path):
    """The average of the weights is validated, and it is what scores: not the last weights.

    With labels drawn at random no two weights have the same PR-AUC.
    """
    chance = np.random.default_rng(0)
    train, validation = ([replace(s, label=int(chance.integers(2))) for s in part] for part in data[:2])
    watched, detector = Watched(tmp_path), Moe(replace(OPTIONS, epochs=1))
    threshold = detector.fit(train, validation, vectors, watched)
    found = evaluate([s.label for s in validation], detector.score(validation, vectors, NullContext()), threshold)
    assert watched.metrics["validation_pr_auc"][-1] == pytest.approx(found["pr_auc"])


def test_a_saved_detector_scores_the_same(data, vectors, trained, tmp_path):
    trained[0].save(tmp_path)
    loaded = Moe()
    loaded.load(tmp_path)
    np.testing.assert_array_equal(
        loaded.score(data[2], vectors, NullContext()), trained[0].score(data[2], vectors, NullContext())
    )
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}


def test_a_changed_or_foreign_folder_is_not_loaded(trained, tmp_path):
    trained[0].save(tmp_path)
    other = shutil.copytree(tmp_path, tmp_path / "other")
    with (other / serialize.TENSORS).open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"!")
    with pytest.raises(serialize.Unreadable, match="changed"):
        Moe().load(other)
    with pytest.raises(serialize.Unreadable):
        Moe().load(tmp_path / "nothing")


def test_one_class_alone_cannot_be_learned(vectors):
    same = [LogSequence(str(n), ("INFO ok",), 0) for n in range(30)]
    with pytest.raises(NotTrainable, match="neighbours"):
        Moe().fit(same, [], vectors, NullContext())
