"""What is too large, packed wrongly or torn is refused or quarantined with a reason; no dataset is half-written."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from duolog.plugins.types import BadRecord, LogSequence
from logs import files, streams
from logs.files import TooLarge, UnknownFormat, open_records
from logs.models import Dataset, QuarantinedRow, Sequence

LINE = b"2026-11-23 19:00:00 order-service INFO started\n"


def run(*arguments: Any) -> Any:
    out = io.StringIO()
    call_command("import_data", *map(str, arguments), "--dataset", "d", "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.django_db(transaction=True)
def test_a_bomb_ends_the_import_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RATIO_MATTERS", 1 << 20)
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(LINE * 1000 + b"a\n" * (8 << 20)))
    with pytest.raises(CommandError, match="more than 600 times its size, as a zip bomb does"):
        run(tmp_path / "a.log.gz")
    assert not Dataset.objects.exists() and not Sequence.objects.exists()


def test_an_unpacked_size_beyond_the_limit(tmp_path: Path, settings: Any) -> None:
    settings.MAX_UNPACKED_BYTES = 1 << 20
    content = b"".join(b"%d %d\n" % (n, hash(str(n))) for n in range(100_000))
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(content))
    with pytest.raises(TooLarge, match=r"unpacks to more than 1\.0.MB \(DUOLOG_MAX_UNPACKED_BYTES\)"):
        list(open_records(tmp_path / "a.log.gz").records)


def test_logs_that_repeat_themselves_are_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RATIO_MATTERS", 1 << 20)
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(LINE * 200_000))
    assert len(list(open_records(tmp_path / "a.log.gz", options={"window": 1000}).records)) == 200


@pytest.mark.parametrize(
    ("magic", "kind"),
    [(b"PK\x03\x04", "zip"), (b"BZh9", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")],
)
def test_other_archives_are_refused_with_a_hint(tmp_path: Path, magic: bytes, kind: str) -> None:
    (tmp_path / "a.log").write_bytes(magic + b"rest")
    with pytest.raises(UnknownFormat, match=f"a.log is a {kind} archive: unpack it first"):
        open_records(tmp_path / "a.log", "text")


def test_a_tar_in_a_gzip_is_refused(tmp_path: Path) -> None:
    import tarfile

    (tmp_path / "a.log").write_bytes(LINE)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.log", "a.log")
    with pytest.raises(UnknownFormat, match="is a tar archive"):
        open_records(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])  # else test ids differ between processes
@pytest.mark.parametrize("format", ["auto", "text"])
def test_an_empty_file(tmp_path: Path, content: bytes, format: str) -> None:  # noqa: A002
    (tmp_path / "a.log").write_bytes(content)
    with pytest.raises(UnknownFormat, match=r"a\.log is empty"):
        open_records(tmp_path / "a.log", format)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.log", "a.csv", "a.jsonl"])
def test_a_line_of_100_mb_costs_one_row_and_little_memory(tmp_path: Path, name: str) -> None:
    head, row = {
        "a.log": (b"", b"2026-11-23 19:00:00 fine\n"),
        "a.csv": (b"sequence_id,log_sequence\n", b"%d,fine\n"),
        "a.jsonl": (b"", b'{"sequence_id": "%d", "log_entries": ["fine"]}\n'),
    }[name]
    with (tmp_path / name).open("wb") as stream:
        stream.write(head + (row.replace(b"%d", b"1")))
        for _ in range(100):
            stream.write(b"x" * (1 << 20))
        stream.write(b"\n" + row.replace(b"%d", b"2"))
    tracemalloc.start()
    records = list(open_records(tmp_path / name, options={"window": 1} if name == "a.log" else None).records)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [type(one) for one in records] in (
        [LogSequence, BadRecord, LogSequence],
        [BadRecord, LogSequence, LogSequence],
    )
    (refused,) = [one for one in records if isinstance(one, BadRecord)]
    assert "bytes" in refused.reason
    assert len(refused.excerpt) <= 500
    assert peak < 200 << 20


@pytest.mark.django_db(transaction=True)
def test_one_file_with_every_fault_keeps_its_good_rows(tmp_path: Path) -> None:
    rows = [
        '{"sequence_id": "a", "label": 0, "log_entries": ["启动完成，一切正常，没有错误"]}',
        '{"sequence_id": "a", "label": 0, "log_entries": ["again"]}',
        '{"sequence_id": "b", "label": "odd", "log_entries": ["x"]}',
        '{"sequence_id": "c", "log_entries": ["nul \\u0000"]}',
        '{"sequence_id": "d", "log_entries": []}',
        '{"sequence_id": "e", "log_entries": ["数据库"]}',
        "{torn",
    ]
    data = "\n".join(rows).encode().replace("数据库".encode(), "数据库".encode("gb18030"))
    (tmp_path / "a.jsonl").write_bytes(data)
    answer = run(tmp_path / "a.jsonl")
    assert (answer["sequences"], answer["quarantined"]) == (1, 6)
    reasons = {row.row: row.why for row in QuarantinedRow.objects.all()}
    assert "NUL" in reasons[4] and "already" in reasons[2] and "'odd'" in reasons[3]
    assert "no log lines" in reasons[5] and "not valid JSON" in reasons[6]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("damage", ["second shard is a zip", "second shard has other columns"])
def test_a_folder_is_imported_whole_or_not_at_all(tmp_path: Path, damage: str) -> None:
    (tmp_path / "a.csv").write_text("sequence_id,body\n1,x\n")
    (tmp_path / "b.csv").write_bytes(b"PK\x03\x04" if "zip" in damage else b"sequence_id,text\n2,y\n")
    with pytest.raises(CommandError, match=r"b\.csv is a zip|there is no column 'body'"):
        run(tmp_path, "--set", "lines=body")
    assert not Sequence.objects.exists() and not Dataset.objects.exists()


def test_a_pattern_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from duolog.plugins.options import OptionsError

    monkeypatch.setattr("logs.formats.lines.PATIENCE", 0.05)
    (tmp_path / "a.log").write_text("a" * 60 + "b\n")
    with pytest.raises(OptionsError, match="takes too long for the line 'aaaa"):
        list(open_records(tmp_path / "a.log", options={"session": "(a|a)*$"}).records)


def test_a_format_is_chosen_once_for_a_binary_file(tmp_path: Path) -> None:
    """What looks like Parquet but is named otherwise is not translated as text on its way."""
    assert files._sniff(b"PAR1....", "a.log", binary=True) == ["parquet"]
