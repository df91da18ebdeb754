"""What varies becomes `<*>`, words stay, and masking twice changes nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.engine import masking
from logs.engine.masking import mask


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("用户服务 耗时300ms", "用户服务 耗时<*>ms"),
        ("第3次重试调用order-service", "第<*>次重试调用order-service"),
        ("收到请求 POST /api/order 来源IP=10.3.4.5", "收到请求 POST /api/order 来源IP=<*>"),
        ("2026年11月23日 19时05分 任务完成", "<*> 任务完成"),
        ("订单TX20260105001已支付, 金额128.50元", "订单<*>已支付, 金额<*>元"),
        ("level=ERROR retries=3 user=root", "level=ERROR retries=<*> user=root"),
        (
            "2026-11-23 19:00:00.123 UTC [412] LOG:  checkpoint starting: time",
            "<*> [<*>] LOG:  checkpoint starting: time",
        ),
        ("123:M 23 Nov 2026 19:00:00.123 * Ready to accept", "<*>:M <*> * Ready to accept"),
        ("2015-10-18 18:01:50,353 INFO [main] Main: up", "<*> INFO [main] Main: up"),
        ("Receiving block blk_-1608999687919862906 src: /10.250.19.102:54106", "Receiving block <*> src: /<*>"),
        ("Task attempt_1445144423722_0020_m_000000_0 done", "Task <*> done"),
        ("[instance: a015cf14-84bb-4156-a48d-7c4824ac7a9d] VM Resumed", "[instance: <*>] VM Resumed"),
        ("req-38101a0b-2096-447d-96ea-a692162415ae 113d3a99c3da401fbd62cc2caa5b96d2", "req-<*> <*>"),
        ("ptr=0x7ffdeadbeef at 9f4ef63", "ptr=<*> at <*>"),
        ('"status":500,"path":"/a/b"', '"status":<*>,"path":"/a/b"'),
        ('user "bob42" logged in', "user <*> logged in"),
        ("link up 00:1a:2b:3c:4d:5e 2001:db8::1", "link up <*> <*>"),
        ("GET /v1/users/42 HTTP/1.1 404", "GET /v1/users/<*> HTTP/<*> <*>"),
        ("R02-M1-N0-C:J12-U11 RAS KERNEL INFO", "<*> RAS KERNEL INFO"),
        ("utf8 sha256 log4j v1 std::add deadline", "utf8 sha256 log4j v1 std::add deadline"),
        ("", ""),
    ],
)
def test_what_becomes_of_a_line(line: str, masked: str) -> None:
    assert mask([line]) == [masked]


def test_a_batch_keeps_its_order_and_its_length() -> None:
    assert mask([f"line {number} of a" + "b" * (number % 3) for number in range(1000)]) == [
        "line <*> of a" + "b" * (number % 3) for number in range(1000)
    ]
    assert mask([]) == []


LOGLIKE = st.text(alphabet="0123456789abfxzABTZ-_:./=<>*\"' 时年月日,%[]+é", max_size=60)


@given(st.lists(LOGLIKE | st.text(max_size=40), max_size=20))
def test_masking_twice_changes_nothing(lines: list[str]) -> None:
    once = mask(lines)
    assert mask(once) == once


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Nd", "Nl", "No"]), max_size=80))
def test_a_line_without_digits_stays_as_it_is(line: str) -> None:
    assert mask([line]) == [line]


@pytest.mark.parametrize(
    ("system", "most"),
    [("Apache", 10), ("Spark", 50), ("Hadoop", 150), ("Linux", 170), ("OpenStack", 130), ("HDFS", 100), ("BGL", 250)],
)
def test_real_logs_shrink_to_few_distinct_lines(shared_data: Path, system: str, most: int) -> None:
    file = shared_data / "loghub_2k" / system / f"{system}_2k.log.gz"
    lines = gzip.decompress(file.read_bytes()).decode("utf-8", "replace").splitlines()
    masked = mask(lines)
    assert mask(masked) == masked
    assert len(set(masked)) <= most < len(set(lines))


def test_every_word_boundary_is_ascii():
    """One Unicode boundary makes Chinese lines six times slower to mask."""
    assert r"\b" not in masking.PATTERN.replace(masking.B, "")


def test_lines_are_masked_together_as_each_by_itself() -> None:
    lines = ["2026-11-25 10:00:00 took 12", "", "ms", "a 1\nb 2", "12:30", "用户 42 耗时300ms"]
    assert mask(lines) == [mask([line])[0] for line in lines]
    assert mask(lines[:3]) == ["<*> took <*>", "", "ms"]
    assert mask([]) == []
