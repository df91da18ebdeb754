"""Grounding: what is made up is struck, and what is so is left alone."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engine.grounding import Grounded, check
from duolog.plugins.types import Evidence, Language, LogSequence, Report, Wording
from training.generators.incidents import Incidents, Options

LINES = (
    "2026-02-18 16:50:34 INFO order-service load order 3935339941",
    "2026-02-18 16:50:35 ERROR stock-service ECONNREFUSED 10.35.231.7:3306",
    "2026-02-18 16:50:37 WARN order-service retry stock-service attempt=1",
    "2026-02-18 16:50:40 ERROR gateway /api/order/ship failed status=504",
)
SEQUENCE = LogSequence("one", LINES, 1, times=(0.0, 1.0, 3.0, 6.0))
TRUE = {
    "zh": [
        "第2行stock-service记录“ECONNREFUSED 10.35.231.7:3306”。",
        "订单3935339941在第3、4行失败。",
        "请求/api/order/ship返回504，共4行日志。",
        "第1-2行之间相隔1秒，重试1次，随后等待了2000毫秒。",
    ],
    "en": [
        "At line 2, stock-service logged “ECONNREFUSED 10.35.231.7:3306”.",
        "It was retried at lines 3 and 4, attempt 1.",
        "The request /api/order/ship failed with 504 after a wait of 3000 ms.",
        "Lines 2 and 3 say it. See lines 1, 2 and 4: e.g. a well-known fail-over.",
    ],
}
MADE_UP = {
    "zh": [
        "payment-service在第2行出错。", "订单77665544丢失。", "数据库记录“deadlock found”。", "见第5行。",
        "主机10.35.231.8无响应。", "请求/api/order/pay失败。", "共重试17次。", "耗时98765毫秒。",
    ],
    "en": [
        "The payment-service failed at line 2.", "Order 77665544 was lost.", "It logged “deadlock found”.",
        "See line 5.", "The host 10.35.231.8 is down.", "The request /api/order/pay failed.", "It took 98765 ms.",
        'It says "all good now".', "The flag maxPoolSize is too low.",
    ],
}  # fmt: skip


def told(language: Language, *sentences: str, evidence: tuple[Evidence, ...] = ()) -> Grounded:
    join = "" if language == "zh" else " "
    text = Wording("", join.join(sentences), ())
    return check(Report(True, "网络", "连接失败", "high", 0.9, evidence, {language: text}), SEQUENCE)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_so_is_left_alone(language: Language) -> None:
    found = told(language, *TRUE[language])
    assert [claim for claim in found.claims if not claim.found] == []
    assert found.share == 1.0
    assert found.report.texts[language].root_cause == ("" if language == "zh" else " ").join(TRUE[language])


@pytest.mark.parametrize("language,sentence", [(tongue, one) for tongue, many in MADE_UP.items() for one in many])
def test_the_sentence_that_makes_something_up_is_struck_and_no_other(language: Language, sentence: str) -> None:
    first, last = TRUE[language][0], TRUE[language][1]
    found = told(language, first, sentence, last)
    assert found.share < 1.0
    assert found.report.texts[language].root_cause == ("" if language == "zh" else " ").join([first, last])


@given(st.integers(10**5, 10**9), st.sampled_from(["zh", "en"]))
def test_a_number_that_no_line_holds_is_struck(number: int, language: Any) -> None:
    sentence = f"端口{number}被占用。" if language == "zh" else f"The port {number} was taken."
    assert any(str(number) in line for line in LINES) or told(language, sentence).share == 0.0


@pytest.mark.parametrize("language", ["zh", "en", "mixed"])
def test_the_generator_s_own_explanations_stand(language: Any) -> None:
    claims = []
    for one in Incidents(Options(language=language)).generate(200, seed=11):
        said = one.meta["analysis"]
        text = Wording(said["summary"], said["explanation"], tuple(said["recommendations"]))
        named = (said["category"], said["type"], said["severity"]) if one.label else ("", "", "")
        found = check(Report(bool(one.label), *named, 1.0, (), {said["language"]: text}), one)
        claims += found.claims
    assert sum(claim.found for claim in claims) >= 0.995 * len(claims)
    assert len(claims) > 2000


def test_evidence_must_stand_in_the_line_it_cites() -> None:
    right, wrong = Evidence(1, "ECONNREFUSED  10.35.231.7:3306"), Evidence(0, "ECONNREFUSED 10.35.231.7:3306")
    found = told("en", TRUE["en"][0], evidence=(right, wrong, Evidence(1, " ")))
    assert found.report.evidence == (right,)
    assert [claim.found for claim in found.claims if claim.field == "evidence"] == [True, False, False]


def test_a_text_of_which_nothing_is_left_names_the_lines_of_the_evidence() -> None:
    found = told("zh", MADE_UP["zh"][0], evidence=(Evidence(1, "ECONNREFUSED"), Evidence(3, "failed")))
    assert found.report.texts["zh"].root_cause == "请查看第2行、第4行。"


def test_a_claim_names_the_lines_that_bear_it_out() -> None:
    found = told("en", "The order-service gave up.")
    assert [(claim.kind, claim.text, claim.lines) for claim in found.claims] == [("name", "order-service", (0, 2))]


def test_advice_is_looked_up_for_quotes_only() -> None:
    text = Wording("s", "", ("Give retries a limit of 3 and check pg-bouncer.", "Search for “no such line”."))
    found = check(Report(True, "网络", "连接失败", "high", 0.9, (), {"en": text}), SEQUENCE)
    assert found.report.texts["en"].recommendations == text.recommendations[:1]


@pytest.mark.parametrize("text", ["“" * 5000, "a-" * 5000, "1." * 5000, "lines 1, " * 2000, "x" * 200_000, "/a" * 9000])
def test_texts_made_to_be_slow_are_not(text: str) -> None:
    began = time.process_time()
    told("en", text)
    check(Report(False, "", "", "", 0.5, (), {"en": Wording("s", "t 77", ())}), LogSequence("big", (text * 10,)))
    assert time.process_time() - began < 5
