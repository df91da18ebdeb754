"""Verdicts become the next division and the next version: from a stream that nobody labelled to a better shadow."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from detection import learning as news
from detection import versions
from detection.engine.metrics import evaluate
from detection.models import AliasChange, ModelAlias, ModelVersion, Scan
from duolog.plugins.types import NullContext
from logs import datasets
from logs.models import Dataset, Label, Sequence, Split
from training import learning
from workers.console import perform

pytestmark = pytest.mark.slow

STEPS = [
    "INFO gateway request accepted", "INFO order created", "INFO payment taken", "DEBUG cache hit",
    "INFO parcel packed", "INFO parcel sent", "INFO mail queued",
]  # fmt: skip
TABLES = ["orders", "payments", "parcels", "mails", "customers"]
TIMEOUT, BACKWARDS, AUDIT = "超时异常", "状态冲突", ""
SMALL = {"hidden": 32, "intermediate": 16, "experts": 2, "batch": 16, "learning_rate": 1e-3}
VERDICTS = 90


def kind(number: int) -> str | None:
    """What the sequence of this number is: a type, an audit (normal, and rare), or None, normal as most."""
    return {0: TIMEOUT, 7: AUDIT}.get(number % 15, BACKWARDS if number % 8 == 1 else None)


def lines(number: int) -> list[str]:
    chance = random.Random(number)
    found = [step for step in STEPS for _ in range(chance.choice([1, 1, 1, 1, 0, 2]))] or STEPS[:1]
    table = chance.choice(TABLES)
    if kind(number) == TIMEOUT:
        found.insert(chance.randrange(len(found) + 1), f"ERROR table {table} timed out, giving up")
    elif kind(number) == AUDIT:
        found[1:1] = [f"INFO audit of {table} begins", f"INFO audit of {table} ends"]
    elif kind(number) == BACKWARDS:  # every line is usual: without labels nobody could know
        found += ["INFO parcel sent", "INFO parcel packed", "INFO order created"]
    return found


def store(start: int, count: int) -> list[Sequence]:
    home = datasets.get_or_create(project="default", name="stream")
    told = [(number, lines(number)) for number in range(start, start + count)]
    return Sequence.objects.bulk_create(
        Sequence(dataset=home, key=f"s{number}", entries=entries, length=len(entries)) for number, entries in told
    )


def judge(rows: list[Sequence]) -> None:
    """State what settled items do, one a sequence."""
    kinds = [kind(int(row.key[1:])) or "" for row in rows]
    Label.objects.bulk_create(
        Label(sequence=row, value=int(bool(said)), type=said, source="review", statement=uuid4())
        for row, said in zip(rows, kinds, strict=True)
    )


def members() -> dict[int, dict[str, set[int]]]:
    found: dict[int, dict[str, set[int]]] = {}
    for split in Split.objects.all():
        found.setdefault(split.revision, {})[split.name] = set(split.sequence_ids)
    return found


def champion() -> ModelVersion:
    return ModelVersion.objects.get(name="m", aliases__alias="champion")


def refused(**options: Any) -> str:
    with pytest.raises(CommandError) as caught:
        perform(job="learn", options=options)
    return str(caught.value)


@pytest.fixture(scope="module")
def told(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """All that happens: a champion without labels, verdicts, `learn`; some are withdrawn, others come, and again."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "FIRST", ("moe", SMALL))
        rows = store(0, 400)
        perform(job="fit-detector", options={"dataset": "stream", "detector": "neighbours", "name": "m"})
        perform(job="scan", options={"dataset": "stream", "model": "m"})
        story: dict[str, Any] = {"too early": refused()}
        judge([row for row in rows[:VERDICTS] if kind(int(row.key[1:]))])
        story["one label only"] = refused()
        judge([row for row in rows[:VERDICTS] if not kind(int(row.key[1:]))])
        (story["before"],) = news.news([champion()])
        story["first"] = perform(job="learn").result
        story["after"] = news.news([champion()])
        story["nothing new"] = refused(dataset="stream")
        story["withdrawn"] = Label.objects.filter(sequence__in=members()[1]["train"]).order_by("pk")[:3]
        story["withdrawn"] = list(story["withdrawn"].values_list("sequence", flat=True))
        Label.objects.filter(sequence__in=story["withdrawn"]).delete()
        judge(rows[VERDICTS : VERDICTS + 30])
        story["second"] = perform(job="learn", options={"model": "m@shadow"}).result
        yield story
        call_command("flush", interactive=False, verbosity=0)


@pytest.mark.django_db
def test_x(told):
    import json
    print(json.dumps({k: v for k, v in told.items() if k not in ("before", "after")}, indent=1, ensure_ascii=False))
    print(told["before"], told["after"])
    unseen = [one for one in datasets.read(Dataset.objects.get()) if int(one.id[1:]) >= 130]
    truth = [bool(kind(int(one.id[1:]))) for one in unseen]
    for v in ModelVersion.objects.order_by("pk"):
        print(v, v.threshold, {k: (m["f1"], m["pr_auc"], m["types"]) for k, m in v.metrics.items()})
        l = versions.load(v)
        print(evaluate(truth, l.score(unseen, NullContext()), l.threshold))
    from workers.models import Line
    print(*Line.objects.values_list("text", flat=True), sep="\n")
    raise AssertionError
