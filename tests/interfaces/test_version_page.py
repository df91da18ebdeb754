"""A model version's page tells with every figure how much of the part was learned by heart."""

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
