"""The whole chain through a Celery worker, as in production."""

from __future__ import annotations

import pytest

from analysis.models import Finding
from detection import versions
from detection.models import ModelVersion
from workers.models import Run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_from_generated_logs_to_findings(worker: None, until) -> None:
    from workers.console import perform

    def generate(dataset: str, count: int, **options: object) -> None:
        asked = {"dataset": dataset, "count": count, "seed": 1, "options": {"language": "en", **options}}
        perform(job="generate", options=asked)

    generate("quiet", 100, anomaly_share=0)
    generate("shop", 40, language="zh")  # none of its lines was ever met
    fitted = perform(job="fit-detector", options={"dataset": "quiet", "detector": "neighbours"})
    scanned = perform(job="scan", options={"dataset": "shop"})
    assert scanned.result["model"] == fitted.result["model"] == "quiet-neighbours:1"
    assert scanned.result["anomalous"] > 0
    until(lambda: Run.objects.filter(job="open-findings", status="succeeded").exists())
    assert Finding.objects.count() == scanned.result["anomalous"]
    version = ModelVersion.objects.get()
    assert version.lineage["parts"].keys() == {""}
    assert versions.resolve(project="default") == version
