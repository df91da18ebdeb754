"""What a file would become, before any of it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duolog.plugins.options import as_json
from duolog.plugins.types import BadRecord, LogSequence
from logs.engine.sanity import fault
from logs.files import GROUP, open_records
from logs.reasons import shown

LIMIT = 4 << 20
"""Bytes of text that are read for it: sessions are only known once all lines were seen."""
SEQUENCES, REFUSED, RECORDS = 10, 5, 2000
LINES, LINE_CHARACTERS = 20, 300

__all__ = ["GROUP", "Preview", "look"]


@dataclass(frozen=True, slots=True)
class Preview:
    """How a file is understood, and its first sequences.

    `options` are the format's with their values, `understood` what it found out by itself; `labels` counts those of
    the `read` sequences, by "normal", "anomalous" and "none"; `whole` says whether those are all that there are.
    """

    format: str
    encoding: str
    packed: str
    files: int
    bytes: int
    options: dict[str, Any]
    understood: dict[str, Any]
    whole: bool
    read: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    sequences: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    refusals: int = 0


def look(path: str | Path, format: str = "auto", options: Mapping[str, Any] | None = None) -> Preview:  # noqa: A002
    """Read the beginning of a file or folder; raises what `files.open_records` raises, and stores nothing."""
    opened = open_records(path, format, options, limit=LIMIT)
    labels = {"normal": 0, "anomalous": 0, "none": 0}
    types: dict[str, int] = {}
    sequences: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    refusals = 0
    source, plugin = opened.source, opened.plugin  # of a folder, those of the first file
    ended, lines, number = True, 0, -1
    for number, record in enumerate(opened.records):
        if number >= RECORDS:
            ended = False
            break
        if isinstance(record, LogSequence) and (reason := fault(record)):
            record = BadRecord(number + 1, reason, record.entries[0][:LINE_CHARACTERS] if record.entries else "")
        if isinstance(record, BadRecord):
            refusals += 1
            if len(refused) < REFUSED:
                refused.append({"row": record.row, "reason": shown(record.reason), "excerpt": record.excerpt})
            continue
        lines += len(record.entries)
        labels[{0: "normal", 1: "anomalous", None: "none"}[record.label]] += 1
        if record.type:
            types[record.type] = types.get(record.type, 0) + 1
        if len(sequences) < SEQUENCES:
            sequences.append(_shown(record))
    getattr(opened.records, "close", lambda: None)()
    values, understood = as_json(plugin.options), dict(plugin.understood)
    # Of a binary format so many rows were read: sequences, or lines of them.
    rows, seen = values.get("rows", 0), number + 1 if "lines" in understood else lines
    whole = ended and not source.cut and (not opened.plugin.binary or seen < rows)
    return Preview(
        opened.format,
        source.encoding,
        "gzip" if source.packed else "",
        opened.files,
        opened.size,
        {name: value for name, value in values.items() if name not in ("max_line", "rows", "labels")},
        understood,
        whole,
        sum(labels.values()),
        labels,
        dict(sorted(types.items(), key=lambda item: -item[1])[:SEQUENCES]),
        sequences,
        refused,
        refusals,
    )


def _shown(one: LogSequence) -> dict[str, Any]:
    entries = [line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]}…" for line in one.entries[:LINES]]
    return {
        "sequence_id": one.id,
        "label": one.label,
        "type": one.type,
        "length": len(one.entries),
        "log_entries": entries,
    }
