"""Loghub's BGL, Thunderbird, Spirit and Liberty: raw lines whose first column is an alert category, or "-"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, Reason, Record
from logs.engine.grouping import Line
from logs.engine.sanity import bad
from logs.formats import rows
from logs.formats.lines import CutOptions, cut, entries

LINE = re.compile(r"(\S+) ((\d{9,10}) \d{4}\.\d{2}\.\d{2} (\S+) .*)", re.DOTALL)
SURE = 0.8


@dataclass(frozen=True)
class BglOptions(CutOptions):
    """`node`: the lines of one node are a sequence, and not the lines of a window."""

    node: bool = False


class Bgl(Format):
    """Lines with a label, which is taken out of the text; a sequence with an alert in it is anomalous."""

    Options = BglOptions
    extensions = (".log",)

    def sniff(self, head: bytes, name: str) -> float:
        """Sure if nearly all lines have label, Unix time, date and node."""
        lines = head.decode("utf-8", "replace").split("\n")[:100]
        lines = [line for line in (lines[:-1] or lines) if line.strip()]
        return 0.96 if lines and sum(LINE.match(line) is not None for line in lines) >= len(lines) * SURE else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield windows, or nodes."""
        refused: list[BadRecord] = []
        # Every line begins with a time, but behind a label; one without them all is no continuation but a fault.
        found = entries(stream, self.options, refused, stamped=False)
        lines = self._lines(found, refused)
        return cut(lines, self.options, rows.name_of(stream), refused, sessions=self.options.node)

    def _lines(self, found: Iterable[str], refused: list[BadRecord]) -> Iterator[Line]:
        for number, entry in enumerate(found, 1):
            match = LINE.match(entry)
            if match is None:
                reason = Reason("it does not begin with label, Unix time, date and node")
                refused.append(bad(number, reason, entry))
                continue
            alert, text, seconds, node = match.groups()
            is_alert = alert != "-"
            yield Line(text, node, float(seconds), int(is_alert), alert[:80] if is_alert else None)
