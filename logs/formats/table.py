"""CSV, also with tabs, semicolons or pipes: a row a sequence, as we write it, or a row a line."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import msgspec
from django.utils.translation import gettext

from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Reason, Record
from logs.engine.sanity import bad
from logs.formats import rows
from logs.formats.columns import ColumnOptions, Columns, knows, records
from logs.formats.rows import CHUNK, ROW_BYTES

COLUMNS = ("sequence_id", "label", "anomaly_type", "log_entries", "times", "meta")
DELIMITERS = (",", "\t", ";", "|")


@dataclass(frozen=True)
class CsvOptions(ColumnOptions):
    """`delimiter`: one character, or "tab"; empty: found out."""

    delimiter: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.delimiter != "tab" and len(self.delimiter.encode()) > 1:
            raise ValueError(gettext("the delimiter is one character, or tab"))


class Csv(Format):
    """A table with a header; columns that mean nothing to us are kept as further fields of a sequence."""

    Options = CsvOptions
    extensions = (".csv", ".tsv")

    def sniff(self, head: bytes, name: str) -> float:
        """Sure if the first line is a header with our columns, likely if the name says so and it has two at least."""
        line = head.split(b"\n", 1)[0].decode("utf-8", "replace")
        header = _split(line, _delimiter(line))
        if {"log_entries", "log_sequence"} & set(header):
            return 0.95
        named = name.removesuffix(".gz").endswith(self.extensions)
        return (0.8 if knows(header) else 0.6) if named and len(header) > 1 else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield sequences; raise OptionsError where the columns are not those that the options name."""
        refused: list[BadRecord] = []
        lines = _lines(stream, refused)
        first = next(lines, None)
        if first is None:
            yield from refused
            return
        delimiter = {"": _delimiter(first), "tab": "\t"}.get(self.options.delimiter, self.options.delimiter)
        csv.field_size_limit(ROW_BYTES)  # for the whole process; the default of 128 KiB is less than one sequence
        table = csv.reader(chain([first], lines), delimiter=delimiter)
        try:
            header = next(table)
        except csv.Error as error:
            yield bad(1, Reason("the header is not valid CSV: %(error)s", error=str(error)), first)
            return
        columns = Columns(header, self.options)
        self.understood = {"delimiter": "tab" if delimiter == "\t" else delimiter, **columns.found}
        yield from records(_rows(table, header, refused), columns, self.options, rows.name_of(stream))

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write the table with a header."""
        table = csv.writer(_Encoded(stream))
        table.writerow(COLUMNS)
        count = 0
        for count, one in enumerate(sequences, 1):
            label = "" if one.label is None else one.label
            lists = (_text(one.entries), _text(one.times) if one.times else "", _text(one.meta) if one.meta else "")
            table.writerow((one.id, label, one.type or "", *lists))
        return count


def write_rows(rows: Iterable[Mapping[str, str]], columns: Sequence[str], stream: BinaryIO) -> int:
    """Write a table of other columns than ours, with a header, and return the number of its rows."""
    table = csv.DictWriter(_Encoded(stream), columns)
    table.writeheader()
    count = 0
    for count, row in enumerate(rows, 1):
        table.writerow(row)
    return count


def _delimiter(line: str) -> str:
    """Return what a header is divided by: what gives the most columns."""
    return max(DELIMITERS, key=lambda each: (knows(_split(line, each)), len(_split(line, each))))


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _rows(table: Any, header: list[str], refused: list[BadRecord]) -> Iterator[tuple[int, dict[str, Any]] | BadRecord]:
    number = 0
    while True:
        number += 1
        try:
            values = next(table)
        except StopIteration:
            yield from refused
            return
        except csv.Error as error:
            yield bad(number, Reason("not valid CSV: %(error)s", error=str(error)), "")
            continue
        if refused:
            yield from refused
            refused.clear()
        if len(values) == len(header):
            yield number, dict(zip(header, values, strict=True))
        elif values:
            reason = Reason("%(fields)d fields under %(columns)d columns", fields=len(values), columns=len(header))
            yield bad(number, reason, ",".join(values))


def _lines(stream: BinaryIO, refused: list[BadRecord]) -> Iterator[str]:
    """Yield lines with their ends, as csv wants them; bytes that are no UTF-8 stay recognisable."""
    number = 0
    while line := stream.readline(ROW_BYTES + 1):
        number += 1
        if len(line) > ROW_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(CHUNK)) and not rest.endswith(b"\n"):
                pass
            refused.append(bad(number, Reason("the line has more than %(most)d bytes", most=ROW_BYTES), line))
        else:
            yield line.decode("utf-8", "surrogateescape")


class _Encoded:
    """What csv writes to: a binary stream that takes text."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text.encode())


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
