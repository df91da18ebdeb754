"""The data that a training run sees: frozen parts of a dataset, and what they were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from duolog.plugins.types import LogSequence
from logs import datasets
from logs.models import Dataset, Split
from training import splits
from training.engine.split import digest
from workers.jobs import JobFailed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sequences to learn from, and those to choose the threshold on (none where a dataset has no split)."""

    train: list[LogSequence]
    validation: list[LogSequence]
    lineage: dict[str, Any]


def take(*, project: str, ref: str, labels: bool, before: datetime) -> Snapshot:
    """Return the data of `ref` (`name` or `name:part`) for a detector that does or does not need `labels`.

    The parts are those of the newest split made `before` the run was asked for, so that a second attempt, which goes
    on from a checkpoint, sees the same. Without a need for labels a single part will do, and so does a dataset that
    has no split, as a whole. Raises JobFailed, with what to do, where the data will not do.
    """
    dataset, part = datasets.resolve(project=project, ref=ref)
    parts = splits.parts(dataset, before=before)
    if labels and part:
        message = gettext("learning from labels takes the parts train and validation: name dataset %(dataset)s only")
        raise JobFailed(message % {"dataset": dataset.name})
    if labels and not {"train", "validation"} <= parts.keys():
        message = gettext("dataset %(dataset)s has no split yet; `duolog split --dataset %(dataset)s` makes one")
        raise JobFailed(message % {"dataset": dataset.name})
    wanted = [part] if part else ["train", "validation"] if parts else []
    read = {name: _read(dataset, parts[name]) for name in wanted}
    whole = [] if read else list(datasets.read(dataset))
    train = read.get(part or "train", whole)
    if not train:
        raise JobFailed(gettext("there is nothing in %(ref)s to learn from") % {"ref": ref})
    if labels:
        _both_labels(dataset, read)
    return Snapshot(
        train=train,
        validation=[] if part else read.get("validation", []),
        lineage={
            "dataset": dataset.name,
            "revision": parts[wanted[0]].revision if wanted else None,
            "parts": {name: parts[name].sha256 for name in read} or {"": digest(each.id for each in whole)},
        },
    )


def _read(dataset: Dataset, split: Split) -> list[LogSequence]:
    sequences = list(datasets.read(dataset, split))
    if digest(sequence.id for sequence in sequences) != split.sha256:
        message = gettext("sequences of %(part)s were deleted since; `duolog split --dataset %(dataset)s` again")
        raise JobFailed(message % {"part": split, "dataset": dataset.name})
    return sequences


def _both_labels(dataset: Dataset, read: dict[str, list[LogSequence]]) -> None:
    """Labels may have changed since the split was made."""
    for name, sequences in read.items():
        if {sequence.label for sequence in sequences} != {0, 1}:
            message = gettext(
                "part %(part)s of dataset %(dataset)s does not hold both normal and anomalous sequences any more; "
                "`duolog split --dataset %(dataset)s` again"
            )
            raise JobFailed(message % {"part": name, "dataset": dataset.name})
