"""A line says the same in every layout, and a layout that is not understood loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.engine.masking import mask
from logs.engine.statement import LEVELS, Statement, read


def said(line: str) -> Statement:
    return read(mask([line])[0])


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-05 08:00:00.123  WARN [stock-service,9f4ef63a] --- [http-nio-8080-exec-7] 库存不足 skuId=1042 count=3",
        "[2026-01-05 08:00:00.123] [WARN] [stock-service] [DubboServerHandler-7] [traceId:9f4ef63a] 库存不足, sku:42",
        '{"ts":"2026-01-05T08:00:00.123Z","level":"warn","service":"stock-service","msg":"库存不足","sku_id":1042}',
        'time=2026-01-05T08:00:00.123Z level=warn service=stock-service worker=7 msg="库存不足" sku_id=1042 count=3',
        "2026-01-05 08:00:00,123 WARNING stock-service worker-7 trace=9f4ef63a | 库存不足 (item=1042, count=3)",
        "2026-01-05T08:00:00.123 warn stock-service#7 <9f4ef63a> 库存不足; item 1042; count 3",
        "2026-01-05 08:00:00,123 WARN [main] stock-service: 库存不足",
    ],
)
def test_a_message_is_the_same_in_every_layout(line: str):
    assert said(line) == Statement("WARN", "stock-service", "库存不足")


@pytest.mark.parametrize(
    ("line", "statement"),
    [
        (
            "081109 203518 143 INFO dfs.DataNode$DataXceiver: Receiving block blk_-16089 src: /10.250.19.102:54106",
            ("INFO", "dfs.DataNode$DataXceiver", "Receiving block <*> src: /<*>"),
        ),
        (
            "INFO nova.compute.manager [req-e47da3d5-a6e4-42de-a382-c9005209a73f] [instance: 11] VM Started",
            ("INFO", "nova.compute.manager", "VM Started"),
        ),
        (
            "2015-10-18 18:01:50,353 INFO [IPC Server handler 5] org.apache.hadoop.Main: Took 3 ms",
            ("INFO", "org.apache.hadoop.Main", "Took <*> ms"),
        ),
        ("[Sun Dec 04 04:47:44 2005] [error] mod_jk child workerEnv in error state 6",
         ("ERROR", "", "mod_jk child workerEnv in error state <*>")),
    ],
)  # fmt: skip
def test_headers_of_real_logs_are_read_off(line: str, statement: tuple[str, str, str]):
    assert said(line) == statement


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2026-01-05 08:00:00 ERROR java.net.ConnectException: Connection refused",
         "java.net.ConnectException: Connection refused"),
        ("2026-01-05 08:00:00 INFO [stock-service] order-service is slow", "order-service is slow"),
        ("[2026-01-05 08:00:00] [INFO] [a] [t-1] enter: hold inventory", "enter: hold inventory"),
        ("2026-01-05 08:00:00 INFO app received request path=/api/pay user=42", "app received request path=/api/pay"),
        ("2026-01-05 08:00:00 INFO db.Pool size: 7 of 10", "size: <*> of <*>"),
    ],
)  # fmt: skip
def test_what_belongs_to_the_message_stays(line: str, message: str):
    assert said(line).message == message


@pytest.mark.parametrize(
    "line", ["error while sending telemetry", "Receiving block <*> src: <*> dest: <*>", "a=1", "<*>", "-", '{"msg":""}']
)
def test_a_line_without_a_header_is_its_own_message(line: str):
    assert read(line) == Statement("", "", line)


@given(st.text())
def test_any_line_is_read_and_says_something(line: str):
    level, _, message = read(line)
    assert level in {"", *LEVELS.values()}
    assert bool(message) == bool(line)


def test_a_component_in_brackets_is_not_mistaken_for_one_that_the_message_names():
    assert said("2026-01-05 08:00:00 INFO [stock] order-service is slow").component == "stock"
