"""Calibration: temperature, and thresholds that keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from detection import thresholds
from detection.engine import calibrate, curves
from duolog.plugins.types import LogSequence
from logs import datasets
from logs.models import Sequence
from workers.jobs import JobFailed


def overconfident(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores whose logits are three times what they should be."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(-1, 1.5, count)
    labels = chance.random(count) < 1 / (1 + np.exp(-logits))
    return labels, 1 / (1 + np.exp(-3 * logits))


def test_temperature_mends_overconfidence_and_keeps_the_order() -> None:
    labels, scores = overconfident(4000)
    temperature = calibrate.temperature(labels, scores)
    tempered = calibrate.temper(scores, temperature)
    assert temperature == pytest.approx(3, rel=0.15)
    assert curves.calibration_error(labels, tempered) < 0.3 * curves.calibration_error(labels, scores)
    assert (np.argsort(tempered, kind="stable") == np.argsort(scores, kind="stable")).all()


@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_scores_stay_between_0_and_1_and_the_ends_and_the_middle_in_place(temperature: float) -> None:
    assert calibrate.temper([0, 0.5, 1], temperature) == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("labels", [[], [0, 0], [1, 1]])
def test_nothing_is_learned_of_one_class(labels: list[int]) -> None:
    assert calibrate.temperature(labels, np.full(len(labels), 0.3)) == 1


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_new_normals_keep_the_promised_rate(rate: float) -> None:
    chance = np.random.default_rng(1)
    realised = [(chance.random(400) >= calibrate.conformal(chance.random(250), rate)).mean() for _ in range(300)]
    assert 0.7 * rate < np.mean(realised) <= 1.05 * rate


def test_a_rate_takes_so_many_normals_and_no_fewer() -> None:
    assert [calibrate.needed(rate) for rate in (0.5, 0.1, 0.01, 1)] == [1, 9, 99, 0]
    assert 0.97 < calibrate.conformal(np.arange(99) / 100, 0.01) < 0.99
    with pytest.raises(ValueError, match="it takes 99"):
        calibrate.conformal(np.arange(98) / 100, 0.01)


@pytest.mark.parametrize("text", ["best", "rate", "rate=0", "rate=1", "budget=0", "budget=-1", "rate=x", "F1=1"])
def test_a_policy_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        thresholds.parse(text)


@pytest.fixture
def timed(db: None) -> list[LogSequence]:
    """Ten days of two services: `busy` has 100 sequences a day, `calm` 2; a tenth of them anomalous."""
    dataset = datasets.get_or_create(project="default", name="timed")
    from datetime import UTC, datetime, timedelta

    start = datetime(2026, 11, 1, tzinfo=UTC)
    rows = []
    for name, a_day in (("busy", 100), ("calm", 2)):
        count = a_day * 10
        times = [start + timedelta(days=10) * number / (count - 1) for number in range(count)]
        rows += [
            Sequence(dataset=dataset, key=f"{name}{n}", entries=["x"], length=1, started_at=at, meta={"service": name})
            for n, at in enumerate(times)
        ]
    Sequence.objects.bulk_create(rows)
    return [LogSequence(row.key, ("x",), int(n % 10 == 0), meta=row.meta) for n, row in enumerate(rows)]


def test_a_budget_is_kept_a_day_and_service(timed: list[LogSequence]) -> None:
    dataset, _ = datasets.resolve(project="default", ref="timed")
    chance = np.random.default_rng(2)
    labels = np.array([sequence.label for sequence in timed], bool)
    scores = np.where(labels, 0.9, 0.6) * chance.random(len(timed))
    chosen = thresholds.plan(thresholds.parse("budget=2"), timed, dataset).choose(scores, "timed")
    assert chosen.a_day == {"busy": pytest.approx(100), "calm": pytest.approx(2)}
    assert chosen.rate == pytest.approx(0.02)
    alarms = (scores >= chosen.threshold) & ~labels
    busy = np.array([sequence.meta["service"] == "busy" for sequence in timed])
    assert (alarms & busy).sum() <= 20  # two a day for ten days
    assert chosen.as_json()["policy"] == "budget=2"


def test_a_budget_needs_times_and_enough_normals(timed: list[LogSequence]) -> None:
    dataset, _ = datasets.resolve(project="default", ref="timed")
    with pytest.raises(JobFailed, match=r"takes 999 sequences labelled normal, and there are 918"):
        thresholds.plan(thresholds.parse("budget=0.1"), timed, dataset)
    untimed = datasets.get_or_create(project="default", name="untimed")
    with pytest.raises(JobFailed, match=r"untimed have no times"):
        thresholds.plan(thresholds.parse("budget=2"), timed, untimed)
    with pytest.raises(JobFailed, match="takes 99"):
        thresholds.plan(thresholds.parse("rate=0.01"), timed[:50], dataset)
