"""What is older than its source keeps lines is forgotten, and nothing that somebody needs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from detection.models import ModelVersion, Scan, Score
from duolog.plugins.types import BadRecord
from logs import receive, retention, storage
from logs.engine.chunks import Lines
from logs.models import Label, Receipt, Sequence, Source, UnjudgedSequence

pytestmark = pytest.mark.django_db
LINES = Lines(["a line"], [1.0], ["shop"], [""], [""], [0])


@pytest.fixture
def source() -> Source:
    made = receive.source("shop", "web")
    Source.objects.update(days=3)
    return Source.objects.get(pk=made.pk)


def sequence(source: Source, key: str, *, days: float) -> Sequence:
    made = Sequence.objects.create(dataset=source.dataset, key=key, entries=["a"], length=1)
    Sequence.objects.filter(pk=made.pk).update(created_at=datetime.now(UTC) - timedelta(days=days))
    return made


def test_receipts_go_with_their_lines_but_not_while_a_rejected_record_needs_them(source: Source) -> None:
    bad = [BadRecord(1, "odd", "text")]
    for rejected in ([], bad):
        storage.store(source, LINES, rejected, receiver="test", redacted=Counter())
    Receipt.objects.update(received_at=datetime.now(UTC) - timedelta(days=5))
    storage.store(source, LINES, [], receiver="test", redacted=Counter())
    assert retention.forget()["receipts"] == 1
    assert sorted(Receipt.objects.values_list("rejected", flat=True)) == [0, 1]


def test_sequences_that_nobody_said_anything_about_go_too(source: Source) -> None:
    old, labelled, young = (sequence(source, key, days=age) for key, age in (("a", 5), ("b", 5), ("c", 2)))
    UnjudgedSequence.objects.create(sequence=old, source=source)
    Label.objects.create(sequence=labelled, value=0, source="review")
    elsewhere = Sequence.objects.create(
        dataset=receive.datasets.get_or_create(project="shop", name="imported"), key="d", entries=["a"], length=1
    )
    Sequence.objects.filter(pk=elsewhere.pk).update(created_at=datetime.now(UTC) - timedelta(days=500))
    assert retention.forget()["sequences"] == 1
    assert set(Sequence.objects.all()) == {labelled, young, elsewhere}
    assert not UnjudgedSequence.objects.exists()


def test_what_a_model_flagged_stays(source: Source) -> None:
    flagged = sequence(source, "a", days=5)
    version = ModelVersion.objects.create(project="shop", name="m", number=1, detector="moe", threshold=0.5)
    scan = Scan.objects.create(version=version, dataset=source.dataset, threshold=0.5, sequences=1, anomalous=1)
    Score.objects.create(scan=scan, sequence=flagged, value=0.9, anomalous=True)
    assert retention.forget()["sequences"] == 0


def test_many_go_in_several_steps(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(5):
        sequence(source, str(number), days=9)
    assert retention.forget()["sequences"] == 5


def test_the_tables_of_days_that_are_over_are_dropped(source: Source) -> None:
    storage.store(source, LINES, [], receiver="test", redacted=Counter())
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM logs_chunk")
        ((table,),) = cursor.fetchall()
    assert storage.forget(datetime.now(UTC).date() + timedelta(days=5)) == [table]
