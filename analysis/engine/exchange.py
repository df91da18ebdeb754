"""Items of review as other tools have them, and what people said there: Label Studio's JSON, doccano's JSON lines.

Formats: https://labelstud.io/guide/task_format, https://labelstud.io/tags/choices and /tags/paragraphs; doccano's is
told by its sources (`backend/data_import/pipeline`, `backend/data_export`): a line of JSON an example, `text` and
`label`, and what else there is comes back as it went. Both tools number examples themselves, so `item` carries ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from xml.etree import ElementTree as Xml

import msgspec

from duolog.plugins.types import BadRecord, Reason
from logs.engine.sanity import NUL, TYPE_CHARACTERS, bad
from logs.formats import rows

LABEL_STUDIO, DOCCANO = "label-studio", "doccano"
FORMS = (LABEL_STUDIO, DOCCANO)
NORMAL, ANOMALOUS = "normal", "anomalous"
CAUSE = "cause"
"""The label of lines that bear a verdict out."""
LARGEST = 2**63 - 1
encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says about an item; `lines` (0-based) bear it out; `seconds` is how long it took, if known."""

    item: int
    anomalous: bool
    type: str = ""
    lines: tuple[int, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """An item and its lines; `facts` (service, …) go along, `answers` are those given already, the last one decides."""

    item: int
    entries: Sequence[str]
    facts: Mapping[str, str] = field(default_factory=dict)
    answers: Sequence[Answer] = ()


Given = tuple[int, Answer | None] | BadRecord
"""A row's number, and what was answered there; None: nothing yet."""


def write(tasks: Iterable[Task], form: str) -> Iterator[bytes]:
    """Yield a file of one of FORMS, piece by piece, each as large as a task."""
    if form == DOCCANO:
        for task in tasks:
            yield encode(_example(task)) + b"\n"
        return
    before = b"["
    for task in tasks:
        yield before + b"\n" + encode(_task(task))
        before = b","
    yield b"[]\n" if before == b"[" else b"\n]\n"


def read(stream: BinaryIO) -> Iterator[Given]:
    """Yield what was answered in a file that either tool exported, row by row; which of them it was, rows tell.

    Of several annotations of a task the newest that was not cancelled counts. Memory is bounded by the largest row.
    """
    for row in rows.objects(stream):
        if isinstance(row, BadRecord):
            yield row
            continue
        number, raw, fields = row
        try:
            answer = _of_task(fields) if "data" in fields else _of_example(fields)
        except _Odd as odd:
            yield bad(number, odd.reason, raw)
        else:
            yield number, answer


def labelling_config(types: Iterable[str]) -> str:
    """Return the XML that a Label Studio project needs for our tasks: the class, the type, and lines to mark."""
    view = Xml.Element("View")
    chosen = Xml.SubElement(
        view, "Choices", name="class", toName="lines", choice="single-radio", showInline="true", required="true"
    )
    for name in (NORMAL, ANOMALOUS):
        Xml.SubElement(chosen, "Choice", value=name)
    kinds = Xml.SubElement(
        view, "Choices", name="type", toName="lines", choice="single-radio", showInline="true",
        visibleWhen="choice-selected", whenTagName="class", whenChoiceValue=ANOMALOUS,
    )  # fmt: skip
    for name in types:
        Xml.SubElement(kinds, "Choice", value="".join(each if _in_xml(each) else "\ufffd" for each in name))
    marks = Xml.SubElement(view, "ParagraphLabels", name="cause", toName="lines")
    Xml.SubElement(marks, "Label", value=CAUSE)
    Xml.SubElement(view, "Paragraphs", name="lines", value="$lines", layout="dialogue", nameKey="line", textKey="text")
    Xml.indent(view)
    return Xml.tostring(view, encoding="unicode") + "\n"


# --- Label Studio -----------------------------------------------------------------------------------------------


def _task(task: Task) -> dict[str, Any]:
    lines = [{"line": str(number), "text": text} for number, text in enumerate(task.entries, 1)]
    annotations = [
        {"result": _results(answer, task.entries)} | ({} if answer.seconds is None else {"lead_time": answer.seconds})
        for answer in task.answers
    ]
    return {"data": {**task.facts, "item": task.item, "lines": lines}, "annotations": annotations}


def _results(answer: Answer, entries: Sequence[str]) -> list[dict[str, Any]]:
    results = [_choice("class", ANOMALOUS if answer.anomalous else NORMAL)]
    if answer.type:
        results.append(_choice("type", answer.type))
    for line in answer.lines:
        # Offsets count as JavaScript does, in units of UTF-16.
        end = len(entries[line].encode("utf-16-le")) // 2 if line < len(entries) else 0
        value = {
            "start": str(line), "end": str(line), "startOffset": 0, "endOffset": end, "paragraphlabels": [CAUSE],
        }  # fmt: skip
        results.append(
            {"id": f"line-{line}", "from_name": "cause", "to_name": "lines", "type": "paragraphlabels", "value": value}
        )
    return results


def _choice(name: str, value: str) -> dict[str, Any]:
    return {"id": name, "from_name": name, "to_name": "lines", "type": "choices", "value": {"choices": [value]}}


def _of_task(fields: Mapping[str, Any]) -> Answer | None:
    data = fields["data"]
    if not isinstance(data, dict):
        raise _Odd(Reason("“%(name)s” is no object", name="data"))
    item, lines = _item(data.get("item")), data.get("lines")
    size = len(lines) if isinstance(lines, list) else 0
    given = [each for each in _objects(fields, "annotations") if not each.get("was_cancelled")]
    if not given:
        return None
    newest = max(reversed(given), key=lambda each: str(each.get("updated_at") or ""))  # of equal ones the last
    choices: dict[str, list[Any]] = {"class": [], "type": []}
    marked: set[int] = set()
    for each in _objects(newest, "result"):
        value, name = each.get("value"), each.get("from_name")
        if not isinstance(value, dict):
            continue
        if name in choices and isinstance(value.get("choices"), list):
            choices[name] += value["choices"]
        elif isinstance(value.get("paragraphlabels"), list):
            marked.update(_span(value, size))
    # A type that was chosen before somebody called it normal is hidden, and may still be there.
    said = choices["class"] if choices["class"] == [NORMAL] else [*choices["class"], *choices["type"]]
    if not said:
        return None
    seconds = newest.get("lead_time")
    taken = float(seconds) if type(seconds) in (int, float) and 0 <= seconds < 1e9 else None
    return _answer(item, said, tuple(sorted(marked)), taken)


def _span(value: Mapping[str, Any], size: int) -> range:
    """Return the lines of a marked region."""
    try:
        first, last = int(value["start"]), int(value["end"])
    except (KeyError, TypeError, ValueError, OverflowError):
        first, last = -1, -1
    if not 0 <= first <= last < size:
        said = f"{value.get('start')!r:.20} - {value.get('end')!r:.20}"
        raise _Odd(Reason("lines %(said)s are marked, but the item has %(lines)d", said=said, lines=size))
    return range(first, last + 1)


def _objects(fields: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = fields.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _Odd(Reason("“%(name)s” is no list of objects", name=name))
    return found


# --- doccano ----------------------------------------------------------------------------------------------------


def _example(task: Task) -> dict[str, Any]:
    last = task.answers[-1] if task.answers else None
    label = [] if last is None else [name for name in (ANOMALOUS if last.anomalous else NORMAL, last.type) if name]
    # doccano knows no lines, and takes what is not text or label for what goes along.
    return {**task.facts, "id": task.item, "text": "\n".join(task.entries), "label": label, "item": task.item}


def _of_example(fields: Mapping[str, Any]) -> Answer | None:
    label = fields.get("label", fields.get("labels"))
    if "text" not in fields or not isinstance(label, list | str):
        raise _Odd(Reason("neither a task of Label Studio (“data”) nor an example of doccano (“text” and “label”)"))
    # Some versions put what goes along into an object of its own.
    meta = fields.get("meta")
    own = fields.get("item", meta.get("item") if isinstance(meta, dict) else None)
    said = [label] if isinstance(label, str) else label
    return _answer(_item(fields.get("id") if own is None else own), said) if said else None


# --- both -------------------------------------------------------------------------------------------------------


class _Odd(Exception):
    """A row that makes no sense, and why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def _item(value: Any) -> int:
    if type(value) is str and value.isascii() and value.isdigit():
        value = int(value[:20])
    if type(value) is not int or not 0 < value <= LARGEST:
        raise _Odd(Reason("“item” is %(value)s, not the number of an item", value=f"{value!r:.100}"))
    return value


def _answer(item: int, said: list[Any], lines: tuple[int, ...] = (), seconds: float | None = None) -> Answer:
    """Return what labels say: a class, a type, or both; raise _Odd where they contradict each other."""
    if not all(isinstance(name, str) and name for name in said):
        raise _Odd(Reason("a label is no text"))
    names = list(dict.fromkeys(said))
    types = [name for name in names if name not in (NORMAL, ANOMALOUS)]
    if (NORMAL in names and len(names) > 1) or len(types) > 1:
        raise _Odd(Reason("the labels contradict each other: %(labels)s", labels=f"{', '.join(names):.200}"))
    kind = types[0] if types else ""
    if len(kind) > TYPE_CHARACTERS:
        raise _Odd(Reason("the anomaly type is longer than %(most)d characters", most=TYPE_CHARACTERS))
    if "\0" in kind:
        raise _Odd(NUL)
    anomalous = NORMAL not in names
    return Answer(item, anomalous, kind, lines if anomalous else (), seconds)


def _in_xml(character: str) -> bool:
    """Tell whether XML 1.0 knows a character."""
    code = ord(character)
    return character in "\t\n\r" or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF
