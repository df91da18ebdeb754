"""Plain text: lines that are cut into windows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Reason, Record
from logs.engine.grouping import Line
from logs.engine.sanity import bad
from logs.formats import rows
from logs.formats.lines import CutOptions, cut, entries, finder


@dataclass(frozen=True)
class Options(CutOptions):
    """`session` is a regular expression: lines that share its first group (or whole match) are one sequence."""

    session: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        finder(self.session, "session")


class Text(Format):
    """Log files as programs write them; written back, the lines follow each other and the sequences are gone."""

    Options = Options
    extensions = (".log", ".txt")

    def sniff(self, head: bytes, name: str) -> float:
        """Likely for any text that does not look like something else."""
        start = head.lstrip()[:1]
        if not head.strip() or b"\0" in head or start == b"{" or re.match(rb'\[\s*["{]', head.lstrip()):
            return 0.0
        return 0.7 if name.removesuffix(".gz").endswith(self.extensions) else 0.5

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield sequences, and a BadRecord for each line that is no text."""
        refused: list[BadRecord] = []
        options, name = self.options, rows.name_of(stream)
        found = entries(stream, options, refused)
        if options.session:
            return cut(self._keyed(found, refused), options, name, refused, sessions=True)
        return cut(map(Line, found), options, name, refused, sessions=False)

    def _keyed(self, found: Iterable[str], refused: list[BadRecord]) -> Iterator[Line]:
        find = finder(self.options.session, "session")
        strays, first, text = 0, 0, ""
        for number, entry in enumerate(found, 1):
            if key := next(find(entry), None):
                yield Line(entry, key)
            else:
                strays += 1
                first, text = (first, text) if first else (number, entry)
        if strays:
            reason = Reason("%(count)d entries belong to no session; this is the first", count=strays)
            refused.append(bad(first, reason, text))

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write all lines."""
        count = 0
        for count, sequence in enumerate(sequences, 1):
            stream.write(("\n".join(sequence.entries) + "\n").encode())
        return count
