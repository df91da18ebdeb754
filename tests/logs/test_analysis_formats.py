"""The formats that a large model learns from: what they ask, what they answer, and what comes back."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duolog.plugins.options import OptionsError
from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence
from logs.files import open_records
from logs.formats import instruction
from logs.formats.alpaca import Alpaca
from logs.formats.chat import Chat
from logs.formats.classification import COLUMNS, Classification

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0\n")
TEXT = st.text(CHARACTERS, max_size=30)
OWN = {*COLUMNS, "language", "length", "log_entries", "type", "times", "meta", "analysis", "root_cause"}
JSON = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT | st.lists(TEXT, max_size=2)


@st.composite
def analyses(draw: st.DrawFn, label: int) -> dict[str, Any]:
    told = {"summary": draw(TEXT), "explanation": draw(TEXT), "recommendations": draw(st.lists(TEXT, max_size=2))}
    told |= {"language": draw(st.sampled_from(["zh", "en"])), "type": draw(TEXT) if label else None}
    told |= {"category": draw(st.sampled_from(["网络", "安全"])) if label else None}
    told |= {"severity": draw(st.sampled_from(["low", "critical"])) if label else None}
    return told | {"root_cause": draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)) if label else []}


@st.composite
def sequences(draw: st.DrawFn, labels: tuple[int | None, ...] = (0, 1)) -> LogSequence:
    entries = tuple(draw(st.lists(TEXT, min_size=1, max_size=6)))
    label = draw(st.sampled_from(labels))
    meta = draw(st.dictionaries(TEXT.filter(lambda key: key not in OWN), JSON, max_size=2))
    if draw(st.booleans()):
        meta["analysis"] = draw(analyses(label or 0))
    times = tuple(float(n) for n in range(len(entries))) if draw(st.booleans()) else ()
    kind = draw(st.none() | st.text(CHARACTERS, min_size=1, max_size=10))
    return LogSequence(draw(st.text(CHARACTERS, min_size=1, max_size=20)), entries, label, kind, times, meta)


def write(plugin: Format, data: list[LogSequence]) -> bytes:
    stream = io.BytesIO()
    assert plugin.write(iter(data), stream) == len(data)
    return stream.getvalue()


def read(plugin: Format, data: bytes) -> list[Any]:
    return list(plugin.read(io.BufferedReader(io.BytesIO(data))))


@given(st.lists(sequences((0, 1, None)), max_size=4))
def test_the_classification_format_loses_nothing(data: list[LogSequence]) -> None:
    assert read(Classification(), write(Classification(), data)) == data


@pytest.mark.parametrize("plugin", [Alpaca(), Chat()], ids=["alpaca", "chat"])
@settings(deadline=None)
@given(data=st.lists(sequences(), max_size=4))
def test_lines_and_labels_come_back_from_what_was_asked(plugin: Format, data: list[LogSequence]) -> None:
    made = read(plugin, write(plugin, data))
    assert [one.entries for one in made] == [one.entries for one in data]
    assert [one.label for one in made] == [one.label for one in data]


ANALYSIS = {
    "category": "网络", "type": "timeout", "severity": "high", "root_cause": [1, 2], "language": "en",
    "summary": "Timed out.", "explanation": "It began at line 2.", "recommendations": ["Look.", "Mend."],
}  # fmt: skip
ONE = LogSequence("a", ("started", "timed out", "gave up\n3: x"), 1, "超时异常", (), {"analysis": ANALYSIS})


def asked(**changes: Any) -> dict[str, instruction.Example]:
    """Return one example a task."""
    base = replace(ONE, **changes)
    examples = [instruction.example(replace(base, id=str(number))) for number in range(50)]
    return {example.instruction: example for example in examples}


def test_each_of_the_four_questions_has_its_answer() -> None:
    judge, classify, locate, whole = (asked()[text].output for text in instruction.ASKED["en"])
    assert judge == "Verdict: anomalous\nExplanation: It began at line 2."
    assert classify == "Verdict: anomalous\nCategory: network\nType: timeout\nSeverity: high"
    assert locate == "Verdict: anomalous\nRoot cause: lines 2, 3"
    assert whole == (
        "Verdict: anomalous\nCategory: network\nType: timeout\nSeverity: high\nRoot cause: lines 2, 3\n"
        "Explanation: It began at line 2.\nRecommendations:\n- Look.\n- Mend."
    )
    chinese = asked(meta={"analysis": ANALYSIS | {"language": "zh", "type": "超时异常"}})
    assert sorted(chinese) == sorted(instruction.ASKED["zh"])
    assert chinese[instruction.ASKED["zh"][1]].output == "结论：异常\n类别：网络\n类型：超时异常\n严重程度：高"
    assert chinese[instruction.ASKED["zh"][2]].output == "结论：异常\n根因：第2行、第3行"


def test_the_first_question_is_the_seed_s() -> None:
    example = instruction.example(LogSequence("x", ("启动", "完成"), 0))
    assert example[1:] == ("分析以下日志序列，判断是否存在异常：", "1: 启动\n2: 完成", "结论：正常")


def test_rows_are_those_that_trainers_expect() -> None:
    (row,) = json.loads(write(Alpaca(), [ONE]))
    assert row.keys() == {"instruction", "input", "output"}
    assert row["input"] == "1: started\n2: timed out\n3: gave up\n3: x"
    row = json.loads(write(Chat(), [ONE]))
    assert [one["role"] for one in row["messages"]] == ["system", "user", "assistant"]
    (row,) = json.loads(write(Classification(), [ONE]))
    assert list(row)[: len(COLUMNS)] == list(COLUMNS)
    assert (row["label"], row["root_cause_lines"]) == ("异常", [2, 3])


def test_an_entry_with_a_line_break_stays_one() -> None:
    for plugin in (Alpaca(), Chat()):
        assert read(plugin, write(plugin, [ONE]))[0].entries == ONE.entries


def test_an_explanation_of_another_verdict_is_not_taught() -> None:
    """A reviewer has said "normal" since: the old analysis would contradict the label."""
    assert {example.output for example in asked(label=0).values()} == {"Verdict: normal"}


def test_without_a_label_there_is_nothing_to_teach() -> None:
    for plugin in (Alpaca(), Chat()):
        with pytest.raises(OptionsError, match="sequence a has no label"):
            write(plugin, [replace(ONE, label=None)])


def test_rows_of_others_are_read_too() -> None:
    rows = [
        {"instruction": "Is this normal?", "input": "GET /\nGET /x", "output": "Normal."},
        {"instruction": "看看", "input": "启动", "output": "该序列没有给出结论"},
        {"instruction": "看看", "input": "启动", "output": "异常检测结果：正常", "source": "x"},
        {"instruction": "only a question", "input": "", "output": "Anomalous"},
        {"instruction": "no input"},
    ]
    first, second, third, *refused = read(Alpaca(), json.dumps(rows).encode())
    assert (first.entries, first.label, first.meta["instruction"]) == (("GET /", "GET /x"), 0, "Is this normal?")
    assert (second.label, third.label, third.meta["source"]) == (None, None, "x")
    assert all(isinstance(one, BadRecord) for one in refused) and len(refused) == 2
    chat = {"messages": [{"role": "user", "content": "判断：\na\nb"}, {"role": "assistant", "content": "异常，超时"}]}
    (one,) = read(Chat(), json.dumps(chat).encode())
    assert (one.entries, one.label) == (("a", "b"), 1)
    (bad,) = read(Chat(), b'{"messages": [{"role": "user", "content": 3}]}')
    assert "messages" in bad.reason


@pytest.mark.parametrize(
    ("plugin", "name"), [(Classification(), "classification"), (Alpaca(), "alpaca"), (Chat(), "chat")]
)
def test_the_format_is_found_by_itself(plugin: Format, name: str, tmp_path: Path) -> None:
    file = tmp_path / f"data{plugin.extensions[0]}"
    file.write_bytes(write(plugin, [ONE, replace(ONE, id="b")]))
    opened = open_records(file)
    found: list[Any] = list(opened.records)
    assert (opened.format, [one.label for one in found]) == (name, [1, 1])
    assert not [one for one in found if re.search(r"[/\\]", one.id)]
