"""Nothing of a foreign project leaks: every address of API and console, for everybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from rest_framework.test import APIClient

from duolog.models import ApiToken

LISTS = [
    "projects",
    "datasets",
    "runs",
    "model-versions",
    "alias-changes",
    "scorecards",
    "scans",
    "findings",
    "review-items",
    "reports",
    "sources",
    "templates",
    "redaction-rules",
    "alert-channels",
    "alert-deliveries",
    "mute-rules",
]
CONSOLE = [
    "logs/project", "logs/dataset", "workers/run", "detection/modelversion", "detection/scan", "analysis/finding",
    "logs/source", "logs/template", "analysis/muterule",
]  # fmt: skip


def details(tenant):
    """All API addresses below one tenant's rows."""
    dataset, run, source = f"datasets/{tenant.dataset.pk}", f"runs/{tenant.run.pk}", f"sources/{tenant.source.pk}"
    channel = f"alert-channels/{tenant.channel.pk}"
    return [
        f"projects/{tenant.project.slug}",
        dataset, f"{dataset}/sequences", f"{dataset}/splits", f"{dataset}/quarantine", f"{dataset}/export",
        f"{dataset}/gaps",
        f"{dataset}/sequences/{tenant.sequences[0].pk}",
        run, f"{run}/lines", f"{run}/metrics", f"{run}/attempts", f"{run}/artifacts",
        f"model-versions/{tenant.version.pk}", f"model-versions/{tenant.version.pk}/plots",
        f"model-versions/{tenant.version.pk}/monitoring", f"scorecards/{tenant.version.scorecards.get().pk}",
        f"scans/{tenant.scan.pk}", f"scans/{tenant.scan.pk}/scores",
        f"findings/{tenant.finding.pk}", f"findings/{tenant.finding.pk}/report",
        f"reports/{tenant.finding.reports.get().pk}",
        f"review-items/{tenant.item.pk}", f"review-items/{tenant.item.pk}/comments",
        f"review-items/{tenant.item.pk}/events", f"review-policies/{tenant.project.slug}",
        f"templates/{tenant.template.pk}", f"templates/{tenant.template.pk}/changes",
        f"redaction-rules/{tenant.rule.pk}",
        channel, f"{channel}/routes", f"{channel}/routes/{tenant.channel.routes.get().pk}",
        f"alert-deliveries/{tenant.channel.deliveries.get().pk}",
        f"mute-rules/{tenant.mute_rule.pk}", f"mute-rules/{tenant.mute_rule.pk}/history",
        source, f"{source}/standing", f"{source}/receipts", f"{source}/receipts/{tenant.source.receipts.get().pk}",
        f"{source}/rejected-records", f"{source}/rejected-records/{record(tenant)}", f"{source}/lines",
        f"{source}/tokens",
    ]  # fmt: skip


def record(tenant):
    """The primary key of what the tenant's source rejected."""
    return tenant.source.receipts.get().records.get().pk


def writes(tenant):
    """All API addresses that change one tenant's rows, with what to send."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return [
        ("post", f"runs/{tenant.run.pk}/cancel", {}),
        ("post", f"runs/{tenant.run.pk}/again", {}),
        ("post", "runs", {"project": tenant.project.slug, "job": "scan", "options": {"dataset": tenant.dataset.name}}),
        ("post", f"model-versions/{tenant.version.pk}/aliases", {"alias": "champion"}),
        ("post", f"model-versions/{tenant.version.pk}/rollback", {}),
        ("patch", f"findings/{tenant.finding.pk}", {"state": "confirmed"}),
        ("post", f"findings/{tenant.finding.pk}/explain", {}),
        ("post", "findings/explain", {"project": tenant.project.slug, "findings": [tenant.finding.pk]}),
        ("post", "review-items/claim", {"project": tenant.project.slug}),
        ("post", "review-items/undo", {"project": tenant.project.slug}),
        ("post", "review-items/merge", {"into": tenant.item.pk, "items": [1]}),
        ("post", f"review-items/{tenant.item.pk}/hold", {}),
        ("post", f"review-items/{tenant.item.pk}/release", {}),
        ("put", f"review-items/{tenant.item.pk}/draft", {"draft": {}}),
        ("post", f"review-items/{tenant.item.pk}/verdict", {"anomalous": False}),
        ("post", f"review-items/{tenant.item.pk}/reopen", {}),
        ("post", f"review-items/{tenant.item.pk}/assign", {"owner": None}),
        ("post", f"review-items/{tenant.item.pk}/comments", {"text": "x"}),
        ("put", f"review-policies/{tenant.project.slug}", {"reviewers": 2}),
        ("patch", f"projects/{tenant.project.slug}", {"remote_analysts": True}),
        ("post", f"templates/{tenant.template.pk}/preview", {"action": "edit", "pattern": "a row <*>"}),
        ("post", f"templates/{tenant.template.pk}/decide", {"action": "edit", "pattern": "a row <*>"}),
        ("post", "redaction-rules", {"project": tenant.project.slug, "kind": "email", "strategy": "keep"}),
        ("patch", f"redaction-rules/{tenant.rule.pk}", {"strategy": "keep"}),
        ("delete", f"redaction-rules/{tenant.rule.pk}", {}),
        ("post", "redaction-rules/preview", {"project": tenant.project.slug, "texts": ["a"]}),
        ("post", "alert-channels", {"project": tenant.project.slug, "name": "x", "notifier": "slack", "options": {}}),
        ("patch", f"alert-channels/{tenant.channel.pk}", {"enabled": False}),
        ("post", f"alert-channels/{tenant.channel.pk}/test", {}),
        ("post", f"alert-channels/{tenant.channel.pk}/routes", {"severity": "low"}),
        ("patch", f"alert-channels/{tenant.channel.pk}/routes/{tenant.channel.routes.get().pk}", {"severity": "low"}),
        ("delete", f"alert-channels/{tenant.channel.pk}/routes/{tenant.channel.routes.get().pk}", {}),
        ("delete", f"alert-channels/{tenant.channel.pk}", {}),
        ("post", "mute-rules", {"project": tenant.project.slug, "service": "a", "reason": "a", "expires_at": tomorrow}),
        ("post", "mute-rules/back-test", {"project": tenant.project.slug, "service": "a"}),
        ("post", f"mute-rules/{tenant.mute_rule.pk}/end", {}),
        ("patch", f"sources/{tenant.source.pk}", {"days": 3}),
        ("post", f"sources/{tenant.source.pk}/rejected-records/replay", {"all": True}),
        ("post", f"sources/{tenant.source.pk}/rejected-records/delete", {"all": True}),
        ("post", f"sources/{tenant.source.pk}/rejected-records/{record(tenant)}/replay", {}),
        ("delete", f"sources/{tenant.source.pk}/rejected-records/{record(tenant)}", {}),
        ("post", f"sources/{tenant.source.pk}/tokens", {"name": "stolen"}),
        ("delete", f"sources/{tenant.source.pk}/tokens/{ApiToken.objects.get(project=tenant.project.slug).pk}", {}),
    ]


def rows(tenant):
    """The rows behind the console's pages, in the order of CONSOLE."""
    return [
        tenant.project, tenant.dataset, tenant.run, tenant.version, tenant.scan, tenant.finding, tenant.source,
        tenant.template, tenant.mute_rule,
    ]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_lists_hold_our_rows_only(api, ours, theirs, name):
    results = api("viewer").get(f"/api/v1/{name}/").data["results"]
    assert len(results) == 1
    assert "theirs" not in str(results)


def test_foreign_rows_are_not_found(api, ours, theirs):
    client = api("owner")
    assert {client.get(f"/api/v1/{path}/").status_code for path in details(theirs)} == {404}
    assert {client.get(f"/api/v1/{path}/").status_code for path in details(ours)} == {200}


def test_foreign_rows_cannot_be_changed(api, ours, theirs):
    client = api("owner")
    for method, path, data in writes(theirs):
        assert getattr(client, method)(f"/api/v1/{path}/", data).status_code == 404, path
    theirs.run.refresh_from_db()
    theirs.finding.refresh_from_db()
    assert theirs.run.cancel_at is None and theirs.finding.state == "open"
    assert record(theirs) and ApiToken.objects.get(project="theirs").name != "stolen"
    assert [rule.strategy for rule in theirs.project.redaction_rules.all()] == ["mask"]
    theirs.channel.refresh_from_db()
    assert theirs.channel.enabled and theirs.channel.routes.get().severity == "medium"


def test_a_viewer_changes_nothing(api, ours):
    client = api("viewer")
    for method, path, data in writes(ours):
        assert getattr(client, method)(f"/api/v1/{path}/", data).status_code == 403, path


def test_a_foreign_row_below_our_parent_is_not_found(api, ours, theirs):
    client, source = api("owner"), f"/api/v1/sources/{ours.source.pk}"
    foreign = [
        f"/api/v1/datasets/{ours.dataset.pk}/sequences/{theirs.sequences[0].pk}/",
        f"{source}/receipts/{theirs.source.receipts.get().pk}/", f"{source}/rejected-records/{record(theirs)}/",
        f"/api/v1/alert-channels/{ours.channel.pk}/routes/{theirs.channel.routes.get().pk}/",
    ]  # fmt: skip
    assert {client.get(path).status_code for path in foreign} == {404}
    token = ApiToken.objects.get(project="theirs")
    assert client.delete(f"{source}/tokens/{token.pk}/").status_code == 404
    assert client.post(f"{source}/rejected-records/replay/", {"ids": [record(theirs)]}, "json").data["count"] == 0
    assert record(theirs)


def test_raw_lines_are_for_reviewers_and_tokens_for_engineers(api, ours):
    source = f"/api/v1/sources/{ours.source.pk}"
    for role, lines, tokens in (("viewer", 403, 403), ("reviewer", 200, 403), ("engineer", 200, 200)):
        client = api(role)
        assert client.get(f"{source}/lines/").status_code == lines, role
        assert client.get(f"{source}/rejected-records/").status_code == lines, role
        assert client.get(f"{source}/tokens/").status_code == tokens, role
        assert client.get(f"{source}/receipts/").status_code == 200


def test_nobody_sees_anything_without_a_login(ours):
    client = APIClient()
    for path in [*LISTS, *details(ours)]:
        assert client.get(f"/api/v1/{path}/").status_code == 401, path
    assert Client().get("/admin/analysis/finding/").status_code == 302


@pytest.mark.parametrize("name", CONSOLE)
def test_console_lists_hold_our_rows_only(browser, ours, theirs, name):
    page = browser("viewer").get(f"/admin/{name}/").content.decode()
    assert "theirs" not in page
    assert "1 " in page


def test_console_pages_of_foreign_rows_are_not_found(browser, ours, theirs):
    client = browser("owner")
    for name, mine, other in zip(CONSOLE, rows(ours), rows(theirs), strict=True):
        assert client.get(f"/admin/{name}/{mine.pk}/change/").status_code == 200, name
        assert client.get(f"/admin/{name}/{other.pk}/change/").status_code in (302, 404), name
    assert client.get("/admin/redaction/ours/").status_code == 200
    assert client.get("/admin/redaction/theirs/").status_code == 404
    assert client.get("/admin/alerts/ours/").status_code == 200
    assert client.get(f"/admin/alerts/ours/{ours.channel.pk}/").status_code == 200
    assert client.get("/admin/alerts/theirs/").status_code == 404
    assert client.get(f"/admin/alerts/theirs/{theirs.channel.pk}/").status_code == 404
    assert client.get(f"/admin/alerts/ours/{theirs.channel.pk}/").status_code == 404
    assert client.post("/admin/redaction/theirs/", {"deed": "delete", "kind": theirs.rule.kind}).status_code == 404
    assert client.get(f"/admin/workers/run/{theirs.run.pk}/live/").status_code == 404
    assert client.get(f"/admin/logs/dataset/{theirs.dataset.pk}/export/jsonl/").status_code == 404
    assert client.post(f"/admin/workers/run/{theirs.run.pk}/do/cancel/").status_code == 404


def test_a_form_offers_our_datasets_only(browser, ours, theirs):
    client = browser("engineer")
    assert "theirs-logs" not in client.get("/admin/start/scan/").content.decode()
    sent = {"dataset": theirs.dataset.pk, "model": theirs.version.pk}
    assert client.post("/admin/start/scan/", sent).status_code == 200  # the form again, with errors
    assert theirs.dataset.project.slug not in str(client.get("/api/v1/runs/").content)


def test_staff_without_a_project_sees_an_empty_console(browser, ours):
    client = browser("stranger")
    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/analysis/finding/").status_code == 403
    assert client.get("/admin/start/scan/").status_code == 404
    assert client.get("/admin/redaction/").status_code == 404
    assert client.get("/admin/auth/user/").status_code == 403
    assert client.get("/admin/duolog/membership/").status_code == 403
