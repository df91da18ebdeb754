"""A dataset's page and its statistics over REST."""

from __future__ import annotations

import re

import pytest

from logs import api as logs_api
from logs import browse
from logs.models import Label, QuarantinedRow, Sequence, Split
from workers import supervise
from workers.models import Run

pytestmark = pytest.mark.django_db(transaction=True)


def count() -> None:
    for run in Run.objects.filter(job="dataset-statistics", status="queued"):
        supervise.execute(run.pk)


def page(client, ours, query="") -> str:
    answer = client.get(f"/admin/logs/dataset/{ours.dataset.pk}/change/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_charts_come_as_soon_as_they_are_counted(browser, ours):
    client = browser("viewer")
    waiting = page(client, ours)
    assert "is being counted" in waiting
    assert f'hx-get="/admin/logs/dataset/{ours.dataset.pk}/statistics/"' in waiting
    count()
    part = client.get(f"/admin/logs/dataset/{ours.dataset.pk}/statistics/").content.decode()
    assert "hx-get" not in part
    assert 'aria-label="Labels and types: normal: 2 (50.0%); timeout: 1 (25.0%); no label: 1 (25.0%)"' in part
    for title in ("Lines a sequence", "Languages", "Repetitions", "Distinct templates against lines read"):
        assert title in part
    assert part in page(client, ours)


def test_services_by_type(browser, ours):
    Sequence.objects.filter(key="s1").update(meta={"services": ["<b>gateway</b>", "order"]})
    client = browser("viewer")
    page(client, ours)
    count()
    found = page(client, ours)
    assert 'title="order · timeout: 1 / 1"' in found
    assert 'title="order · normal: 0 / 2"' in found
    assert "<b>gateway" not in found


def test_types_are_called_by_their_english_names_too(browser, ours):
    Label.objects.filter(value=1).update(type="超时异常")
    client = browser("viewer")
    page(client, ours)
    count()
    found = page(client, ours, "?type=超时异常")
    assert "; timeout (超时异常): 1 (25.0%)" in found
    assert found.count(">timeout (超时异常)") >= 2  # the sequence, and what was asked for
    assert "type=%E8%B6%85%E6%97%B6%E5%BC%82%E5%B8%B8" in found  # links keep to what is stored


def test_leakage_and_later_labels_are_told(browser, ours):
    last = Label.objects.latest("pk").pk
    common = {"dataset": ours.dataset, "revision": 2, "seed": 1, "sha256": "1" * 64, "strategy": "chronological"}
    lineage = {"labels": {"last": last}}
    Split.objects.create(name="train", sequence_ids=[1, 2], lineage=lineage, **common)
    Split.objects.create(name="test", sequence_ids=[3], lineage=lineage, leakage=0.25, **common)
    Label.objects.create(sequence=ours.sequences[0], value=1, source=Label.Source.REVIEW)
    found = page(browser("viewer"), ours)
    assert 'aria-label="Leakage: test: 25.00%"' in found
    assert "splits without leakage" in found
    assert "1 label was stated since" in found
    assert "chronological" in found


def test_quarantine_by_file(browser, ours):
    QuarantinedRow.objects.create(dataset=ours.dataset, file="b.csv", row=1, reason="odd", excerpt="x")
    assert "a.csv: 1 (50.0%); b.csv: 1 (50.0%)" in page(browser("viewer"), ours)


def test_a_failed_count_can_be_repeated_by_an_engineer(browser, ours):
    client = browser("engineer")
    page(client, ours)
    Run.objects.filter(job="dataset-statistics").update(status="failed", error="disk full")
    failed = page(client, ours)
    assert "could not be counted" in failed
    assert "disk full" in failed
    assert client.post(f"/admin/logs/dataset/{ours.dataset.pk}/do/recount/").status_code == 302
    count()
    assert "Labels and types" in page(client, ours)


def test_a_viewer_cannot_repeat_it(browser, ours):
    assert browser("viewer").post(f"/admin/logs/dataset/{ours.dataset.pk}/do/recount/").status_code == 403


def test_statistics_over_rest(api, ours):
    client, url = api("viewer"), f"/api/v1/datasets/{ours.dataset.pk}/statistics/"
    first = client.get(url).json()
    assert (first["state"], first["values"]) == ("computing", None)
    assert first["run"] == str(Run.objects.get(job="dataset-statistics").pk)
    count()
    found = client.get(url).json()
    assert (found["state"], found["run"]) == ("ready", None)
    assert found["values"]["sequences"] == 4
    assert {"label": 1, "type": "timeout", "sequences": 1} in found["values"]["labels"]


def test_foreign_statistics_are_not_there_and_start_nothing(api, browser, ours, theirs):
    assert api("viewer").get(f"/api/v1/datasets/{theirs.dataset.pk}/statistics/").status_code == 404
    stranger = browser("stranger")
    assert stranger.get(f"/admin/logs/dataset/{theirs.dataset.pk}/statistics/").status_code in (302, 403, 404)
    assert not Run.objects.filter(job="dataset-statistics").exists()


def keys(found: str) -> list[str]:
    return re.findall(r'<span class="mono">([sn]\d+)</span>', found)


def test_a_type_in_the_chart_leads_to_its_sequences(browser, ours):
    client = browser("viewer")
    page(client, ours)
    count()
    assert 'href="?label=anomalous&amp;type=timeout#sequences"' in page(client, ours)
    assert keys(page(client, ours, "?label=anomalous&type=timeout")) == ["s1"]
    assert keys(page(client, ours, "?type=other")) == []


def test_a_search_goes_on_where_its_time_was_up(browser, ours, monkeypatch):
    monkeypatch.setattr(browse, "WINDOW", 2)
    monkeypatch.setattr(browse, "SECONDS", 0.0)
    client, seen, query = browser("viewer"), [], "?q=ROW 3"
    first = page(client, ours, query)
    assert "2 sequences were looked through" in first
    assert "Nothing fits so far" in first
    while query:
        found = page(client, ours, query)
        seen += keys(found)
        following = re.search(r'href="(\?[^"]*after=\d+)#sequences">(?:Search on|Next page)', found)
        query = following[1].replace("&amp;", "&") if following else ""
    assert seen == ["s3"]


def test_pages_show_every_sequence_once(browser, ours, monkeypatch):
    monkeypatch.setattr(browse, "WINDOW", 7)
    rows = [Sequence(dataset=ours.dataset, key=f"n{number}", entries=["x"], length=1) for number in range(50)]
    Sequence.objects.bulk_create(rows)
    client, seen, query = browser("viewer"), [], "?"
    while query:
        found = page(client, ours, query)
        seen += keys(found)
        following = re.search(r'href="(\?[^"]*after=\d+)#sequences">Next page', found)
        query = following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"s{number}" for number in range(4)] + [f"n{number}" for number in range(50)]


def test_a_search_over_rest_ends_in_time(api, ours, monkeypatch):
    monkeypatch.setattr(logs_api, "SEARCH_MILLISECONDS", 1)
    text = "log line of some length " * 2000
    rows = [Sequence(dataset=ours.dataset, key=f"n{number}", entries=[text], length=1) for number in range(300)]
    Sequence.objects.bulk_create(rows)
    answer = api("viewer").get(f"/api/v1/datasets/{ours.dataset.pk}/sequences/", {"search": "nowhere"})
    assert answer.status_code == 422
    assert "narrow it" in answer.data["detail"]
