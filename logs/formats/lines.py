"""What the formats share that read lines and not sequences: reading, joining and cutting them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import regex
from django.utils.translation import gettext

from duolog.plugins.options import OptionsError
from duolog.plugins.types import BadRecord, Record
from logs.engine import stacks, windows
from logs.engine.grouping import Line
from logs.engine.sanity import NO_UTF8, NUL, bad, checked
from logs.formats import rows
from logs.formats.rows import RowOptions

SAMPLE = 64 << 10
PATIENCE = 0.5
"""Seconds for one line: somebody's pattern may take for ever, and holds up whoever else works here."""


@dataclass(frozen=True)
class CutOptions(RowOptions):
    """How lines become sequences where no session says so.

    Every `window` lines (each `stride` after the last; 0: no overlap) or, with `seconds`, those of each span of time.
    `join`: a stack trace stays one entry with the line before it.
    """

    window: int = 20
    stride: int = 0
    seconds: float = 0
    join: bool = True

    def __post_init__(self) -> None:
        if self.window < 1 or self.stride < 0 or self.seconds < 0:
            raise ValueError("window must be at least 1; stride and seconds cannot be negative")


def cut(
    lines: Iterable[Line], options: CutOptions, name: str, refused: list[BadRecord], *, sessions: bool
) -> Iterator[Record]:
    """Yield sequences, and in between what was `refused` while their lines were read."""
    made: Iterator[Record]
    if sessions:
        made = windows.by_session(lines)
    elif options.seconds:
        made = windows.by_time(lines, options.seconds, name)
    else:
        made = windows.by_count(lines, options.window, options.stride or None, name)
    for number, one in enumerate(made, 1):
        yield from refused
        refused.clear()
        yield one if isinstance(one, BadRecord) else checked(number, one, options.max_line)
    yield from refused


def entries(
    stream: BinaryIO, options: CutOptions, refused: list[BadRecord], stamped: bool | None = None
) -> Iterator[str]:
    """Yield the entries of a text: its lines, with traces joined; a line that is no text is refused."""
    found = texts(stream, options.max_line, refused)
    if not options.join:
        return found
    # No more than was read already: a stream may pause.
    sample = stream.peek(SAMPLE)[:SAMPLE] if hasattr(stream, "peek") else b""
    whole = sample[: sample.rfind(b"\n") + 1] or sample
    lines = [line for line in whole.decode("utf-8", "replace").splitlines() if line.strip()]
    stamped = stacks.begins_with_times(lines) if stamped is None else stamped
    return stacks.joined(found, stamped, options.max_line // 4)


def finder(pattern: str, name: str) -> Callable[[str], Iterator[str]]:
    """Return what finds the keys in a text: each match's first group, or the whole; ValueError for what is no pattern.

    `name` is that of the option, for the OptionsError of a pattern that takes too long.
    """
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        reason = {"name": name, "error": error}
        raise ValueError(gettext("%(name)s is not a regular expression: %(error)s") % reason) from error

    def find(text: str) -> Iterator[str]:
        try:
            for match in compiled.finditer(text, timeout=PATIENCE, concurrent=True):
                yield next((group for group in match.groups() if group is not None), match[0])
        except TimeoutError as error:
            said = gettext("the pattern %(pattern)r of %(name)s takes too long for the line %(line)r")
            raise OptionsError(said % {"pattern": pattern, "name": name, "line": text[:200]}) from error

    return find


def texts(stream: BinaryIO, max_line: int, refused: list[BadRecord]) -> Iterator[str]:
    """Yield the lines that are text."""
    for raw in rows.lines(stream, max_line):
        if isinstance(raw, BadRecord):
            refused.append(raw)
        elif b"\0" in raw[1]:
            refused.append(bad(raw[0], NUL, raw[1]))
        else:
            try:
                yield raw[1].decode()
            except UnicodeDecodeError:
                refused.append(bad(raw[0], NO_UTF8, raw[1]))
