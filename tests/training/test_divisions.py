"""Divisions of a stored dataset: strategy, lineage, leakage, and a content that stays what it was."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from duolog.plugins.types import LogSequence, NullContext
from logs import datasets, ingest
from logs.models import Dataset, Label, Sequence
from training import snapshot, splits
from workers.jobs import JobFailed
from workers.models import Run

pytestmark = pytest.mark.django_db

SIZES = {"train": 24, "validation": 8, "test": 8}
DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def run() -> Run:
    return Run.objects.create(project="default", job="import-data", status="succeeded", result={"dataset": "d"})


@pytest.fixture
def dataset(run: Run) -> Dataset:
    """Forty sequences of five template sequences and four services, one an hour."""
    found = datasets.get_or_create(project="default", name="d")
    rows = [
        LogSequence(
            f"s{n}",
            (f"request {n} of kind k{n % 5 + 1}" + "x" * (n % 5), "done"),
            int(n % 4 == 3 or n % 7 == 2),
            "timeout",
            tuple((DAY + timedelta(hours=n, seconds=s)).timestamp() for s in range(2)),
            {"service": f"service-{n % 4}"},
        )
        for n in range(40)
    ]
    ingest.stage(rows, source=Label.Source.IMPORT, origin="day.jsonl", ctx=NullContext()).commit(found, run)
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now())
    return found


def divided(dataset: Dataset, run: Run, **asked: Any) -> dict[str, Any]:
    asked = {"sizes": SIZES, "seed": 1, "strategy": "random", **asked}
    parts = splits.divide(dataset, asked.pop("sizes"), asked.pop("seed"), ctx=NullContext(), **asked)
    return splits.store(parts, run=run)


def members(dataset: Dataset) -> dict[str, list[Sequence]]:
    return {
        name: list(Sequence.objects.filter(pk__in=part.sequence_ids)) for name, part in splits.parts(dataset).items()
    }


def test_chronological_goes_by_the_first_line(dataset: Dataset, run: Run) -> None:
    divided(dataset, run, strategy="chronological")
    found = {name: sorted(int(row.key[1:]) for row in rows) for name, rows in members(dataset).items()}
    assert found == {"train": list(range(24)), "validation": list(range(24, 32)), "test": list(range(32, 40))}


def test_random_parts_leak_and_parts_by_template_do_not(dataset: Dataset, run: Run) -> None:
    assert divided(dataset, run)["leakage"] == {"validation": 1, "test": 1}
    apart = divided(dataset, run, strategy="template")
    assert apart["leakage"] == {"validation": 0, "test": 0}
    assert {part.name: part.leakage for part in splits.parts(dataset).values()} == {
        "train": None,
        "validation": 0,
        "test": 0,
    }
    assert {name: apart[name] for name in SIZES} == SIZES


def test_whole_sources_are_held_out_and_what_came_out_is_told(dataset: Dataset, run: Run) -> None:
    told = divided(dataset, run, strategy="source")
    services = {name: {row.meta["service"] for row in rows} for name, rows in members(dataset).items()}
    assert sorted(map(len, services.values())) == [1, 1, 2]
    assert told["asked"] == SIZES
    assert {name: told[name] for name in SIZES} == {"train": 20, "validation": 10, "test": 10}


def test_the_lineage_names_files_runs_and_labels(dataset: Dataset, run: Run) -> None:
    divided(dataset, run)
    part = splits.parts(dataset)["test"]
    assert part.strategy == "random"
    assert part.lineage == {
        "asked": 8,
        "files": {"day.jsonl": 8},
        "runs": [{"run": str(run.pk), "job": "import-data"}],
        "labels": {"import": 40, "last": Label.objects.latest("pk").pk},
        "types": Counter(row.labels.get().type for row in members(dataset)["test"]),
    }


def take(dataset: Dataset) -> snapshot.Snapshot:
    return snapshot.take(project="default", ref=dataset.name, labels=True, before=timezone.now())


def test_a_snapshot_keeps_the_labels_it_was_made_with(dataset: Dataset, run: Run) -> None:
    divided(dataset, run)
    before = take(dataset)
    assert before.newer_labels == 0
    for row in members(dataset)["train"]:
        Label.objects.create(sequence=row, value=1, source=Label.Source.REVIEW)
    after = take(dataset)
    assert after.train == before.train
    assert after.newer_labels == 24
    (newest,) = {one.label for one in datasets.read(dataset, "train")}
    assert newest == 1  # whoever evaluates sees what people said last
    Label.objects.filter(source=Label.Source.REVIEW).delete()
    divided(dataset, run)
    assert take(dataset).lineage["parts"] == before.lineage["parts"]


def test_what_nobody_labelled_is_learned_from_and_named_in_the_lineage(dataset: Dataset, run: Run) -> None:
    divided(dataset, run)
    assert take(dataset).unlabelled == []
    assert take(dataset).lineage["parts"].keys() == {"train", "validation"}
    rows = [LogSequence(f"new{n}", (f"request {n} of kind k1", "done"), None) for n in range(2)]
    ingest.stage(rows, source=Label.Source.IMPORT, origin="next.jsonl", ctx=NullContext()).commit(dataset, run)
    found = take(dataset)
    assert [one.id for one in found.unlabelled] == ["new0", "new1"]
    Sequence.objects.filter(key="new0").update(entries=["other", "done"])
    assert take(dataset).lineage["parts"]["unlabelled"] != found.lineage["parts"]["unlabelled"]


@pytest.mark.parametrize(
    "change",
    [
        lambda row: Label.objects.filter(sequence=row).update(value=1 - row.labels.get().value),
        lambda row: Label.objects.filter(sequence=row).update(type="other"),
        lambda row: Sequence.objects.filter(pk=row.pk).update(entries=["other", "done"]),
        lambda row: Sequence.objects.filter(pk=row.pk).update(times=[1.0, 2.0]),
        lambda row: Sequence.objects.filter(pk=row.pk).update(meta={}),
        lambda row: row.delete(),
    ],
    ids=["label", "type", "line", "time", "meta", "deleted"],
)
def test_a_change_below_a_split_is_noticed(dataset: Dataset, run: Run, change: Any) -> None:
    divided(dataset, run)
    take(dataset)
    change(members(dataset)["train"][0])
    with pytest.raises(JobFailed, match=r"d:train does not hold any more .* `duolog split --dataset d` again"):
        take(dataset)


@pytest.mark.parametrize(
    ("columns", "strategy", "message"),
    [
        ({"started_at": None}, "chronological", "40 sequences of dataset d have no time .* random or template"),
        ({"meta": {}, "origin": ""}, "source", "40 sequences of dataset d name no source"),
        ({"meta": {}}, "source", "only 1 groups that must stay together, and 3 parts"),
        ({"entries": ["same"]}, "template", "only 1 groups"),
    ],
)
def test_what_cannot_be_divided_says_what_to_do(
    dataset: Dataset, columns: dict[str, Any], strategy: str, message: str
) -> None:
    Sequence.objects.update(**columns)
    with pytest.raises(JobFailed, match=message):
        splits.divide(dataset, SIZES, 1, strategy=strategy, ctx=NullContext())


def test_how_sure_the_label_that_counts_is_goes_with_the_sequence(dataset: Dataset, run: Run) -> None:
    first, second, *_ = Sequence.objects.order_by("pk")
    for confidence in (0.3, 0.75):
        Label.objects.create(sequence=first, value=1, source=Label.Source.REVIEW, confidence=confidence)
    Sequence.objects.filter(pk=second.pk).update(meta={"confidence": 0.1})  # of whoever wrote the file: not ours
    read = list(datasets.read(dataset))
    assert [(each.label, each.confidence) for each in read[:3]] == [(1, 0.75), (0, 1.0), (1, 1.0)]
    divided(dataset, run)
    assert {each.confidence for part in splits.parts(dataset).values() for each in datasets.read(dataset, part)} == {
        0.75,
        1.0,
    }
    assert take(dataset).train, "what is read is still what was hashed"
