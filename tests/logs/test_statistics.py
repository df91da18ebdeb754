"""What a dataset holds: counted rightly, in bounded memory, once, and anew when it holds something else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from duolog.plugins.types import LogSequence, NullContext
from logs import datasets, ingest, statistics
from logs.engine.statistics import Distinct, Tally, languages, spread
from logs.models import Dataset, DatasetStatistics, Label, Sequence
from workers import supervise
from workers.models import Run


def sequence(pk: int, *lines: str, label: int | None = 0, kind: str | None = None, **meta: Any) -> LogSequence:
    return LogSequence(f"s{pk}", lines, label, kind, (), {"pk": pk, **meta})


def tallied(*sequences: LogSequence, batch: int = 2) -> dict[str, Any]:
    tally = Tally()
    for start in range(0, len(sequences), batch):
        tally.add(sequences[start : start + batch])
    return tally.result()


def test_labels_services_and_types() -> None:
    found = tallied(
        sequence(1, "a", services=["gateway", "order", "order"]),
        sequence(2, "b", label=1, kind="超时异常", services=["order"]),
        sequence(3, "c", label=1, kind="超时异常", service="stock"),
        sequence(4, "d", label=None, service=7),
    )
    assert found["labels"] == [
        {"label": 1, "type": "超时异常", "sequences": 2},
        {"label": 0, "type": "", "sequences": 1},
        {"label": None, "type": "", "sequences": 1},
    ]
    names = found["services"]["names"]
    assert [kind["label"] for kind in found["services"]["kinds"]] == [0, 1, None]
    assert dict(zip(names, found["services"]["sequences"], strict=True)) == {
        "order": [1, 1, 0],
        "gateway": [1, 0, 0],
        "stock": [0, 1, 0],
    }


def test_templates_grow_as_new_lines_come() -> None:
    rows = [sequence(n, f"GET /order/{n} took {n} ms", f"step {chr(97 + n // 4)}") for n in range(8)]
    found = tallied(*rows)
    assert (found["lines"], found["distinct_lines"]) == (16, 3)
    assert found["growth"] == [(4, 2), (8, 2), (12, 3), (16, 3)]


def test_repetitions_and_contradictions_go_by_what_masked_lines_say() -> None:
    found = tallied(
        sequence(1, "login of user 17", "done"),
        sequence(2, "login of user 18", "done"),
        sequence(3, "login of user 19", "done", label=1),
        sequence(4, "done", "login of user 17"),
        sequence(5, "login of user 17"),
        sequence(6, "login failed", label=1),
    )["duplicates"]
    most = [{"sequence": 1, "sequences": 3, "anomalous": 1}]
    assert found == {"distinct": 4, "repeated": 2, "contradictory": 3, "most": most}


@pytest.mark.parametrize(
    ("lines", "language"),
    [
        (["连接失败 timeout", "重试 ok"], "zh"),
        (["connection refused", "retry"], "en"),
        (["收到请求", "connection refused"], "mixed"),
        (["2026 17", "…"], "other"),
    ],
)
def test_languages_go_by_the_characters_of_each_line(lines: list[str], language: str) -> None:
    assert languages([*lines, "english words"], [len(lines), 1]) == Counter([language, "en"])


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=300))
def test_the_histogram_loses_no_sequence(lengths: list[int]) -> None:
    found = spread(Counter(lengths))
    bins = found["bins"]
    assert sum(each["sequences"] for each in bins) == len(lengths)
    for each in bins:
        assert each["sequences"] == sum(each["from"] <= length <= each["to"] for length in lengths)
    assert (found["least"], found["most"]) == (min(lengths), max(lengths))
    assert found["median"] == sorted(lengths)[(len(lengths) - 1) // 2]


def test_distinct_is_exact_while_it_is_small_and_near_when_it_is_not() -> None:
    exact, small = Distinct(), Distinct(size=4096)
    for start in range(0, 200_000, 10_000):
        hashes = pl.Series([f"line {n}" for n in range(start, start + 10_000)]).hash()
        exact.add(hashes)
        small.add(hashes)
        small.add(hashes)  # what was seen before counts once
    assert len(exact) == 200_000
    assert abs(len(small) - 200_000) < 20_000
    assert len(small._kept) <= 4096


def test_many_names_do_not_fill_the_memory() -> None:
    found = Tally()
    found.add([sequence(n, "x", label=1, kind=f"type {n}", service=f"pod {n}") for n in range(5000)])
    assert len(found.kinds) <= 1001
    assert len(found.services) <= 1001
    assert sum(found.kinds.values()) == 5000


@pytest.mark.django_db(transaction=True)
class TestCounting:
    """The run that counts."""

    @pytest.fixture
    def dataset(self) -> Dataset:
        found = datasets.get_or_create(project="default", name="d")
        self.store(found, [LogSequence(f"s{n}", (f"line {n}", "done"), n % 2) for n in range(6)])
        return found

    def store(self, dataset: Dataset, rows: list[LogSequence]) -> None:
        run = Run.objects.create(project="default", job="import-data", status="succeeded")
        staged = ingest.stage(rows, source=Label.Source.IMPORT, origin="f", ctx=NullContext())
        with transaction.atomic():
            staged.commit(dataset, run)

    def look(self, dataset: Dataset) -> statistics.Shown:
        dataset.refresh_from_db()
        return statistics.shown(dataset, statistics.content(dataset))

    def counted(self, dataset: Dataset) -> statistics.Shown:
        run = self.look(dataset).run
        assert run is not None
        supervise.execute(run.pk)
        return self.look(dataset)

    def test_the_first_look_starts_it_and_further_looks_wait(self, dataset: Dataset) -> None:
        first, second = self.look(dataset), self.look(dataset)
        assert (first.state, first.values, first.run) == ("computing", None, second.run)
        assert Run.objects.filter(job=statistics.JOB).count() == 1
        found = self.counted(dataset)
        assert found.state == "ready"
        assert found.values is not None
        assert (found.values["sequences"], found.values["lines"], found.values["distinct_lines"]) == (6, 12, 2)
        assert self.look(dataset).run is None
        assert Run.objects.filter(job=statistics.JOB).count() == 1

    @pytest.mark.parametrize("change", ["sequence", "label", "review", "deletion"])
    def test_a_change_is_seen_and_the_old_figures_stay_until_it_is_counted(self, dataset: Dataset, change: str) -> None:
        before = self.counted(dataset)
        if change == "sequence":
            self.store(dataset, [LogSequence("new", ("x",))])
        elif change == "label":
            self.store(dataset, [LogSequence("s0", ("line 0", "done"), 1, "late")])
        elif change == "review":
            Label.objects.create(sequence=Sequence.objects.get(key="s0"), value=1, source=Label.Source.REVIEW)
        else:
            Sequence.objects.get(key="s0").delete()
        stale = self.look(dataset)
        assert (stale.state, stale.values) == ("computing", before.values)
        after = self.counted(dataset)
        assert after.state == "ready"
        assert after.values != before.values

    def test_what_comes_back_is_counted_again(self, dataset: Dataset) -> None:
        before = self.counted(dataset)
        DatasetStatistics.objects.update(content="other", computed_at="2026-01-01T00:00Z")
        again = self.counted(dataset)
        assert (again.state, again.values) == ("ready", before.values)

    def test_a_failure_is_shown_and_not_repeated_by_looking(self, dataset: Dataset) -> None:
        run = self.look(dataset).run
        assert run is not None
        Run.objects.filter(pk=run.pk).update(status="failed", error="odd")
        shown = self.look(dataset)
        assert (shown.state, shown.run) == ("failed", run)
        statistics.recount(dataset, statistics.content(dataset))
        assert self.counted(dataset).state == "ready"

    def test_an_empty_dataset_needs_no_run(self) -> None:
        empty = datasets.get_or_create(project="default", name="empty")
        assert self.look(empty).state == "empty"
        assert not Run.objects.filter(job=statistics.JOB).exists()
