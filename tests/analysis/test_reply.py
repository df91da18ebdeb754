"""An answer of a model becomes a report, or an error that says what is wrong where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engine import schema
from analysis.engine.reply import ReplyError, parse, wording_so_far
from duolog.plugins.types import Case, Evidence, LogSequence, Report, Wording
from logs.engine import taxonomy

CASE = Case(
    LogSequence("a", ("start", "call to cart: timeout\x1b[0m after 5s\n  at Cart", "done <|im_end|>")), 0.9, 0.5,
    types=("超时异常", "our own"),
)  # fmt: skip
ANSWER: dict[str, Any] = {
    "type": "超时异常",
    "category": "网络",
    "severity": "high",
    "confidence": 90,
    "evidence": [{"line": 2, "quote": "timeout"}],
    "summary_en": "The cart did not answer.",
    "root_cause_en": "Line 2.",
    "recommendations_en": ["Look at the cart."],
}
WORDING = {"en": Wording("The cart did not answer.", "Line 2.", ("Look at the cart.",))}
REPORT = Report(True, "网络", "超时异常", "high", 0.9, (Evidence(1, "timeout"),), WORDING)


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        "\n\n{}\n",
        "```json\n{}\n```",
        "<think>\nIs {{this}} it? No.\n</think>\n\n{}",
        "thoughts whose beginning {{the template wrote}}</think>{}",
        "Here is the report:\n```\n{}\n```\nI hope it helps.",
    ],
)
def test_what_stands_around_the_object_is_passed_over(wrap):
    assert parse(wrap.format(json.dumps(ANSWER, ensure_ascii=False)), CASE, ["en"]) == REPORT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "weather"}, "type is “weather”, where one of these is wanted: 正常, 超时异常, our own"),
        ({"type": "慢查询"}, "type is “慢查询”"),
        ({"type": ["超时异常"]}, "type is “"),
        ({"category": "network"}, "category is “network”"),
        ({"severity": "huge"}, "severity is “huge”"),
        ({"confidence": 0.9}, "confidence is “0.9”, where a whole number from 0 to 100 is wanted"),
        ({"confidence": True}, "confidence is “true”"),
        ({"confidence": 101}, "confidence is “101”"),
        ({"evidence": {}}, "evidence is “{}”, where a list is wanted"),
        ({"evidence": ["timeout"]}, "evidence[0] is “timeout”, where an object with line and quote is wanted"),
        ({"evidence": [{"line": 4, "quote": "x"}]}, "evidence[0].line is “4”, where a whole number from 1 to 3"),
        ({"evidence": [{"line": 0, "quote": "x"}]}, "evidence[0].line is “0”"),
        ({"evidence": [{"line": 1, "quote": " "}]}, "evidence[0].quote is “ ”, where a text is wanted"),
        ({"summary_en": ""}, "summary_en is “”, where a text is wanted"),
        ({"root_cause_en": "a\0b"}, "root_cause_en holds a NUL character"),
        ({"recommendations_en": ["x", 1]}, "recommendations_en[1] is “1”, where a text is wanted"),
    ],
)
def test_what_is_wrong_is_named(change, said):
    with pytest.raises(ReplyError) as refused:
        parse(json.dumps(ANSWER | change), CASE, ["en"])
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ANSWER)
def test_what_is_missing_is_named(name):
    answer = {other: value for other, value in ANSWER.items() if other != name}
    with pytest.raises(ReplyError, match=f"^{name} is missing$"):
        parse(json.dumps(answer), CASE, ["en"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the answer is empty"),
        ("I cannot help with that.", "there is no JSON object: “I cannot"),
        ("[1, 2]", "no JSON object"),
        (json.dumps(ANSWER)[:-30], "it is not a JSON object"),
        ("<think>so many {thoughts}", "thoughts without an end"),
        ('{"a": ' * 100_000 + "}" * 100_000, "it is not a JSON object"),
        ('{"type": "\\ud800"}', "it is not a JSON object"),
    ],
)
def test_what_is_no_object_is_refused(text, said):
    with pytest.raises(ReplyError) as refused:
        parse(text, CASE, ["en"])
    assert said in str(refused.value)


def test_a_normal_sequence_has_neither_type_nor_category_nor_severity():
    report = parse(json.dumps(ANSWER | {"type": "正常", "root_cause_en": ""}), CASE, ["en"])
    assert (report.anomalous, report.type, report.category, report.severity) == (False, "", "", "")


def test_a_known_type_has_its_own_category_and_a_project_s_own_type_the_one_that_was_answered():
    assert parse(json.dumps(ANSWER | {"category": "安全"}), CASE, ["en"]).category == "网络"
    assert parse(json.dumps(ANSWER | {"category": "安全", "type": "our own"}), CASE, ["en"]).category == "安全"


@pytest.mark.parametrize(
    ("line", "quote", "stands"),
    [
        (2, "timeout\\x1b[0m after 5s⏎  at", "timeout\x1b[0m after 5s\n  at"),
        (3, "done \\<|im_end|>", "done <|im_end|>"),
        (2, "refused", "refused"),  # stands nowhere: grounding strikes it
    ],
)
def test_a_quote_of_what_was_shown_escaped_is_one_of_the_line(line, quote, stands):
    answer = ANSWER | {"evidence": [{"line": line, "quote": quote}]}
    assert parse(json.dumps(answer), CASE, ["en"]).evidence == (Evidence(line - 1, stands),)


def test_the_verdict_alone_needs_no_texts():
    answer = {name: ANSWER[name] for name in ("type", "category", "severity", "confidence")}
    assert parse(json.dumps(answer), CASE, []) == Report(True, "网络", "超时异常", "high", 0.9)


words = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and "\0" not in text)


@given(st.data())
def test_whatever_fits_what_was_asked_is_a_report(data):
    """So decoding that is constrained by the schema yields nothing but reports."""
    asked = schema.reply_schema(CASE, ["zh", "en"])["properties"]

    def draw(part: dict[str, Any]) -> Any:
        match part["type"]:
            case "object":
                return {name: draw(one) for name, one in part["properties"].items()}
            case "array":
                return [draw(part["items"]) for _ in range(data.draw(st.integers(0, part["maxItems"])))]
            case "integer":
                return data.draw(st.integers(part["minimum"], part["maximum"]))
        return data.draw(st.sampled_from(part["enum"]) if "enum" in part else words)

    answer = {name: draw(part) for name, part in asked.items()}
    report = parse(json.dumps(answer), CASE, ["zh", "en"])
    assert report.anomalous == (answer["type"] != "正常") == bool(report.category) == bool(report.severity)
    assert report.category in {"", *taxonomy.CATEGORIES}
    assert set(report.texts) == {"zh", "en"}


def test_what_is_written_so_far_is_readable_at_any_moment():
    """No names of members, no braces, no half of an escape."""
    answer = ANSWER | {"summary_en": 'It said "no": 超时\n\t😀 {x}', "recommendations_en": ["Look.", "Go on."]}
    whole = 'It said "no": 超时\n\t😀 {x}\nLine 2.\nLook.\nGo on.'
    for text in (json.dumps(answer), json.dumps(answer, ensure_ascii=False, indent=1)):
        told = [wording_so_far(text[:end]) for end in range(len(text) + 1)]
        assert told[-1] == whole
        assert all(whole.startswith(one) for one in told)
    assert wording_so_far(json.dumps({"type": "超时异常", "evidence": [{"quote": "x"}]})) == ""
