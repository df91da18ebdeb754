"""Findings with lines of one's own, and the explaining of them in this process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from analysis.models import AnomalyReport, Finding
from detection.models import ModelVersion, Scan, Score
from logs import datasets
from logs.models import Sequence
from workers import runs, supervise
from workers.models import Run


def scanned(*sequences: Iterable[str], project: str = "mine") -> Scan:
    """Store sequences and a scan that calls all of them anomalous, without findings."""
    dataset = datasets.get_or_create(project=project, name="d")
    version, _ = ModelVersion.objects.get_or_create(
        project=project, name="m", number=1, detector="moe", threshold=0.5, encoder_digest="e"
    )
    scan = Scan.objects.create(
        project=project, version=version, dataset=dataset, threshold=0.5, sequences=len(sequences),
        anomalous=len(sequences),
    )  # fmt: skip
    known = Sequence.objects.count()
    for number, lines in enumerate(sequences):
        entries = list(lines)
        row = Sequence.objects.create(dataset=dataset, key=f"s{known + number}", entries=entries, length=len(entries))
        blame = [1 / len(entries)] * len(entries)
        Score.objects.create(scan=scan, sequence=row, value=0.9, anomalous=True, blame=blame)
    return scan


def opened(*sequences: Iterable[str], project: str = "mine") -> list[Finding]:
    """Store sequences with an open finding each, in order."""
    scores = Score.objects.filter(scan=scanned(*sequences, project=project)).order_by("pk")
    return [
        Finding.objects.create(project=project, score=score, sequence=score.sequence, model="m") for score in scores
    ]


def explain(*findings: Finding, project: str = "mine", **options: Any) -> Run:
    """Run the job in this process, with all that it queues after it, and return the first run."""
    numbers = [finding.pk for finding in findings]
    run = first = runs.enqueue(job="explain", options={"findings": numbers, **options}, project=project)
    while run:
        supervise.execute(run.pk)
        run = Run.objects.filter(project=project, job="explain", key=runs.follow_key(run)).first()
    first.refresh_from_db()
    return first


def report(finding: Finding) -> AnomalyReport:
    """Return the newest report of a finding, whatever became of it."""
    found = AnomalyReport.objects.filter(finding=finding).first()
    assert found, "there is no report"
    return found
