"""How fast the queue of review is with ten thousand open items: `python benchmarks/review.py --help`.

Through Django's own request handling, with sessions, in this process: the page of the queue; a claim, with the fragment
of the item; and a verdict, which settles its item, labels its sequences and answers with the next item's fragment. By a
reviewer of one project, in the order that teaches most. Three reviewers have judged some blind, so that the queue has
to look past what they may not have again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]

GOALS = {"queue": 300.0, "claim": 100.0, "verdict": 100.0}
"""Milliseconds, the 95th percentile."""
JUDGED = 500
"""Items that the reviewer has judged, and waits for others to."""


def fill(items: int, findings: int) -> None:
    """Store open items with their findings, sequences of twenty lines, reports; and verdicts on some."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from analysis.models import AnomalyReport, Finding, Item, ReviewPolicy, Verdict
    from detection.models import ModelVersion, Scan, Score
    from duolog.models import Membership
    from logs import datasets
    from logs.engine import taxonomy
    from logs.models import Sequence

    chance = random.Random(7)
    dataset = datasets.get_or_create(project="shop", name="d")
    version = ModelVersion.objects.create(project="shop", name="m", number=1, detector="moe", threshold=0.5)
    scan = Scan.objects.create(
        project="shop", version=version, dataset=dataset, threshold=0.5, sequences=findings, anomalous=findings
    )
    words = [f"word{number}" for number in range(200)]
    rows = Sequence.objects.bulk_create(
        [
            Sequence(
                dataset=dataset, key=f"s{number}", length=20, times=[1764000000.0 + step for step in range(20)],
                entries=[f"INFO svc-{step % 4}: {' '.join(chance.choices(words, k=12))}" for step in range(20)],
                meta={"service": f"svc-{number % 12}"},
            )
            for number in range(findings)
        ],
        2000,
    )  # fmt: skip
    blame = [0.01] * 19 + [0.81]
    scores = Score.objects.bulk_create(
        [Score(scan=scan, sequence=row, value=chance.uniform(0.5, 1), anomalous=True, blame=blame) for row in rows],
        2000,
    )
    types, now = taxonomy.types(), timezone.now()
    made = Item.objects.bulk_create(
        [
            Item(
                project="shop", fingerprint=number.to_bytes(16, "big"), service=f"svc-{number % 12}",
                sequence=rows[number], score=scores[number], type=(kind := types[chance.choice(list(types))]).name,
                severity=kind.severity, findings_count=findings // items, priority=chance.random(), last_seen_at=now,
            )
            for number in range(items)
        ],
        2000,
    )  # fmt: skip
    opened = Finding.objects.bulk_create(
        [
            Finding(project="shop", score=score, sequence=row, model="m", item=made[number % items])
            for number, (row, score) in enumerate(zip(rows, scores, strict=True))
        ],
        2000,
    )
    text = {"summary": "It failed.", "root_cause": "What it needs did not answer.", "recommendations": ["Look."]}
    AnomalyReport.objects.bulk_create(
        [
            AnomalyReport(
                finding=finding, state="done", analyst="rules", key=str(finding.pk), severity="high", texts={"en": text}
            )
            for finding in opened[:items]
        ],
        2000,
    )
    ReviewPolicy.objects.create(project="shop", reviewers=2)
    users = [User.objects.create_user(name, is_staff=True) for name in ("ada", "bob", "eve")]
    Membership.objects.bulk_create(Membership(user=user, project="shop", role="reviewer") for user in users)
    first = sorted(made, key=lambda item: -item.priority)[:JUDGED]
    Verdict.objects.bulk_create(
        Verdict(item=item, user=users[number % 2], anomalous=True, type=item.type) for number, item in enumerate(first)
    )


def timed(work: Callable[[], Any], times: int) -> list[float]:
    """Return how many milliseconds each of so many calls took, after two that are not counted."""
    work(), work()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append((time.perf_counter() - start) * 1000)
    return found


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Fill the queue and measure."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from analysis.models import Item, Lease

    call_command("migrate", verbosity=0)
    fill(options.items, options.findings)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username="ada"))
    reviewer = User.objects.get(username="ada")

    def page(query: str = "") -> None:
        answer = client.get(f"/admin/analysis/item/{query}")
        assert answer.status_code == 200, answer.status_code

    def claim() -> None:
        Lease.objects.filter(user=reviewer).delete()
        post("/review/next/")

    def verdict() -> None:
        item = Lease.objects.filter(user=reviewer).values_list("item", flat=True)[0]
        post(f"/review/{item}/judge/", round=1, anomalous=True, type="超时异常", skip=[item])

    def post(address: str, **told: Any) -> None:
        answer = client.post(address, told, content_type="application/json")
        assert answer.status_code == 200, (answer.status_code, answer.content[:500])

    queries = ["", "?state=open", "?order=gravest", "?service=svc-3&state=open", "?page=3"]
    turns = iter(queries * (options.times + 3))
    found = {"queue": timed(lambda: page(next(turns)), options.times), "claim": timed(claim, options.times)}
    found["verdict"] = timed(verdict, options.times)
    print(f"{Item.objects.filter(state='open').count():,} open items of {options.findings:,} findings")
    return found


def main() -> int:
    """Measure, print a table, and tell by the exit code whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--findings", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=60, help="calls of each (default 60)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="duolog-benchmark-") as place:
        os.environ |= {"DUOLOG_HOME": f"{place}/home", "DJANGO_SETTINGS_MODULE": "duolog.settings"}
        from django.conf import settings

        with settings.SERVICES.hold():
            measured = measure(options)
    figures: dict[str, dict[str, Any]] = {}
    for name, took in measured.items():
        value = statistics.quantiles(took, n=20)[-1]
        figures[name] = {"figure": round(value, 1), "goal": GOALS[name], "met": value <= GOALS[name]}
        told = "met" if figures[name]["met"] else "MISSED"
        print(
            f"{name:<8} p95 {value:7.1f} ms   median {statistics.median(took):7.1f} ms   goal {GOALS[name]:.0f}: {told}"
        )
    if options.json:
        print(json.dumps(figures))
    return 0 if all(row["met"] for row in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
