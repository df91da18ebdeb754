"""`import_data --dry-run` shows what a file would become, and stores nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from logs import preview
from logs.models import Dataset, QuarantinedRow
from workers.models import Run

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: Any) -> str:
    out = io.StringIO()
    call_command("import_data", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_a_dry_run_tells_what_it_understood_and_stores_nothing(tmp_path: Path) -> None:
    rows = "".join(f"{n},{'bad' if n % 4 == 0 else 'ok'},启动 {n}\n" for n in range(50)) + "x,?,y\n"
    (tmp_path / "a.csv").write_bytes(f"id,label,log_sequence\n{rows}".encode("gb18030"))
    (one,) = json.loads(run(tmp_path / "a.csv", "--dry-run", "--json", "--set", "anomalous=bad"))["files"]
    facts = {"format": "csv", "encoding": "gb18030", "read": 51, "whole": True, "refusals": 0}
    assert facts.items() <= one.items()
    assert one["understood"] == {"delimiter": ",", "lines": "log_sequence", "id": "id", "label": "label"}
    assert one["labels"] == {"normal": 38, "anomalous": 13, "none": 0}
    assert len(one["sequences"]) == 10
    first = {"sequence_id": "0", "label": 1, "type": None, "length": 1, "log_entries": ["启动 0"]}
    assert one["sequences"][0] == first
    shown = run(tmp_path / "a.csv", "--dry-run")
    assert "gb18030" in shown
    assert "'bad'" in shown  # the labels are not understood without the option: each such row says so
    assert not Dataset.objects.exists() and not Run.objects.exists() and not QuarantinedRow.objects.exists()


def test_only_the_beginning_of_a_large_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "LIMIT", 10_000)
    (tmp_path / "a.log").write_text("".join(f"2026-11-23 19:00:00 job={n % 7} 启动\n" for n in range(5000)))
    seen = preview.look(tmp_path / "a.log", options={"session": r"job=\d"})
    assert (seen.read, seen.whole, seen.refusals) == (7, False, 0)
    assert sum(len(row["log_entries"]) for row in seen.sequences) < 400
    assert preview.look(tmp_path / "a.log", options={"window": 5000}).whole is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dry-run", "--set", "lines=x"], "there is no column 'x' for lines; the columns are a, b"),
        (["--dry-run", "--set", "lnies=x"], "unknown option 'lnies'; did you mean 'lines'"),
        (["--dry-run", "--set", "lines"], "not of the form key=value"),
        (["--dataset", "d", "--set", "lines=x"], "there is no column 'x' for lines"),
        (["--dataset", "d", "--set", "label=x", "--set", "line=b"], "there is no column 'x' for label"),
        (["--set", "line=b"], "--dataset is missing"),
        (["--dataset", "d"], "nothing could be imported"),
    ],
)
def test_a_wrong_mapping_imports_nothing_and_says_why(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    with pytest.raises(CommandError, match=message):
        run(tmp_path / "a.csv", *arguments)


def test_a_folder_is_previewed_and_imported_as_one(tmp_path: Path) -> None:
    from logs.models import Sequence

    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(
            "\n".join(json.dumps({"sequence_id": f"{name}{n}", "log_entries": ["x"]}) for n in range(5)) + "\n{broken\n"
        )
    (one,) = json.loads(run(tmp_path, "--dry-run", "--json"))["files"]
    assert (one["files"], one["read"], one["refusals"]) == (2, 10, 2)
    answer = json.loads(run(tmp_path, "--dataset", "d", "--json"))
    assert (answer["sequences"], answer["quarantined"]) == (10, 2)
    assert any("a.jsonl: not valid JSON" in reason for reason in answer["reasons"])
    assert Sequence.objects.count() == 10
