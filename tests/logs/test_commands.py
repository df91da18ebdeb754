"""`import_data` and `export` from the command line, executed here or by a worker."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from logs.models import Dataset, QuarantinedRow, Sequence

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = [{"sequence_id": f"s{n}", "label": n % 2, "length": 2, "log_entries": ["启动", f"第{n}次"]} for n in range(10)]


def run(*arguments: Any) -> str:
    out = io.StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl.gz"
    rows = [json.dumps(row, ensure_ascii=False) for row in ROWS]
    path.write_bytes(gzip.compress("\n".join([*rows[:4], "{broken", *rows[4:]]).encode()))
    return path


def test_import_reports_what_became_of_the_rows(file: Path) -> None:
    answer = json.loads(run("import_data", file, "--dataset", "d", "--json"))
    counts = {"sequences": 10, "anomalous": 5, "labelled": 10, "quarantined": 1, "duplicates": 0}
    assert {"dataset": "d", "project": "default", **counts}.items() <= answer.items()
    (reason,) = answer["reasons"]
    assert reason.startswith("rows.jsonl.gz:5: not valid JSON")
    (each,) = answer["files"]
    assert each["format"] == "jsonl"
    table = run("import_data", file, "--dataset", "d")
    assert "there already" in table
    assert "rows.jsonl.gz:5: not valid JSON" in table
    assert Sequence.objects.count() == 10
    assert QuarantinedRow.objects.count() == 1


@pytest.mark.parametrize("format", ["seed", "jsonl", "csv", "training"])
def test_export_and_import_come_full_circle(file: Path, tmp_path: Path, format: str) -> None:  # noqa: A002
    run("import_data", file, "--dataset", "d")
    answer = json.loads(run("export", "--dataset", "d", "--format", format, "--out", tmp_path / "out", "--json"))
    assert answer["sequences"] == 10
    again = json.loads(run("import_data", answer["file"], "--dataset", "d", "--json"))
    assert (again["duplicates"], again["quarantined"], again["labelled"]) == (10, 0, 0)
    assert list((tmp_path / "out").iterdir()) == [Path(answer["file"])]


def test_export_replaces_nothing_unless_told_to(file: Path, tmp_path: Path) -> None:
    run("import_data", file, "--dataset", "d")
    run("export", "--dataset", "d", "--out", tmp_path)
    (tmp_path / "d.jsonl").write_text("mine")
    with pytest.raises(CommandError, match=r"d\.jsonl is there already; --force replaces it"):
        run("export", "--dataset", "d", "--out", tmp_path)
    assert (tmp_path / "d.jsonl").read_text() == "mine"
    assert "10 sequences in" in run("export", "--dataset", "d", "--out", tmp_path, "--force")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "--dataset", "nope", "--out", "."], "has no dataset nope"),
        (["import_data", "/no/such/file", "--dataset", "d"], "there is no file /no/such/file"),
        (["import_data", __file__, "--dataset", "a:b"], "no colon"),
        (["import_data", __file__, "--dataset", "d", "--format", "sede"], "no plugin 'sede' in duolog.formats"),
        (["import_data", __file__, "--dataset", "d", "--session", "("], "session is not a regular expression"),
        (["import_data", __file__, "--dataset", "d", "--format", "jsonl", "--window", "3"], "unknown option 'window'"),
        (["import_data", __file__, "--dataset", "d", "--format", "jsonl"], "nothing could be imported"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(*arguments)
    assert not Sequence.objects.exists()


def test_lines_become_windows_or_sessions(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("".join(f"2026-11-23 19:00:{n:02d} job {n % 3} step\n" for n in range(30)))
    assert json.loads(run("import_data", log, "--dataset", "w", "--window", 7, "--json"))["sequences"] == 5
    answer = json.loads(run("import_data", log, "--dataset", "s", "--session", r"job \d", "--json"))
    assert answer["sequences"] == 3
    assert set(Sequence.objects.filter(dataset__name="s").values_list("key", "length")) == {
        (f"job {n}", 10) for n in range(3)
    }


@pytest.mark.usefixtures("worker")
def test_a_live_worker_does_the_import(file: Path) -> None:
    answer = json.loads(run("import_data", file, "--dataset", "d", "--json"))
    assert answer["sequences"] == 10
    assert Dataset.objects.get().run.attempts.get().worker  # type: ignore[union-attr]


def test_an_upload_is_imported_and_then_removed(file: Path) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    from logs import datasets, transfer
    from workers import supervise

    dataset = datasets.get_or_create(project="default", name="d")
    wanted = transfer.import_upload(dataset, SimpleUploadedFile("rows.jsonl.gz", file.read_bytes()))
    kept = Path(wanted.options["path"])
    assert kept.is_file()
    supervise.execute(wanted.pk)
    assert Sequence.objects.filter(dataset=dataset, origin="rows.jsonl.gz").count() == 10
    assert not kept.parent.exists()
