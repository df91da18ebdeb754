"""Tables of any make: columns are found by name or named by options, and rows are sequences or lines."""

from __future__ import annotations

import io
from typing import Any

import pytest

from duolog.plugins.options import OptionsError, build
from duolog.plugins.types import BadRecord, LogSequence
from logs.formats.table import Csv, CsvOptions

SEQUENCES = 'case;broken;what;body\n7;yes;disk;"a\nb"\n8;no;;c\n9;;;d\n'
LINES = """when,trace,level,text,bad
2026-11-23 19:00:00,t1,INFO,start,
2026-11-23 19:00:01,t2,INFO,start,
2026-11-23 19:00:02,t1,ERROR,timeout,timeout
2026-11-23 19:00:03,,INFO,nobody's,
2026-11-23 19:00:04,t2,INFO,done,
"""


def read(text: str, **options: Any) -> tuple[list[LogSequence], list[BadRecord], Any]:
    plugin = Csv(build(CsvOptions, options))
    records = list(plugin.read(io.BufferedReader(io.BytesIO(text.encode()))))
    good = [one for one in records if isinstance(one, LogSequence)]
    return good, [one for one in records if isinstance(one, BadRecord)], plugin


def test_a_row_is_a_sequence_with_named_columns() -> None:
    options = {"id": "case", "label": "broken", "type": "what", "lines": "body", "anomalous": "yes,maybe"}
    made, refused, plugin = read(SEQUENCES, **options)
    assert not refused
    assert made == [
        LogSequence("7", ("a", "b"), 1, "disk"),
        LogSequence("8", ("c",), 0),
        LogSequence("9", ("d",), None),
    ]
    assert plugin.understood == {"delimiter": ";", "id": "case", "label": "broken", "type": "what", "lines": "body"}


def test_a_row_is_a_line_of_a_session() -> None:
    made, (stray,), plugin = read(
        LINES, session="trace", line="level,text", time="when", label="bad", anomalous="timeout"
    )
    assert [(one.id, one.entries, one.label) for one in made] == [
        ("t1", ("INFO start", "ERROR timeout"), 1),
        ("t2", ("INFO start", "INFO done"), None),
    ]
    assert made[0].times[1] - made[0].times[0] == 2
    assert (stray.row, stray.reason) == (4, "1 rows belong to no session; this is the first")
    assert plugin.understood["line"] == "level,text"


def test_lines_without_a_session_become_windows() -> None:
    made, refused, _ = read(LINES, window=2)
    assert [one.entries for one in made] == [("start", "start"), ("timeout", "nobody's"), ("done",)]
    assert not refused


def test_the_session_is_what_a_pattern_finds_in_its_column() -> None:
    made, _, _ = read("msg\njob-1 up\njob-2 up\njob-1 waits for job-2\n", session="msg", pattern=r"job-\d")
    assert [(one.id, len(one.entries)) for one in made] == [("job-1", 2), ("job-2", 2)]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_found_out(delimiter: str) -> None:
    text = "\n".join(
        delimiter.join(row) for row in (["sequence_id", "label", "log_sequence"], ["a", "异常", "x, y; z"])
    )
    text = text.replace("x, y; z", '"x, y; z"')
    assert read(text)[0] == [LogSequence("a", ("x, y; z",), 1)]


def test_the_usual_names_are_found_in_any_case() -> None:
    made, _, plugin = read("Timestamp,Message,Trace_ID\n1700000000000,up,t\n1700000001000,down,t\n")
    assert [(one.id, one.entries, one.times) for one in made] == [("t", ("up", "down"), (1700000000.0, 1700000001.0))]
    assert plugin.understood == {"delimiter": ",", "line": "Message", "session": "Trace_ID", "time": "Timestamp"}


def test_normal_labels_make_the_others_kinds_of_anomalies() -> None:
    made, _, _ = read("Label,Content\n-,a\nKERNDTLB,b\n", normal="-", window=1)
    assert [(one.label, one.type) for one in made] == [(0, None), (1, "KERNDTLB")]


def test_a_label_that_nobody_explained_is_refused_with_a_hint() -> None:
    _, (refused,), _ = read("id,label,log_sequence\na,kaputt,x\n")
    assert "'kaputt'" in refused.reason
    assert "anomalous= tells which labels mean it" in refused.reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lines": "nope"}, "there is no column 'nope' for lines; the columns are case, broken, what, body"),
        ({"line": "body,nope"}, "there is no column 'nope' for line"),
        ({"lines": "body", "label": "Broken"}, "there is no column 'Broken' for label"),
        ({"lines": "body", "line": "body"}, "not both"),
        ({"pattern": "("}, "pattern is not a regular expression"),
        ({"delimiter": "::"}, "one character"),
    ],
)
def test_a_wrong_mapping_is_the_users_mistake_and_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        read(SEQUENCES, **options)


def test_a_table_without_log_lines_says_which_columns_it_has() -> None:
    _, (refused,), _ = read("a,b\n1,2\n")
    assert refused.reason.endswith("The columns are a, b")


def test_a_row_beyond_all_measure_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logs.formats.table.ROW_BYTES", 1000)
    made, (refused,), _ = read("sequence_id,log_sequence\na,x\nb," + "y" * 5000 + "\nc,z\n")
    assert [one.id for one in made] == ["a", "c"]
    assert "more than 1000 bytes" in refused.reason
