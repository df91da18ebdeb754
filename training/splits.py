"""Division of a dataset into parts, and the parts that a run sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
from django.db.models import Count, Max
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog.plugins.types import Context
from logs import datasets
from logs.engine.fingerprint import BYTES, fingerprints
from logs.models import Dataset, Label, Sequence, Split
from training.engine import extension, leakage, protocol, split
from workers.jobs import JobFailed
from workers.models import Run

BATCH = 1000
"""Sequences whose lines are masked at once."""
NAMED = 100
"""Origins and runs that a lineage names; of the others it tells the number."""
REASONS = {
    "size": _("%(asked)d sequences are asked for, but dataset %(dataset)s has only %(found)d with a label"),
    "missing": _(
        "dataset %(dataset)s has no sequence with the label %(label)s, and a split needs both; import or state labels, "
        "or train the detector neighbours, which needs none"
    ),
    "rare": _(
        "dataset %(dataset)s has only %(found)d sequences with the label %(label)s, so that part %(part)s would get "
        "none; label more, make that part larger, or choose another strategy"
    ),
    "untimed": _(
        "%(found)d sequences of dataset %(dataset)s have no time that could be read, so there is no order to split by; "
        "import them with times, or choose the strategy random or template"
    ),
    "sourceless": _(
        "%(found)d sequences of dataset %(dataset)s name no source; import them with a field “source” or “service”, or "
        "choose another strategy"
    ),
    "groups": _(
        "dataset %(dataset)s has only %(found)d groups that must stay together, and %(parts)d parts are asked for; "
        "import more, leave the test part out, or choose another strategy"
    ),
}


@dataclass
class _Members:
    """What a division goes by; some 300 bytes a sequence, whatever the length of its lines."""

    members: list[split.Member] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    pks: list[int] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)


def divide(dataset: Dataset, sizes: Mapping[str, int], seed: int, *, strategy: str, ctx: Context) -> list[Split]:
    """Return the unsaved parts of a new division; sizes that are all zero mean 8 : 1 : 1.

    `strategy` is one of `split.STRATEGIES`. Raises JobFailed, with what to do, when the dataset's labelled sequences
    will not do for it.
    """
    labels = _labels(dataset)
    rows = _read(dataset, labels["last"], ctx)
    asked = dict(sizes)
    if not any(sizes.values()):
        asked = protocol.parts(len(rows.members))
    try:
        chosen = split.split(rows.members, asked, seed, strategy)
    except split.SplitError as error:
        raise JobFailed(explain(dataset, error)) from error
    return _parts(dataset, rows, chosen, seed, strategy, {"labels": labels}, asked)


def extend(dataset: Dataset, old: Mapping[str, Split], *, before: datetime, ctx: Context) -> list[Split]:
    """Return the unsaved parts of a division that takes in what was labelled since the division `old`.

    Members stay in the part where they were as long as they have a label, so that the test part asks for the same, and
    more; the others are dealt out by `training.engine.extension`. No label counts that was stated later than `before`.
    Without an `old` division all are new, and no two parts say the same. Raises JobFailed as `divide` does.
    """
    train = old.get("train")
    old = old if train else {}
    known = (train.last_label or 0) if train else 0
    labels = _labels(dataset, before)
    rows = _read(dataset, labels["last"], ctx)
    places = {pk: part.name for part in old.values() for pk in part.sequence_ids}
    # What an earlier division left out stays out unless somebody has said something about it since.
    stated = Label.objects.filter(sequence__dataset=dataset, pk__gt=known, pk__lte=labels["last"])
    fresh = set(stated.values_list("sequence", flat=True)) if old else set(rows.pks)
    kept = [position for position, pk in enumerate(rows.pks) if pk in places or pk in fresh]
    shares = {name: len(part.sequence_ids) for name, part in old.items()} or dict(extension.SHARES)
    shares.setdefault("test", -(-shares["train"] // 8))
    seed, strategy = (train.seed, train.strategy) if train else (0, "template")
    members = [rows.members[position] for position in kept]
    placed = [places.get(rows.pks[position], "") for position in kept]
    try:
        chosen = extension.extend(members, placed, shares, seed, strategy)
    except split.SplitError as error:
        raise JobFailed(explain(dataset, error)) from error
    found = {name: [kept[position] for position in positions] for name, positions in chosen.items()}
    lineage = {"labels": labels} | ({"extends": train.revision} if train else {})
    return _parts(dataset, rows, found, seed, strategy, lineage, {name: len(found[name]) for name in found})


def _parts(
    dataset: Dataset,
    rows: _Members,
    chosen: Mapping[str, list[int]],
    seed: int,
    strategy: str,
    lineage: Mapping[str, Any],
    asked: Mapping[str, int],
) -> list[Split]:
    runs = _runs(dataset)
    learned = _templates(rows, chosen["train"])
    return [
        Split(
            dataset=dataset,
            name=name,
            seed=seed,
            strategy=strategy,
            sequence_ids=[rows.pks[position] for position in positions],
            sha256=split.digest(rows.contents[position] for position in positions),
            lineage={
                "asked": asked[name],
                "files": _named(Counter(rows.origins[position] for position in positions)),
                "runs": runs,
                "types": _named(Counter(rows.members[position].type for position in positions)),
                **lineage,
            },
            leakage=None if name == "train" else leakage.share(_templates(rows, positions), learned),
        )
        for name, positions in chosen.items()
        if positions
    ]


def store(parts: list[Split], *, run: Run) -> dict[str, Any]:
    """Save a division as the dataset's next revision; called in the run's fenced transaction.

    Returns what came out: the parts' sizes, what was asked for, and the leakage of each part but train.
    """
    dataset = parts[0].dataset
    # The race: two divisions of one dataset read the same highest revision. The second waits for the dataset's row.
    Dataset.objects.select_for_update(no_key=True).get(pk=dataset.pk)
    revision = (dataset.splits.aggregate(last=Max("revision"))["last"] or 0) + 1
    for part in parts:
        part.revision, part.run = revision, run
    Split.objects.bulk_create(parts)
    return {
        "dataset": dataset.name,
        "revision": revision,
        "strategy": parts[0].strategy,
        **{part.name: len(part.sequence_ids) for part in parts},
        "asked": {part.name: part.lineage["asked"] for part in parts},
        "leakage": {part.name: part.leakage for part in parts if part.leakage is not None},
    }


def parts(dataset: Dataset, *, before: datetime | None = None, revision: int | None = None) -> dict[str, Split]:
    """Return the parts of a division (the newest, made `before` that time) by name; empty if there is none."""
    splits = dataset.splits.filter(created_at__lte=before) if before else dataset.splits.all()
    if revision is None:
        revision = splits.aggregate(last=Max("revision"))["last"]
    return {split.name: split for split in splits.filter(revision=revision)}


def whole(*, project: str, ref: str) -> Dataset:
    """Return the dataset that `ref` names; raise JobFailed if it names a part."""
    dataset, part = datasets.resolve(project=project, ref=ref)
    if part:
        raise JobFailed(gettext("%(ref)s is a part already; name the dataset") % {"ref": ref})
    return dataset


def _read(dataset: Dataset, last_label: int, ctx: Context) -> _Members:
    """Read all labelled sequences once: their lines are hashed and masked, and not kept."""
    ctx.stage(str(_("reading")), total=datasets.count(dataset))
    found = _Members()
    texts: dict[str, str] = {}  # equal types, sources and origins are one object
    stored = datasets.read_stored(Sequence.objects.filter(dataset=dataset), last_label)
    while batch := list(islice(stored, BATCH)):
        ctx.checkpoint()
        labelled = [row for row in batch if row.sequence.label is not None]
        prints = fingerprints([row.sequence.entries for row in labelled])
        for row, template in zip(labelled, prints, strict=True):
            found.members.append(member(row, template, texts))
            found.contents.append(split.content(row.sequence))
            found.pks.append(row.sequence.meta["pk"])
            found.origins.append(texts.setdefault(row.origin, row.origin))
        ctx.advance(len(batch))
    return found


def member(row: datasets.Stored, template: bytes, texts: dict[str, str]) -> split.Member:
    """Return what splitting sees of a labelled sequence with this fingerprint; `texts` makes equal ones one object."""
    one, at = row.sequence, row.started_at
    kind, source = (texts.setdefault(text, text) for text in (one.type or "", row.source))
    when = at.timestamp() if at else None
    return split.Member(one.id, one.label or 0, kind, when, template, source, str(one.meta.get("incident") or ""))


def _templates(rows: _Members, positions: list[int]) -> leakage.Fingerprints:
    return np.array([rows.members[position].template for position in positions], f"S{BYTES}")


def _labels(dataset: Dataset, before: datetime | None = None) -> dict[str, Any]:
    """Return how many labels each source stated (`before` then), and the key of the newest: no later one is known."""
    stated = Label.objects.filter(sequence__dataset=dataset).order_by().values_list("source")
    stated = stated.filter(created_at__lte=before) if before else stated
    rows = list(stated.annotate(count=Count("pk"), last=Max("pk")))
    return {**{source: count for source, count, _last in rows}, "last": max((last for *_rest, last in rows), default=0)}


def _runs(dataset: Dataset) -> list[dict[str, str]]:
    """Return the runs that wrote into the dataset, newest first."""
    wrote = Run.objects.filter(
        project=dataset.project.slug, job__in=["import-data", "generate"], status="succeeded",
        result__dataset=dataset.name, finished_at__gte=dataset.created_at,
    )  # fmt: skip
    rows = wrote.order_by("-finished_at").values_list("pk", "job")[:NAMED]
    return [{"run": str(pk), "job": job} for pk, job in rows]


def _named(counts: Counter[str]) -> dict[str, int]:
    named = dict(counts.most_common(NAMED))
    rest = len(counts) - len(named)
    return {**named, "…": rest} if rest else named


def explain(dataset: Dataset, error: split.SplitError) -> str:
    """Return why a dataset cannot be divided, and what to do."""
    values = {"dataset": dataset.name, **error.values}
    if error.label is not None:
        values["label"] = Label(value=error.label).get_value_display()
    return str(REASONS[error.reason]) % values
