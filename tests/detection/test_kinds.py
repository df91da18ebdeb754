"""Detectors and analysts are both model versions, and nobody takes one for the other."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from tenants import make_tenant

from detection import aliases, versions
from detection.models import ModelAlias, ModelVersion
from detection.versions import ANALYST, DETECTOR, Fitted, VersionError
from duolog.source_forms import models
from workers.models import Artifact, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def ours() -> Any:
    return make_tenant("ours")


@pytest.fixture
def analyst(ours: Any) -> ModelVersion:
    """A champion, set after the detector's."""
    version = ModelVersion.objects.create(project="ours", name="talk", number=1, kind=ANALYST, detector="words")
    aliases.point(version, "champion", reason="for the test")
    return version


def test_no_name_means_the_champion_of_the_kind(ours: Any, analyst: ModelVersion) -> None:
    assert versions.resolve(project="ours") == ours.version
    assert versions.resolve(project="ours", kind=ANALYST) == analyst
    ModelAlias.objects.filter(version=ours.version).delete()
    with pytest.raises(VersionError, match="duolog train"):
        versions.resolve(project="ours")


@pytest.mark.parametrize("ref", ["talk", "talk:1", "talk@champion"])
def test_a_reference_of_the_wrong_kind_is_refused_by_name(analyst: ModelVersion, ref: str) -> None:
    with pytest.raises(VersionError, match=f"{ref} is a model of the kind analyst, and one of the kind detector"):
        versions.resolve(project="ours", ref=ref)
    assert versions.resolve(project="ours", ref=ref, kind=ANALYST) == analyst
    assert versions.resolve(project="ours", ref=ref, kind=None) == analyst
    with pytest.raises(VersionError, match="m:1 is a model of the kind detector"):
        versions.resolve(project="ours", ref="m:1", kind=ANALYST)


def test_a_name_belongs_to_one_kind(ours: Any, analyst: ModelVersion) -> None:
    artifact = Artifact(run=Run.objects.create(job="x"), attempt=1, name="m", path="p", bytes=0, sha256="0" * 64)
    fitted = Fitted("m", "words", {}, "", "", 0.5, {}, {}, artifact, kind=ANALYST)
    with pytest.raises(VersionError, match="m is the name of a model of the kind detector"):
        versions.propose(fitted, project="ours")
    assert versions.propose(Fitted("talk", *_rest(artifact), kind=ANALYST), project="ours").number == 2


def _rest(artifact: Artifact) -> tuple[Any, ...]:
    return "words", {}, "", "", 0.5, {}, {}, artifact


def test_the_first_analyst_is_no_champion_before_it_was_measured(ours: Any) -> None:
    artifact = Artifact(run=Run.objects.create(job="x"), attempt=1, name="m", path="p", bytes=0, sha256="0" * 64)
    version = versions.propose(Fitted("new", *_rest(artifact), kind=ANALYST), project="ours")
    assert not version.aliases.exists()


def test_sources_are_offered_detectors_only(ours: Any, analyst: ModelVersion) -> None:
    names = [name for name, _title in models(ours.source)]
    assert "m" in names and "talk" not in names and "talk:1" not in names


@pytest.mark.parametrize("job", ["scan", "evaluate", "choose-threshold", "scorecard"])
def test_forms_of_detectors_offer_no_analyst(
    client: Any, django_user_model: Any, analyst: ModelVersion, job: str
) -> None:
    client.force_login(django_user_model.objects.create_superuser("root"))
    page = client.get(f"/admin/start/{job}/").content.decode()
    assert "m:1" in page and "talk:1" not in page
    page = client.get("/admin/start/evaluate-analyst/").content.decode()
    assert "talk:1" in page and "m:1" not in page


def test_the_page_of_an_analyst_has_its_figures_and_no_threshold(
    client: Any, django_user_model: Any, analyst: ModelVersion
) -> None:
    client.force_login(django_user_model.objects.create_superuser("root"))
    figures = {
        "sequences": 40, "reports": 3, "type_accuracy": 0.9321, "macro_f1": 0.9, "grounded": 1.0, "f1": 0.9,
        "floor": "rules", "floor_type_accuracy": 0.5123, "confusion": {"超时异常": {"": 7, "超时异常": 30}, "": {"": 3}},
    }  # fmt: skip
    attack = {"canaries": 5, "attacks": 10, "extracted": 2, "rate": 0.4}
    metrics = {"d:test": figures, "fit": {"loss": 0.25}, "privacy": attack}
    ModelVersion.objects.filter(pk=analyst.pk).update(metrics=metrics)
    page = client.get(f"/admin/detection/modelversion/{analyst.pk}/change/").content.decode()
    for shown in ("0.9321", "0.5123", "0.25", "10 attacks got 2 of them out"):
        assert shown in page
    for hidden in (
        "Threshold and false alarms",
        "Precision and recall",
        "start/scan/",
        "start/scorecard/",
        "Scans</h2>",
    ):
        assert hidden not in page
    listed = client.get("/admin/detection/modelversion/").content.decode()
    assert "talk:1" in listed and "analyst" in listed
    only = client.get("/admin/detection/modelversion/?kind__exact=detector").content.decode()
    assert "talk:1" not in only and "m:1" in only


def test_the_api_tells_and_filters_the_kind(client: Any, django_user_model: Any, analyst: ModelVersion) -> None:
    client.force_login(django_user_model.objects.create_superuser("root"))
    found = client.get("/api/v1/model-versions/?kind=analyst").json()["results"]
    assert [(one["name"], one["kind"]) for one in found] == [("talk", "analyst")]
    assert client.get(f"/api/v1/model-versions/{analyst.pk}/plots/").status_code == 200


def test_promote_takes_any_kind_and_keeps_the_gates(analyst: ModelVersion) -> None:
    second = ModelVersion.objects.create(project="ours", name="talk", number=2, kind=ANALYST, detector="words")
    asked = ["promote", "--project", "ours", "--model", "talk:2"]
    with pytest.raises(CommandError, match="it was not measured"):
        call_command(*asked, stdout=io.StringIO())
    call_command(*asked, "--reason", "we need it now", stdout=io.StringIO())
    assert versions.resolve(project="ours", kind=ANALYST) == second
    assert DETECTOR != ANALYST
