"""The lines of a sequence as pages show them: with heat, a lane for each service, and the silences between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

from logs.engine import statement
from logs.engine.masking import mask
from logs.models import Sequence as Row

HEAT = 10
"""Steps of colour."""
HOT = 4
"""Step from which on a line counts as suspicious."""
LANES = 6
"""Services that have a lane of their own; the others share the last one."""
GAP, TIMES = 1.0, 4.0
"""A silence is shown where it is so many seconds long, and so many times the usual one of its sequence."""
NAMED = re.compile(r"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b[\]:]? +([A-Za-z][\w.-]{1,40}): ")
MOST = 2000
"""Lines that a page of review shows: those around the most suspicious one."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a sequence with its part of the blame: `heat` 0 to 10, relative to the hottest line."""

    number: int
    text: str
    time: datetime | None
    weight: float
    heat: int


@dataclass(frozen=True, slots=True)
class Step:
    """A line with the silence before it ("": none to speak of) and its lane, from 1 (0: nobody knows)."""

    line: Line
    gap: str
    lane: int


@dataclass(frozen=True, slots=True)
class Tape:
    """A sequence to look at; `lanes` are the names of services where there are several, `hidden` lines left out."""

    steps: list[Step]
    lanes: list[str]
    timed: bool
    hidden: int

    @property
    def hottest(self) -> int:
        """The number of the line to look at first."""
        return max(self.steps, key=lambda step: step.line.weight).line.number if self.steps else 0


def lines(entries: Sequence[str], times: Sequence[float] | None, blame: Sequence[float] | None) -> list[Line]:
    """Return lines with their times (UTC) and weights."""
    weights = blame or [0.0] * len(entries)
    hottest = max(weights, default=0.0) or 1.0
    moments: Sequence[datetime | None] = [datetime.fromtimestamp(time, UTC) for time in times or ()]
    rows = zip(entries, moments or [None] * len(entries), weights, strict=True)
    return [
        Line(number, text, time, weight, round(weight / hottest * HEAT))
        for number, (text, time, weight) in enumerate(rows, start=1)
    ]


def tape(row: Row, blame: Sequence[float] | None) -> Tape:
    """Return a sequence as the page of review shows it."""
    every = lines(row.entries, row.times, blame)
    center = max(range(len(every)), key=lambda place: every[place].weight, default=0)
    start = max(0, min(center - MOST // 2, len(every) - MOST))
    shown = every[start : start + MOST]
    names = services([line.text for line in shown])
    ranked = sorted(set(names) - {""}, key=lambda name: (-names.count(name), name))
    # In the order in which they appear, as a story has it.
    kept = [name for name in dict.fromkeys(names) if name in ranked[:LANES]]
    lanes = [*kept, "…"] if len(ranked) > LANES else kept
    places = {name: place for place, name in enumerate(kept, start=1)}
    silences = list(gaps(shown))
    steps = [
        Step(line, gap, 0 if len(lanes) < 2 or not name else places.get(name, len(lanes)))
        for line, gap, name in zip(shown, silences, names, strict=True)
    ]
    return Tape(steps, lanes if len(lanes) > 1 else [], bool(row.times), len(every) - len(shown))


def services(texts: Sequence[str]) -> list[str]:
    """Return the service or component that each line names, "" where it names none."""
    masked = mask(list(texts))
    known = {line: statement.read(line).component or _said(line) for line in set(masked)}
    return [known[line] for line in masked]


def _said(line: str) -> str:
    """Return the plain word between a level and a colon: to a detector it may be a message, to eyes it is a name."""
    found = NAMED.search(line)
    return found[1] if found else ""


def gaps(shown: Sequence[Line]) -> Iterator[str]:
    """Yield the silence before each line as people read it, "" where it is like the others."""
    times = [line.time.timestamp() if line.time else 0.0 for line in shown]
    waits = [later - earlier for earlier, later in pairwise(times)]
    least = max(GAP, TIMES * median(waits)) if waits else GAP
    yield from [""] * bool(times)
    for wait in waits:
        yield duration(wait) if wait >= least else ""


def duration(seconds: float) -> str:
    """Return a time span as people read it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
