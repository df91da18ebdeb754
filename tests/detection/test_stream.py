"""Sequences judged as they close: from nothing to the first finding, without a label."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from analysis.models import Finding
from detection import aliases
from detection.aliases import CHAMPION, SHADOW
from detection.models import ModelVersion, NewScore, Scan, Score
from logs import receive, storage
from logs.engine.chunks import Lines
from logs.models import Sequence, Source, UnjudgedSequence
from workers import streams, supervise
from workers.models import Run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

USUAL = ["request accepted for /orders", "订单服务 创建订单 成功", "reserved 3 items", "response sent in 12 ms"]


def send(source: Source, sessions: list[list[str]], at: float, name: str) -> None:
    """Store sessions, ten seconds each, one after the other."""
    rows = [(at + 10 * n, f"{name}{n}", text) for n, session in enumerate(sessions) for text in session]
    lines = Lines(
        [text for *_, text in rows], [when for when, *_ in rows], ["shop"] * len(rows), ["info"] * len(rows),
        [f'{{"trace_id":"{key}"}}' for _, key, _ in rows], [0] * len(rows),
    )  # fmt: skip
    storage.store(source, lines, [], receiver="test", redacted=Counter())
    for stage in ("sequence", "judge", "open-findings"):
        streams.run(stage, source.pk)


def test_a_stream_is_learned_and_then_watched() -> None:
    chance = random.Random(1)
    source = receive.source("shop", "web")
    began = datetime.now(UTC).timestamp() - 9000
    usual = [[line for line in USUAL for _ in range(chance.choice([1, 1, 1, 2]))] for _ in range(450)]
    send(source, usual, began, "a")
    assert UnjudgedSequence.objects.count() >= 400
    run = Run.objects.get()
    assert (run.job, run.options["detector"], run.options["dataset"]) == ("fit-detector", "neighbours", "live-web")
    supervise.execute(str(run.pk), worker="test")

    version = ModelVersion.objects.get()
    streams.run("judge", source.pk)
    assert not UnjudgedSequence.objects.exists()
    live = Scan.objects.get()
    assert (live.version, live.dataset, live.day) == (version, source.dataset, datetime.now(UTC).date())
    judged = live.sequences
    assert judged == Sequence.objects.count()
    before = Finding.objects.count()

    broken = [*USUAL[:2], "database connection pool exhausted", "giving up after 3 retries"]
    send(source, [USUAL, broken, USUAL, USUAL, USUAL], began + 6000, "b")
    streams.run("open-findings", source.pk)
    live.refresh_from_db()
    assert live.sequences > judged
    found = Finding.objects.order_by("-pk").first()
    assert found and Finding.objects.count() == before + 1
    assert found.sequence.entries[2] == "INFO shop: database connection pool exhausted"
    assert found.sequence.key.startswith("b1@")
    assert found.score.blame is not None and len(found.score.blame) == len(broken)
    assert live.anomalous == Score.objects.filter(scan=live).count() == Finding.objects.count()
    assert not NewScore.objects.exists()

    # The same day: one shadow, then another, which becomes the champion.
    second, third = (copy_of(version, number) for number in (2, 3))
    for number, (alias, shadow) in enumerate([(SHADOW, second), (SHADOW, third), (CHAMPION, third)]):
        aliases.point(shadow, alias, reason="a test")
        send(source, [USUAL, broken, USUAL], began + 7000 + 1000 * number, f"c{number}")
        streams.run("open-findings", source.pk)
    assert {scan.version for scan in Scan.objects.filter(shadow_of=live)} == {second, third}
    now = Scan.objects.get(version=third, shadow_of=None)
    assert now.sequences > 0
    assert now.anomalous == now.scores.count() > 0
    assert not UnjudgedSequence.objects.exists()


def copy_of(version: ModelVersion, number: int) -> ModelVersion:
    """The same detector under another number."""
    fields = {field.attname: getattr(version, field.attname) for field in version._meta.concrete_fields}
    return ModelVersion.objects.create(**fields | {"id": None, "number": number, "run_id": None})


def test_a_stage_that_is_rung_twice_does_its_work_once() -> None:
    source = receive.source("shop", "web")
    streams.ring("sequence", source.pk)
    streams.ring("sequence", source.pk)
    assert source.pk not in {*streams.STAGES["sequence"].due()}
    send(source, [USUAL], datetime.now(UTC).timestamp(), "a")
    streams.run("sequence", source.pk)
    assert source.open_sequences.count() == 1
