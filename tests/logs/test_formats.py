"""What was written can be read again, whatever it was."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duolog.plugins.points import Format
from duolog.plugins.types import LogSequence, Record
from logs.formats import rows
from logs.formats.columnar import Parquet
from logs.formats.jsonl import Jsonl
from logs.formats.rows import RowOptions
from logs.formats.seed import Seed
from logs.formats.table import Csv
from logs.formats.text import Options, Text
from logs.formats.training import Training

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.text(CHARACTERS, max_size=30)
LINE = TEXT.filter(lambda text: text.strip(" \t\v\f") != "" and not {"\r", "\n"} & set(text))
KEYS = st.text(CHARACTERS, min_size=1, max_size=8).filter(
    lambda key: (
        key
        not in {
            "sequence_id",
            "label",
            "length",
            "log_entries",
            "log_sequence",
            "type",
            "anomaly_type",
            "times",
            "meta",
        }
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def sequences(draw: st.DrawFn, line: st.SearchStrategy[str] = TEXT) -> LogSequence:
    entries = tuple(draw(st.lists(line, min_size=1, max_size=6)))
    times: tuple[float, ...] = ()
    if draw(st.booleans()):
        times = tuple(draw(st.floats(0, 4e9)) for _ in entries)
    return LogSequence(
        draw(st.text(CHARACTERS, min_size=1, max_size=20)),
        entries,
        draw(st.sampled_from([0, 1, None])),
        draw(st.none() | st.text(CHARACTERS, min_size=1, max_size=10)),
        times,
        draw(st.dictionaries(KEYS, JSON, max_size=3)),
    )


def write(plugin: Format, data: list[LogSequence]) -> bytes:
    stream = io.BytesIO()
    assert plugin.write(iter(data), stream) == len(data)
    return stream.getvalue()


def read(plugin: Format, data: bytes) -> list[Record]:
    return list(plugin.read(io.BufferedReader(io.BytesIO(data))))


@pytest.mark.parametrize("plugin", [Seed(), Jsonl(), Csv(), Parquet()], ids=["seed", "jsonl", "csv", "parquet"])
@settings(deadline=None)  # Arrow starts its threads when it is first used
@given(data=st.lists(sequences(), max_size=5))
def test_a_round_trip_loses_nothing(plugin: Format, data: list[LogSequence]) -> None:
    assert read(plugin, write(plugin, data)) == data


@pytest.mark.parametrize("join", [True, False])
@given(st.lists(sequences(LINE), max_size=5))
def test_text_keeps_every_line_in_order(join: bool, data: list[LogSequence]) -> None:
    """The sequences are gone by design, and a trace is one entry; but no line is lost, doubled or moved."""
    made = read(Text(Options(window=3, join=join)), write(Text(), data))
    lines = [
        line for one in made if isinstance(one, LogSequence) for entry in one.entries for line in entry.split("\n")
    ]
    assert lines == [line for one in data for line in one.entries]
    assert write(Text(), [one for one in made if isinstance(one, LogSequence)]) == write(Text(), data)


@given(st.lists(sequences(TEXT.map(lambda text: text.replace("\n", " "))), max_size=5))
def test_the_training_format_keeps_all_but_line_breaks_inside_a_line(data: list[LogSequence]) -> None:
    assert read(Training(), write(Training(), data)) == data


def test_the_training_format_reads_and_writes_the_words_of_the_seed() -> None:
    (one,) = read(Training(), '[{"log_sequence": "一\\n二", "label": "异常"}]'.encode())
    assert one == LogSequence("row_0000001", ("一", "二"), 1)
    assert '"log_sequence":"一\\n二"' in (text := write(Training(), [one]).decode())
    assert '"label":"异常"' in text


def test_the_seed_format_is_written_as_the_seed_has_it() -> None:
    import json

    data = [
        LogSequence("seq_001", ("启动", "完成"), 0, meta={"services": ["a"]}),
        LogSequence("seq_002", ("超时",), 1, "超时异常"),
    ]
    assert json.loads(write(Seed(), data)) == [
        {"services": ["a"], "sequence_id": "seq_001", "label": 0, "length": 2, "log_entries": ["启动", "完成"]},
        {"sequence_id": "seq_002", "label": 1, "anomaly_type": "超时异常", "length": 1, "log_entries": ["超时"]},
    ]
    assert write(Seed(), []) == b"[]\n"
    assert read(Seed(), b" []\n") == []


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
@given(data=st.lists(sequences(), max_size=4))
def test_an_array_is_cut_the_same_wherever_the_chunks_end(chunk: int, data: list[LogSequence]) -> None:
    whole = write(Seed(), data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "CHUNK", chunk)
        assert read(Seed(), whole) == data


def test_text_becomes_windows_and_its_lines_come_back() -> None:
    data = "一\r\n二\n\n三\n四".encode()
    made: Any = read(Text(Options(window=3)), data)
    assert [one.entries for one in made] == [("一", "二", "三"), ("四",)]
    assert write(Text(), made).decode() == "一\n二\n三\n四\n"
    sessions: Any = read(Text(Options(session=r"job (\d+)")), b"job 1 a\njob 2 b\njob 1 c\n")
    assert [(one.id, one.entries) for one in sessions] == [("1", ("job 1 a", "job 1 c")), ("2", ("job 2 b",))]


def test_a_csv_row_may_hold_its_lines_as_one_text() -> None:
    table = '\ufeffsequence_id,log_sequence,label,host\na,"x\ny",正常,db-1\nb,z,1,\n'.encode().removeprefix(
        b"\xef\xbb\xbf"
    )
    assert read(Csv(), table) == [LogSequence("a", ("x", "y"), 0, meta={"host": "db-1"}), LogSequence("b", ("z",), 1)]


def test_one_long_sequence_is_no_problem() -> None:
    lines = tuple(f"line {number} " + "x" * 200 for number in range(20_000))
    one = LogSequence("long", lines, 1)
    for plugin in (Seed(), Jsonl(), Csv(), Parquet(), Training()):
        assert read(plugin, write(plugin, [one, replace(one, id="b")])) == [one, replace(one, id="b")]


def test_a_line_may_be_as_long_as_the_option_says() -> None:
    one = LogSequence("a", ("数" * 10,), 0)
    assert read(Jsonl(RowOptions(max_line=30)), write(Jsonl(), [one])) == [one]
    (refused,) = read(Jsonl(RowOptions(max_line=29)), write(Jsonl(), [one]))
    assert "log line 1 has 30 bytes; at most 29" in refused.reason  # type: ignore[union-attr]
