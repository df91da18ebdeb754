"""Calibration, thresholds, aliases and a shadow, on a model that was really trained."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from analysis.models import Finding
from detection import aliases, shadow
from detection.models import ModelVersion, Scan, Score
from logs.models import Label
from workers.console import perform


@pytest.fixture
def version(shop: dict[str, Any]) -> ModelVersion:
    return ModelVersion.objects.get(name="shop-moe", number=1)


def test_a_version_is_calibrated_and_remembers_what_was_usual(version: ModelVersion) -> None:
    assert 0.1 <= version.temperature <= 10
    assert 0 <= version.metrics["shop:validation"]["ece"] < 0.5
    plots = version.plots["shop:validation"]
    assert sum(plots["confusion"].values()) == version.metrics["shop:validation"]["sequences"] == 60
    assert sum(plots["histogram"]["normal"]) + sum(plots["histogram"]["anomalous"]) == 60
    assert sum(count for *_, count in plots["reliability"]) == 60
    assert version.reference["scored"] == version.reference["sequences"] == 60
    assert sum(version.reference["templates"].values()) == pytest.approx(1)


def test_a_threshold_is_chosen_anew_recorded_and_used_at_once(ask: Any, version: ModelVersion) -> None:
    before = version.threshold
    scan = Scan.objects.get(
        pk=perform(job="scan", options={"dataset": "shop:test", "model": "shop-moe"}).result["scan"]
    )
    answer = ask(
        "threshold", "--model", "shop-moe:1", "--dataset", "shop:train", "--threshold", "rate=0.05",
        "--reason", "too many at night",
    )  # fmt: skip
    version.refresh_from_db()
    assert version.threshold == answer["threshold"] != before
    assert version.policy["policy"] == "rate=0.05"
    change = version.thresholds.get()
    assert (change.before, change.threshold, change.reason) == (before, version.threshold, "too many at night")
    again = Scan.objects.get(
        pk=perform(job="scan", options={"dataset": "shop:train", "model": "shop-moe"}).result["scan"]
    )
    assert again.threshold == version.threshold
    normal = Score.objects.filter(scan=again, sequence__labels__value=0)
    assert normal.filter(anomalous=True).count() / normal.count() <= 0.05
    scores = np.array(normal.values_list("value", flat=True))
    assert (scores >= version.threshold).sum() == normal.filter(anomalous=True).count()
    ask("threshold", "--model", "shop-moe:1", "--dataset", "shop:validation", "--threshold", "best-f1")
    assert version.thresholds.count() == 2
    assert Scan.objects.get(pk=scan.pk).threshold == before  # a scan stays what it was


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "rate=0.0001", "--dataset", "shop:test"], "takes 9999 sequences labelled normal"),
        (["--threshold", "budget=2", "--dataset", "nowhere"], "no dataset nowhere"),
        (["--threshold", "best", "--dataset", "shop:test"], "best-f1, rate=0.01 or budget=2"),
    ],
)
def test_a_threshold_that_cannot_be_had_says_what_is_missing(shop: Any, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("threshold", *arguments, stdout=io.StringIO())


def test_training_refuses_a_policy_before_it_trains(shop: Any) -> None:
    with pytest.raises(CommandError, match="label more, or allow more false alarms"):
        call_command("train", "--dataset", "shop", "--threshold", "rate=0.001", "--wait", stdout=io.StringIO())


@pytest.fixture(scope="module")
def second(shop: Any, ask: Any) -> ModelVersion:
    """A version of little training, with a threshold by rate."""
    answer = ask(
        "train", "--dataset", "shop", "--set", "epochs=1", "--set", "batch=128", "--threshold", "rate=0.1", "--wait"
    )
    name, _, number = answer["model"].partition(":")
    return ModelVersion.objects.get(name=name, number=number)


def test_promote_and_rollback(ask: Any, version: ModelVersion, second: ModelVersion) -> None:
    assert second.policy["policy"] == "rate=0.1"
    assert ask("promote", "--model", str(second), "--reason", "a try")["alias"] == "champion"
    assert ask("evaluate", "--model", "shop-moe", "--dataset", "shop")["model"] == str(second)
    assert ask("rollback", "--model", "shop-moe", "--reason", "worse")["model"] == "shop-moe:1"
    newest, before, *_ = aliases.history(second.changes.model.objects.filter(alias="champion"))
    assert (newest.rollback, newest.reason, before.reason) == (True, "worse", "a try")
    with pytest.raises(CommandError, match="known: "):
        call_command("promote", "--model", "shop-moe:99", stdout=io.StringIO())


def test_a_shadow_keeps_only_disagreements_and_is_judged_by_labels(
    ask: Any, version: ModelVersion, second: ModelVersion
) -> None:
    ModelVersion.objects.filter(pk=second.pk).update(threshold=0.0)  # flags all, so it disagrees with any other
    ask("promote", "--model", str(second), "--alias", "shadow")
    result = perform(job="scan", options={"dataset": "shop:test", "model": "shop-moe"}).result
    champion = Scan.objects.get(pk=result["scan"])
    beside = Scan.objects.get(shadow_of=champion)
    assert (champion.version, beside.version) == (version, second)
    assert (champion.sequences, beside.sequences) == (60, 60)
    said = dict(Score.objects.filter(scan=champion).values_list("sequence", "anomalous"))
    apart = dict(Score.objects.filter(scan=beside).values_list("sequence", "anomalous"))
    assert 0 < len(apart) == result["disagreements"] < 60
    assert all(said[pk] != flag for pk, flag in apart.items())
    assert not Finding.objects.filter(score__scan=beside).exists()
    found = shadow.record(second)
    truth = dict(Label.objects.filter(sequence__in=apart).values_list("sequence", "value"))
    assert found["disagreements"] == found["judged"] == len(apart)
    assert found["wins"] == sum(truth[pk] == flag for pk, flag in apart.items())
    assert found["low"] <= found["win_rate"] <= found["high"]
    # One that is not the champion is watched by nobody.
    perform(job="scan", options={"dataset": "shop:test", "model": str(second)})
    assert Scan.objects.filter(shadow_of__isnull=False).count() == 1


def test_drift_is_seen_where_other_logs_come_and_only_there(ask: Any, version: ModelVersion) -> None:
    same = Scan.objects.get(
        pk=perform(job="scan", options={"dataset": "shop:train", "model": "shop-moe"}).result["scan"]
    )
    assert same.drift["level"] == "none"
    call_command(
        "generate", "--seed", "5", "--count", "150", "--dataset", "other", "--language", "zh", stdout=io.StringIO()
    )
    other = perform(job="scan", options={"dataset": "other", "model": "shop-moe:1"}).result
    assert other["drift"] == "strong"
    assert Scan.objects.get(pk=other["scan"]).drift["template"]["level"] == "strong"
