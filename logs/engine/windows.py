"""Sequences out of plain lines: a number of lines, a session, or a span of time.

All of them take any iterable and hold only what is still open, so that a file of any size passes through; sessions
stay open to the end, because a session's lines may stand anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from duolog.plugins.types import LogSequence
from logs.engine import times

BATCH = 10_000


def by_count(lines: Iterable[str], size: int, stride: int | None = None, name: str = "window") -> Iterator[LogSequence]:
    """Yield windows of `size` lines, each `stride` (default: `size`) lines after the last; the last may be shorter."""
    stride = stride or size
    if size < 1 or stride < 1:
        raise ValueError("a window and its stride hold at least one line")
    iterator, number = iter(lines), 0
    window: list[str] = []
    while fresh := list(islice(iterator, size - len(window))):
        window += fresh
        yield LogSequence(f"{name}_{number:07d}", tuple(window))
        if len(window) < size:
            return
        number += 1
        window = window[stride:]
        for _ in islice(iterator, max(0, stride - size)):
            pass


def by_session(lines: Iterable[str], pattern: str) -> Iterator[LogSequence]:
    """Yield the lines that share what `pattern` finds (its first group, or the whole match), first seen first.

    Lines without a match belong to no session and are left out.
    """
    search = re.compile(pattern).search
    sessions: dict[str, list[str]] = {}
    for line in lines:
        if found := search(line):
            key = next((group for group in found.groups() if group is not None), found[0])
            sessions.setdefault(key, []).append(line)
    while sessions:
        key = next(iter(sessions))
        yield LogSequence(key, tuple(sessions.pop(key)))


def by_time(lines: Iterable[str], seconds: float, name: str = "window") -> Iterator[LogSequence]:
    """Yield the lines of each span of `seconds` on the clock (whole multiples since 1970), with their times.

    A line without a time of its own (a stack trace) belongs to the line before it; a line that is late, by a clock
    that was set back, stays in the window that is open.
    """
    if seconds <= 0:
        raise ValueError("a window lasts longer than nothing")
    entries: list[str] = []
    at: list[float] = []
    number, latest = None, 0.0
    for line, time in _timed(lines):
        latest = latest if time is None else max(latest, time)
        here = int(latest // seconds)
        if entries and number is not None and here > number:
            yield LogSequence(f"{name}_{number}", tuple(entries), times=tuple(at))
            entries, at = [], []
        number = here
        entries.append(line)
        at.append(time if time is not None else latest)
    if entries:
        yield LogSequence(f"{name}_{number}", tuple(entries), times=tuple(at))


def _timed(lines: Iterable[str]) -> Iterator[tuple[str, float | None]]:
    iterator = iter(lines)
    while batch := list(islice(iterator, BATCH)):
        yield from zip(batch, times.parse(batch), strict=True)
