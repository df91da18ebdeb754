"""Template mining: what becomes one template and what does not, identity, memory, and lines that are no text."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logs.engine.forms import HEAD
from logs.engine.templates import OVERFLOW, Miner

PEOPLE = ["张三", "李四", "王小明", "赵丽颖", "陈刚", "周杰", "孙悦", "刘德华", "alice", "bob_li"]
SERVICES = ["order-service", "user-service", "stock-service", "payment-service", "gateway-api"]
ZH = """
用户{person}登录成功
用户{person}登录失败，密码错误
用户{person}于{time}退出系统
用户：{person}，操作：导出报表，结果：成功
订单{order}创建成功，金额{money}元
订单{order}支付失败，原因：余额不足
订单{order}支付超时，将在{n}秒后重试
耗时{n}ms
接口/api/v{n}/orders/{n}响应耗时{n}毫秒
数据库连接池已满，当前连接数{n}，最大连接数{n}
调用{service}超时，耗时{n}ms，重试第{n}次
调用{service}成功，耗时{n}ms
服务{service}已启动，端口={n}
服务{service}已停止，端口={n}
缓存命中率{n}%，低于阈值{n}%
【告警】主机{ip}磁盘使用率达到{n}%
【恢复】主机{ip}磁盘使用率恢复到{n}%
消费消息成功 topic=order_events offset={n} 耗时={n}ms
消费消息失败 topic=order_events offset={n} 错误码={code}
{{"level":"info","msg":"库存扣减成功","skuId":{n},"cost":{n}}}
{{"level":"error","msg":"库存扣减失败","skuId":{n},"cost":{n}}}
定时任务【清理过期会话】执行完成，共清理{n}条，用时{n}秒
文件/data/upload/{hex}.png上传完成（大小：{n}KB）
请求来自{ip}:{n}，被防火墙拒绝
请求来自{ip}:{n}，已放行
trace={hex} 收到请求，路径=/pay/{n}，客户端={ip}
线程池pool-{n}队列长度{n}，已拒绝任务
""".strip().splitlines()


def zh_lines(each: int = 12) -> list[tuple[str, str]]:
    """Return labelled lines: (template, line), shuffled."""
    chance = random.Random(7)
    lines = []
    for template in ZH:
        for _ in range(each):
            filled = template
            for name, value in {
                "{person}": lambda: chance.choice(PEOPLE),
                "{service}": lambda: chance.choice(SERVICES),
                "{order}": lambda: f"TX{chance.randrange(10**9):010d}",
                "{money}": lambda: f"{chance.randrange(10**5) / 100}",
                "{time}": lambda: f"2026-11-25 {chance.randrange(24):02d}:{chance.randrange(60):02d}:07",
                "{ip}": lambda: f"10.{chance.randrange(256)}.0.{chance.randrange(256)}",
                "{code}": lambda: f"E{chance.randrange(10**4):04d}",
                "{hex}": lambda: f"{chance.getrandbits(64):016x}",
                "{n}": lambda: str(chance.randrange(1, 5000)),
            }.items():
                while name in filled:
                    filled = filled.replace(name, value(), 1)
            lines.append((template, filled.replace("{{", "{").replace("}}", "}")))
    chance.shuffle(lines)
    return lines


def grouping_accuracy(truth: list[str], found: list[int]) -> float:
    """Share of lines whose template holds exactly the lines that it should (Zhu et al., ICSE-SEIP 2019)."""
    wanted, got = defaultdict(set), defaultdict(set)
    for place, (label, template) in enumerate(zip(truth, found, strict=True)):
        wanted[label].add(place)
        got[template].add(place)
    return sum(len(each) for each in got.values() if wanted[truth[min(each)]] == each) / len(truth)


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


# --- identity -----------------------------------------------------------------------------------------------------


def test_processes_that_mine_at_the_same_time_agree_on_the_ids():
    lines = [line for _, line in zh_lines()]
    here, there = Miner(), Miner()
    here.match(lines)
    there.match(lines[::-1])
    for miner, other in ((here, there.export()), (there, here.export())):
        miner.restore(json.loads(json.dumps(other)))
    assert here.match(lines) == there.match(lines)


def test_a_template_keeps_its_id_and_text_over_a_restart():
    lines = [line for _, line in zh_lines()] + [f"session opened for user {name}" for name in ("a", "b", "c", "d")]
    before = Miner()
    ids, shown = before.match(lines), texts(before, lines)
    after = Miner()
    after.restore(json.loads(json.dumps(before.export())))
    assert after.changed == set()
    assert after.match(lines) == [before.resolve(each) for each in ids]
    assert texts(after, lines) == shown
    assert after.match(["session opened for user zoe"]) == before.match(["session opened for user zoe"])


def test_a_version_that_masks_more_knows_the_templates_of_the_one_before():
    record = {"id": 7, "examples": ["job 42 of KB2973351 done"], "merged_into": None, "fixed": None, "count": 0}
    miner = Miner()
    miner.restore([{**record, "mined": "job 42 of KB2973351 done"}])
    assert miner.match(["job 17 of KB1111111 done"]) == [7]
    assert 7 in miner.changed


def test_an_id_is_never_reassigned_when_templates_turn_out_to_be_one():
    miner = Miner()
    first = miner.match(["opened for user root"])[0]
    others = miner.match(["opened for user bin", "opened for user news"])
    assert len({miner.resolve(each) for each in (first, *others)}) == 1
    assert first in miner.templates, "what was stored with it can still be read"
    assert miner.match(["opened for user root"]) == [miner.resolve(first)]


def test_evidence_gathered_by_two_processes_merges_when_they_meet():
    here, there = Miner(), Miner()
    here.match(["opened for user root", "opened for user bin"])
    there.match(["opened for user news"])
    here.restore(there.export())
    assert len({here.resolve(each) for each in here.templates}) == 1
    there.restore(here.export())
    assert there.match(["opened for user x1"]) == here.match(["opened for user x1"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([line for _, line in zh_lines(4)]), min_size=1, max_size=60), st.integers(1, 20))
def test_batches_do_not_matter(lines, size):
    whole, parts = Miner(), Miner()
    whole.match(lines)
    for start in range(0, len(lines), size):
        parts.match(lines[start : start + size])
    assert whole.match(lines) == parts.match(lines)


# --- what people decide -------------------------------------------------------------------------------------------


def test_a_persons_text_decides_what_belongs_to_it():
    miner = Miner()
    names = ["root", "bin", "news"]
    [template, *_] = miner.match([f"opened for user {name}" for name in names])
    template = miner.resolve(template)
    own = {"id": 7, "examples": [], "merged_into": None, "fixed": "opened for user root", "mined": "", "count": 0}
    miner.restore([own])
    assert miner.match([f"opened for user {name}" for name in names]) == [7, template, template]
    assert miner.templates[7].text == "opened for user root"


def test_the_text_that_says_more_wins():
    miner = Miner()
    blank = {"examples": [], "merged_into": None, "mined": "", "count": 0}
    miner.restore([{**blank, "id": 1, "fixed": "<*>失败"}, {**blank, "id": 2, "fixed": "<*>登录失败"}])
    assert miner.match(["用户张三登录失败", "支付失败", "支付成功"])[:2] == [2, 1]
    assert miner.match(["支付成功"])[0] not in {1, 2}


def test_a_merge_of_people_is_followed():
    miner = Miner()
    ids = miner.match(["start", "stop"])
    [record] = miner.export([ids[0]])
    miner.restore([{**record, "merged_into": ids[1]}])
    assert miner.match(["start", "stop"]) == [ids[1], ids[1]]


# --- limits -------------------------------------------------------------------------------------------------------


def test_beyond_the_limit_new_lines_share_one_template_and_known_ones_keep_theirs():
    miner = Miner(limit=2)
    known = miner.match(["start", "stop"])
    assert miner.match(["other", "another", "start", "stop"]) == [OVERFLOW, OVERFLOW, *known]
    assert miner.templates[OVERFLOW].text == "<*>"
    assert len(miner.templates) <= 3


def test_memory_of_masked_lines_is_bounded_and_what_is_used_is_kept():
    miner = Miner(remember=50)
    first = miner.match(["hello there"])
    for number in range(40):
        miner.match([f"word{chr(97 + number % 26) * (number + 1)} said", "hello there"])
    assert len(miner._young) + len(miner._old) <= 100
    assert miner.match(["hello there"]) == first


def test_long_lines_take_no_more_memory_than_short_ones():
    miner = Miner(remember=100)
    for number in range(200):
        miner.match([f"{'x' * (number + 1)} {'long ' * 700}"])
    assert sum(map(len, [*miner._young, *miner._old])) <= 2 * (100 * 256 + HEAD)


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "\x00\x01\x02\xff" * 3000,
        "\ud800 half a pair",
        "a" * 1_000_000,
        "-" * 100_000,
        "/a" * 50_000,
        "a.b" * 50_000,
        "<*>" * 50_000,
        "<" * 50_000,
        "a-" * 50_000,
        "a." * 50_000,
        "用户" * 50_000,
        "用户张" * 50_000,
        '{"a":' * 50_000,
        "x=1 " * 50_000,
        "\\\\" * 50_000,
    ],
    ids=lambda line: repr(line[:6]),
)
def test_a_line_that_is_no_text_or_huge_does_no_harm(line):
    miner = Miner()
    began = time.process_time()
    [template] = miner.match([line])
    assert miner.match([line]) == [template]
    assert time.process_time() - began < 2
    known = miner.templates[template]
    assert not any("\x00" in text for text in (known.text, *known.examples)), "Postgres stores no NUL"
    assert all(len(example) <= 3 * HEAD for example in miner.templates[template].examples)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(), max_size=20))
def test_any_text_is_a_line_and_matches_the_same_again(lines):
    miner = Miner()
    first = miner.match(lines)
    assert len(first) == len(lines)
    assert miner.match(lines) == [miner.resolve(each) for each in first]
    again = Miner()
    again.restore(json.loads(json.dumps(miner.export())))
    assert again.match(lines) == miner.match(lines)
