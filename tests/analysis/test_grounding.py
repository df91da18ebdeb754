"""Grounding: what is made up is struck, and what is so is left alone."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engine.grounding import MOST, Grounded, check
from duolog.plugins.types import Evidence, Language, LogSequence, Report, Wording
from logs.engine import taxonomy
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


def services() -> st.SearchStrategy[str]:
    return st.builds("{}-service".format, st.text("abcdefgh", min_size=3, max_size=8))


@st.composite
def true_reports(draw: Any) -> tuple[LogSequence, Report, str]:
    """A random sequence, a report of facts that stand in it, and a name and a number that do not."""
    names = draw(st.lists(services(), min_size=2, max_size=8, unique=True))
    numbers = draw(st.lists(st.integers(1000, 10**9), min_size=len(names), max_size=len(names), unique=True))
    waits = draw(st.lists(st.integers(0, 9000), min_size=len(names), max_size=len(names)))
    lines = tuple(f"ERROR {name} code={number}  /v1/{name}/x" for name, number in zip(names, numbers, strict=True))
    sequence = LogSequence("s", lines, 1, times=tuple(sum(waits[: at + 1]) / 1000 for at in range(len(names))))
    at = draw(st.integers(1, len(names) - 1))
    zh = f"第{at + 1}行{names[at]}报错，代码{numbers[at]}，距上一行{waits[at]}毫秒。共{len(lines)}行。"
    en = f"Line {at + 1} says “{lines[at]}” and/or `{names[at]}`. It came after {waits[at]} ms, with {numbers[at]}."
    texts = {"zh": Wording(zh, zh, (zh,)), "en": Wording(en, en, (en,))}
    report = Report(True, "网络", "连接失败", "high", 0.9, (Evidence(at, f"{names[at]} code={numbers[at]}"),), texts)
    return sequence, report, "made-" + names[0]


@given(true_reports())
def test_a_report_of_facts_loses_nothing(told: tuple[LogSequence, Report, str]) -> None:
    sequence, report, _ = told
    found = check(report, sequence)
    assert [claim for claim in found.claims if not claim.found] == []
    assert found.report == report


@given(
    true_reports(),
    st.integers(10**10, 10**12),
    st.sampled_from(["“{0} down”", "`{0}`", "{0}", "{1}", "{1} ms", "x{1}"]),
)
def test_what_is_invented_is_struck_wherever_it_is_said(told: Any, number: int, form: str) -> None:
    sequence, report, name = told
    said = form.format(name, number)
    zh, en = report.texts["zh"].summary, report.texts["en"].summary
    texts = {"zh": Wording(f"{zh}{said}出错。", zh, ()), "en": Wording(f"Then {said} failed. {en}", en, ())}
    found = check(replace(report, texts=texts), sequence)
    assert (found.report.texts["zh"].summary, found.report.texts["en"].summary) == (zh, en)
    assert {claim.field for claim in found.claims if not claim.found} == {"summary"}


@pytest.mark.parametrize(
    "name", ["order-service2", "rder-service", "10.35.231.77", "10.35.231", "/api/order/shi", "attempt=11"]
)
def test_a_part_of_a_name_is_another_name(name: str) -> None:
    assert told("en", f"It was {name} again.").share < 1.0


@pytest.mark.parametrize("sentence", [
    "Clients and/or servers spoke TCP/IP, IPv6 or HTTP/2 with TLS1.2.", "A 2nd time-out, i.e. no answer, from MySQL.",
    "VMs lost their IDs.", "Waited 1 s, 2.0 seconds, 3,000 ms and 6s in all.",
])  # fmt: skip
def test_words_of_the_trade_and_figures_that_can_be_worked_out_are_no_inventions(sentence: str) -> None:
    assert told("en", sentence).report.texts["en"].root_cause == sentence


@pytest.mark.parametrize("mark", ["“{}”", '"{}"', "`{}`"])
def test_a_full_stop_in_a_quote_ends_no_sentence(mark: str) -> None:
    line = "it broke. Then it stopped! 再试。"
    true, false = f"It says {mark.format(line)} twice.\n", f"It says {mark.format('all is well. Then' + line)} once.\n"
    text = Wording(f"{true}{false}It is over.", "", ())
    found = check(Report(False, "", "", "", 0.5, (), {"en": text}), LogSequence("one", (line,)))
    assert found.report.texts["en"].summary == f"{true}It is over."


@pytest.mark.parametrize("name", ["node-1", "node-12.7", "1504.2", "2-node"])
def test_what_stands_in_something_longer_only_is_not_there(name: str) -> None:
    lines = ("node-12 took 1504.25 s", "step 1 of node 7 at 12-node", "x-1 2 node-12.75")
    text = Wording(f"It was {name}.", "", ())
    found = check(Report(False, "", "", "", 0.5, (), {"en": text}), LogSequence("one", lines))
    assert [claim.found for claim in found.claims] == [False]


def test_a_text_that_is_too_long_is_cut_at_a_sentence() -> None:
    found = told("en", *["It is so."] * 1000)
    assert found.report.texts["en"].root_cause.endswith("so.")
    assert len(found.report.texts["en"].root_cause) <= MOST


def test_advice_of_the_taxonomy_is_never_struck() -> None:
    for kind in taxonomy.types().values():
        for language, advice in kind.advice.items():
            text = Wording("s", "", tuple(advice))
            found = check(Report(False, "", "", "", 0.5, (), {language: text}), SEQUENCE)
            assert found.report.texts[language] == text


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


def test_of_advice_only_quotes_and_what_is_specific_is_looked_up() -> None:
    text = Wording(
        "s",
        "",
        (
            "Give retries a limit of 3 and check pg-bouncer.",
            "Search for “no such line”.",
            "Restart payment-service on 10.1.2.3.",
        ),
    )
    found = check(Report(True, "网络", "连接失败", "high", 0.9, (), {"en": text}), SEQUENCE)
    assert found.report.texts["en"].recommendations == text.recommendations[:1]


@pytest.mark.parametrize("text", ["“" * 5000, "a-" * 5000, "1." * 5000, "lines 1, " * 2000, "x" * 200_000, "/a" * 9000])
def test_texts_made_to_be_slow_are_not(text: str) -> None:
    began = time.process_time()
    told("en", text)
    check(Report(False, "", "", "", 0.5, (), {"en": Wording("s", "t 77", ())}), LogSequence("big", (text * 10,)))
    assert time.process_time() - began < 5
