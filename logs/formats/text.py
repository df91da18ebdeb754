"""Plain text: lines that are cut into windows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Record
from logs.engine import windows
from logs.engine.sanity import MAX_LINE_BYTES, bad, checked
from logs.formats import rows


@dataclass(frozen=True)
class Options:
    """How lines become sequences.

    By default every `window` lines (each `stride` after the last; 0: no overlap); with `session`, a regular expression,
    the lines that share its first group (or whole match); with `seconds`, the lines of each span of time.
    """

    window: int = 20
    stride: int = 0
    session: str = ""
    seconds: float = 0
    max_line: int = MAX_LINE_BYTES

    def __post_init__(self) -> None:
        if self.window < 1 or self.stride < 0 or self.seconds < 0:
            raise ValueError("window must be at least 1; stride and seconds cannot be negative")
        try:
            re.compile(self.session)
        except re.error as error:
            raise ValueError(f"session is not a regular expression: {error}") from error


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
        """Yield windows, and a BadRecord for each line that is no text."""
        refused: list[BadRecord] = []
        lines = self._lines(stream, refused)
        for number, window in enumerate(self._windows(lines, rows.name_of(stream)), 1):
            yield from refused
            refused.clear()
            yield checked(number, window, self.options.max_line)
        yield from refused

    def _windows(self, lines: Iterable[str], name: str) -> Iterator[LogSequence]:
        options = self.options
        if options.session:
            return windows.by_session(lines, options.session)
        if options.seconds:
            return windows.by_time(lines, options.seconds, name)
        return windows.by_count(lines, options.window, options.stride or None, name)

    def _lines(self, stream: BinaryIO, refused: list[BadRecord]) -> Iterator[str]:
        for raw in rows.lines(stream, self.options.max_line):
            if isinstance(raw, BadRecord):
                refused.append(raw)
            elif b"\0" in raw[1]:
                refused.append(bad(raw[0], "there is a NUL character in it", raw[1]))
            else:
                try:
                    yield raw[1].decode()
                except UnicodeDecodeError:
                    refused.append(bad(raw[0], "it is not valid UTF-8", raw[1]))

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write all lines."""
        count = 0
        for count, sequence in enumerate(sequences, 1):
            stream.write(("\n".join(sequence.entries) + "\n").encode())
        return count
