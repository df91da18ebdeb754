"""A model version's page and its JSON: figures with leakage, plots, promises, history, shadow, drift, comparison."""

from __future__ import annotations

import re
from datetime import timedelta

from detection import promotion
from detection.models import AliasChange, ModelVersion, Scan, Score

DRIFT = {
    "score": {"psi": 0.31, "chance": 0.05, "level": "strong"},
    "template": {"psi": 0.02, "chance": 0.05, "level": "none"},
    "level": "strong",
}


def shown(client, version: ModelVersion) -> str:
    answer = client.get(f"/admin/detection/modelversion/{version.pk}/change/")
    assert answer.status_code == 200
    return str(answer.content.decode())


def another(version: ModelVersion) -> ModelVersion:
    """A second version of the same name, with other options and figures."""
    figures = {part: {**found, "f1": 0.7123} for part, found in version.metrics.items()}
    return ModelVersion.objects.create(
        project=version.project, name=version.name, number=2, detector="moe", threshold=0.4,
        options={"epochs": 7}, metrics=figures, plots=version.plots,
    )  # fmt: skip


def test_leakage_stands_beside_the_figures(browser, ours):
    figures = ours.version.metrics["logs:test"]
    metrics = {"logs:test": {**figures, "leakage": 0.225}, "logs:old": figures}
    ModelVersion.objects.filter(pk=ours.version.pk).update(metrics=metrics)
    found = shown(browser("viewer"), ours.version)
    assert "22.5 %" in found
    assert '<td class="number">-</td>' in found  # measured before leakage was


def test_the_best_floor_stands_beside_the_figures(browser, ours):
    figures = {**ours.version.metrics["logs:test"], "floor": "tfidf", "floor_f1": 0.95, "over_floor": -0.05}
    ModelVersion.objects.filter(pk=ours.version.pk).update(metrics={"logs:test": figures})
    page = browser("viewer").get(f"/admin/detection/modelversion/{ours.version.pk}/change/").content.decode()
    assert '<span class="danger">-0.0500</span> <span class="subtle">tfidf 0.9500</span>' in page


def test_a_scorecard_is_a_table_with_curves_and_what_was_skipped_with_its_reason(browser, ours):
    page = browser("viewer").get(f"/admin/detection/modelversion/{ours.version.pk}/change/").content.decode()
    assert "+0.1000" in page
    assert "cross-source" in page and "skipped: no source &lt;script&gt;" in page
    assert 'aria-label="F1, lines edited: 0.6"' in page


def test_plots_are_drawn_and_given_as_json(browser, api, ours):
    page = shown(browser("root"), ours.version)
    for title in ("Precision and recall", "Reliability", "Confusion matrix", "Scores", "loss"):
        assert title in page
    found = api("viewer").get(f"/api/v1/model-versions/{ours.version.pk}/plots/").data
    assert found["parts"] == ours.version.plots
    assert found["training"]["loss"][1] == [1, 0.5]


def test_which_experts_do_what_is_a_heat_map_with_a_warning_of_idle_ones(browser, api, ours):
    routing = {
        "load": [0.6, 0.4, 0.0, 0.0], "fired": 1.5, "collapsed": [2, 3],
        "types": {"normal": [0.7, 0.3, 0, 0], "timeout": [0.05, 0.95, 0, 0]},
    }  # fmt: skip
    assert "Types by expert" not in shown(browser("viewer"), ours.version)  # a detector without experts
    metrics = {"logs:test": {**ours.version.metrics["logs:test"], "routing": routing}}
    ModelVersion.objects.filter(pk=ours.version.pk).update(metrics=metrics, options={"experts": 2})
    page = shown(browser("root"), ours.version)
    assert re.search(r'heat-10" title="[^"]*timeout[^"]* · block 1, expert 2">95%', page)
    assert "Collapsed, with less than 1 % of the work: block 2, expert 1, block 2, expert 2." in page
    found = api("reviewer").get(f"/api/v1/model-versions/{ours.version.pk}/plots/").data
    assert found["routing"] == {"logs:test": routing}


def test_what_the_threshold_promises_stands_beside_what_came(browser, api, ours):
    policy = {"policy": "budget=2", "where": "logs:validation", "rate": 0.01, "a_day": {"db": 200.0}, "normals": 300}
    ModelVersion.objects.filter(pk=ours.version.pk).update(policy=policy)
    client = api("viewer")
    (row,) = client.get(f"/api/v1/model-versions/{ours.version.pk}/plots/").data["false_alarms"]
    assert (row["alarms"], row["normals"], row["promised"], row["promised_a_day"]) == (1, 3, 0.01, 2)
    assert row["kept"] is False  # Wilson's interval of 1 of 3 begins at 0.06
    assert "exceeded" in shown(browser("root"), ours.version)
    ModelVersion.objects.filter(pk=ours.version.pk).update(threshold=0.9)
    path = f"/api/v1/model-versions/{ours.version.pk}/plots/"
    assert client.get(path).data["false_alarms"] == []  # measured at another one


def test_versions_are_compared_side_by_side(browser, ours, theirs):
    other = another(ours.version)
    client = browser("viewer")
    ids = [ours.version.pk, other.pk]
    answer = client.post("/admin/detection/modelversion/", {"action": "compare", "_selected_action": ids})
    assert answer.status_code == 302
    page = client.get(answer.url).content.decode()
    assert "0.7123" in page and "0.9000" in page and "epochs" in page
    assert page.count("<polyline") == 4  # two curves, two versions
    page = client.get(f"/admin/detection/modelversion/compare/?id={theirs.version.pk}&id=x").content.decode()
    assert "theirs" not in page


def test_one_click_goes_back_and_the_page_tells_what_was_live(browser, ours):
    other = another(ours.version)
    client = browser("engineer")
    path = f"/admin/detection/modelversion/{other.pk}/do"
    client.post(f"{path}/promote/", {"alias": "champion", "reason": "sees the outage"})
    answer = client.post(f"{path}/rollback/")
    assert answer.url == f"/admin/detection/modelversion/{ours.version.pk}/change/"
    assert ours.version.aliases.get().alias == "champion"
    page = shown(client, other)
    assert "sees the outage" in page and "engineer" in page
    assert AliasChange.objects.first().rollback


def test_the_api_tells_what_was_live_at_a_time(api, ours):
    other = another(ours.version)
    client = api("engineer")
    client.post(f"/api/v1/model-versions/{other.pk}/aliases/", {"alias": "champion", "reason": "better"})
    change = AliasChange.objects.get(version=other)
    assert (change.set_by.username, change.reason) == ("engineer", "better")
    AliasChange.objects.filter(version=ours.version).update(set_at=change.set_at - timedelta(days=3))

    def live(days: int) -> list[str]:
        at = (change.set_at - timedelta(days=days)).isoformat()
        found = client.get("/api/v1/alias-changes/", {"name": "m", "alias": "champion", "at": at}).data["results"]
        return [row["model"] for row in found]

    assert (live(0), live(1), live(4)) == (["m:2"], ["m:1"], [])
    back = client.post(f"/api/v1/model-versions/{other.pk}/rollback/", {"reason": "no"}).data
    assert (back["number"], back["aliases"]) == (1, ["champion"])
    assert client.post(f"/api/v1/model-versions/{other.pk}/rollback/", {"alias": "shadow"}).status_code == 400


def test_a_refused_champion_says_why_until_a_reason_is_given(browser, api, ours, monkeypatch):
    other = another(ours.version)
    monkeypatch.setattr(promotion, "problems", lambda version: ["worse than the floor"])
    assert "worse than the floor" in shown(browser("owner"), other)
    client, path = api("engineer"), f"/api/v1/model-versions/{other.pk}/aliases/"
    refused = client.post(path, {"alias": "champion"})
    assert refused.status_code == 400
    assert "worse than the floor" in refused.data["detail"]
    assert client.post(path, {"alias": "champion", "reason": "the floor is wrong"}).status_code == 200
    assert AliasChange.objects.first().problems == ["worse than the floor"]


def test_drift_suggests_to_train_again_here_and_on_the_overview(browser, api, ours):
    client = browser("engineer")
    assert "Train again" not in shown(client, ours.version)
    Scan.objects.filter(pk=ours.scan.pk).update(drift=DRIFT)
    for page in (shown(client, ours.version), client.get("/admin/").content.decode()):
        assert "0.310" in page and "strong drift" in page and "Train again" in page
    found = api("viewer").get(f"/api/v1/model-versions/{ours.version.pk}/monitoring/").data
    assert (found["drift"], found["scan"], found["train_again"]) == (DRIFT, ours.scan.pk, True)


def test_disagreements_with_the_shadow_are_listed(browser, api, ours):
    other = another(ours.version)
    beside = Scan.objects.create(
        project="ours", version=other, dataset=ours.dataset, threshold=0.4, sequences=4, anomalous=2,
        shadow_of=ours.scan,
    )  # fmt: skip
    Score.objects.create(scan=beside, sequence=ours.sequences[0], value=0.7, anomalous=True, blame=[1, 0, 0])
    Score.objects.create(scan=beside, sequence=ours.sequences[1], value=0.2, anomalous=False)
    client = browser("viewer")
    for scan in (ours.scan, beside):
        page = client.get(f"/admin/detection/scan/{scan.pk}/change/").content.decode()
        assert "only the shadow finds it anomalous" in page and "only the champion finds it anomalous" in page
    finding = client.get(f"/admin/analysis/finding/{ours.finding.pk}/change/").content.decode()
    assert "m:2" in finding and "calls it normal" in finding
    record = api("reviewer").get(f"/api/v1/model-versions/{other.pk}/monitoring/").data["shadow"]
    assert (record["disagreements"], record["judged"], record["wins"]) == (2, 2, 0)
    assert "win rate 0.000" in shown(client, other)
