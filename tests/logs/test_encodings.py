"""The encoding is decided on evidence, line by line, and doubtful lines are refused rather than misread."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duolog.plugins.types import BadRecord
from logs.engine.encodings import LINE_BYTES, Translator, detect
from logs.files import open_records

CHINESE = "2026-11-23 19:00:00 ERROR 数据库连接超时，服务调用失败 user=%d"
GERMAN = "2026-11-23 19:00:00 ERROR Gerät für Größe %d nicht verfügbar"
FRENCH = "2026-11-23 19:00:00 WARN requête %d créée après un délai dépassé, à l’arrêt"


def read(tmp_path: Path, data: bytes) -> tuple[str, list[str], list[BadRecord]]:
    (tmp_path / "a.log").write_bytes(data)
    opened = open_records(tmp_path / "a.log", options={"window": 1, "join": False})
    records: list[Any] = list(opened.records)
    bad = [one for one in records if isinstance(one, BadRecord)]
    return opened.source.encoding, [one.entries[0] for one in records if not isinstance(one, BadRecord)], bad


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "utf-16", "utf-16-le"),
        ("資料庫連接逾時 伺服器沒有回應 第%d次", "gbk", "gb18030"),
        (GERMAN, "utf-8", "utf-8"),
        (GERMAN, "latin-1", "latin-1"),
        (FRENCH, "cp1252", "latin-1"),
        ("plain ASCII %d", "ascii", "utf-8"),
    ],
)
def test_a_file_in_one_encoding(tmp_path: Path, text: str, encoding: str, told: str) -> None:
    lines = [text % number for number in range(500)]
    assert read(tmp_path, "\n".join(lines).encode(encoding)) == (told, lines, [])


def test_utf8_among_gb18030_is_read_as_what_it_is(tmp_path: Path) -> None:
    lines = [CHINESE % number for number in range(100)]
    data = b"\n".join(line.encode("utf-8" if number % 3 == 2 else "gb18030") for number, line in enumerate(lines))
    assert read(tmp_path, data) == ("gb18030", lines, [])


def test_gb18030_among_utf8_is_refused_with_its_row(tmp_path: Path) -> None:
    data = [(CHINESE % number).encode() for number in range(100)]
    data[40] = (CHINESE % 40).encode("gb18030")
    encoding, lines, bad = read(tmp_path, b"\n".join(data))
    assert (encoding, len(lines)) == ("utf-8", 99)
    assert [(one.row, one.reason) for one in bad] == [(41, "it is not valid UTF-8")]


@pytest.mark.parametrize(("main", "other"), [("gb18030", "latin-1"), ("latin-1", "gb18030")])
def test_the_other_of_two_old_encodings_is_refused_and_not_misread(tmp_path: Path, main: str, other: str) -> None:
    texts = {"gb18030": CHINESE, "latin-1": GERMAN}
    data = [(texts[main] % number).encode(main) for number in range(100)]
    data[40] = (texts[other] % 40).encode(other)
    encoding, lines, bad = read(tmp_path, b"\n".join(data))
    assert (encoding, lines) == (main, [texts[main] % number for number in range(100) if number != 40])
    assert [one.row for one in bad] == [41]


def test_noise_is_no_encoding() -> None:
    assert detect(random.Random(0).randbytes(5000)) == ""
    assert detect(b"\x80\x81\x82 " * 50) == ""


@given(st.lists(st.text(st.characters(codec="gb18030", exclude_characters="\r\n\0"), max_size=30)), st.integers(1, 50))
def test_chunks_may_end_anywhere(lines: list[str], size: int) -> None:
    data = "\n".join(lines).encode("gb18030")
    whole = Translator("gb18030").feed(data, final=True)
    translator = Translator("gb18030")
    parts = [translator.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert b"".join(parts) + translator.feed(b"", final=True) == whole


def test_one_line_of_megabytes_is_told_as_it_comes() -> None:
    text = '["' + '","'.join(["数据库连接超时"] * (LINE_BYTES // 8)) + '"]'
    data = text.encode("gb18030")
    translator = Translator("gb18030")
    parts = [translator.feed(data[at : at + 100_001]) for at in range(0, len(data), 100_001)]
    assert sum(map(bool, parts)) > 1
    assert (b"".join(parts) + translator.feed(b"", final=True)).decode() == text
