"""A page costs the same few queries however many rows it shows."""

from __future__ import annotations

from collections import Counter

import pytest
from tenants import make_tenant

from analysis.models import Channel, Delivery, Finding, MuteRule, Route
from detection.models import ModelVersion, Score
from duolog.plugins.types import BadRecord
from logs import storage
from logs.engine.chunks import Lines
from logs.models import Dataset, RedactionRule, Sequence, Source, Template
from workers.models import Run


@pytest.fixture
def many(ours):
    """Thirty rows more of everything that lists show."""
    Source.objects.bulk_create([Source(project=ours.project, name=f"s{n}", dataset=ours.dataset) for n in range(30)])
    empty = Lines(["x"], [1.0], [""], [""], [""], [0])
    for _ in range(30):
        bad = [BadRecord(1, "odd", "text")]
        storage.store(ours.source, empty, bad, receiver="x", redacted=Counter())
    Dataset.objects.bulk_create([Dataset(project=ours.project, name=f"d{number}") for number in range(30)])
    Run.objects.bulk_create([Run(project="ours", job="scan") for _ in range(30)])
    ModelVersion.objects.bulk_create(
        [
            ModelVersion(project="ours", name="m", number=number, detector="moe", threshold=0.5, run=ours.run)
            for number in range(2, 32)
        ]
    )
    Template.objects.bulk_create(
        [
            Template(project=ours.project, number=number, pattern="x <*>", changed_at=ours.run.created_at)
            for number in range(30, 60)
        ]
    )
    RedactionRule.objects.bulk_create(
        [RedactionRule(project=ours.project, kind=f"own-{n}", pattern=f"own-{n}") for n in range(30)]
    )
    channels = Channel.objects.bulk_create([Channel(project="ours", name=f"c{n}", notifier="slack") for n in range(30)])
    Route.objects.bulk_create([Route(channel=ours.channel) for _ in range(30)])
    Delivery.objects.bulk_create([Delivery(channel=channel, kind="test", state="sent") for channel in channels])
    MuteRule.objects.bulk_create(
        [
            MuteRule(
                project="ours",
                template=ours.template,
                service=f"s{n}",
                reason="x",
                expires_at=ours.run.created_at,
                back_test=ours.mute_rule.back_test,
            )
            for n in range(30)
        ]
    )
    sequences = Sequence.objects.bulk_create(
        [Sequence(dataset=ours.dataset, key=f"n{number}", entries=["x"], length=1) for number in range(30)]
    )
    scores = Score.objects.bulk_create(
        [Score(scan=ours.scan, sequence=row, value=0.8, anomalous=True, blame=[1.0]) for row in sequences]
    )
    Finding.objects.bulk_create(
        [Finding(project="ours", score=score, sequence=score.sequence, model="m") for score in scores]
    )
    return ours


@pytest.mark.parametrize(
    "name",
    [
        "runs",
        "datasets",
        "model-versions",
        "scans",
        "findings",
        "sources",
        "templates",
        "redaction-rules",
        "mute-rules",
        "alert-channels",
        "alert-deliveries",
    ],
)
def test_api_lists(api, many, name, django_assert_max_num_queries):
    client = api("viewer")
    with django_assert_max_num_queries(3):
        assert client.get(f"/api/v1/{name}/").status_code == 200


@pytest.mark.parametrize("name", ["sequences", "splits", "quarantine"])
def test_api_lists_below_a_dataset(api, many, name, django_assert_max_num_queries):
    client = api("viewer")
    with django_assert_max_num_queries(3):
        assert client.get(f"/api/v1/datasets/{many.dataset.pk}/{name}/").status_code == 200


@pytest.mark.parametrize("name", ["receipts", "rejected-records", "tokens"])
def test_api_lists_below_a_source(api, many, name, django_assert_max_num_queries):
    client = api("engineer")
    with django_assert_max_num_queries(4):
        assert client.get(f"/api/v1/sources/{many.source.pk}/{name}/").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "workers/run", "logs/dataset", "detection/modelversion", "detection/scan", "analysis/finding", "logs/source",
        "logs/template", "analysis/muterule",
    ],
)  # fmt: skip
def test_console_lists(browser, many, name, django_assert_max_num_queries):
    client = browser("root")
    with django_assert_max_num_queries(12):
        assert client.get(f"/admin/{name}/").status_code == 200


def test_console_pages(browser, many, django_assert_max_num_queries):
    client = browser("root")
    pages = [
        "/admin/",
        f"/admin/workers/run/{many.run.pk}/change/",
        f"/admin/workers/run/{many.run.pk}/live/",
        f"/admin/logs/dataset/{many.dataset.pk}/change/",
        f"/admin/detection/modelversion/{many.version.pk}/change/",
        f"/admin/detection/scan/{many.scan.pk}/change/",
        f"/admin/analysis/finding/{many.finding.pk}/change/",
        f"/admin/logs/source/{many.source.pk}/change/",
        "/admin/redaction/ours/",
        "/admin/alerts/ours/",
        f"/admin/alerts/ours/{many.channel.pk}/",
        f"/admin/analysis/muterule/{many.mute_rule.pk}/change/",
    ]
    make_tenant("more")
    for page in pages:
        client.get(page)  # the first look at a dataset queues the run that counts it
        with django_assert_max_num_queries(22):
            assert client.get(page).status_code == 200
