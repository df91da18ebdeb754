"""How long a line takes to become a finding, under a steady load: `python benchmarks/live.py --help`.

The stack of `duolog serve` runs on this machine. Shippers send requests of a shop, ten lines each, at a steady pace;
the stack learns from the first of them without labels, by itself, and then some are broken. A request is closed by
its tenth line, so that the time from the receipt of its batch to its finding is all the platform's own. Measured after
the learning; a finding of a request that was not broken is a false alarm, and one that never comes is a miss.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]

GOAL = 2.0
LEARNED = 600
"""Requests sent before the model is there."""
LINES = (
    "gateway accepted POST /orders from node {n}", "订单服务 收到请求 {n}", "stock-service reserved {n} items",
    "库存服务 扣减库存成功 耗时{n}ms", "payment-service called bank {n}", "支付服务 支付成功 流水号{n}",
    "order-service wrote order {n}", "订单服务 创建订单 {n} 成功", "notify-service queued mail {n}",
    "gateway answered 200 in {n} ms",
)  # fmt: skip
BROKEN = ("payment-service 连接银行超时，重试 {n} 次后放弃", "order-service rolled back order {n}: deadlock detected")


def request(number: int, chance: random.Random, broken: bool) -> list[dict[str, Any]]:
    """Return the ten lines of a request; a broken one has other lines at its end."""
    texts = [*LINES[:7], *BROKEN, LINES[9]] if broken else list(LINES)
    name = f"{'broken' if broken else 'usual'}-{number}"
    now = time.time()
    return [
        {"time": now, "trace_id": name, "service": "shop", "message": text.format(n=chance.randrange(10000))}
        for text in texts
    ]


def send(link: http.client.HTTPConnection, token: str, requests: list[list[dict[str, Any]]]) -> None:
    """Send requests as one batch, and see it acknowledged."""
    body = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for lines in requests for line in lines)
    link.request(
        "POST", "/api/v1/ingest", body,
        {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"},
    )  # fmt: skip
    answer = link.getresponse()
    said = answer.read()
    if answer.status != 200:
        sys.exit(f"{answer.status}: {said[:300]!r}")


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Run the stack, send, and return the times and what was found."""
    import django

    django.setup()
    import numpy as np
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from analysis.models import Finding
    from detection.models import ModelVersion
    from duolog import access
    from duolog.stack import Stack
    from logs import receive
    from logs.models import PendingChunk, Receipt, Source, UnjudgedSequence

    chance = random.Random(options.seed)
    with settings.SERVICES.hold():
        call_command("migrate", verbosity=0)
        user = User.objects.create_user("benchmark")
        token = access.issue_token(user=user, name="benchmark", project="shop")
        source = receive.source("shop", "default")
        Source.objects.filter(pk=source.pk).update(rule={"by": "count", "key": "trace_id", "size": 10})
        with Stack().running() as stack:
            link = http.client.HTTPConnection(settings.WEB_HOST, stack.port)
            for number in range(0, LEARNED, 50):
                send(link, token, [request(number + each, chance, False) for each in range(50)])
            while not ModelVersion.objects.exists():
                time.sleep(0.2)
            while UnjudgedSequence.objects.exists():
                time.sleep(0.2)
            first, batch = Finding.objects.count(), max(1, options.rate // 10 // options.batches)
            broken, sent, began = 0, 0, time.perf_counter()
            turns = options.seconds * options.batches
            for turn in range(turns):
                picked = [chance.random() < options.broken for _ in range(batch)]
                send(link, token, [request(LEARNED + sent + n, chance, each) for n, each in enumerate(picked)])
                broken, sent = broken + sum(picked), sent + batch
                time.sleep(max(0.0, began + (turn + 1) / options.batches - time.perf_counter()))
            took = time.perf_counter() - began
            deadline = time.monotonic() + 60
            while (UnjudgedSequence.objects.exists() or PendingChunk.objects.exists()) and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(2)
            received = dict(Receipt.objects.values_list("pk", "received_at"))
            from django.db import connection

            with connection.cursor() as cursor:
                cursor.execute("SELECT id, receipt_id FROM logs_chunk")
                chunks = {chunk: received[receipt] for chunk, receipt in cursor}
            found = list(Finding.objects.order_by("pk").values_list("sequence__key", "created_at")[first:])
    at = [(key.rsplit("@", 1), created) for key, created in found]
    seconds = [
        (created - chunks[int(place.split(".")[0])]).total_seconds()
        for (key, place), created in at
        if key.startswith("broken")
    ]
    false = sum(not key.startswith("broken") for (key, _), _ in at)
    return {
        "lines_per_second": sent * 10 / took,
        "p50": float(np.percentile(seconds, 50)),
        "p95": float(np.percentile(seconds, 95)),
        "worst": max(seconds),
        "found": len(seconds) / max(1, broken),
        "false_alarms": false / max(1, sent - broken),
    }


def main() -> int:
    """Measure, print, and tell by the exit code whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5000, help="lines a second (default 5000)")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--batches", type=int, default=5, help="requests of a shipper a second (default 5)")
    parser.add_argument("--broken", type=float, default=0.005, help="share of broken requests (default 0.005)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="duolog-benchmark-") as place:
        os.environ |= {"DUOLOG_HOME": f"{place}/home", "DJANGO_SETTINGS_MODULE": "duolog.settings"}
        measured = measure(options)
    met = measured["p95"] <= GOAL and measured["lines_per_second"] >= 0.98 * options.rate
    for name, value in measured.items():
        print(f"{name:<20}{value:>10.3f}")
    print(f"p95 within {GOAL} s at that pace: {'met' if met else 'MISSED'}")
    if options.json:
        print(json.dumps({name: {"figure": round(value, 4)} for name, value in measured.items()}
                         | {"p95": {"figure": round(measured["p95"], 4), "goal": GOAL, "met": met}}))  # fmt: skip
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
