"""The data that a training run sees: frozen parts of a dataset, and what they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from detection.engine.familiar import SEQUENCES
from duolog.plugins.types import LogSequence
from logs import datasets
from logs import labels as stated
from logs.models import Dataset, Split
from logs.models import Sequence as Row
from training import splits
from training.engine.split import content, digest
from workers.jobs import JobFailed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sequences to learn from, and those to choose the threshold on (none where a dataset has no split).

    `unlabelled` are some of the dataset's sequences that had no label when the split was made: a detector that takes
    labels can learn from them what is usual. `newer_labels` were stated after that; a snapshot does not know them.
    """

    train: list[LogSequence]
    unlabelled: list[LogSequence]
    validation: list[LogSequence]
    lineage: dict[str, Any]
    newer_labels: int = 0


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
    if labels:
        return of(dataset, parts, before)
    wanted = [part] if part else ["train", "validation"] if parts else []
    read = {name: _read(dataset, parts[name]) for name in wanted}
    whole = [] if read else list(datasets.read(dataset))
    train = read.get(part or "train", whole)
    if not train:
        raise JobFailed(gettext("there is nothing in %(ref)s to learn from") % {"ref": ref})
    hashes = {name: parts[name].sha256 for name in read} or {"": digest(map(content, whole))}
    return Snapshot(
        train=train,
        unlabelled=[],
        validation=[] if part else read.get("validation", []),
        lineage=_lineage(dataset, parts[wanted[0]] if wanted else None, hashes),
    )


def of(dataset: Dataset, parts: Mapping[str, Split], before: datetime) -> Snapshot:
    """Return what a detector that takes labels learns from these parts, which need not be stored yet.

    Raises JobFailed where their sequences or labels are not those of the division any more.
    """
    read = {name: _read(dataset, parts[name]) for name in ("train", "validation") if name in parts}
    unlabelled = _unlabelled(dataset, parts["train"], before)
    hashes = {name: parts[name].sha256 for name in read}
    if unlabelled:
        hashes["unlabelled"] = digest(map(content, unlabelled))
    return Snapshot(
        train=read["train"],
        unlabelled=unlabelled,
        validation=read.get("validation", []),
        lineage={**_lineage(dataset, parts["train"], hashes), "last_label": parts["train"].last_label},
        newer_labels=stated.newer(parts["train"]),
    )


def _lineage(dataset: Dataset, split: Split | None, hashes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "revision": split.revision if split else None,
        "strategy": split.strategy if split else None,
        "parts": dict(hashes),
    }


def _unlabelled(dataset: Dataset, split: Split, before: datetime) -> list[LogSequence]:
    """Return the newest of the sequences stored `before` that had no label when the split was made."""
    rows = stated.counting(Row.objects.filter(dataset=dataset, created_at__lte=before), last=split.last_label)
    newest = rows.filter(label=None).order_by("-id").values_list("pk", flat=True)[:SEQUENCES]
    stored = datasets.read_stored(Row.objects.filter(pk__in=list(newest)), split.last_label)
    return [row.sequence for row in stored]


def _read(dataset: Dataset, split: Split) -> list[LogSequence]:
    sequences = list(datasets.read(dataset, split))
    if digest(map(content, sequences)) != split.sha256:
        message = gettext(
            "%(part)s does not hold any more what it held when it was made: sequences or labels were deleted or "
            "changed since; `duolog split --dataset %(dataset)s` again"
        )
        raise JobFailed(message % {"part": split, "dataset": dataset.name})
    return sequences
