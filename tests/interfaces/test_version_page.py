"""A model version's page: leakage and the best floor beside the figures, scorecards, and what speaks against it."""

from __future__ import annotations

from detection.models import ModelVersion


def test_leakage_stands_beside_the_figures(browser, ours):
    figures = ours.version.metrics["logs:test"]
    metrics = {"logs:test": {**figures, "leakage": 0.225}, "logs:old": figures}
    ModelVersion.objects.filter(pk=ours.version.pk).update(metrics=metrics)
    client = browser("viewer")
    found = client.get(f"/admin/detection/modelversion/{ours.version.pk}/change/").content.decode()
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


def test_what_speaks_against_a_champion_is_told_and_a_reason_overrides_it(browser, ours):
    second = ModelVersion.objects.create(project="ours", name="m", number=2, detector="moe", threshold=0.5)
    client, page = browser("engineer"), f"/admin/detection/modelversion/{second.pk}"
    assert "duolog scorecard --model m:2" in client.get(f"{page}/change/").content.decode()
    answer = client.post(f"{page}/do/promote/", {"reason": " "}, follow=True).content.decode()
    assert "m:2 was not made champion" in answer
    assert not second.aliases.exists()
    client.post(f"{page}/do/promote/", {"reason": "it reads the new format"})
    assert second.aliases.get().alias == "champion"
