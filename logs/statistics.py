"""Statistics of a dataset: counted by a run, once for what it holds, and kept until it holds something else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection
from django.db.models.functions import Now
from django.utils.translation import gettext

from logs import datasets
from logs.engine.statistics import Tally
from logs.models import Dataset, DatasetStatistics
from workers import runs
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job
from workers.models import Run
from workers.states import FINAL, Status

JOB = "dataset-statistics"
BATCH, STEPS = 2000, 100
"""Sequences counted at once: at most so many, and fewer of a small dataset, so that its curve has this many points."""
CONTENT = """
    SELECT count(*), coalesce(min(id), 0), coalesce(max(id), 0), (
        SELECT coalesce(max(label.id), 0) FROM logs_label AS label JOIN logs_sequence AS stated
        ON stated.id = label.sequence_id WHERE label.source = 'review' AND stated.dataset_id = %(dataset)s
    ) FROM logs_sequence WHERE dataset_id = %(dataset)s
"""


class Content(NamedTuple):
    """What a dataset holds: a `text` that changes with it, the number of its sequences, and the key of the first."""

    text: str
    sequences: int
    first: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to show: `values` (None before the first count) and how they stand to what the dataset holds.

    `state` is `empty`, `ready`, `computing` (a run is on its way; older values may be there) or `failed`.
    """

    state: str
    values: dict[str, Any] | None = None
    computed_at: datetime | None = None
    run: Run | None = None


@dataclass(frozen=True)
class StatisticsOptions:
    """The dataset to count, by its key, and what it held when this was asked for."""

    dataset: int
    content: str = ""


@job(JOB)
class CountDataset(Job[StatisticsOptions]):
    """Count what a dataset holds, for its page."""

    def run(self, options: StatisticsOptions, ctx: RunContext) -> Finish | None:
        """Read all sequences once; nothing is written before the end."""
        dataset = Dataset.objects.filter(pk=options.dataset, project__slug=ctx.run.project).first()
        if dataset is None:
            raise JobFailed(gettext("there is no dataset %(dataset)s any more") % {"dataset": options.dataset})
        held = content(dataset)
        if DatasetStatistics.objects.filter(dataset=dataset, content=held.text).exists():
            return None
        ctx.stage(gettext("counting"), total=held.sequences)
        tally, sequences = Tally(), datasets.read(dataset)
        size = max(1, min(BATCH, held.sequences // STEPS))
        while batch := list(islice(sequences, size)):
            ctx.checkpoint()
            tally.add(batch)
            ctx.advance(len(batch))
        values = tally.result()

        def finish() -> dict[str, Any]:
            found = {"content": held.text, "values": values, "run": ctx.run, "computed_at": Now()}
            DatasetStatistics.objects.update_or_create(dataset=dataset, defaults=found)
            return {"dataset": dataset.name, "sequences": values["sequences"]}

        return finish


def content(dataset: Dataset) -> Content:
    """Return what the dataset holds.

    Whatever imports or generates leaves its run at the dataset; people's labels come one by one.
    """
    with connection.cursor() as cursor:
        cursor.execute(CONTENT, {"dataset": dataset.pk})
        count, first, last, reviewed = cursor.fetchone()
    return Content(f"{dataset.run_id}/{count}/{last}/{reviewed}", count, first)


def shown(dataset: Dataset, held: Content) -> Shown:
    """Return the statistics, and queue the run that counts anew where the dataset holds something else by now.

    One run at a time and dataset: what changes while it works is seen, and counted, by whoever looks next. A run that
    failed is not repeated by looking; `recount` does.
    """
    if not held.sequences:
        return Shown("empty")
    kept = DatasetStatistics.objects.filter(dataset=dataset).first()
    values, at = (kept.values, kept.computed_at) if kept else (None, None)
    if kept and kept.content == held.text:
        return Shown("ready", values, at)
    run = newest(dataset)
    if run is None or run.status == Status.SUCCEEDED or (run.status in FINAL and run.options["content"] != held.text):
        run = recount(dataset, held)
    return Shown("failed" if run.status in FINAL else "computing", values, at, run)


def recount(dataset: Dataset, held: Content) -> Run:
    """Queue the run that counts, unless one for the same content is on its way."""
    # With the time of the last count: what was counted once may come back (rows are deleted), and is counted again.
    kept = DatasetStatistics.objects.filter(dataset=dataset).first()
    key = f"{dataset.pk}:{held.text}:{kept.computed_at.timestamp() if kept else 0}"
    options = StatisticsOptions(dataset.pk, held.text)
    return runs.enqueue(job=JOB, options=options, project=dataset.project.slug, key=key)


def newest(dataset: Dataset) -> Run | None:
    """Return the newest run that counts this dataset."""
    mine = Run.objects.filter(project=dataset.project.slug, job=JOB, key__startswith=f"{dataset.pk}:")
    return mine.order_by("-created_at").first()
