"""Sequences out of lines: a number of lines, a session, or a span of time.

All of them take any iterable and hold only what is still open, so that a file of any size passes through. A sequence
is anomalous if one of its lines is, and normal if all that is known of its lines says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from duolog.plugins.types import LogSequence, Reason, Record
from logs.engine import grouping, times
from logs.engine.grouping import Line
from logs.engine.sanity import SEQUENCE_CHARACTERS, bad

BATCH = 10_000


def by_count(
    lines: Iterable[Line], size: int, stride: int | None = None, name: str = "window"
) -> Iterator[LogSequence]:
    """Yield windows of `size` lines, each `stride` (default: `size`) lines after the last; the last may be shorter."""
    stride = stride or size
    if size < 1 or stride < 1:
        raise ValueError("a window and its stride hold at least one line")
    iterator, number = iter(lines), 0
    window: list[Line] = []
    while fresh := list(islice(iterator, size - len(window))):
        window += fresh
        yield sequence(f"{name}_{number:07d}", window)
        if len(window) < size:
            return
        number += 1
        window = window[stride:]
        for _ in islice(iterator, max(0, stride - size)):
            pass


def by_session(lines: Iterable[Line]) -> Iterator[Record]:
    """Yield the lines that share a key, first seen first; a session beyond all measure is a BadRecord."""
    for number, (key, found, dropped) in enumerate(grouping.by_key(lines), 1):
        if dropped:
            reason = Reason(
                "session %(session)s has %(lines)d lines, more than %(most)d characters",
                session=repr(key[:80]),
                lines=len(found) + dropped,
                most=SEQUENCE_CHARACTERS,
            )
            yield bad(number, reason, found[0].text)
        else:
            yield sequence(key, found)


def by_time(lines: Iterable[Line], seconds: float, name: str = "window") -> Iterator[LogSequence]:
    """Yield the lines of each span of `seconds` on the clock (whole multiples since 1970), with their times.

    A line without a time of its own belongs to the line before it; a line that is late, by a clock that was set back,
    stays in the window that is open.
    """
    if seconds <= 0:
        raise ValueError("a window lasts longer than nothing")
    window: list[Line] = []
    number, latest = None, 0.0
    for line in _timed(lines):
        latest = latest if line.time is None else max(latest, line.time)
        here = int(latest // seconds)
        if window and number is not None and here > number:
            yield sequence(f"{name}_{number}", window)
            window = []
        number = here
        window.append(line if line.time is not None else line._replace(time=latest))
    if window:
        yield sequence(f"{name}_{number}", window)


def sequence(key: str, lines: list[Line]) -> LogSequence:
    """Return a sequence of lines; its type is the one that most of its anomalous lines have."""
    label = None
    kinds: Counter[str] = Counter()
    for line in lines:
        if line.label is not None:
            label = max(label or 0, line.label)
            if line.label and line.type:
                kinds[line.type] += 1
    at = tuple(line.time for line in lines if line.time is not None)
    kind = kinds.most_common(1)[0][0] if kinds else None
    return LogSequence(key, tuple(line.text for line in lines), label, kind, at if len(at) == len(lines) else ())


def _timed(lines: Iterable[Line]) -> Iterator[Line]:
    iterator = iter(lines)
    while batch := list(islice(iterator, BATCH)):
        if any(line.time is None for line in batch):
            found = times.parse([line.text for line in batch])
            batch = [
                line if line.time is not None else line._replace(time=time)
                for line, time in zip(batch, found, strict=True)
            ]
        yield from batch
