"""One row of everything in a project."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from analysis import channels
from analysis.models import AnomalyReport, Channel, Comment, Delivery, Event, Finding, Item, MuteRule
from detection import aliases
from detection.models import ModelVersion, Scan, Score, Scorecard
from duolog import access
from duolog.plugins.types import BadRecord
from logs import storage
from logs.engine.chunks import Lines
from logs.models import (
    Dataset,
    Label,
    PendingChunk,
    Project,
    QuarantinedRow,
    RedactionRule,
    Sequence,
    Source,
    Split,
    Template,
)
from workers.models import Artifact, Attempt, Line, Metric, Run

EVIL = "<script>alert('x')</script>"


SKIPPED = {"skipped": f"no source {EVIL}"}


LEARNING = {
    "test": 40,
    "draws": 3,
    "points": [
        {"labels": 0, "f1": {"mean": 0.511, "sd": 0.01}, "pr_auc": {"mean": 0.6, "sd": 0.02}},
        {"labels": 20, "f1": {"mean": 0.722, "sd": 0.03}, "pr_auc": {"mean": 0.8, "sd": 0.04}},
    ],
}
"""What a version's recipe reaches with few labels."""


def tried(f1: float, floor: float = 0.8, trials: int = 5) -> dict[str, Any]:
    """What a scorecard says of a protocol."""
    names = ["precision", "recall", "pr_auc", "false_alarms", "leakage", "detect_of", "detect_line", "detect_share"]
    figures = {name: {"mean": 0.5, "sd": 0.1} for name in [*names, "seconds_to_train", "seconds_to_score"]}
    floors = {"tfidf": {"f1": {"mean": floor, "sd": 0.0}, "pr_auc": {"mean": floor, "sd": 0.0}}}
    told = {"trials": trials, "f1": {"mean": f1, "sd": 0.01}, **figures}
    return {**told, "floor": "tfidf", "floors": floors, "over_floor": f1 - floor}


@dataclass
class Tenant:
    """One project's rows."""

    project: Project
    dataset: Dataset
    sequences: list[Sequence]
    run: Run
    version: ModelVersion
    scan: Scan
    finding: Finding
    item: Item
    template: Template
    source: Source
    rule: RedactionRule
    mute_rule: MuteRule
    channel: Channel


def make_channel(slug: str) -> Channel:
    """A channel with a route, and a delivery that has failed."""
    options = {"url": f"https://{slug}.example.com/hook?key={slug}-hook-key", "secret": f"{slug}-secret"}
    channel = channels.create(project=slug, name=f"{slug}-hook", notifier="webhook", options=options)
    Delivery.objects.create(channel=channel, kind="test", state="failed", due_at=None, error=f"{slug} said {EVIL}")
    return channel


def make_source(project: Project, dataset: Dataset) -> Source:
    """A source with a line, a rejected record, and a token; no line waits."""
    source = Source.objects.create(project=project, name=f"{project.slug}-web", dataset=dataset)
    lines = Lines([f"a raw line {EVIL}"], [1764000000.5], ["shop"], ["info"], ['{"trace_id":"t1"}'], [0])
    bad = BadRecord(3, f"odd {EVIL}", f"{project.slug} text {EVIL}")
    storage.store(source, lines, [bad], receiver="ingest", redacted=Counter())
    PendingChunk.objects.filter(source=source).delete()
    owner = User.objects.create_user(f"{project.slug}-shipper")
    access.issue_token(user=owner, name=f"{project.slug} shipper", project=project.slug, source=source.name)
    return source


def make_tenant(slug: str) -> Tenant:
    project = Project.objects.create(slug=slug, name=slug.title())
    run = Run.objects.create(
        project=slug, job="fit-detector", status="running", attempt=1, done=3, total=10, stage="fit"
    )
    Attempt.objects.create(run=run, number=1, worker="host:1")
    Line.objects.create(run=run, attempt=1, at=run.created_at, text=f"a line {EVIL}")
    Metric.objects.bulk_create([Metric(run=run, name="loss", step=step, value=1 / (step + 1)) for step in range(5)])
    Artifact.objects.create(run=run, attempt=1, name="model", path=f"{slug}/x", bytes=3, sha256="0" * 64)
    dataset = Dataset.objects.create(project=project, name=f"{slug}-logs", run=run)
    sequences = [
        Sequence.objects.create(
            dataset=dataset,
            key=f"s{number}",
            entries=["start", f"row {number} {EVIL}", "end"],
            length=3,
            times=[1, 2, 3],
        )
        for number in range(4)
    ]
    for number, sequence in enumerate(sequences[:3]):
        Label.objects.create(sequence=sequence, value=number % 2, type="timeout" * (number % 2), source="import")
    Split.objects.create(
        dataset=dataset, revision=1, name="test", seed=1, sequence_ids=[row.pk for row in sequences], sha256="0" * 64
    )
    QuarantinedRow.objects.create(dataset=dataset, file="a.csv", row=7, reason="odd", excerpt=EVIL)
    plots = {
        "pr": [[1.0, 0.5, 0.1], [0.5, 1.0, 0.9]],
        "confusion": {"true_positive": 1, "false_positive": 1, "false_negative": 0, "true_negative": 2},
        "reliability": [[0.1, 0.0, 2], [0.9, 0.5, 2]],
        "histogram": {"normal": [2, *[0] * 38, 1], "anomalous": [*[0] * 39, 1]},
    }
    figures = {
        "f1": 0.9,
        "precision": 0.8,
        "recall": 0.95,
        "accuracy": 0.97,
        "pr_auc": 0.9,
        "sequences": 4,
        "threshold": 0.5,
    }
    version = ModelVersion.objects.create(
        project=slug, name="m", number=1, detector="moe", distribution="duolog", distribution_version="1", encoder="e5",
        encoder_digest="d", threshold=0.5, metrics={"logs:test": figures}, plots={"logs:test": plots}, path="p",
        sha256="0" * 64, run=run, learning={"logs": LEARNING},
    )  # fmt: skip
    aliases.point(version, "champion", reason=EVIL)
    Scorecard.objects.create(
        project=slug, version=version, dataset=dataset, seeds=5, protocols={"random": tried(0.9), "source": SKIPPED},
        instability={"protocol": "random", "curves": {"edited": [[0, 0.9], [30, 0.6]]}, "not_measured": {}},
    )  # fmt: skip
    scan = Scan.objects.create(project=slug, version=version, dataset=dataset, threshold=0.5, sequences=4, anomalous=1)
    score = Score.objects.create(scan=scan, sequence=sequences[1], value=0.9, anomalous=True, blame=[0.0, 0.75, 0.25])
    Score.objects.create(scan=scan, sequence=sequences[0], value=0.1, anomalous=False)
    item = Item.objects.create(
        project=slug, fingerprint=slug.encode(), service=EVIL, sequence=score.sequence, score=score, findings_count=1
    )
    Comment.objects.create(item=item, user=User.objects.create_user(f"{slug}-commenter"), text=EVIL)
    finding = Finding.objects.create(project=slug, score=score, sequence=score.sequence, model="m", item=item)
    AnomalyReport.objects.create(
        finding=finding, state="done", analyst="rules", key=slug, category="应用", type="timeout", severity="high",
        confidence=0.8, evidence=[{"line": 2, "quote": f"row 1 {EVIL}"}], prompt_tokens=7, cost="0.25", run=run,
        texts={"en": {"summary": f"{slug} {EVIL}", "root_cause": EVIL, "recommendations": [EVIL]}},
    )  # fmt: skip
    template = Template.objects.create(
        project=project, number=7, pattern=f"{slug} row <*> {EVIL}", examples=[f"{slug} row <*> {EVIL}"],
        changed_at=run.created_at,
    )  # fmt: skip
    source = make_source(project, dataset)
    rule = RedactionRule.objects.create(project=project, kind=f"{slug}-staff", pattern=rf"{slug}-\d{{6}}|x-{EVIL[:8]}")
    channel = make_channel(slug)
    mute_rule = make_muted(finding, template)
    return Tenant(
        project, dataset, sequences, run, version, scan, finding, item, template, source, rule, mute_rule, channel
    )  # fmt: skip


def make_muted(finding: Finding, template: Template) -> MuteRule:
    """A mute rule and its record."""
    rule = MuteRule.objects.create(
        project=finding.project, template=template, service=f"{finding.project} shop", expression=f"x|{EVIL[:8]}",
        reason=f"{finding.project} {EVIL}", rate=0.5, hidden=3, expires_at=datetime.now(UTC) + timedelta(days=30),
        back_test={
            "days": 90, "items": 1, "findings": 3, "confirmed": 1, "dismissed": 0, "open": 0, "muted": 0, "links": [],
            "per_day": [0, 0, 3], "until": "2026-11-25", "rate": 0.5, "busiest": 30,
            "scores": {"count": 3, "sum": 2.7, "squares": 2.43},
        },
    )  # fmt: skip
    Event.objects.create(project=finding.project, action="rule", details={"rule": rule.pk, "did": "made"})
    return rule
