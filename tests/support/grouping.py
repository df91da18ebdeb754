"""Labelled Chinese log lines, and how well lines are grouped."""

from __future__ import annotations

import random
from collections import defaultdict

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
