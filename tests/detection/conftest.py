"""The real encoder, loaded once for all tests here, and sequences of a small service to try detectors on."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from detection.encoders.bert import Bert
from detection.engine.vectors import VectorStore
from duolog.plugins.types import LogSequence

NORMAL = [
    "INFO gateway request <*> accepted for /orders",
    "INFO 订单服务 创建订单 <*> 成功",
    "DEBUG cache hit for key <*>",
    "INFO 支付服务 支付 <*> 完成，耗时 <*>",
    "INFO inventory reserved <*> items",
    "INFO gateway response <*> in <*>",
]
BROKEN = ["ERROR 数据库连接超时，重试 <*> 次后放弃", "FATAL connection pool exhausted", "WARN 库存服务 调用失败"]


@pytest.fixture(scope="session")
def encoder() -> Bert:
    return Bert()


@pytest.fixture(scope="session")
def vectors(encoder: Bert) -> VectorStore:
    return VectorStore(encoder)


@pytest.fixture(scope="session")
def shop() -> Callable[..., list[LogSequence]]:
    """Requests of a shop: the same lines with some left out or repeated, and an error somewhere in the anomalous."""

    def make(count: int, seed: int, anomalous: float = 0.3) -> list[LogSequence]:
        chance = random.Random(seed)
        sequences = []
        for number in range(count):
            lines = [line for line in NORMAL for _ in range(chance.choice([1, 1, 1, 1, 0, 2]))] or NORMAL[:1]
            label = int(chance.random() < anomalous)
            if label:
                lines.insert(chance.randrange(len(lines) + 1), chance.choice(BROKEN))
            sequences.append(LogSequence(f"s{number}", tuple(lines), label))
        return sequences

    return make
