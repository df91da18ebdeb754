"""Division of a dataset into parts, and the parts that a run sees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from logs import datasets
from logs.models import Dataset, Label, Split
from training.engine import split
from workers.jobs import JobFailed
from workers.models import Run

REASONS = {
    "size": _("%(asked)d sequences are asked for, but dataset %(dataset)s has only %(found)d with a label"),
    "missing": _(
        "dataset %(dataset)s has no sequence with the label %(label)s, and a split needs both; import or state labels, "
        "or train the detector neighbours, which needs none"
    ),
    "rare": _(
        "dataset %(dataset)s has only %(found)d sequences with the label %(label)s, so that part %(part)s would get "
        "none; label more, or make that part larger"
    ),
}


def divide(dataset: Dataset, sizes: Mapping[str, int], seed: int) -> list[Split]:
    """Return the unsaved parts of a new division; sizes that are all zero mean 8 : 1 : 1.

    Raises JobFailed, with what to do, when the dataset has too few labelled sequences for it.
    """
    rows = datasets.labelled(dataset)
    if not any(sizes.values()):
        tenth = max(1, len(rows) // 10)
        sizes = {"train": len(rows) - 2 * tenth, "validation": tenth, "test": tenth}
    try:
        chosen = split.split([split.Member(row.key, row.value, row.type) for row in rows], sizes, seed)
    except split.SplitError as error:
        raise JobFailed(_explain(dataset, error)) from error
    return [
        Split(
            dataset=dataset,
            name=name,
            seed=seed,
            sequence_ids=[rows[position].pk for position in members],
            sha256=split.digest(rows[position].key for position in members),
        )
        for name, members in chosen.items()
        if members
    ]


def store(parts: list[Split], *, run: Run) -> dict[str, Any]:
    """Save a division as the dataset's next revision; called in the run's fenced transaction."""
    dataset = parts[0].dataset
    # The race: two divisions of one dataset read the same highest revision. The second waits for the dataset's row.
    Dataset.objects.select_for_update(no_key=True).get(pk=dataset.pk)
    revision = (dataset.splits.aggregate(last=Max("revision"))["last"] or 0) + 1
    for part in parts:
        part.revision, part.run = revision, run
    Split.objects.bulk_create(parts)
    return {"dataset": dataset.name, "revision": revision, **{part.name: len(part.sequence_ids) for part in parts}}


def parts(dataset: Dataset, *, before: datetime | None = None) -> dict[str, Split]:
    """Return the parts of the newest division (made `before` that time) by name; empty if there is none."""
    splits = dataset.splits.filter(created_at__lte=before) if before else dataset.splits.all()
    newest = splits.aggregate(last=Max("revision"))["last"]
    return {split.name: split for split in splits.filter(revision=newest)}


def _explain(dataset: Dataset, error: split.SplitError) -> str:
    values = {"dataset": dataset.name, **error.values}
    if error.label is not None:
        values["label"] = Label(value=error.label).get_value_display()
    return str(REASONS[error.reason]) % values
