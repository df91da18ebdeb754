"""A row that makes no sense is told with its number and reason; the rest is kept."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Record
from logs.formats import rows
from logs.formats.bgl import Bgl
from logs.formats.columnar import Parquet
from logs.formats.hdfs import Hdfs
from logs.formats.jsonl import Jsonl
from logs.formats.seed import Seed
from logs.formats.table import Csv
from logs.formats.text import Options, Text
from logs.formats.training import Training

GOOD = b'{"sequence_id": "g%d", "label": 0, "log_entries": ["fine"]}'


def read(plugin: Format, data: bytes) -> list[Record]:
    return list(plugin.read(io.BufferedReader(io.BytesIO(data))))


BAD = [
    (b'{"label": 0, "log_entries": ["a"]}', "sequence_id is missing"),
    (b'{"sequence_id": "", "label": 0, "log_entries": ["a"]}', "id is empty"),
    (b'{"sequence_id": "x", "label": 0}', "log lines are missing"),
    (b'{"sequence_id": "x", "label": 0, "log_entries": "a"}', "log lines are missing or not a list"),
    (b'{"sequence_id": "x", "label": 0, "log_entries": ["a", 1]}', "not a list of texts"),
    (b'{"sequence_id": "x", "label": 0, "log_entries": []}', "no log lines"),
    (b'{"sequence_id": "x", "label": 2, "log_entries": ["a"]}', "label is 2"),
    (b'{"sequence_id": "x", "label": true, "log_entries": ["a"]}', "label is True"),
    (b'{"sequence_id": "x", "label": "anomaly", "log_entries": ["a"]}', "label is 'anomaly'"),
    (b'{"sequence_id": "x", "label": 0, "length": 3, "log_entries": ["a"]}', "length says 3, but there are 1"),
    (b'{"sequence_id": "x", "label": 0, "log_entries": ["a\\u0000b"]}', "NUL"),
    (b'{"sequence_id": "x", "label": 0, "log_entries": ["a"], "host": {"n": ["\\u0000"]}}', "NUL"),
    (b'{"sequence_id": "x", "label": 0, "log_entries": ["\xff\xfe"]}', "not valid JSON"),
    (b'{"sequence_id": "x", "label": 0, "log_entries": ["\\ud800"]}', "not valid JSON"),
    (b'["x"]', "not a JSON object"),
    (b"7", "not a JSON object"),
    (b'{"sequence_id": "x" "label": 0}', "not valid JSON"),
    (b'{"sequence_id": "' + b"k" * 201 + b'", "log_entries": ["a"]}', "longer than 200"),
]


@pytest.mark.parametrize(("row", "reason"), BAD, ids=[reason for _, reason in BAD])
@pytest.mark.parametrize("as_array", [True, False], ids=["array", "lines"])
def test_a_bad_row_between_good_ones(row: bytes, reason: str, as_array: bool) -> None:
    parts = [GOOD % 1, row, GOOD % 3]
    data = b"[" + b",\n".join(parts) + b"]" if as_array else b"\n".join(parts)
    first, bad, last = read(Seed() if as_array else Jsonl(), data)
    assert isinstance(first, LogSequence)
    assert isinstance(last, LogSequence)
    assert isinstance(bad, BadRecord)
    assert bad.row == 2
    assert reason in bad.reason
    assert len(bad.excerpt) <= 500
    assert "\0" not in bad.excerpt


def test_a_literal_backslash_u0000_is_no_nul() -> None:
    (one,) = read(Jsonl(), b'{"sequence_id": "x", "log_entries": ["a"], "re": "\\\\u0000"}')
    assert isinstance(one, LogSequence)


@pytest.mark.parametrize("end", range(1, 30))
def test_a_torn_array_keeps_what_came_before_and_says_where_it_broke(end: int) -> None:
    *kept, broken = read(Seed(), b"[" + GOOD % 1 + b"," + (GOOD % 2)[:end])
    assert [one.id for one in kept if isinstance(one, LogSequence)] == ["g1"]
    assert isinstance(broken, BadRecord)
    assert (broken.row, "ends within this row" in broken.reason) == (2, True)


def test_an_array_that_is_not_closed_is_told() -> None:
    *kept, broken = read(Seed(), b"[" + GOOD % 1 + b",")
    assert len(kept) == 1
    assert isinstance(broken, BadRecord)
    assert (broken.row, broken.reason) == (2, "the file ends before the array does")


def test_what_follows_an_array_is_told() -> None:
    *kept, after = read(Seed(), b"[" + GOOD % 1 + b"]\n[{}]")
    assert len(kept) == 1
    assert isinstance(after, BadRecord)
    assert "something follows" in after.reason


def test_a_row_beyond_the_limit_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    long = b'{"log_entries": ["' + b"x" * 5000 + b'"]}'
    first, bad, last = rows.lines(io.BytesIO(b"\n".join([GOOD % 1, long, GOOD % 3])), 1000)
    assert isinstance(bad, BadRecord)
    assert bad.reason == f"the line has {len(long) + 1} bytes; at most 1000 are taken"
    assert (first, last) == ((1, GOOD % 1), (3, GOOD % 3))
    monkeypatch.setattr(rows, "ROW_BYTES", 1000)
    monkeypatch.setattr(rows, "CHUNK", 100)
    *kept, broken = read(Seed(), b"[" + GOOD % 1 + b"," + long + b"]")
    assert len(kept) == 1
    assert isinstance(broken, BadRecord)
    assert "more than 1000 bytes" in broken.reason


def test_lines_of_text_that_are_none() -> None:
    data = b"good\nbad \xff\xfe\nnul \0\nlo" + b"n" * 3000 + b"g\nfine\n"
    made = read(Text(Options(max_line=2000)), data)
    assert [one.entries for one in made if isinstance(one, LogSequence)] == [("good", "fine")]
    reasons = {one.row: one.reason for one in made if isinstance(one, BadRecord)}
    assert {2: "it is not valid UTF-8", 3: "there is a NUL character in it"}.items() <= reasons.items()
    assert "at most 2000" in reasons[4]


def test_rows_of_a_table() -> None:
    rows = (b'a,0,"[""x""]"', b'b,5,"[""x""]"', b"c,0,[broken", b"d,0", b'e,0,"[""\xff""]"', b"f,1,one line")
    made = read(Csv(), b"\n".join((b"sequence_id,label,log_entries", *rows)))
    assert [one.id for one in made if isinstance(one, LogSequence)] == ["a", "f"]
    reasons = [(one.row, one.reason[:30]) for one in made if isinstance(one, BadRecord)]
    assert [row for row, _ in reasons] == [2, 3, 4, 5]
    assert reasons[0][1].startswith("the label is '5'")
    assert reasons[1][1].startswith("log_entries is not valid JSON")
    assert reasons[2][1].startswith("2 fields under 3 columns")


def test_training_rows() -> None:
    made: Any = read(
        Training(), '{"log_sequence": "a", "label": "奇怪"}\n{"label": "正常"}\n{"log_sequence": "b"}'.encode()
    )
    assert [type(one).__name__ for one in made] == ["BadRecord", "BadRecord", "LogSequence"]


@settings(deadline=None)  # Arrow starts its threads when it is first used
@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_a_format_raise(data: bytes) -> None:
    for plugin in (Seed(), Jsonl(), Training(), Csv(), Text(), Bgl(), Hdfs(), Parquet()):
        for prefix in (b"", b"PAR1", b"ARROW1", b"[", b'{"log_entries": [', b"sequence_id,log_entries\n"):
            for one in read(plugin, prefix + data):
                assert isinstance(one, LogSequence | BadRecord)
