"""Datasets, models and findings over REST: files in and out, browsing, decisions, pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from detection.models import ModelAlias, ModelVersion
from logs import transfer
from logs.models import Label, Sequence
from workers import supervise
from workers.models import Run

ROWS = [
    {"sequence_id": "a", "label": 1, "length": 2, "log_entries": ["started", "数据库连接超时"]},
    {"sequence_id": "b", "label": 0, "length": 1, "log_entries": ["started"]},
]


@pytest.fixture
def uploads(settings, tmp_path) -> Path:
    """Folder of uploads, away from the home."""
    settings.HOME = tmp_path
    return transfer.uploads()


@pytest.mark.django_db(transaction=True)
def test_an_uploaded_file_is_imported_and_comes_out_again(api, ours, uploads):
    client = api("engineer")
    dataset = client.post("/api/v1/datasets/", {"project": "ours", "name": "mine"}).data["id"]
    file = SimpleUploadedFile("../../rows.json", json.dumps(ROWS).encode())
    answer = client.post(f"/api/v1/datasets/{dataset}/import/", {"file": file, "format": "auto"}, format="multipart")
    assert answer.status_code == 202, answer.data
    run = Run.objects.get(pk=answer.data["id"])
    assert Path(run.options["path"]).is_relative_to(uploads)
    supervise.execute(run.pk)
    assert client.get(f"/api/v1/runs/{run.pk}/").data["status"] == "succeeded"
    assert not any(uploads.iterdir())
    found = client.get(f"/api/v1/datasets/{dataset}/sequences/").data["results"]
    assert [(row["key"], row["label"], row["entries"]) for row in found] == [
        (row["sequence_id"], row["label"], row["log_entries"]) for row in ROWS
    ]
    out = client.get(f"/api/v1/datasets/{dataset}/export/", {"format": "seed"})
    assert "attachment" in out.headers["Content-Disposition"]
    assert json.loads(b"".join(out.streaming_content)) == ROWS


def test_an_upload_that_is_too_large_is_refused(api, ours, uploads, settings):
    settings.MAX_UPLOAD_BYTES = 10
    file = SimpleUploadedFile("a.log", b"x" * 11)
    path = f"/api/v1/datasets/{ours.dataset.pk}/import/"
    answer = api("engineer").post(path, {"file": file}, format="multipart")
    assert answer.status_code == 400
    assert "larger" in answer.data["detail"]
    assert not uploads.exists()


def test_an_unknown_format_is_refused(api, ours):
    answer = api("viewer").get(f"/api/v1/datasets/{ours.dataset.pk}/export/", {"format": "nonsense"})
    assert answer.status_code == 400
    assert "nonsense" in answer.data["detail"]


def test_an_unknown_part_is_refused(api, ours):
    answer = api("viewer").get(f"/api/v1/datasets/{ours.dataset.pk}/export/", {"part": "nonsense"})
    assert answer.status_code == 400
    assert "nonsense" in answer.data["detail"]


def test_a_dataset_is_made_in_our_project_only(api, ours, theirs):
    client = api("engineer")
    assert client.post("/api/v1/datasets/", {"project": "ours", "name": "ours-logs"}).status_code == 400
    foreign = client.post("/api/v1/datasets/", {"project": "theirs", "name": "x"})
    absent = client.post("/api/v1/datasets/", {"project": "absent", "name": "x"})
    assert foreign.status_code == absent.status_code == 400
    assert str(foreign.data["errors"]).replace("theirs", "absent") == str(absent.data["errors"])


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({"label": "anomalous"}, ["s1"]),
        ({"label": "normal"}, ["s0", "s2"]),
        ({"label": "none"}, ["s3"]),
        ({"search": "ROW 2"}, ["s2"]),
        ({"search": "s3"}, ["s3"]),
        ({"search": "100%"}, []),
        ({"search": "café 失败 at db"}, ["c"]),
    ],
)
def test_sequences_are_found_by_label_and_text(api, ours, query, keys):
    other = Sequence.objects.create(dataset=ours.dataset, key="c", entries=["x", "Café 失败 at DB"], length=2)
    Label.objects.create(sequence=other, value=1, source=Label.Source.IMPORT)
    keys = keys + ["c"] * (query == {"label": "anomalous"})
    found = api("viewer").get(f"/api/v1/datasets/{ours.dataset.pk}/sequences/", query).data["results"]
    assert [row["key"] for row in found] == keys


def test_pages_stay_whole_while_rows_arrive(api, ours):
    client = api("viewer")
    Sequence.objects.bulk_create(
        [Sequence(dataset=ours.dataset, key=f"n{number}", entries=["x"], length=1) for number in range(20)]
    )
    url, seen = f"/api/v1/datasets/{ours.dataset.pk}/sequences/?page_size=7", []
    while url:
        page = client.get(url).data
        seen += [row["key"] for row in page["results"]]
        url = page["next"]
        Sequence.objects.create(dataset=ours.dataset, key=f"late{len(seen)}", entries=["x"], length=1)
        if len(seen) > 40:
            break
    assert len(seen) == len(set(seen))
    assert {f"n{number}" for number in range(20)} <= set(seen)


def test_a_page_of_many_equal_times_ends(api, ours):
    """Findings of one scan are opened in one moment, so time alone cannot order them."""
    scores = ours.scan.scores.model.objects
    from analysis.models import Finding

    rows = [Sequence(dataset=ours.dataset, key=f"n{number}", entries=["x"], length=1) for number in range(1200)]
    rows = Sequence.objects.bulk_create(rows)
    made = scores.bulk_create([scores.model(scan=ours.scan, sequence=row, value=0.9, anomalous=True) for row in rows])
    Finding.objects.bulk_create(
        [Finding(project="ours", score=score, sequence=score.sequence, model="m") for score in made]
    )
    client, url, seen = api("viewer"), "/api/v1/findings/?page_size=500", set()
    while url:
        page = client.get(url).data
        seen |= {row["id"] for row in page["results"]}
        url = page["next"]
    assert len(seen) == 1201


def test_a_split_tells_its_size_without_its_members(api, ours):
    (part,) = api("viewer").get(f"/api/v1/datasets/{ours.dataset.pk}/splits/").data["results"]
    assert (part["name"], part["sequences"]) == ("test", 4)
    assert "sequence_ids" not in part


def test_quarantined_rows_tell_why(api, ours):
    (bad,) = api("viewer").get(f"/api/v1/datasets/{ours.dataset.pk}/quarantine/").data["results"]
    assert (bad["file"], bad["row"], bad["reason"]) == ("a.csv", 7, "odd")


def test_a_version_is_promoted(api, ours):
    client = api("engineer")
    newer = ModelVersion.objects.get(pk=ours.version.pk)
    newer.pk, newer.number = None, 2
    newer.save()
    refused = client.post(f"/api/v1/model-versions/{newer.pk}/aliases/", {"alias": "champion"})
    assert refused.status_code == 400
    assert "duolog scorecard --model m:2" in refused.data["detail"]
    wanted = {"alias": "champion", "reason": "it reads the new format"}
    answer = client.post(f"/api/v1/model-versions/{newer.pk}/aliases/", wanted)
    assert answer.data["aliases"] == ["champion"]
    alias = ModelAlias.objects.get(project="ours", name="m", alias="champion")
    assert (alias.version_id, alias.set_by.username) == (newer.pk, "engineer")
    assert client.get(f"/api/v1/model-versions/{ours.version.pk}/").data["aliases"] == []


def test_scores_of_a_scan(api, ours):
    client = api("viewer")
    scores = client.get(f"/api/v1/scans/{ours.scan.pk}/scores/").data["results"]
    assert [(score["sequence_id"], score["anomalous"]) for score in scores] == [("s1", True), ("s0", False)]
    assert len(client.get(f"/api/v1/scans/{ours.scan.pk}/scores/", {"least": 0.5}).data["results"]) == 1


def test_a_finding_is_decided_by_a_reviewer(api, ours):
    client = api("reviewer")
    finding = client.get(f"/api/v1/findings/{ours.finding.pk}/").data
    assert (finding["score"], finding["blame"]) == (0.9, [0.0, 0.75, 0.25])
    assert finding["entries"] == ours.sequences[1].entries
    assert client.patch(f"/api/v1/findings/{ours.finding.pk}/", {"state": "confirmed"}).data["state"] == "confirmed"
    assert client.get("/api/v1/findings/", {"state": "open"}).data["results"] == []
    assert client.patch(f"/api/v1/findings/{ours.finding.pk}/", {"state": "odd"}).status_code == 400
