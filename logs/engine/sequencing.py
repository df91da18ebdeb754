"""Which sequence a line belongs to, as lines come in: sessions by key, and windows by time, silence or number of lines.

Time is that of the lines: the latest one seen is the source's watermark, and a sequence closes when the watermark
passes its end by the `lateness` that is allowed (watermarks: Akidau et al., The Dataflow Model, VLDB 2015). Lines that
come later open a sequence of their own, as nothing that is closed is changed. What happens when no more lines come is
the caller's business: it has a clock, and this module has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import floor, inf
from typing import Literal

import msgspec
import polars as pl

from logs.engine.chunks import Lines

AHEAD = 60.0
"""Seconds that a clock elsewhere may be ahead; a line from further in the future is of the moment it was received."""
KEY_CHARACTERS = 120
_attributes = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True)
class Rule:
    """How the lines of a source become sequences.

    `by` session: lines with the same `key`, until it was silent for `seconds`; those without one go by service into
    windows of that length. `gap`: lines of one `key` until `seconds` of silence. `time`: windows of `seconds`, each
    `stride` after the last. `count`: windows of `size` lines, each `stride` lines after the last. A stride of 0 leaves
    no overlap. `key` names attributes, the first one that a line has counts ("trace_id, request_id"; service and level
    are such, too), or is a regular expression with a group (`(blk_-?\\d+)`); "" is the same for all lines. Lines may be
    `lateness` seconds late. A sequence of `most` lines is closed at once.
    """

    by: Literal["session", "gap", "time", "count"] = "session"
    key: str = "trace_id"
    seconds: float = 10.0
    size: int = 20
    stride: float = 0.0
    lateness: float = 2.0
    most: int = 2000

    def __post_init__(self) -> None:
        if self.by not in ("session", "gap", "time", "count"):
            raise ValueError(f"by is {self.by!r}, not session, gap, time or count")
        if self.seconds <= 0 or self.size < 1 or self.most < 1 or self.lateness < 0 or self.stride < 0:
            raise ValueError("seconds, size and most must be positive, stride and lateness not negative")
        if self.by == "session" and not self.key:
            raise ValueError("a session needs a key; `gap` and `time` do without one")
        width = self.size if self.by == "count" else self.seconds
        if self.stride and (self.stride > width or width / self.stride > MOST_WINDOWS):
            raise ValueError(f"a stride is at most as long as its window, and at least a {MOST_WINDOWS}th of it")
        if "(" in self.key:
            try:
                groups = re.compile(self.key).groups
                pl.Series([""]).str.extract(self.key)
            except (re.error, pl.exceptions.ComputeError) as error:
                raise ValueError(f"key is not a regular expression: {error}") from error
            if groups != 1:
                raise ValueError(f"the regular expression of a key has one group, and this one has {groups}")


MOST_WINDOWS = 20
"""Windows that a line may lie in."""


@dataclass(slots=True)
class Head:
    """An open sequence: the number of its first line, when it closes on the clock of the watermark, and its length.

    `window` tells windows of time apart; other sequences have 0.
    """

    first: int
    close: float = inf
    lines: int = 0
    window: int = 0


Heads = dict[str, list[Head]]
"""Of each key its open sequences, first come first."""


@dataclass(slots=True)
class Piece:
    """Lines of a chunk, by their place in it, that belong to one sequence; it closes at -inf where it is full."""

    key: str
    head: Head
    members: list[int] = field(default_factory=list)


def keys(rule: Rule, lines: Lines) -> list[str]:
    """Return the key of each line, "" where it has none; what is longer than KEY_CHARACTERS ends in its digest."""
    return [key if len(key) <= KEY_CHARACTERS else _shortened(key) for key in _keys(rule, lines)]


def _shortened(key: str) -> str:
    return key[: KEY_CHARACTERS - 33] + " " + blake2b(key.encode(), digest_size=16).hexdigest()


def _keys(rule: Rule, lines: Lines) -> list[str]:
    if "(" in rule.key:
        found: list[str] = pl.Series(lines.texts, dtype=pl.String).str.extract(rule.key).fill_null("").to_list()
        return found
    names = [name.strip() for name in rule.key.split(",") if name.strip()]
    if not names:
        return [""] * len(lines)
    columns: Mapping[str, Sequence[str]] = {"service": lines.services, "level": lines.levels}
    if len(names) == 1 and names[0] in columns:
        return list(columns[names[0]])
    told_by_line = []
    for number, attributes in enumerate(lines.attributes):
        told = _attributes.decode(attributes) if attributes else {}
        for name in names:
            if value := (columns[name][number] if name in columns else told.get(name, "")):
                told_by_line.append(value)
                break
        else:
            told_by_line.append("")
    return told_by_line


def moments(lines: Lines, received: float) -> list[float]:
    """Return the times of lines, none of them further ahead of `received` than a clock may be."""
    return [time if time <= received + AHEAD else received for time in lines.times]


def assign(
    rule: Rule, lines: Lines, of_key: Sequence[str], times: Sequence[float], first: int, watermark: float, heads: Heads
) -> tuple[list[Piece], float]:
    """Return which lines belong to which sequence, and the watermark after them.

    `first` is the number of the first line among all lines of the source, and grows from chunk to chunk. `heads` are
    the open sequences of all keys at hand (`partition`), and are kept up to date.
    """
    pieces: dict[tuple[str, int, int], Piece] = {}
    for place, (key, time) in enumerate(zip(of_key, times, strict=True)):
        watermark = max(watermark, time)
        name = partition(rule, key, lines.services[place])
        open_ = heads.setdefault(name, [])
        if rule.by == "time" or (rule.by == "session" and not key):
            found = _windows(rule, open_, first + place, time, watermark)
        elif rule.by == "count":
            found = _counted(rule, open_, first + place)
        else:
            found = _session(rule, open_, first + place, watermark)
        for head in found:
            head.lines += 1
            if head.lines >= rule.most:
                head.close = -inf
            pieces.setdefault((name, head.first, head.window), Piece(name, head)).members.append(place)
        if any(head.close == -inf for head in found):
            heads[name] = [head for head in open_ if head.close != -inf]
    return list(pieces.values()), watermark


def partition(rule: Rule, key: str, service: str) -> str:
    """Return under which key a line's sequences stand: its own, or, in a session without one, its service."""
    return key if key or rule.by != "session" else f"service {service}".rstrip()


def _session(rule: Rule, open_: list[Head], number: int, watermark: float) -> list[Head]:
    # On the watermark's clock: a shipper that lags behind the others does not end its own sessions.
    if not open_ or open_[-1].close <= watermark:
        open_.append(Head(number))
    open_[-1].close = watermark + rule.seconds + rule.lateness
    return open_[-1:]


def _windows(rule: Rule, open_: list[Head], number: int, time: float, watermark: float) -> list[Head]:
    step = rule.stride if rule.by == "time" and rule.stride else rule.seconds
    last = floor(time / step)
    found = []
    for window in range(floor((time - rule.seconds) / step) + 1 if step < rule.seconds else last, last + 1):
        head = next((each for each in open_ if each.window == window), None)
        if head is None:
            # Too late for a window that is closed: these lines get one of their own, and wait for others as late.
            end = window * step + rule.seconds + rule.lateness
            head = Head(number, end if end > watermark else watermark + rule.seconds, window=window)
            open_.append(head)
        found.append(head)
    return found


def _counted(rule: Rule, open_: list[Head], number: int) -> list[Head]:
    step = int(rule.stride) or rule.size
    if not open_ or open_[-1].lines >= step:
        open_.append(Head(number))
    for head in open_:
        if head.lines + 1 >= rule.size:
            head.close = -inf
    return list(open_)
