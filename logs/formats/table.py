"""CSV with the columns `sequence_id`, `label` and `log_entries` (JSON) or `log_sequence` (text)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec

from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Record
from logs.engine.sanity import bad
from logs.formats import rows
from logs.formats.rows import ROW_BYTES, RowOptions
from logs.formats.training import LABELS

COLUMNS = ("sequence_id", "label", "anomaly_type", "log_entries", "times", "meta")


class Csv(Format):
    """Sequences as a table with a header; columns that we do not know are kept as further fields."""

    Options = RowOptions
    extensions = (".csv",)

    def sniff(self, head: bytes, name: str) -> float:
        """Sure if the first line is a header with one of our columns."""
        header = head.split(b"\n", 1)[0].strip().replace(b'"', b"").split(b",")
        return 0.95 if {b"log_entries", b"log_sequence"} & set(header) else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield one record a row; a row without a sequence_id is named after its file and number."""
        csv.field_size_limit(ROW_BYTES)  # for the whole process; the default of 128 KiB is less than one sequence
        text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
        table, name = csv.reader(text), rows.name_of(stream)
        number, header = 0, next(table, [])
        try:
            while True:
                number += 1
                try:
                    values = next(table)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield bad(number, f"not valid CSV: {error}", "")
                    continue
                if values:
                    yield self._record(number, header, values, name)
        finally:
            text.detach()

    def _record(self, number: int, header: list[str], values: list[str], name: str) -> Record:
        excerpt = ",".join(values)
        if len(values) != len(header):
            return bad(number, f"{len(values)} fields under {len(header)} columns", excerpt)
        fields: dict[str, Any] = {key: value for key, value in zip(header, values, strict=True) if value}
        text, entries = fields.pop("log_sequence", None), fields.pop("log_entries", None)
        if entries is None and text is not None:
            lines: Any = text.split("\n")
        elif entries is not None and not entries.lstrip().startswith("["):
            lines = entries.split("\n")
        else:
            fields["log_entries"] = entries
            lines = None
        for column in ("log_entries", "times", "meta"):
            if column in fields and fields[column] is not None:
                parsed = _json(number, column, fields[column], excerpt)
                if isinstance(parsed, BadRecord):
                    return parsed
                fields[column] = parsed
        lines = lines if lines is not None else fields.pop("log_entries", None)
        if "label" in fields:
            label = fields["label"].strip()
            fields["label"] = {"0": 0, "1": 1, **LABELS}.get(label, label)
        if "length" in fields and fields["length"].isdecimal():
            fields["length"] = int(fields["length"])
        if isinstance(meta := fields.get("meta"), dict):
            del fields["meta"]
            fields = meta | fields
        return rows.sequence(number, {"sequence_id": f"{name}_{number:07d}"} | fields, lines, self.options.max_line)

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write the table with a header."""
        text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        table = csv.writer(text)
        table.writerow(COLUMNS)
        count = 0
        for count, one in enumerate(sequences, 1):
            label = "" if one.label is None else one.label
            lists = (_text(one.entries), _text(one.times) if one.times else "", _text(one.meta) if one.meta else "")
            table.writerow((one.id, label, one.type or "", *lists))
        text.detach()
        return count


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _json(number: int, column: str, value: str, excerpt: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError) as error:
        return bad(number, f"{column} is not valid JSON: {error}", excerpt)
