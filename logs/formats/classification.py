"""The anomaly classification set: a JSON array of sequences, each with what an analyst says about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

import msgspec

from duolog.plugins.types import LogSequence, Record
from logs.formats import seed, training
from logs.formats.rows import ObjectFormat

COLUMNS = (
    "sequence_id", "log_sequence", "label", "category", "anomaly_type", "severity", "root_cause_lines", "summary",
    "explanation", "recommendations",
)  # fmt: skip
PARTS = ("category", "severity", "summary", "explanation", "recommendations", "language")
"""Of `meta["analysis"]`, the members that are columns by their own names; the others stay in `analysis`."""


class Classification(ObjectFormat):
    """Columns as in COLUMNS, root-cause lines counted from 1; what else a sequence holds follows them.

    Everything comes back but line breaks within a log line, and fields of a sequence that are called like a column.
    """

    marks = (b'"log_sequence"', b'"explanation"')
    sure = 0.97  # surer than the training format, which knows no explanations

    def record(self, number: int, raw: bytes, fields: dict[str, Any], name: str) -> Record:
        """Return the sequence of a row, with its analysis put together again."""
        if fields.get("anomaly_type", "") is None:
            del fields["anomaly_type"]
        return training.record(number, raw, _gathered(fields), name, self.options.max_line)

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write the array, an element a line."""
        return seed.write_array(map(row, sequences), stream)


def row(sequence: LogSequence) -> dict[str, Any]:
    """Return a sequence as this format writes it."""
    meta = {key: value for key, value in sequence.meta.items() if key != "analysis"}
    analysis = sequence.meta.get("analysis")
    fields = training.row(replace(sequence, meta=meta))
    if isinstance(analysis, Mapping):
        fields |= {"anomaly_type": sequence.type or None} | _spread(analysis)
    return {name: fields[name] for name in COLUMNS if name in fields} | fields


def table_row(sequence: LogSequence) -> dict[str, str]:
    """Return a sequence as a row of a table under COLUMNS and `meta`, which holds the rest; lists are JSON."""
    fields = row(sequence)
    meta = {name: value for name, value in fields.items() if name not in COLUMNS}
    told = {name: fields.get(name) for name in COLUMNS} | {"meta": meta}
    return {
        name: value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
        for name, value in told.items()
    }


def _spread(analysis: Mapping[str, Any]) -> dict[str, Any]:
    rest = dict(analysis)
    fields = {name: rest.pop(name) for name in PARTS if name in rest}
    found = rest.get("root_cause")
    if isinstance(found, list | tuple) and all(type(line) is int for line in found):
        fields["root_cause_lines"] = [line + 1 for line in rest.pop("root_cause")]
    return fields | ({"analysis": rest} if rest else {})


def _gathered(fields: dict[str, Any]) -> dict[str, Any]:
    """Put the columns of an analysis together again."""
    analysis = {name: fields.pop(name) for name in PARTS if name in fields}
    found = fields.get("root_cause_lines")
    if isinstance(found, list) and all(type(line) is int for line in found):
        analysis["root_cause"] = [line - 1 for line in fields.pop("root_cause_lines")]
    rest = fields.get("analysis")
    if isinstance(rest, dict):
        analysis = rest | analysis
    return fields | ({"analysis": analysis} if analysis or "analysis" in fields else {})
