"""Loghub's HDFS: `HDFS.log` or `HDFS.log_structured.csv`, grouped by block, with `anomaly_label.csv` beside it."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext

from duolog.plugins.options import OptionsError
from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Record
from logs.engine.grouping import Line
from logs.formats import rows
from logs.formats.lines import CutOptions, cut, entries
from logs.formats.table import Csv, CsvOptions

BLOCK = r"blk_-?\d+"
RAW = re.compile(rb"\d{6} \d{6} \d+ [A-Z]+ dfs\.")
COLUMNS = {"Date", "Time", "Content", "EventTemplate"}
WORDS = {"Normal": 0, "Anomaly": 1}


@dataclass(frozen=True)
class HdfsOptions(CutOptions):
    """`labels` is the file beside the log that labels the blocks; `templates`: the lines' templates, not their text."""

    labels: str = ""
    templates: bool = False


class Hdfs(Format):
    """The log of a Hadoop file system; a line that names several blocks belongs to each of them."""

    Options = HdfsOptions
    extensions = (".log", ".csv")

    def sniff(self, head: bytes, name: str) -> float:
        """Sure if the lines are those of HDFS, or a parser's table of them."""
        return 0.97 if b"blk_" in head and (_is_table(head) or RAW.match(head.lstrip())) else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield one sequence a block."""
        labels = _labels(self.options.labels)
        self.understood = {"labels": Path(self.options.labels).name, "session": BLOCK}
        for record in self._blocks(stream):
            if isinstance(record, LogSequence) and record.id in labels:
                record = dataclasses.replace(record, label=labels[record.id])
            yield record

    def _blocks(self, stream: BinaryIO) -> Iterator[Record]:
        options = self.options
        head = stream.peek(1)[:1000] if hasattr(stream, "peek") else b""
        if not _is_table(head):
            refused: list[BadRecord] = []
            return cut(
                _lines(entries(stream, options, refused, stamped=True)),
                options,
                rows.name_of(stream),
                refused,
                sessions=True,
            )
        line = "EventTemplate" if options.templates else "Content"
        columns = {"line": line, "session": "Content", "pattern": BLOCK, "time": "Date,Time", "label": "-", "type": "-"}
        return Csv(CsvOptions(max_line=options.max_line, **columns)).read(stream)  # type: ignore[arg-type]


def _is_table(head: bytes) -> bool:
    header = head.lstrip().partition(b"\n")[0].decode("utf-8", "replace").strip()
    return set(header.replace('"', "").split(",")) >= COLUMNS


def _lines(found: Iterable[str]) -> Iterator[Line]:
    find = re.compile(BLOCK).findall
    for entry in found:
        for block in dict.fromkeys(find(entry)):
            yield Line(entry, block)


def _labels(file: str) -> dict[str, int]:
    """Return block to label; raise OptionsError where the file says something else."""
    if not file:
        return {}
    with Path(file).open(encoding="utf-8", errors="replace", newline="") as stream:
        table = csv.reader(stream)
        next(table, None)
        found = {}
        for number, row in enumerate(table, 2):
            if len(row) != 2 or row[1] not in WORDS:
                text = gettext("%(file)s:%(row)d: %(seen)s is not a block and Normal or Anomaly")
                seen = repr(",".join(row)[:100])
                raise OptionsError(text % {"file": Path(file).name, "row": number, "seen": seen})
            found[row[0]] = WORDS[row[1]]
    return found
