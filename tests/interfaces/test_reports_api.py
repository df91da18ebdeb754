"""REST: reports on findings, what they took, and who may ask for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from analysis.engine import schema
from analysis.models import AnomalyReport, Finding
from logs.models import Project
from workers.models import Run

ENDPOINTS = "/api/v1"


def test_the_newest_finished_report_is_a_document_of_the_public_schema(api: Any, ours: Any) -> None:
    AnomalyReport.objects.create(finding=ours.finding, state="failed", analyst="rules", error="no")
    client, path = api("viewer"), f"{ENDPOINTS}/findings/{ours.finding.pk}"
    told = client.get(f"{path}/report/").json()
    assert schema.from_json(told).severity == "high"
    assert told["evidence"][0]["line"] == 2
    short = client.get(f"{path}/").data["report"]
    assert (short["severity"], short["category"], short["summary"]["en"][:4]) == ("high", "应用", "ours")
    AnomalyReport.objects.all().delete()
    assert client.get(f"{path}/").data["report"] is None
    assert client.get(f"{path}/report/").status_code == 404


def test_reports_are_filtered_by_what_they_say(api: Any, ours: Any) -> None:
    client = api("viewer")
    for found, query in (
        (1, f"finding={ours.finding.pk}"), (1, "severity=high"), (0, "severity=low"), (1, "category=应用"),
        (0, "type=x"), (1, "type=timeout&state=done&project=ours"), (0, "project=theirs"),
    ):  # fmt: skip
        assert len(client.get(f"{ENDPOINTS}/reports/?{query}").data["results"]) == found, query
    assert client.get(f"{ENDPOINTS}/reports/?severity=dreadful").status_code == 400


def test_a_reviewer_asks_for_a_report_and_gets_the_run(api: Any, ours: Any, theirs: Any) -> None:
    client = api("reviewer")
    path = f"{ENDPOINTS}/findings/{ours.finding.pk}/explain/"
    told = client.post(path, {"languages": ["en"], "analyst": "rules"})
    assert (told.status_code, told.data["job"]) == (202, "explain")
    run = Run.objects.get(pk=told.data["id"])
    assert (run.options["findings"], run.options["languages"]) == ([ours.finding.pk], ["en"])
    assert (run.options["analyst"], run.options["unasked"], run.created_by.username) == ("rules", False, "reviewer")
    assert client.post(path, {"languages": ["fr"]}).status_code == 400

    many = f"{ENDPOINTS}/findings/explain/"
    run = Run.objects.get(pk=client.post(many, {"project": "ours", "scan": ours.scan.pk}).data["id"])
    assert (run.options["findings"], run.options["scan"], run.options["languages"]) == ([], ours.scan.pk, ["zh", "en"])
    assert client.post(many, {"project": "ours", "findings": [theirs.finding.pk]}).status_code == 400
    assert client.post(many, {"project": "ours", "scan": theirs.scan.pk}).status_code == 400
    assert client.post(many, {"project": "ours", "findings": list(range(1, 1002))}).status_code == 400
    assert Run.objects.filter(job="explain").count() == 2


def test_usage_is_told_by_day_and_analyst(api: Any, ours: Any, theirs: Any) -> None:
    first = AnomalyReport.objects.get(finding=ours.finding)
    AnomalyReport.objects.create(finding=ours.finding, state="done", analyst="rules", copy_of=first, prompt_tokens=9)
    client = api("viewer")
    (row,) = client.get(f"{ENDPOINTS}/usage/").data
    assert row == {
        "project": "ours", "day": str(datetime.now(UTC).date()), "analyst": "rules", "written": 1, "copied": 1,
        "failed": 0, "prompt_tokens": 7, "completion_tokens": 0, "seconds": 0.0, "cost": 0.25,
    }  # fmt: skip
    assert client.get(f"{ENDPOINTS}/usage/?project=theirs").data == []
    assert client.get(f"{ENDPOINTS}/usage/?days=0").status_code == 400


def test_only_an_owner_lets_lines_leave_the_house(api: Any, ours: Any) -> None:
    path = f"{ENDPOINTS}/projects/ours/"
    assert api("engineer").patch(path, {"remote_analysts": True}).status_code == 403
    assert not Project.objects.get(slug="ours").remote_analysts
    told = api("owner").patch(path, {"remote_analysts": True, "name": "mine"})
    assert (told.status_code, told.data["remote_analysts"], told.data["name"]) == (200, True, "Ours")


def test_an_owner_changes_it_in_the_console_and_a_reviewer_does_not(browser: Any, ours: Any, theirs: Any) -> None:
    sent = {"name": "Ours", "remote_analysts": "on"}
    path = "/admin/logs/project/{}/change/"
    assert browser("reviewer").post(path.format(ours.project.pk), sent).status_code == 403
    client = browser("owner")
    assert client.post(path.format(theirs.project.pk), sent).status_code == 302
    client.post(path.format(ours.project.pk), sent)
    assert [each.remote_analysts for each in Project.objects.order_by("slug")] == [True, False]


@pytest.mark.django_db
def test_a_list_of_findings_fetches_its_reports_at_once(
    api: Any, ours: Any, django_assert_max_num_queries: Any
) -> None:
    client = api("viewer")
    for sequence in ours.sequences[2:]:
        score = ours.scan.scores.create(sequence=sequence, value=0.8, anomalous=True, blame=[0, 0, 0])
        finding = Finding.objects.create(project="ours", score=score, sequence=sequence, model="m")
        AnomalyReport.objects.create(finding=finding, state="done", analyst="rules", severity="low")
        AnomalyReport.objects.create(finding=finding, state="done", analyst="rules", severity="critical")
    with django_assert_max_num_queries(4):
        rows = client.get(f"{ENDPOINTS}/findings/").data["results"]
    assert [row["report"]["severity"] for row in rows] == ["critical", "critical", "high"]
