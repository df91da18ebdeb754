"""A file is read whatever it is packed in, and by the format that fits it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from duolog.plugins.types import BadRecord, LogSequence
from logs.files import UnknownFormat, open_records

ROW = '{"sequence_id": "seq_%d", "label": 1, "length": 1, "log_entries": ["数据库连接超时 %d"]}'
ROWS = [ROW % (number, number) for number in range(2000)]
ARRAY = "[" + ",\n".join(ROWS) + "]"


def read(path: Path, **options: object) -> tuple[str, list[object]]:
    opened = open_records(path, **options)  # type: ignore[arg-type]
    return opened.format, list(opened.records)


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.json", ARRAY, "seed"),
        ("a.jsonl", "\n".join(ROWS), "jsonl"),
        ("a.json", '[{"log_sequence": "a\\nb", "label": "正常"}]', "training"),
        ("a.txt", '{"log_sequence": "a\\nb", "label": "正常"}\n', "training"),
        ("a.csv", "sequence_id,label,log_entries\na,0,x\n", "csv"),
        ("a.log", "2026-11-23 起动\n", "text"),
        ("messages", "Jun 15 02:04:59 combo sshd\n", "text"),
        ("a.log", "[Sun Dec 04 04:51:09 2005] [notice] up\n", "text"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_the_format_is_recognised(tmp_path: Path, name: str, content: str, format: str, packed: bool) -> None:  # noqa: A002
    data = content.encode()
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(data) if packed else data)
    found, records = read(path)
    assert found == format
    assert records
    assert all(isinstance(one, LogSequence) for one in records)


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", "a.bin is empty"),
        (b"\x7fELF\0\0\0", "no format fits; choose one of .*bgl, .*csv, .*text.* begins with .*ELF"),
        (b'{"ts": 1, "msg": "x"}\n', "no format fits.*msg"),
    ],
)
def test_what_no_format_is_sure_of_is_refused_with_what_was_seen(tmp_path: Path, content: bytes, seen: str) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(UnknownFormat, match=seen):
        open_records(tmp_path / "a.bin")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "gbk"])
def test_chinese_encodings_give_the_same_records(tmp_path: Path, encoding: str, packed: bool) -> None:
    path = tmp_path / "a.json"
    data = ARRAY.encode(encoding)
    path.write_bytes(gzip.compress(data) if packed else data)
    _, records = read(path)
    assert [one.entries[0] for one in records] == [f"数据库连接超时 {number}" for number in range(2000)]  # type: ignore[attr-defined]


def test_gb18030_that_begins_after_megabytes_of_ascii_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"plain line\n" * 300_000 + "连接超时\n".encode("gbk") * 300_000)
    _, records = read(path)
    assert not [one for one in records if isinstance(one, BadRecord)]
    assert records[-1].entries[-1] == "连接超时"  # type: ignore[attr-defined]


def test_one_invalid_byte_in_utf8_costs_one_row_and_not_the_encoding(tmp_path: Path) -> None:
    data = "\n".join(ROWS).encode().split(b"\n")
    data[7] = data[7].replace("超".encode(), b"\xff")
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(data))
    _, records = read(tmp_path / "a.jsonl")
    assert [one.row for one in records if isinstance(one, BadRecord)] == [8]
    assert records[8].entries == ("数据库连接超时 8",)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.log"])
@pytest.mark.parametrize("damage", ["torn", "flipped"])
def test_a_damaged_gzip_keeps_what_came_before_and_says_so_once(tmp_path: Path, name: str, damage: str) -> None:
    rows = [ROW % (number, hash(str(number))) for number in range(2000)]
    content = {"a.json": f"[{','.join(rows)}]", "a.jsonl": "\n".join(rows), "a.log": "\n".join(rows).replace("{", "")}[
        name
    ]
    data = bytearray(gzip.compress(content.encode()))
    if damage == "torn":
        del data[len(data) // 2 :]
    else:
        data[len(data) * 3 // 4] ^= 0xFF
    path = tmp_path / f"{name}.gz"
    path.write_bytes(data)
    opened = open_records(path)
    *_, last = records = list(opened.records)
    broken = [one for one in records if isinstance(one, BadRecord) and "the file breaks off" in one.reason]
    assert broken == [last]
    if damage == "torn" and name != "a.log":
        kept = [one for one in records if isinstance(one, LogSequence)]
        assert 500 < len(kept) < 2000
        assert [one.id for one in kept] == [f"seq_{number}" for number in range(len(kept))]


def test_members_of_a_gzip_follow_each_other(tmp_path: Path) -> None:
    halves = ["\n".join(ROWS[:1000]) + "\n", "\n".join(ROWS[1000:])]
    (tmp_path / "a.jsonl").write_bytes(b"".join(gzip.compress(half.encode()) for half in halves) + b"\0" * 512)
    _, records = read(tmp_path / "a.jsonl")
    assert len([one for one in records if isinstance(one, LogSequence)]) == len(records) == 2000


def test_rows_without_ids_are_named_after_their_file(tmp_path: Path) -> None:
    for folder, content in (("one", "a\nb\n"), ("two", "a\nb\n"), ("three", "c\nd\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "app.log").write_text(content)
    first, same, other = ([one.id for one in read(tmp_path / name / "app.log")[1]] for name in ("one", "two", "three"))  # type: ignore[attr-defined]
    assert first == same != other
    assert first[0].startswith("app-")


def test_position_and_size_tell_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("line\n" * 1000)
    opened = open_records(tmp_path / "a.log")
    list(opened.records)
    assert opened.size == 5000
