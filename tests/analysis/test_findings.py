"""Findings out of a scan's scores."""

from __future__ import annotations

import pytest

from analysis import findings
from analysis.models import Finding
from detection import scan
from detection.models import ModelVersion, Scan
from logs import datasets
from logs.models import Sequence
from workers.models import Run

pytestmark = pytest.mark.django_db


def scanned(project: str, values: list[float]) -> Scan:
    """Store a scan with these scores; from 0.5 on they are anomalous."""
    dataset = datasets.get_or_create(project=project, name="d")
    first = dataset.sequences.count()
    rows = [Sequence(dataset=dataset, key=f"s{first + n}", entries=["a", "b"], length=2) for n in range(len(values))]
    found = scan.Findings()
    for row, value in zip(Sequence.objects.bulk_create(rows), values, strict=True):
        found.sequences.append(row.pk)
        found.values.append(value)
        if value >= 0.5:
            found.blame[row.pk] = (0.25, 0.75)
    version = ModelVersion.objects.create(
        project=project, name="m", number=ModelVersion.objects.count() + 1, detector="moe", threshold=0.5
    )
    run = Run.objects.create(project=project, job="scan")
    return scan.keep(found, version=version, dataset=dataset, part=None, run=run)


def test_each_anomalous_score_opens_one_finding_of_its_project() -> None:
    other = scanned("other", [0.9])
    mine = scanned("mine", [0.2, 0.7, 0.5, 0.49])
    assert (mine.sequences, mine.anomalous) == (4, 2)
    assert findings.open_for(mine.pk) == 2
    opened = Finding.objects.select_related("score")
    assert sorted(finding.score.value for finding in opened) == [0.5, 0.7]
    assert {(finding.project, finding.state) for finding in opened} == {("mine", "open")}
    assert all(finding.score.blame == [0.25, 0.75] for finding in opened)
    assert findings.open_for(other.pk) == 1


def test_a_second_time_adds_nothing_and_keeps_what_people_did() -> None:
    mine = scanned("mine", [0.7, 0.8])
    findings.open_for(mine.pk)
    Finding.objects.filter(score__value=0.8).update(state=Finding.State.DISMISSED)
    assert findings.open_for(mine.pk) == 0
    assert Finding.objects.filter(state=Finding.State.DISMISSED).count() == 1
    assert Finding.objects.count() == 2


def test_the_most_suspicious_are_opened_last_so_that_they_stand_first() -> None:
    findings.open_for(scanned("mine", [0.6, 0.9, 0.7]).pk)
    assert [finding.score.value for finding in Finding.objects.order_by("-pk")] == [0.9, 0.7, 0.6]
