"""The console imports in two steps: a person sees what a file would become before any of it is stored."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from workers.models import Run

LOG = b"".join(b"2026-11-23 19:00:%02d job=%d step\n" % (n, n % 3) for n in range(30))
LABELS = b"BlockId,Label\nblk_1,Anomaly\n"
HDFS = b"081109 203518 143 INFO dfs.DataNode: Receiving block blk_1\n"


@pytest.fixture
def home(settings: Any, tmp_path: Path) -> Path:
    settings.HOME = tmp_path
    return tmp_path / "uploads"


def bring(client: Any, project: Any, *files: tuple[str, bytes], dataset: str = "mine") -> Any:
    sent = [SimpleUploadedFile(name, content) for name, content in files]
    return client.post("/admin/start/import-data/", {"into": project.pk, "dataset": dataset, "file": sent})


def test_an_upload_is_shown_then_changed_then_imported(browser, ours, home):
    from logs.models import Dataset

    client = browser("engineer")
    address = bring(client, ours.project, ("a.log", LOG)).url
    seen = client.get(address).context["seen"]
    assert (seen.format, seen.read, len(seen.sequences)) == ("text", 2, 2)
    again = client.get(address, {"format": "text", "set-session": r"job=(\d)", "set-window": ""})
    assert [row["sequence_id"] for row in again.context["seen"].sequences] == ["0", "1", "2"]
    assert 'value="job=(\\d)"' in again.content.decode()
    assert not Run.objects.filter(job="import-data").exists()
    assert not Dataset.objects.filter(name="mine").exists()

    answer = client.post(address, {"format": "text", "set-session": r"job=(\d)"})
    run = Run.objects.get(job="import-data")
    assert answer.url == f"/admin/workers/run/{run.pk}/change/"
    assert (run.project, run.options["dataset"], run.options["options"]) == ("ours", "mine", {"session": r"job=(\d)"})
    assert Path(run.options["path"]).read_bytes() == LOG
    assert client.post(address, {"format": "text"}).status_code == 404  # asked for twice, imported once


def test_a_log_comes_with_its_labels(browser, ours, home):
    address = bring(client := browser("engineer"), ours.project, ("HDFS.log", HDFS), ("anomaly_label.csv", LABELS)).url
    seen = client.get(address).context["seen"]
    assert (seen.format, seen.labels["anomalous"], seen.understood["labels"]) == ("hdfs", 1, "anomaly_label.csv")


def test_what_cannot_be_read_is_explained_and_can_be_corrected(browser, ours, home):
    client = browser("engineer")
    address = bring(client, ours.project, ("a.csv", b"a,b\n1,x\n")).url
    page = client.get(address)
    assert "The columns are a, b" in page.content.decode()
    wrong = client.get(address, {"format": "csv", "set-line": "c"})
    assert "there is no column &#x27;c&#x27; for line; the columns are a, b" in wrong.content.decode()
    assert client.get(address, {"format": "csv", "set-line": "b"}).context["seen"].read == 1
    packed = bring(client, ours.project, ("a.zip", b"PK\x03\x04....")).url
    assert "a.zip is a zip archive: unpack it first" in client.get(packed).content.decode()


def test_a_name_that_will_not_do_is_told_before_the_upload_is_kept(browser, ours, home):
    answer = bring(browser("engineer"), ours.project, ("a.log", LOG), dataset="a:b")
    assert "no colon" in answer.content.decode()
    assert not home.exists()


def test_too_much_is_refused(browser, ours, home, settings):
    settings.MAX_UPLOAD_BYTES = len(LOG) * 2 - 1
    answer = bring(browser("engineer"), ours.project, ("a.log", LOG), ("b.log", LOG))
    assert "the file is larger than" in answer.content.decode()


@pytest.mark.parametrize("who", ["viewer", "stranger", "root"])
def test_an_upload_belongs_to_who_brought_it(browser, ours, home, who):
    address = bring(browser("engineer"), ours.project, ("a.log", LOG)).url
    other = browser(who)
    assert other.get(address).status_code in (302, 404)
    assert other.post(address).status_code in (302, 404)
    assert not Run.objects.filter(job="import-data").exists()


@pytest.mark.parametrize("token", ["nope", "..", "%2e%2e"])
def test_an_address_that_leads_nowhere(browser, ours, home, token):
    assert browser("engineer").get(f"/admin/import/{token}/").status_code == 404


def test_an_upload_into_a_project_of_others_is_refused(browser, ours, theirs, home):
    assert bring(browser("engineer"), theirs.project, ("a.log", LOG)).status_code == 200
    assert not home.exists()


def test_uploads_that_nobody_came_back_to_are_removed(browser, ours, home):
    client = browser("engineer")
    bring(client, ours.project, ("a.log", LOG))
    (old,) = home.iterdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old / ".pending", (long_ago, long_ago))
    bring(client, ours.project, ("b.log", LOG))
    (new,) = home.iterdir()
    assert new != old


def test_options_of_the_format_reach_the_run_by_the_api(api, ours, home):
    address, file = f"/api/v1/datasets/{ours.dataset.pk}/import/", SimpleUploadedFile("a.log", LOG)
    sent = {"file": file, "format": "text", "options": '{"window": 5}'}
    answer = api("engineer").post(address, sent, format="multipart")
    assert answer.status_code == 202, answer.data
    assert Run.objects.get(job="import-data").options["options"] == {"window": 5}
