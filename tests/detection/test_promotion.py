"""A version becomes champion when its scorecards say that it beats trivial floors, or for a reason."""

from __future__ import annotations

from typing import Any

import pytest
from tenants import SKIPPED, make_tenant, tried

from detection import aliases, promotion, versions
from detection.models import ModelVersion, Scorecard

pytestmark = pytest.mark.django_db


@pytest.fixture
def ours() -> Any:
    return make_tenant("ours")


@pytest.fixture
def second(ours: Any) -> ModelVersion:
    return ModelVersion.objects.create(project="ours", name="m", number=2, detector="moe", threshold=0.5)


def give(version: ModelVersion, ours: Any, **protocols: dict[str, Any]) -> None:
    told = {"curves": {}, "not_measured": {}, "protocol": "random"}
    Scorecard.objects.create(
        project="ours", version=version, dataset=ours.dataset, seeds=5, protocols=protocols, instability=told
    )


def test_the_first_version_of_a_name_needs_nothing(ours: Any) -> None:
    assert promotion.problems(ours.version) == []


def test_without_a_scorecard_it_says_what_to_run(second: ModelVersion) -> None:
    problems = promotion.problems(second)
    assert len(problems) == 2
    assert "random" in problems[0] and "template" in problems[1]
    assert "duolog scorecard --model m:2" in problems[0]


def test_beating_the_floors_under_the_required_protocols_is_enough(ours: Any, second: ModelVersion) -> None:
    give(second, ours, random=tried(0.9), template=tried(0.85), chronological=tried(0.1))
    assert promotion.problems(second) == []
    aliases.point(second, "champion")
    assert versions.resolve(project="ours", ref="m") == second


def test_worse_than_the_floor_is_refused_with_the_figures(ours: Any, second: ModelVersion) -> None:
    give(second, ours, random=tried(0.9), template=tried(0.7, floor=0.75))
    (problem,) = promotion.problems(second)
    assert "template" in problem and "tfidf" in problem and "0.7500" in problem and "0.7000" in problem


def test_the_newest_scorecard_counts_and_those_of_other_protocols_add_to_it(ours: Any, second: ModelVersion) -> None:
    give(second, ours, random=tried(0.9), template=tried(0.9))
    give(second, ours, random=tried(0.1))
    assert len(promotion.problems(second)) == 1
    give(second, ours, random=tried(0.95))
    assert promotion.problems(second) == []


def test_few_trials_or_a_skipped_protocol_are_none(ours: Any, second: ModelVersion) -> None:
    give(second, ours, random=tried(0.9, trials=2), template=SKIPPED)
    few, skipped = promotion.problems(second)
    assert "5 times" in few
    assert SKIPPED["skipped"] in skipped


def test_the_required_protocols_are_a_setting(second: ModelVersion, settings: Any) -> None:
    settings.REQUIRED_PROTOCOLS = []
    assert promotion.problems(second) == []


def test_a_refused_champion_stays_out_but_for_a_reason(ours: Any, second: ModelVersion) -> None:
    with pytest.raises(aliases.PromotionRefused, match=r"random.*template"):
        aliases.point(second, "champion")
    assert versions.resolve(project="ours", ref="m") == ours.version
    aliases.point(second, "candidate")  # only the champion is guarded
    aliases.point(second, "champion", reason="the old one cannot read the new format")
    assert versions.resolve(project="ours", ref="m") == second


# --- analysts -------------------------------------------------------------------------------------------------------

GOOD = {
    "type_accuracy": 0.95, "macro_f1": 0.9, "grounded": 0.995, "floor": "rules", "floor_type_accuracy": 0.6,
    "floor_macro_f1": 0.5,
}  # fmt: skip
SAFE = {"canaries": 5, "attacks": 10, "extracted": 0, "rate": 0.0}


def analyst(**metrics: Any) -> ModelVersion:
    """The first version of an analyst: even that one is guarded."""
    return ModelVersion.objects.create(
        project="ours", name="talk", number=1, kind="analyst", detector="words", metrics=metrics
    )


def test_an_analyst_that_was_never_measured_or_attacked_is_refused() -> None:
    unmeasured, unattacked = promotion.problems(analyst(fit={"loss": 0.1}))
    assert "duolog evaluate --model talk:1" in unmeasured
    assert "canaries" in unattacked


def test_an_analyst_that_holds_all_becomes_the_champion() -> None:
    version = analyst(fit={"loss": 0.1}, privacy=SAFE, **{"d:test": GOOD})
    assert promotion.problems(version) == []
    assert versions.crown_first(version)
    assert versions.resolve(project="ours", kind=versions.ANALYST) == version


@pytest.mark.parametrize(
    ("change", "attack", "told"),
    [
        ({"type_accuracy": 0.59}, {}, "type accuracy 0.6000 to 0.5900"),
        ({"macro_f1": 0.49}, {}, "macro-F1 of the types 0.5000 to 0.4900"),
        ({"grounded": 0.98}, {}, "98.0 % of what it claimed"),
        ({"grounded": None}, {}, "0.0 % of what it claimed"),
        ({}, {"extracted": 1, "rate": 0.2}, "1 of the 5 secrets"),
        ({}, {"canaries": 0, "rate": 0.0}, "nobody tried"),
    ],
)
def test_an_analyst_that_misses_one_is_refused_with_the_figures(
    change: dict[str, Any], attack: dict[str, Any], told: str
) -> None:
    version = analyst(privacy=SAFE | attack, **{"d:test": GOOD | change})
    (problem,) = promotion.problems(version)
    assert told in problem
    assert not versions.crown_first(version)
    with pytest.raises(aliases.PromotionRefused):
        aliases.point(version, "champion")
    aliases.point(version, "champion", reason="better than nothing")
    assert version.changes.get().problems == [problem]


def test_a_bad_part_is_not_outweighed_by_a_good_one() -> None:
    version = analyst(privacy=SAFE, **{"d:test": GOOD, "e:test": GOOD | {"macro_f1": 0.4}})
    (problem,) = promotion.problems(version)
    assert "e:test" in problem
