"""A scorecard: the trials of a version's recipe under every protocol, and what they decide.

Its models become champions, so it comes after the tests that expect the shop's to be the newest.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from detection.engine.floors import FLOORS, LABELLED
from detection.models import ModelVersion, Scorecard
from training.engine.instability import KINDS

FIGURES = {"f1", "precision", "recall", "pr_auc", "false_alarms", "leakage", "seconds_to_train", "seconds_to_score"}


@pytest.fixture(scope="module")
def card(shop: dict[str, Any], ask: Any, django_db_blocker: Any) -> dict[str, Any]:
    """Two trials of the labels-free detector: quick, as it learns nothing with an optimiser."""
    with django_db_blocker.unblock():
        easy = [word for pair in ("noise=0", "services=5", "styles=spring") for word in ("--set", pair)]
        ask("generate", "--seed", "3", "--language", "en", *easy, "--count", 300, "--dataset", "all")
        ask("train", "--dataset", "all", "--detector", "neighbours", "--name", "quiet", "--wait")
        answer: dict[str, Any] = ask("scorecard", "--dataset", "all", "--model", "quiet", "--seeds", 2)
        return answer


@pytest.mark.parametrize("protocol", ["random", "chronological", "template"])
def test_each_protocol_has_figures_with_their_spread_and_the_best_floor(card: dict[str, Any], protocol: str) -> None:
    found = card["protocols"][protocol]
    assert found["trials"] == 2
    assert found.keys() >= FIGURES
    assert all(found[name].keys() == {"mean", "sd"} for name in FIGURES)
    assert 0 < found["pr_auc"]["mean"] <= 1
    assert found["floors"].keys() == set(FLOORS)  # it reads no labels, so its rivals do not either
    assert found["over_floor"] == pytest.approx(
        found["f1"]["mean"] - max(floor["f1"]["mean"] for floor in found["floors"].values())
    )
    assert 0 <= found["detect_of"]["mean"] <= 1


def test_the_line_at_which_the_verdict_fires_is_told(card: dict[str, Any]) -> None:
    found = card["protocols"]["random"]
    assert found["detect_of"]["mean"] > 0
    assert 0 < found["detect_share"]["mean"] <= 1 <= found["detect_line"]["mean"]


def test_template_disjoint_means_that_nothing_leaks(card: dict[str, Any]) -> None:
    assert card["protocols"]["template"]["leakage"] == {"mean": 0, "sd": 0}
    assert card["protocols"]["random"]["pr_auc"]["sd"] > 0  # each trial has a division of its own


def test_what_the_data_cannot_give_is_skipped_with_the_reason(card: dict[str, Any]) -> None:
    assert "groups that must stay together" in card["protocols"]["source"]["skipped"]


def test_the_instability_curve_begins_at_the_undisturbed_figure(card: dict[str, Any]) -> None:
    curves = card["instability"]["curves"]
    assert curves.keys() == set(KINDS) - {"reworded"}
    assert {tuple(percent for percent, _ in curve) for curve in curves.values()} == {(0, 5, 10, 20, 30)}
    assert len({curve[0][1] for curve in curves.values()}) == 1
    assert "two languages" in card["instability"]["not_measured"]["reworded"]


@pytest.fixture
def by_policy(card: dict[str, Any]) -> Iterator[Callable[[str], None]]:
    """Give the version another policy for the time of a test."""
    version = ModelVersion.objects.filter(name="quiet", number=1)
    yield lambda policy: version.update(policy={"policy": policy})
    version.update(policy={})


def test_the_threshold_is_chosen_as_the_versions_own_is(card: dict[str, Any], ask: Any, by_policy: Any) -> None:
    by_policy("rate=0.5")
    anew = ask("scorecard", "--dataset", "all", "--model", "quiet", "--seeds", 1, "--protocols", "random")
    before, after = (found["protocols"]["random"]["false_alarms"]["mean"] for found in (card, anew))
    assert before < 200 < after


def test_a_protocol_that_cannot_keep_the_policys_promise_is_skipped_with_the_reason(ask: Any, by_policy: Any) -> None:
    by_policy("rate=0.001")
    with pytest.raises(CommandError, match="takes 999 sequences labelled normal"):
        ask("scorecard", "--dataset", "all", "--model", "quiet", "--seeds", 1, "--protocols", "random")


def test_it_is_kept_with_the_version(card: dict[str, Any]) -> None:
    kept = Scorecard.objects.get(pk=card["scorecard"])
    assert kept.version == ModelVersion.objects.get(name="quiet", number=1)
    assert (kept.dataset.name, kept.seeds, kept.protocols) == ("all", 2, card["protocols"])


def test_pairs_of_languages_are_reworded_and_a_detector_with_labels_has_all_floors(shop: Any, ask: Any) -> None:
    call_command(
        "generate", "--kind", "analysis", "--language", "pairs", "--count", "120", "--dataset", "pairs",
        stdout=io.StringIO(),
    )  # fmt: skip
    found = ask(
        "scorecard", "--dataset", "pairs", "--model", "shop-moe", "--protocols", "random", "--seeds", 1
    )  # fmt: skip
    assert found["protocols"].keys() == {"random"}
    assert found["protocols"]["random"]["floors"].keys() == {*FLOORS, *LABELLED}
    assert found["instability"]["curves"].keys() == set(KINDS)
    assert found["instability"]["not_measured"] == {}


def test_a_person_reads_a_table(card: dict[str, Any]) -> None:
    out = io.StringIO()
    call_command(
        "scorecard", "--dataset", "all", "--model", "quiet", "--protocols", "random,source", "--seeds", "1", stdout=out
    )
    text = out.getvalue()
    assert "over trivial" in text
    assert "source: skipped: " in text
    assert "  false_alarms" in text
    assert "reworded: not measured" in text


@pytest.fixture(scope="module")
def curve(shop: dict[str, Any], ask: Any, django_db_blocker: Any) -> dict[str, Any]:
    """One draw of labels of the shop, with the recipe of a very small model; few labels keep no promise of a rate."""
    small = [word for pair in ("hidden=32", "intermediate=16", "epochs=1") for word in ("--set", pair)]
    with django_db_blocker.unblock():
        ask("train", "--dataset", "shop", "--name", "small", *small, "--threshold", "rate=0.1", "--wait")
        answer: dict[str, Any] = ask("learning_curve", "--dataset", "shop", "--model", "small", "--draws", 1)
        return answer


def test_a_learning_curve_goes_from_no_label_to_all_of_them(curve: dict[str, Any]) -> None:
    assert [point["labels"] for point in curve["points"]] == [0, 20, 50, 200, 270]
    assert curve["test"] == 30  # the same for all, and none of them learned from
    assert all(0 <= point[name]["mean"] < 1.001 for point in curve["points"] for name in ("f1", "pr_auc"))


def test_the_curve_is_kept_with_the_version(curve: dict[str, Any]) -> None:
    kept = ModelVersion.objects.get(name="small", number=1).learning
    assert kept == {"shop": {name: curve[name] for name in ("test", "draws", "points")}}


def test_a_detector_that_reads_no_labels_has_no_learning_curve(card: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="reads no labels"):
        call_command("learning_curve", "--dataset", "all", "--model", "quiet", stdout=io.StringIO())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "shop:test"], "is a part already"),
        (["--dataset", "shop", "--protocols", "randm"], "randm"),
        (["--dataset", "shop", "--seeds", "0"], "at least 1 seed"),
        (["--dataset", "all", "--model", "quiet", "--protocols", "source"], "groups that must stay together"),
    ],
)
def test_what_cannot_work_says_why(card: dict[str, Any], arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("scorecard", *arguments, stdout=io.StringIO())
