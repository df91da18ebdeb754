"""Reports as JSON: the public schema admits what we write, and what it does not admit is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from analysis.engine import schema
from duolog.plugins.types import Case, Evidence, LogSequence, Report, Wording
from logs.engine import taxonomy

texts = st.text(max_size=30)
wordings = st.builds(Wording, texts, texts, st.lists(texts, max_size=3).map(tuple))
evidence = st.lists(st.builds(Evidence, st.integers(0, 10_000), texts), max_size=4).map(tuple)
shares = st.floats(0, 1)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Reports of every kind that the guard lets pass."""
    anomalous = draw(st.booleans())
    named = [st.sampled_from(list(taxonomy.CATEGORIES)), st.text(min_size=1), st.sampled_from(taxonomy.SEVERITIES)]
    category, kind, severity = (draw(one) if anomalous else "" for one in named)
    told = draw(st.dictionaries(st.sampled_from(["zh", "en"]), wordings))
    return Report(anomalous, category, kind, severity, draw(shares), draw(evidence), told)


@given(reports(), shares)
def test_every_report_goes_there_and_back(report, grounded):
    document = json.loads(json.dumps(schema.as_json(report, grounded=grounded)))
    Draft202012Validator(schema.REPORT).validate(document)
    assert document["grounded"] == grounded
    assert schema.from_json(document) == report


GOOD = schema.as_json(
    Report(True, "网络", "超时异常", "high", 0.9, (Evidence(0, "timeout"),), {"en": Wording("s", "r", ("a",))})
)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"version": 2}, "$.version"),
        ({"category": "weather"}, "$.category"),
        ({"category": None}, "$.category"),
        ({"type": ""}, "$.type"),
        ({"severity": "huge"}, "$.severity"),
        ({"anomalous": False}, "$.category"),
        ({"confidence": 1.5}, "$.confidence"),
        ({"grounded": -0.1}, "$.grounded"),
        ({"evidence": [{"line": 0, "quote": "x"}]}, "$.evidence[0].line"),
        ({"evidence": [{"line": 1}]}, "$.evidence[0]"),
        ({"texts": {"zh": {"summary": "x", "root_cause": "y"}}}, "$.texts.zh"),
        ({"texts": {"en": {"summary": 1, "root_cause": "y", "recommendations": []}}}, "$.texts.en.summary"),
    ],
)
def test_what_the_schema_does_not_admit_is_refused_by_name(change, named):
    document = GOOD | change
    assert not Draft202012Validator(schema.REPORT).is_valid(document)
    with pytest.raises(ValueError) as refused:
        schema.from_json(document)
    assert named in str(refused.value)


def test_a_later_version_may_add_members():
    document = GOOD | {"mood": "fine"}
    Draft202012Validator(schema.REPORT).validate(document)
    assert schema.from_json(document) == schema.from_json(GOOD)


def test_a_model_is_asked_for_what_the_case_allows():
    case = Case(LogSequence("a", ("one", "two")), 0.9, 0.5, types=("超时异常", "our own"))
    asked = schema.reply_schema(case, ["zh", "en"])
    Draft202012Validator.check_schema(asked)
    assert asked["properties"]["type"]["enum"] == ["正常", "超时异常", "our own"]
    line = asked["properties"]["evidence"]["items"]["properties"]["line"]
    assert (line["minimum"], line["maximum"]) == (1, 2)
    assert {"summary_zh", "root_cause_en", "recommendations_zh"} <= set(asked["required"])


def test_without_languages_a_model_is_asked_for_the_verdict_alone():
    asked = schema.reply_schema(Case(LogSequence("a", ("one",)), 0.9, 0.5), [])
    assert asked["required"] == ["type", "category", "severity", "confidence"]
    assert asked["properties"]["type"]["enum"] == ["正常", *taxonomy.types()]


def test_strict_servers_take_what_a_model_is_asked():
    """Strict servers want every member required, no others allowed, and neither references nor alternatives."""
    text = json.dumps(schema.reply_schema(Case(LogSequence("a", ("one",)), 0.9, 0.5), ["zh", "en"]))
    for word in ("$ref", "anyOf", "oneOf", "allOf", '"if"', "null", "pattern"):
        assert word not in text

    def check(part):
        if isinstance(part, dict):
            if part.get("type") == "object":
                assert part["additionalProperties"] is False
                assert part["required"] == list(part["properties"])
            for one in part.values():
                check(one)

    check(json.loads(text))
