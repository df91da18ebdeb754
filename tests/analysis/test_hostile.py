"""What stands in a line harms nobody: not the report of another case, not the form of its own, nor who checks it."""

from __future__ import annotations

import dataclasses
import json
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from chat_server import Handler, says, serving
from hostile import CASES
from jsonschema import Draft202012Validator

from analysis.engine import grounding, schema
from duolog.plugins import guard, registry
from duolog.plugins.points import Analyst
from duolog.plugins.types import Case, LogSequence, NullContext, Report, Usage
from logs.engine import taxonomy

TYPES = ("超时异常", "连接失败")
HARMLESS = Case(LogSequence("harmless", ("start", "ERROR call to cart: timeout", "stop")), 0.9, 0.5, types=TYPES)
VALIDATOR = Draft202012Validator(schema.REPORT)
SECONDS = 2.0
"""Of CPU that grounding may take."""


def answers(handler: Handler, body: dict[str, Any]) -> None:
    """Answer as a model that is moved by each word of its prompt: what it read decides what it says."""
    mark = zlib.crc32(json.dumps(body["messages"]).encode())
    told = {"type": TYPES[mark % 2], "category": "网络", "severity": "high", "confidence": mark % 101}
    told |= {"evidence": [{"line": 1, "quote": "ERROR"}]}
    for language in schema.LANGUAGES:
        told |= {f"summary_{language}": f"{mark}.", f"root_cause_{language}": "“x”", f"recommendations_{language}": []}
    says(json.dumps(told))(handler, body)


@pytest.fixture(scope="module", params=["echo", "rules", "http"])
def analyst(request: pytest.FixtureRequest) -> Iterator[Analyst]:
    """Each analyst that can be had without a large model; join yours."""
    if request.param == "http":
        with serving(answers) as chat:
            yield registry.create("duolog.analysts", "http", {"base_url": chat.url, "model": "tiny"})
    else:
        yield registry.create("duolog.analysts", request.param, {})


def explain(analyst: Analyst, *cases: Case) -> list[Any]:
    found = guard.call(analyst, "explain", cases, schema.LANGUAGES, NullContext(), lambda *_: None)
    return [dataclasses.replace(one, usage=Usage()) for one in found]


@pytest.fixture(scope="module")
def alone(analyst: Analyst) -> Any:
    """The report of the harmless case, when no other is there."""
    return explain(analyst, HARMLESS)[0]


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_line_is_a_line(analyst: Analyst, alone: Report, name: str) -> None:
    case = Case(LogSequence(name, CASES[name]), 0.9, 0.5, types=TYPES)
    report, other = explain(analyst, case, HARMLESS)
    assert other == alone
    assert isinstance(report, Report), report
    assert report.type in ("", *TYPES)
    assert report.category in ("", *taxonomy.CATEGORIES)
    began = time.process_time()
    found = grounding.check(report, case.sequence)
    assert time.process_time() - began < SECONDS
    VALIDATOR.validate(schema.as_json(found.report, grounded=found.share))


@pytest.mark.parametrize("name", CASES)
def test_what_repeats_a_hostile_line_is_checked_like_anything_else(name: str) -> None:
    lines = CASES[name]
    said = [schema.Wording(line, f"第1行：{line}", (line,)) for line in lines[:3]]
    began = time.process_time()
    for text in said:
        report = Report(False, "", "", "", 0.5, (), {"zh": text, "en": text})
        found = grounding.check(report, LogSequence(name, lines))
        VALIDATOR.validate(schema.as_json(found.report, grounded=found.share))
    assert time.process_time() - began < SECONDS * len(said)


def test_there_are_a_hundred_of_them_or_more() -> None:
    assert len(CASES) >= 100
