"""Exports under the names that the seed's files have, as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext

from logs import transfer
from logs.formats import alpaca, classification, table
from logs.models import Dataset, Sequence
from workers.jobs import JobFailed

SEQUENCES = (
    ("log_sequences_strings", "seed", None),
    ("train_data", "training", "train"),
    ("validation_data", "training", "validation"),
    ("test_data", "training", "test"),
)
"""File, format, part of the newest split (None: all)."""
ANALYSIS = (("anomaly_classification_dataset", "classification", None), ("unsloth_training_data", "alpaca", None))
TABLES = {
    "classification": (classification.table_row, (*classification.COLUMNS, "meta")),
    "alpaca": (alpaca.row, alpaca.COLUMNS),
}
"""Formats whose table is one of their own rows; those of the others are of the format `csv`."""


def export(dataset: Dataset, folder: Path, *, format: str = "", force: bool = False) -> list[tuple[Path, int]]:  # noqa: A002
    """Write the dataset's files, each whole or not at all; return them, and how many sequences each holds.

    An analysis set has the files of ANALYSIS, another those of SEQUENCES as far as there are parts. With a `format`
    only files of that format are written. Raises JobFailed, before anything is written, where a file is there already
    (unless `force`), or if there is none to write.
    """
    newest = dataset.splits.order_by("-revision").values("revision")[:1]
    parts = {None, *dataset.splits.filter(revision__in=newest).values_list("name", flat=True)}
    kinds = ANALYSIS if _is_analysis(dataset) else SEQUENCES
    chosen = [kind for kind in kinds if format in ("", kind[1]) and kind[2] in parts]
    if not chosen:
        known = ", ".join(dict.fromkeys(kind[1] for kind in kinds))
        text = gettext("dataset %(dataset)s has no such files in format %(format)s; there are: %(known)s")
        raise JobFailed(text % {"dataset": dataset.name, "format": format, "known": known})
    fills: dict[Path, Callable[[BinaryIO], int]] = {}
    for name, kind, part in chosen:
        fills[folder / f"{name}.json"] = partial(_json, dataset, kind, part)
        fills[folder / f"{name}.csv"] = partial(_table, dataset, kind, part)
    transfer.refuse_to_replace([] if force else fills)
    return [(place, transfer.whole(place, fill)) for place, fill in fills.items()]


def _is_analysis(dataset: Dataset) -> bool:
    """Tell by the first sequence whether the dataset explains its labels."""
    first = Sequence.objects.filter(dataset=dataset).order_by("id").values_list("meta", flat=True).first()
    return "analysis" in (first or {})


def _json(dataset: Dataset, kind: str, part: str | None, stream: BinaryIO) -> int:
    return transfer.write(dataset, stream, format=kind, part=part)


def _table(dataset: Dataset, kind: str, part: str | None, stream: BinaryIO) -> int:
    if kind not in TABLES:
        return transfer.write(dataset, stream, format="csv", part=part)
    row, columns = TABLES[kind]
    return table.write_rows(map(row, transfer.sequences(dataset, part)), columns, stream)
