"""A shop's requests that went wrong, each in its own way, as items of review with reports."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from analysis import findings, grouping
from analysis.models import AnomalyReport, Finding, Item
from detection import scan
from detection.models import ModelVersion
from logs import datasets
from logs.engine import taxonomy
from logs.models import Sequence
from workers.models import Run

COURSE = [
    "INFO gateway: POST /orders accepted, order {n}, 3 items",
    "INFO order-service: order {n} created, total 239.00",
    "INFO stock-service: reserved 3 items for order {n}",
    "INFO payment-service: charging order {n}, 239.00 CNY",
]
FAULTS = {
    "超时异常": [
        "WARN payment-service: bank gateway did not answer within 3000 ms, attempt 1",
        "WARN payment-service: bank gateway did not answer within 3000 ms, attempt 2",
        "ERROR payment-service: order {n} failed: read timed out",
    ],
    "数据库错误": [
        "ERROR order-service: deadlock detected while updating orders, order {n}",
        "WARN order-service: transaction of order {n} rolled back",
        "ERROR gateway: 500 for POST /orders after 812 ms",
    ],
    "连接失败": [
        "ERROR payment-service: connect to bank:443 refused (ECONNREFUSED)",
        "ERROR payment-service: no live endpoint for bank, circuit open",
        "ERROR gateway: 502 for POST /orders",
    ],
}
ENDINGS = ["INFO stock-service: released 3 items of order {n}", "INFO gateway: answered 200 in 61 ms"]
CLIENTS = [f"{word}-client" for word in (
    "web", "ios", "android", "kiosk", "partner", "batch", "admin", "mail", "chat", "voice", "export", "report",
)]  # fmt: skip


def shop(items: int, *, project: str = "mine", most: int = 5) -> list[Item]:
    """Open this many items of one to `most` findings each, the first that are to be judged first."""
    kinds = list(FAULTS)
    dataset = datasets.get_or_create(project=project, name="shop")
    rows, begin = [], Sequence.objects.count()
    blamed = []
    for number in range(items):
        # Words, not numbers, tell the items apart: numbers are masked.
        lines = [f"INFO {CLIENTS[number % len(CLIENTS)]}: {'retry ' * (number // len(CLIENTS))}order {{n}} sent"]
        lines += COURSE + FAULTS[kinds[number % 3]] + ENDINGS
        for copy in range(1 + number % most):
            order = 4700 + number * 10 + copy
            waits = [0, 0.012, 0.031, 0.044, 0.061, 3.07, 6.11, 6.2, 18.6, 18.62][: len(lines)]
            start = 1764000000 + 60 * number + copy
            rows.append(
                Sequence(
                    dataset=dataset, key=f"trace-{begin + len(rows):05x}", length=len(lines),
                    entries=[line.format(n=order) for line in lines], times=[start + wait for wait in waits],
                    meta={"service": "shop", "host": f"node-{number % 4}"},
                )
            )  # fmt: skip
            blamed.append((0.01, 0.01, 0.01, 0.02, 0.05, 0.22, 0.2, 0.4, 0.06, 0.02))
    rows = Sequence.objects.bulk_create(rows)
    found = scan.Findings()
    for row, blame in zip(rows, blamed, strict=True):
        found.sequences.append(row.pk)
        found.values.append(0.62 + 0.37 * (row.pk % 7) / 7)
        found.blame[row.pk] = blame
    version, _ = ModelVersion.objects.get_or_create(
        project=project, name="shop", number=1, detector="neighbours", threshold=0.6, encoder_digest="e"
    )
    run = Run.objects.create(project=project, job="scan", status="succeeded")
    findings.open_for(scan.keep(found, version=version, dataset=dataset, part=None, run=run).pk)
    _explain(project)
    _age(project)
    return list(Item.objects.filter(project=project).order_by("-priority", "-id"))


def _explain(project: str) -> None:
    types = taxonomy.types()
    told = []
    for finding in Finding.objects.filter(project=project).select_related("sequence"):
        text = " ".join(finding.sequence.entries)
        kind = next(name for name, lines in FAULTS.items() if lines[0].split(": ", 1)[1][:20] in text)
        order = text.split("order ")[1].split()[0]
        told.append(
            AnomalyReport(
                finding=finding, state="done", analyst="rules", key=str(finding.pk), category=types[kind].category,
                type=kind, severity=types[kind].severity, confidence=0.86, grounded=1.0,
                evidence=[{"line": 6, "quote": finding.sequence.entries[5][:40]}],
                claims=[
                    {"language": one, "field": "summary", "kind": "number", "text": order, "found": True, "lines": [1]}
                    for one in ("en", "zh")
                ],
                texts={
                    "en": {
                        "summary": f"Order {order} was not paid: {finding.sequence.entries[7].split(': ', 1)[1]}.",
                        "root_cause": "What the payment needs did not answer; the lines before it are as usual.",
                        "recommendations": list(types[kind].advice["en"][:2]),
                    },
                    "zh": {
                        "summary": f"订单 {order} 未完成支付：{finding.sequence.entries[7].split(': ', 1)[1]}。",
                        "root_cause": "支付所依赖的下游没有应答；之前的各行均正常。",
                        "recommendations": list(types[kind].advice["zh"][:2]),
                    },
                },
            )
        )  # fmt: skip
    with transaction.atomic():
        grouping.reported(AnomalyReport.objects.bulk_create(told))


def _age(project: str) -> None:
    """Let the findings come over some days, as they do."""
    now = timezone.now()
    every = list(Finding.objects.filter(project=project).order_by("pk"))
    for place, finding in enumerate(every):
        finding.created_at = now - timedelta(hours=(place * 37) % 170, minutes=place % 50)
    Finding.objects.bulk_update(every, ["created_at"])
    for item in Item.objects.filter(project=project):
        times = list(item.findings.values_list("created_at", flat=True))
        Item.objects.filter(pk=item.pk).update(first_seen_at=min(times), last_seen_at=max(times))
