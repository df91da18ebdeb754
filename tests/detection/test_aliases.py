"""Aliases: every move is on record with who, when and why, and there is a way back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from detection import aliases, promotion, versions
from detection.models import AliasChange, ModelAlias, ModelVersion
from workers.jobs import JobFailed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_speaks_against_a_version(settings) -> None:
    settings.REQUIRED_PROTOCOLS = []


@pytest.fixture
def three() -> list[ModelVersion]:
    """Versions 1 to 3 of m; nothing points to them."""
    return [ModelVersion.objects.create(name="m", number=number, detector="moe", threshold=0.5) for number in (1, 2, 3)]


def live() -> str:
    return str(versions.resolve(project="default", ref="m@champion"))


def test_who_when_and_why_are_on_record(three: list[ModelVersion], admin_user) -> None:
    aliases.point(three[0], "champion")
    aliases.point(three[1], "champion", user=admin_user, reason="fewer false alarms")
    newest, oldest = aliases.history(AliasChange.objects.all())
    assert (newest.version, newest.set_by, newest.reason) == (three[1], admin_user, "fewer false alarms")
    assert newest.until is None
    assert (oldest.version, oldest.set_by) == (three[0], None)
    assert oldest.until == newest.set_at


def test_an_alias_and_its_record_are_one_transaction(
    three: list[ModelVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    aliases.point(three[0], "champion")

    def full(**_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(AliasChange.objects, "create", full)
    with pytest.raises(OSError, match="disk full"):
        aliases.point(three[1], "champion")
    assert ModelAlias.objects.get().version == three[0]


def test_rolling_back_twice_goes_back_by_two(three: list[ModelVersion]) -> None:
    for version in three:
        aliases.point(version, "champion")
    aliases.rollback(project="default", name="m", reason="page fell over")
    assert live() == "m:2"
    aliases.rollback(project="default", name="m")
    assert live() == "m:1"
    with pytest.raises(JobFailed, match="nothing to go back to"):
        aliases.rollback(project="default", name="m")
    aliases.point(three[2], "champion")
    aliases.rollback(project="default", name="m")
    assert live() == "m:1"
    assert AliasChange.objects.filter(rollback=True).count() == 3


@pytest.fixture
def against(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Let something speak against every version."""
    return lambda problems: monkeypatch.setattr(promotion, "problems", lambda version: problems)


def test_a_reason_overrides_what_speaks_against_a_champion_and_is_recorded(
    three: list[ModelVersion], against: Callable[[list[str]], None]
) -> None:
    against(["worse than the floor", "never measured on other sources"])
    with pytest.raises(aliases.PromotionRefused, match="worse than the floor; never measured"):
        aliases.point(three[0], "champion")
    assert not ModelAlias.objects.exists()
    assert not AliasChange.objects.exists()
    aliases.point(three[0], "champion", reason="an outage: the old one misses it")
    change = AliasChange.objects.get()
    assert change.problems == ["worse than the floor", "never measured on other sources"]
    assert change.reason == "an outage: the old one misses it"


def test_only_the_champion_must_be_fit_and_a_rollback_always_works(
    three: list[ModelVersion], against: Callable[[list[str]], None]
) -> None:
    for version in three[:2]:
        aliases.point(version, "champion")
    against(["worse than the floor"])
    aliases.point(three[2], "shadow")
    aliases.rollback(project="default", name="m")
    assert live() == "m:1"
