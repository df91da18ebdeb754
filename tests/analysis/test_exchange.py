"""Items go to Label Studio and doccano and come back as they went, whatever their lines hold."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engine import exchange
from analysis.engine.exchange import Answer, Task
from duolog.plugins.types import BadRecord

LINES = ("INFO starts", "ERROR 磁盘 <script>alert(1)</script> 😀", "", "trace\n\tat \u2028 a\r\nb \x01")
# Postgres stores neither NUL nor half a surrogate pair.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)
types = text.filter(lambda name: name not in (exchange.NORMAL, exchange.ANOMALOUS))


@st.composite
def tasks(draw: Any) -> Task:
    item, entries = draw(st.integers(1, exchange.LARGEST)), draw(st.lists(text, min_size=1, max_size=8))
    anomalous = draw(st.booleans())
    lines = draw(st.sets(st.integers(0, len(entries) - 1))) if anomalous else set()
    answer = Answer(item, anomalous, draw(types) if anomalous else "", tuple(sorted(lines)), draw(st.none() | seconds))
    facts = {"service": draw(text)}
    return Task(item, entries, facts, draw(st.sampled_from([(), (answer,), (Answer(item, not anomalous), answer)])))


seconds = st.floats(0, 1e6)


def back(written: bytes) -> list[Any]:
    return list(exchange.read(io.BytesIO(written)))


def written(found: list[Task], form: str) -> bytes:
    return b"".join(exchange.write(found, form))


@given(st.lists(tasks(), max_size=6))
def test_label_studio_gives_back_what_it_was_given(found: list[Task]) -> None:
    rows = back(written(found, exchange.LABEL_STUDIO))
    assert rows == [(n, task.answers[-1] if task.answers else None) for n, task in enumerate(found, 1)]


@given(st.lists(tasks(), max_size=6))
def test_doccano_gives_back_class_and_type(found: list[Task]) -> None:
    rows = back(written(found, exchange.DOCCANO))
    last = [task.answers[-1] if task.answers else None for task in found]
    told = [answer and Answer(answer.item, answer.anomalous, answer.type) for answer in last]
    assert rows == list(enumerate(told, 1))


@pytest.mark.parametrize("form", exchange.FORMS)
def test_lines_reach_the_tool_as_they_are(form: str) -> None:
    loud = (*LINES, "x" * (1 << 20) + "😀")
    raw = written([Task(7, loud, {"service": "shop"}, [Answer(7, True, "磁盘", (1, 4))])], form)
    if form == exchange.DOCCANO:
        example = json.loads(raw)
        assert raw.count(b"\n") == 1
        assert example == {
            "id": 7, "item": 7, "text": "\n".join(loud), "label": ["anomalous", "磁盘"], "service": "shop",
        }  # fmt: skip
        return
    (task,) = json.loads(raw)
    assert [line["text"] for line in task["data"]["lines"]] == list(loud)
    assert [line["line"] for line in task["data"]["lines"]] == ["1", "2", "3", "4", "5"]
    (annotation,) = task["annotations"]
    by = {each["id"]: each for each in annotation["result"]}
    assert by["class"]["value"] == {"choices": ["anomalous"]}
    assert by["type"]["value"] == {"choices": ["磁盘"]}
    assert by["line-4"]["value"]["endOffset"] == (1 << 20) + 2, "an emoji is two units of JavaScript's text"
    assert {each["to_name"] for each in annotation["result"]} == {"lines"}


def test_nothing_is_an_empty_file() -> None:
    assert json.loads(written([], exchange.LABEL_STUDIO)) == []
    assert written([], exchange.DOCCANO) == b""
    assert back(b"[]\n") == back(b"") == []


def task(annotations: Any, **data: Any) -> bytes:
    return json.dumps(
        [{"id": 99, "data": {"item": 7, "lines": [{"text": "a"}] * 3} | data, "annotations": annotations}]
    ).encode()


def said(*choices: str, name: str = "class") -> dict[str, Any]:
    return {"from_name": name, "to_name": "lines", "type": "choices", "value": {"choices": list(choices)}}


def marked(start: Any, end: Any) -> dict[str, Any]:
    return {"from_name": "cause", "value": {"start": start, "end": end, "paragraphlabels": ["cause"]}}


def test_what_label_studio_exports_is_understood() -> None:
    """Numbers for texts, regions over several lines, skipped tasks, and several annotations."""
    odd = said("anomalous"), said("disk", name="type"), marked(0, "1"), marked("1", 1), {"type": "relation"}
    assert back(task([{"result": odd}])) == [(1, Answer(7, True, "disk", (0, 1)))]
    old = {"result": [said("normal")], "updated_at": "2026-01-01T00:00:00Z"}
    new = {"result": [said("anomalous")], "updated_at": "2026-01-02T00:00:00Z", "lead_time": 4.5}
    gone = {"result": [said("normal")], "updated_at": "2026-01-03T00:00:00Z", "was_cancelled": True}
    assert back(task([new, gone, old])) == [(1, Answer(7, True, seconds=4.5))]
    assert back(task([{"result": [said("normal")]}, {"result": [said("anomalous")]}])) == [(1, Answer(7, True))]
    stale = said("normal"), said("disk", name="type"), marked(0, 0)
    assert back(task([{"result": stale}])) == [(1, Answer(7, False))]
    assert back(task([gone])) == back(task([])) == back(task([{"result": []}])) == [(1, None)]
    assert back(task([{"result": [said("disk", name="type")]}], item="7")) == [(1, Answer(7, True, "disk"))]


def test_what_doccano_exports_is_understood() -> None:
    rows = [
        ({"id": 1, "item": 7, "text": "a", "label": ["disk", "anomalous"]}, Answer(7, True, "disk")),
        ({"id": 1, "item": 7, "text": "a", "label": ["disk"]}, Answer(7, True, "disk")),
        ({"id": 1, "meta": {"item": 7}, "text": "a", "labels": "normal"}, Answer(7, False)),
        ({"id": 7, "text": "a", "label": ["anomalous", "anomalous"]}, Answer(7, True)),
        ({"id": 7, "text": "a", "label": []}, None),
    ]
    found = back("\n".join(json.dumps(row) for row, _ in rows).encode())
    assert found == list(enumerate([answer for _, answer in rows], 1))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"[1, 2]", "not a JSON object"),
        (b'{"text": "a"}', "neither a task"),
        (b'{"id": 1, "text": "a", "label": [3]}', "a label is no text"),
        (b'{"id": 1, "text": "a", "label": [{}]}', "a label is no text"),
        (b'{"id": 1, "text": "a", "label": ["normal", "disk"]}', "normal, disk"),
        (b'{"id": 1, "text": "a", "label": ["one", "two"]}', "one, two"),
        (b'{"id": -1, "text": "a", "label": ["normal"]}', "not the number of an item"),
        (b'{"id": 1.5, "text": "a", "label": ["normal"]}', "not the number of an item"),
        (b'{"id": true, "text": "a", "label": ["normal"]}', "not the number of an item"),
        (b'{"id": 99999999999999999999, "text": "a", "label": ["normal"]}', "not the number of an item"),
        (b'{"text": "a", "label": ["normal"]}', "not the number of an item"),
        (b'{"id": 1, "text": "a", "label": ["' + b"x" * 81 + b'"]}', "longer than 80"),
        (b'{"id": 1, "text": "a", "label": ["a\\u0000b"]}', "NUL"),
        (b'{"data": 3}', "no object"),
        (b'{"data": {"item": 7}, "annotations": 3}', "no list of objects"),
        (b'{"data": {"item": 7}, "annotations": [{"result": [3]}]}', "no list of objects"),
        (task([{"result": [said("anomalous"), marked(1, 3)]}]), "but the item has 3"),
        (task([{"result": [said("anomalous"), marked(2, 1)]}]), "but the item has 3"),
        (task([{"result": [said("anomalous"), marked("/p[1]", None)]}]), "but the item has 3"),
        (b'[{"data"', "the file ends"),
    ],
)  # fmt: skip
def test_a_row_that_makes_no_sense_says_why_and_costs_no_other(raw: bytes, why: str) -> None:
    found = back(raw)
    assert isinstance(found[0], BadRecord) and why in found[0].reason
    good = b'{"id": 7, "text": "a", "label": ["normal"]}'
    if b"\n" not in raw and not raw.startswith(b"["):
        assert back(raw + b"\n" + good)[1] == (2, Answer(7, False))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | text,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "data",
                        "item",
                        "annotations",
                        "result",
                        "value",
                        "choices",
                        "paragraphlabels",
                        "start",
                        "end",
                        "from_name",
                        "text",
                        "label",
                        "id",
                        "meta",
                        "lines",
                        "updated_at",
                        "lead_time",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=30,
    )
)
def test_no_json_breaks_it(value: Any) -> None:
    for row in back(json.dumps([value] if isinstance(value, dict) else value).encode()):
        assert isinstance(row, BadRecord | tuple)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(raw: bytes) -> None:
    back(raw)


def test_a_large_file_is_not_kept_in_memory(tmp_path: Any) -> None:
    many = (Task(n, ["x" * 10_000] * 10, {}, [Answer(n, True, "disk", (3,))]) for n in range(1, 301))
    with (tmp_path / "tasks.json").open("wb") as stream:
        stream.writelines(exchange.write(many, exchange.LABEL_STUDIO))
    size = (tmp_path / "tasks.json").stat().st_size
    tracemalloc.start()
    with (tmp_path / "tasks.json").open("rb") as stream:
        count = sum(1 for _ in exchange.read(stream))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300 and most < size / 3


@given(st.lists(text, max_size=5))
def test_the_labelling_config_is_xml_that_offers_the_types(names: list[str]) -> None:
    view = Xml.fromstring(exchange.labelling_config(names))
    offered = [each.get("value") or "" for each in view.findall("Choices[@name='type']/Choice")]
    assert len(offered) == len(names)
    for name, value in zip(names, offered, strict=True):
        assert value == name or any(not exchange._in_xml(each) for each in name)


def test_the_labelling_config_fits_the_tasks() -> None:
    view = Xml.fromstring(exchange.labelling_config(['磁盘 "写满" <b>&\x01']))
    (task,) = json.loads(written([Task(1, LINES, {}, [Answer(1, True, "磁盘", (0,))])], exchange.LABEL_STUDIO))
    controls = {each.get("name"): each.get("toName") for each in view if each.get("toName")}
    for each in task["annotations"][0]["result"]:
        assert controls[each["from_name"]] == each["to_name"]
    shown = view.find("Paragraphs")
    assert shown is not None and (shown.get("value") or "")[1:] in task["data"]
    assert {shown.get("nameKey"), shown.get("textKey")} == task["data"]["lines"][0].keys()
    assert [each.get("value") for each in view.findall("Choices[@name='class']/Choice")] == ["normal", "anomalous"]
    assert [each.get("value") for each in view.findall("Choices[@name='type']/Choice")] == ['磁盘 "写满" <b>&\ufffd']
