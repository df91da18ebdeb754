"""Findings out of a scan's scores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import OperationalError, connection, transaction

from analysis import findings
from analysis.models import Finding
from detection import scan
from detection.models import ModelVersion, Scan
from logs import datasets
from logs.models import Sequence
from workers.models import Run

pytestmark = pytest.mark.django_db


def scanned(project: str, values: list[float], model: str = "m") -> Scan:
    """Store a scan of sequences s0, s1, … with these scores; from 0.5 on they are anomalous."""
    dataset = datasets.get_or_create(project=project, name="d")
    rows = [Sequence(dataset=dataset, key=f"s{n}", entries=["a", "b"], length=2) for n in range(len(values))]
    Sequence.objects.bulk_create(rows, ignore_conflicts=True)
    found = scan.Findings()
    for row, value in zip(dataset.sequences.order_by("key"), values, strict=True):
        found.sequences.append(row.pk)
        found.values.append(value)
        if value >= 0.5:
            found.blame[row.pk] = (0.25, 0.75)
    version = ModelVersion.objects.create(
        project=project, name=model, number=ModelVersion.objects.count() + 1, detector="moe", threshold=0.5
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


def test_a_rescan_updates_the_open_finding_of_its_model() -> None:
    findings.open_for(scanned("mine", [0.7, 0.2]).pk)
    first = Finding.objects.get()
    again = scanned("mine", [0.9, 0.6])
    assert findings.open_for(again.pk) == 1
    first.refresh_from_db()
    assert (first.score.value, first.score.scan, first.state) == (0.9, again, "open")
    assert Finding.objects.count() == 2
    assert findings.open_for(scanned("mine", [0.8, 0.1], model="other").pk) == 1


@pytest.mark.parametrize("state", ["dismissed", "confirmed", "muted"])
def test_what_was_decided_stays_so_however_often_it_is_found_again(state: str) -> None:
    findings.open_for(scanned("mine", [0.7]).pk)
    Finding.objects.update(state=state)
    assert findings.open_for(scanned("mine", [0.8]).pk) == 0
    assert list(Finding.objects.values_list("state", "score__value")) == [(state, 0.7)]


def test_an_older_scan_that_ends_late_changes_nothing() -> None:
    older, newer = scanned("mine", [0.7]), scanned("mine", [0.8])
    assert (findings.open_for(newer.pk), findings.open_for(older.pk)) == (1, 0)
    assert Finding.objects.get().score.value == 0.8


@pytest.mark.django_db(transaction=True)
def test_two_scans_that_end_together_open_one_finding_a_sequence() -> None:
    values = [0.5 + n / 1000 for n in range(400)]
    scans = [scanned("mine", values), scanned("mine", values[::-1])]

    def end(one: Scan) -> int:
        try:
            with transaction.atomic():
                return findings.open_for(one.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(end, scans))
    assert sum(opened) == Finding.objects.count() == 400
    assert {finding.score.scan for finding in Finding.objects.select_related("score__scan")} == {scans[1]}


@pytest.mark.django_db(transaction=True)
def test_numbers_become_visible_in_their_order() -> None:
    """Who asks for findings after the last number they saw misses none: a second transaction waits for the first."""
    first, second = scanned("mine", [0.9]), scanned("other", [0.9])
    opened, seen = Event(), Event()

    def slowly() -> None:
        try:
            with transaction.atomic():
                findings.open_for(first.pk)
                opened.set()
                seen.wait(20)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(slowly)
        assert opened.wait(20)
        with pytest.raises(OperationalError, match="timeout"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '300ms'")
            findings.open_for(second.pk)
        seen.set()
        done.result()
    assert findings.open_for(second.pk) == 1
    assert list(Finding.objects.order_by("pk").values_list("project", flat=True)) == ["mine", "other"]
