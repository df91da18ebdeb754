"""A stack trace stays with its line, as one entry."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.engine.stacks import begins_with_times, joined
from logs.formats.text import Options, Text

JAVA = """2026-11-23 19:00:00 ERROR OrderService - 创建订单失败
java.lang.IllegalStateException: no stock
\tat com.shop.Order.create(Order.java:42)
\tat com.shop.Api.post(Api.java:7)
Caused by: java.net.SocketTimeoutException: Read timed out
\t... 12 more"""
PYTHON = """2026-11-23 19:00:01 ERROR worker failed
Traceback (most recent call last):
  File "worker.py", line 3, in run
    pay(order)
ValueError: amount is negative"""
GO = """2026/11/23 19:00:02 http: panic serving 10.0.0.1
goroutine 19 [running]:
main.handler(0xc000)
\t/app/main.go:12 +0x1d"""
PLAIN = "2026-11-23 19:00:03 INFO up"


def entries(text: str, **options: Any) -> list[str]:
    made: Any = Text(Options(window=100, **options)).read(io.BufferedReader(io.BytesIO(text.encode())))
    return [entry for one in made for entry in one.entries]


def test_traces_of_a_file_with_times() -> None:
    whole = [PLAIN, JAVA, PLAIN, PYTHON, GO, PLAIN]
    assert entries("\n".join(whole) + "\n") == whole
    assert len(entries("\n".join(whole), join=False)) == sum(one.count("\n") + 1 for one in whole)


def test_traces_of_a_file_without_times() -> None:
    whole = ["INFO up", JAVA[20:], "INFO served", PYTHON[20:], "INFO down"]
    assert entries("\n".join(whole)) == whole


def test_lines_that_only_look_alike_stay_apart() -> None:
    whole = ["Error: disk full", "ValueError: x", "at noon the job ran", "Exceptional: fine", "caused by: nobody"]
    assert entries("\n".join(whole)) == whole
    stamped = ["  2026-11-23 19:00:00 indented", "  2026-11-23 19:00:01 all of them"]
    assert entries("\n".join(stamped)) == stamped


def test_a_message_of_several_lines_belongs_to_its_time() -> None:
    done = "Nov 23 19:00:01 db LOG: done"
    whole = [done, "Nov 23 19:00:00 db LOG: statement: SELECT 1\nFROM t\nWHERE x", done]
    assert entries("\n".join(whole)) == whole


def test_what_the_file_says_decides_whether_lines_begin_with_times() -> None:
    assert begins_with_times([PLAIN, *JAVA.split("\n")])
    assert not begins_with_times(["started", PLAIN, PLAIN])
    assert not begins_with_times([PLAIN, "a", "b", "c"])
    assert not begins_with_times([])


def test_an_endless_trace_is_cut() -> None:
    assert [len(one) for one in joined(["head", *["\tat a.b(c)"] * 30], False, 100)] == [103, 109, 109, 10]


@pytest.mark.parametrize("stamped", [True, False])
@given(lines=st.lists(st.sampled_from([*JAVA.split("\n"), *PYTHON.split("\n"), "INFO x", "x: y", PLAIN]), max_size=20))
def test_no_line_is_lost(stamped: bool, lines: list[str]) -> None:
    assert "\n".join(joined(lines, stamped)) == "\n".join(lines)
