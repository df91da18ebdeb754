"""Parquet and Arrow, single or as the folders that HuggingFace `datasets` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from duolog.plugins.options import OptionsError
from duolog.plugins.types import BadRecord, LogSequence
from logs.files import UnknownFormat, open_records

FEATURES = {"info": {"features": {"verdict": {"names": ["anomaly", "normal"], "_type": "ClassLabel"}}}}
SCHEMA = pa.schema({"lines": pa.list_(pa.string()), "verdict": pa.int64()}).with_metadata(
    {"huggingface": json.dumps(FEATURES)}
)


def table(first: int, count: int) -> pa.Table:
    rows = [{"lines": [f"启动 {n}", "done"], "verdict": n % 2} for n in range(first, first + count)]
    return pa.Table.from_pylist(rows, SCHEMA)


def read(path: Path, **options: Any) -> list[Any]:
    return list(open_records(path, options=options).records)


def test_a_datasets_folder_is_read_shard_by_shard(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "dataset_info.json").write_text("{}")
        for shard in range(2):
            file = tmp_path / part / f"data-0000{shard}-of-00002.arrow"
            with pa.ipc.new_stream(str(file), SCHEMA) as writer:
                writer.write_table(table(shard * 10, 10))
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    opened = open_records(tmp_path, options={"label": "verdict"})
    made: list[Any] = list(opened.records)
    assert (opened.format, opened.files, len(made)) == ("parquet", 4, 40)
    assert len({one.id for one in made}) == 40  # equal shards in different parts
    assert made[0].id.startswith("test-data-00000-of-00002-")
    assert made[1].entries == ("启动 1", "done")
    assert [one.label for one in made[:2]] == [1, 0]  # by the names of the classes, not their numbers
    assert made == read(tmp_path, label="verdict")


def test_parquet_in_row_groups_with_lines_as_text_and_moments(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    rows = [
        {"session": f"s{n % 3}", "message": f"line {n}", "timestamp": datetime(2026, 11, 23, 19, 0, n, tzinfo=UTC)}
        for n in range(30)
    ]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=7)
    made = read(tmp_path / "a.parquet")
    assert [(one.id, len(one.entries)) for one in made] == [("s0", 10), ("s1", 10), ("s2", 10)]
    assert made[0].times[1] - made[0].times[0] == 3


def test_a_torn_shard_is_told_by_name(tmp_path: Path) -> None:
    pa.parquet.write_table(table(0, 10), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    *made, broken = read(tmp_path)
    assert len(made) == 10
    assert isinstance(broken, BadRecord)
    assert broken.reason.startswith("b.parquet: it is no Parquet or Arrow, or it is damaged")


def test_a_torn_arrow_stream_keeps_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "a.arrow"
    with pa.ipc.new_stream(str(file), SCHEMA) as writer:
        for first in range(0, 100, 10):
            writer.write_table(table(first, 10))
    file.write_bytes(file.read_bytes()[:-2000])
    *made, broken = read(file)
    assert 0 < len(made) < 100
    assert all(isinstance(one, LogSequence) for one in made)
    assert "breaks off" in broken.reason


def test_a_wrong_column_and_a_wrong_label(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"lines": [["a"], ["b"]], "label": ["0", "odd"]}), tmp_path / "a.parquet")
    good, bad = read(tmp_path / "a.parquet")
    assert (good.label, bad.row) == (0, 2)
    assert "'odd'" in bad.reason
    with pytest.raises(OptionsError, match="no column 'x' for lines; the columns are lines, label"):
        read(tmp_path / "a.parquet", lines="x")


def test_a_row_group_that_would_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logs.formats.columnar.GROUP_BYTES", 100)
    pa.parquet.write_table(table(0, 100), tmp_path / "a.parquet")
    with pytest.raises(OptionsError, match="row group"):
        read(tmp_path / "a.parquet")


def test_a_folder_without_data(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(UnknownFormat, match=r"no data in folder .*\.parquet"):
        open_records(tmp_path)
