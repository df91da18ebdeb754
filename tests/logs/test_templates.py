"""Template mining: which lines are of one template, which are not, and how it is shown."""

from __future__ import annotations

import csv
import gzip

import pytest
from grouping import grouping_accuracy, zh_lines

from logs.engine.templates import Miner


def texts(miner: Miner, lines: list[str]) -> list[str]:
    """Return the text of each line's template once all are mined."""
    miner.match(lines)
    return [miner.templates[each].text for each in miner.match(lines)]


def is_one(*lines: str) -> bool:
    return len(set(Miner().match(lines))) == 1


# --- what is one template -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ("耗时300ms", "耗时5ms", "耗时1.5s"),
        ("用户张三登录失败", "用户李四登录失败", "用户王小明登录失败"),
        ("用户：张三，已登录", "用户:李四,已登录"),
        ("张三登录成功", "王小明登录成功"),
        ("服务order启动成功", "服务pay启动成功"),
        ("商品“苹果”缺货", "商品“香蕉”缺货"),
        ("用户张三登录失败", "用户alice登录失败", "用户bob登录失败"),
        ("user=root logged in", "user=bob logged in"),
        ('{"msg":"登录","userId":17,"cost":3}', '{"msg":"登录","userId":18,"cost":4}'),
        ("open /var/log/a/x.log failed", "open /etc/hosts failed"),
        ("connect to db1.example.com:5432", "connect to cache.internal.net:6379"),
        ("size 12 KB", "size 3 MB"),
        ("Receiving block blk_-16 src: /10.2.1.4:420", "Receiving block blk_88 src: /10.9.9.9:1"),
        ("session opened for user root", "session opened for user news", "session opened for user cyrus"),
        ("to delete blk_1", "to delete blk_1 blk_2 blk_3"),
    ],
)
def test_lines_that_differ_in_variables_only_are_one_template(lines):
    assert is_one(*lines)


@pytest.mark.parametrize(
    "lines",
    [
        ("登录成功", "登录失败"),
        ("状态：成功", "状态：失败"),
        ("用户余额不足", "用户权限不足"),
        ("用户张三登录成功", "用户张三登录失败"),
        (
            "订单创建失败",
            "订单支付失败",
            "订单取消失败",
            "订单退款失败",
            "订单查询失败",
            "订单发货失败",
            "订单关闭失败",
        ),
        tuple(
            f"请求 {n} 结束，订单{deed}失败"
            for n, deed in enumerate(("创建", "支付", "取消", "退款", "查询", "发货", "关闭"))
        ),
        ("session opened for user root", "session closed for user root"),
        ("status=ok", "status=failed"),
        ("2026-11-25 10:00:00 INFO cache ready", "2026-11-25 10:00:00 ERROR cache ready"),
        (
            '"GET /a/b HTTP/1.1" 200',
            '"POST /a/b HTTP/1.1" 200',
            '"PUT /a/b HTTP/1.1" 200',
            '"DELETE /a/b HTTP/1.1" 200',
        ),
        ("1 INFO a.b.Alpha: done", "1 INFO a.b.Beta: done", "1 INFO a.b.Gamma: done", "1 INFO a.b.Delta: done"),
        ('{"level":"info","msg":"ok"}', '{"level":"error","msg":"ok"}'),
        ("start", "stop"),
    ],
)
def test_lines_that_say_different_things_stay_different(lines):
    assert len(set(Miner().match(lines))) == len(lines)


def test_a_template_shows_a_variable_once_it_was_seen_to_vary():
    assert texts(Miner(), ["session opened for user root by (uid=0)"]) == ["session opened for user root by (uid=<*>)"]
    lines = [f"session opened for user {name} by (uid=0)" for name in ("root", "news", "cyrus")]
    assert set(texts(Miner(), lines)) == {"session opened for user <*> by (uid=<*>)"}
    assert texts(Miner(), ["用户张三登录失败", "用户李四登录失败"])[0] == "用户<*>登录失败"
    assert texts(Miner(), ["src: /10.1.2.3:80 dest: node-7"])[0] == "src: <*>:<*> dest: node-<*>"


def test_full_width_signs_are_the_same_as_their_ascii_twins():
    assert is_one("连接失败：主机（db1），重试", "连接失败:主机(db2),重试")


def test_grouping_of_chinese_lines():
    lines = zh_lines()
    assert len(lines) >= 200
    assert grouping_accuracy([label for label, _ in lines], Miner().match([line for _, line in lines])) >= 0.9


def test_grouping_of_the_generator_with_its_known_wordings():
    from training.generators.microservices import Options, Shop
    from training.generators.shop.styles import MARKS

    shop, told = Shop(Options(language="mixed", teams=3), 7), []
    request = shop.request
    shop.request = lambda *args: told.append(request(*args)) or told[-1]
    for number in range(300):
        shop.tell(number)
    truth, lines = [], []
    for each in told:
        for line, text in zip(each.lines, each.sequence.entries, strict=True):
            form = each.voices[line.service].text(line)
            if "{callee}" in "".join((*line.phrase.zh, *line.phrase.en)):  # the service called is a variable
                form = "<>".join(form.rsplit(line.callee, 1))
            truth.append("".join("<>" if char in MARKS.values() else char for char in form))
            lines.append(text)
    assert grouping_accuracy(truth, Miner().match(lines)) >= 0.9


DRAIN3 = {
    "Android": 0.734, "Apache": 1.0, "BGL": 0.969, "HDFS": 0.998, "HPC": 0.887, "Hadoop": 0.963, "HealthApp": 0.901,
    "Linux": 0.687, "OpenStack": 0.310, "Proxifier": 0.026, "Spark": 0.923, "Windows": 0.571,
}  # fmt: skip
"""What Drain3 reaches at best, rounded up; `benchmarks/templates.py` measures it."""


def test_grouping_of_the_labelled_systems_is_no_worse_than_drain3s(shared_data):
    csv.field_size_limit(1 << 20)  # of the process: a test of limits may have left a small one
    reached = {}
    for system in DRAIN3:
        files = [
            shared_data / f"loghub_2k/{system}/{system}_2k.log_structured{kind}.csv.gz" for kind in ("_corrected", "")
        ]
        with gzip.open(next(file for file in files if file.exists()), "rt", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found = Miner().match([row["Content"] for row in rows])
        reached[system] = grouping_accuracy([row["EventTemplate"] for row in rows], found)
    assert {system for system, least in DRAIN3.items() if reached[system] < least} == set()
    assert sum(reached.values()) / len(reached) >= 0.95
