"""A scan of stored sequences, its scores and findings; executed by a worker process and by this one."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError

from analysis import findings
from analysis.models import Finding
from detection import experts
from detection.models import Scan, Score
from workers.console import perform
from workers.models import Run


@pytest.fixture(scope="module")
def scan(shop: Any, until: Any) -> Scan:
    run = perform(job="scan", options={"dataset": "shop:test"})
    assert run.result["model"] == "shop-moe:1"
    until(lambda: Run.objects.filter(job="open-findings").exists())
    return Scan.objects.get(pk=run.result["scan"])


def test_every_sequence_has_a_score_and_the_anomalous_have_blame(scan: Scan) -> None:
    scores = Score.objects.filter(scan=scan).select_related("sequence").prefetch_related("sequence__labels")
    assert len(scores) == scan.sequences == 60
    assert sum(score.anomalous for score in scores) == scan.anomalous > 0
    assert sum(score.anomalous == bool(score.sequence.labels.get().value) for score in scores) >= 57
    for score in scores:
        assert score.anomalous == (score.value >= scan.threshold)
        assert (score.blame is not None) == score.anomalous
        if score.blame is not None:
            assert len(score.blame) == len(score.sequence.entries)
            assert min(score.blame) >= 0
            assert sum(score.blame) == pytest.approx(1) or not any(score.blame)


def test_who_reviews_a_finding_may_see_which_experts_worked_on_it(scan: Scan) -> None:
    found = experts.fired(Score.objects.filter(scan=scan, anomalous=True)[0])
    assert sum(each.share for each in found) == pytest.approx(1, abs=0.02)
    assert found == sorted(found, key=lambda each: -each.share)


def test_findings_follow_the_scan_once(scan: Scan) -> None:
    (run,) = Run.objects.filter(job="open-findings", key=f"after:{scan.run_id}")
    perform(job="open-findings", options=run.options)
    opened = Finding.objects.filter(score__scan=scan)
    assert opened.count() == scan.anomalous
    assert {finding.state for finding in opened} == {"open"}
    assert {finding.project for finding in opened} == {scan.project}
    assert findings.open_for(scan.pk) == 0


def test_a_scan_may_explain_fast(scan: Scan) -> None:
    fast = Scan.objects.get(pk=perform(job="scan", options={"dataset": "shop:test", "explain": "fast"}).result["scan"])
    one, other = (Score.objects.filter(scan=each, anomalous=True).order_by("sequence_id") for each in (scan, fast))
    assert [score.sequence_id for score in one] == [score.sequence_id for score in other]
    assert all(score.blame and sum(score.blame) == pytest.approx(1) for score in other)
    with pytest.raises(CommandError, match="explain"):
        perform(job="scan", options={"dataset": "shop:test", "explain": "slowly"})
