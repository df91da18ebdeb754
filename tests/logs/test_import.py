"""An import stores everything exactly once, or nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection, transaction

from duolog.plugins.types import BadRecord, LogSequence, NullContext, Record
from logs import datasets, ingest
from logs.models import Dataset, Label, QuarantinedRow, Sequence
from workers.models import Run

pytestmark = pytest.mark.django_db


def store(
    records: Iterable[Record], *, source: Label.Source = Label.Source.IMPORT, origin: str = "a.jsonl", name: str = "d"
) -> dict[str, int]:
    staged = ingest.stage(records, source=source, origin=origin, ctx=NullContext())
    with transaction.atomic():
        run = Run.objects.create(job="import-data")
        return staged.commit(datasets.get_or_create(project="default", name=name), run)


DATA: list[Record] = [
    LogSequence("a", ("2026-11-23 19:00:00Z 启动", "2026-11-23 19:00:05Z done"), 0, meta={"host": "db-1"}),
    LogSequence("b", ("超时",), 1, "超时异常", (1_700_000_000.5,)),
    LogSequence("c", ("x",)),
    BadRecord(4, "not valid JSON", "{"),
]


def test_everything_comes_back_as_it_was() -> None:
    assert store(DATA) == {"sequences": 3, "anomalous": 1, "labelled": 2, "quarantined": 1, "duplicates": 0}
    dataset, _ = datasets.resolve(project="default", ref="d")
    back = list(datasets.read(dataset))
    assert [(one.id, one.entries, one.label, one.type, one.times) for one in back] == [
        (one.id, one.entries, one.label, one.type, one.times) for one in DATA if isinstance(one, LogSequence)
    ]
    assert back[0].meta == {"host": "db-1", "pk": Sequence.objects.get(key="a").pk}
    row = Sequence.objects.get(key="a")
    assert (str(row.started_at), str(row.ended_at)) == ("2026-11-23 19:00:00+00:00", "2026-11-23 19:00:05+00:00")
    assert (row.length, row.origin) == (2, "a.jsonl")
    assert Dataset.objects.get().run is not None
    bad = QuarantinedRow.objects.get()
    assert (bad.file, bad.row, bad.reason, bad.excerpt) == ("a.jsonl", 4, "not valid JSON", "{")


def test_importing_twice_doubles_nothing() -> None:
    store(DATA)
    assert store(DATA) == {"sequences": 0, "anomalous": 0, "labelled": 0, "quarantined": 1, "duplicates": 3}
    assert (Sequence.objects.count(), Label.objects.count(), QuarantinedRow.objects.count()) == (3, 2, 1)


def test_labels_may_come_later_and_all_statements_are_kept() -> None:
    store(DATA)
    counts = store([LogSequence("c", ("x",), 1), LogSequence("a", DATA[0].entries, 1, "t")], origin="later")  # type: ignore[union-attr]
    assert (counts["sequences"], counts["labelled"], counts["duplicates"]) == (0, 2, 2)
    assert list(Label.objects.filter(sequence__key="a").order_by("id").values_list("value", flat=True)) == [0, 1]


def test_the_same_id_with_other_lines_is_quarantined() -> None:
    store(DATA)
    counts = store([LogSequence("a", ("something else",), 1)], origin="b.jsonl")
    assert counts == {"sequences": 0, "anomalous": 0, "labelled": 0, "quarantined": 1, "duplicates": 0}
    row = QuarantinedRow.objects.get(file="b.jsonl")
    assert (row.reason, row.excerpt) == ("another sequence with this id is stored already", "something else")


def test_an_id_that_stands_twice_in_a_file_is_taken_once() -> None:
    counts = store([LogSequence("a", ("first",), 0), LogSequence("a", ("second",), 1), LogSequence("a", ("first",), 0)])
    assert (counts["sequences"], counts["labelled"], counts["quarantined"]) == (1, 1, 2)
    assert [one.entries for one in datasets.read(Dataset.objects.get())] == [("first",)]
    assert [(row.row, row.why) for row in QuarantinedRow.objects.all()] == [
        (row, "the sequence id stands in row 1 already") for row in (2, 3)
    ]


@pytest.mark.parametrize(
    "odd",
    [
        LogSequence("n", ("a\0b",)),
        LogSequence("s", ("\ud800",)),
        LogSequence("m", ("a",), meta={"x": "\0"}),
        LogSequence("k" * 300, ("a",)),
        LogSequence("e", ()),
        LogSequence("l", ("a",), 7),
    ],
)
def test_what_postgres_would_refuse_costs_one_row(odd: LogSequence) -> None:
    counts = store([LogSequence("before", ("a",)), odd, LogSequence("after", ("a",))])
    assert (counts["sequences"], counts["quarantined"]) == (2, 1)


def test_times_beyond_the_calendar_are_kept_as_numbers() -> None:
    store([LogSequence("ms", ("a",), times=(1.7e15,)), LogSequence("neg", ("a",), times=(-1.0,))])
    assert list(Sequence.objects.values_list("started_at", "times")) == [(None, [1.7e15]), (None, [-1.0])]


@pytest.mark.parametrize(
    ("statements", "counts"),
    [
        ([("import", 0), ("generator", 1)], 0),
        ([("review", 0), ("import", 1)], 0),
        ([("import", 0), ("import", 1)], 1),
        ([("generator", 1), ("review", 0), ("review", 1)], 1),
        ([], None),
    ],
)
def test_which_label_counts(statements: list[tuple[str, int]], counts: int | None) -> None:
    store([LogSequence("a", ("x",))])
    for source, value in statements:
        Label.objects.create(sequence=Sequence.objects.get(), source=source, value=value)
    dataset = Dataset.objects.get()
    assert [one.label for one in datasets.read(dataset)] == [counts]


def test_a_part_is_read_by_name() -> None:
    from workers.jobs import JobFailed

    store(LogSequence(f"s{number}", ("x",), number % 2) for number in range(5000))
    dataset = Dataset.objects.get()
    keys = list(Sequence.objects.order_by("id").values_list("pk", flat=True))
    for revision, members in ((1, keys[:10]), (2, keys[100:3100])):
        dataset.splits.create(revision=revision, name="train", seed=1, sequence_ids=members, sha256="")
    found, part = datasets.resolve(project="default", ref="d:train")
    assert (found, part) == (dataset, "train")
    assert datasets.count(found, part) == 3000
    assert [one.id for one in datasets.read(found, part)] == [f"s{number}" for number in range(100, 3100)]
    assert datasets.count(found) == 5000
    for ref, message in (
        ("d:tset", "dataset d has no part tset; there are: train"),
        ("e", "has no dataset e; there are: d"),
        ("e:train", "has no dataset e:train; there are: d"),
    ):
        with pytest.raises(JobFailed, match=message):
            datasets.resolve(project="default", ref=ref)


def test_an_import_that_fails_leaves_the_connection_usable() -> None:
    def records() -> Iterable[Record]:
        yield from DATA
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError), transaction.atomic():
        ingest.stage(records(), source=Label.Source.IMPORT, origin="x", ctx=NullContext())
    assert not Sequence.objects.exists()
    assert store(DATA)["sequences"] == 3


KILLED = """
import os, sys, django
django.setup()
from duolog.plugins.types import LogSequence, NullContext
from logs import ingest
from logs.models import Label
def records():
    for number in range(10**9):
        if number == 20_000:
            print("staging", flush=True)
        yield LogSequence(str(number), ("line",) * 10, 0)
ingest.stage(records(), source=Label.Source.IMPORT, origin="x", ctx=NullContext())
"""


@pytest.mark.django_db(transaction=True)
def test_a_killed_import_leaves_nothing(until: Callable[..., None]) -> None:
    from django.conf import settings

    store(DATA)
    url = urlsplit(settings.SERVICES.database_url)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
        env=os.environ | {"DATABASE_URL": url, "REDIS_URL": settings.CELERY_BROKER_URL},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == b"staging\n"
    child.send_signal(signal.SIGKILL)
    child.wait()

    def staged() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_class WHERE relname = 'staged'")
            return cursor.fetchone()[0]

    until(lambda: not staged())
    assert Sequence.objects.count() == 3
    assert store(DATA)["duplicates"] == 3


def test_json_of_any_depth_in_further_fields_survives() -> None:
    deep: Any = "end"
    for _ in range(100):
        deep = {"in": [deep]}
    store([LogSequence("a", ("x",), meta={"deep": deep, "中文": 1.5, "big": 2**60})])
    (one,) = datasets.read(Dataset.objects.get())
    assert json.dumps(one.meta["deep"]) == json.dumps(deep)
    assert (one.meta["中文"], one.meta["big"]) == (1.5, 2**60)
