"""Small charts as inline SVG: drawn on the server, sharp at any size, without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p

WIDTH, HEIGHT = 320, 120
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 18


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis, at a pixel."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric over its steps, ready for the template."""

    name: str
    last: str
    points: str
    end: tuple[float, float]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin of a histogram."""

    x: float
    y: float
    width: float
    height: float
    flagged: bool
    title: str


def curve(name: str, points: Sequence[tuple[int, float]], *, log: bool = False) -> Curve:
    """Draw (step, value) points, sorted by step; there is at least one. `log` draws log(1 + step)."""
    steps, values = [step for step, _ in points], [value for _, value in points]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5

    def x(step: int) -> float:
        first, at, last = (log1p(each) if log else each for each in (steps[0], step, steps[-1]))
        return LEFT + (at - first) / (last - first or 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    places = [(x(step), y(value)) for step, value in points]
    return Curve(
        name=name,
        last=_short(values[-1], 4),
        points=" ".join(f"{a:.1f},{b:.1f}" for a, b in places),
        end=places[-1],
        x_ticks=[Tick(x(step), f"{step:,}") for step in dict.fromkeys([steps[0], steps[-1]])],
        y_ticks=[Tick(y(value), _short(value, 3)) for value in (high, low)],
    )


def _short(value: float, digits: int) -> str:
    """Return a number that fits beside an axis."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1_000_000 else f"{value:.{digits}g}"


def histogram(counts: Sequence[int], threshold: float, most: int = 1) -> list[Bar]:
    """Draw counts of scores in equal bins over 0 to 1, on a square-root scale so that few beside many stay visible.

    The scale reaches to `most` at least.
    """
    highest = max([*counts, most, 1]) ** 0.5
    width = (WIDTH - LEFT - RIGHT) / max(1, len(counts))
    bars = []
    for index, count in enumerate(counts):
        height = count**0.5 / highest * (HEIGHT - TOP - BOTTOM)
        low, high = index / len(counts), (index + 1) / len(counts)
        title = f"{low:.2f}-{high:.2f}: {count:,}"
        bars.append(Bar(LEFT + index * width, HEIGHT - BOTTOM - height, width - 1, height, high > threshold, title))
    return bars


def across(share: float) -> float:
    """Return the pixel of a share (0 to 1) of the x axis."""
    return LEFT + share * (WIDTH - LEFT - RIGHT)


@dataclass(frozen=True, slots=True)
class Strip:
    """A named horizontal bar; `style` is a CSS class, `link` where its name leads."""

    name: str
    value: str
    y: float
    width: float
    title: str
    style: str
    link: str

    @property
    def end(self) -> float:
        """Where its value is written."""
        return NAME + self.width + 6


STRIP, NAME, ROOM = 18, 158, 90
"""Height of a strip, where names end, and how long a strip may be, in pixels."""


def strips(rows: Sequence[tuple[str, float, str, str]], whole: float = 0) -> list[Strip]:
    """Draw (name, count, style, link) rows as bars on one scale, told as shares of `whole` (0: of their sum)."""
    most = max((count for _, count, *_ in rows), default=0) or 1
    whole = whole or sum(count for _, count, *_ in rows) or 1
    drawn = []
    for index, (name, count, style, link) in enumerate(rows):
        width = max(count / most * ROOM, 1 if count else 0)
        title = f"{name}: {count:,} ({count / whole:.1%})"
        drawn.append(Strip(name, f"{count:,} · {count / whole:.1%}", index * STRIP, width, title, style, link))
    return drawn


def columns(bins: Sequence[tuple[str, int]]) -> list[Bar]:
    """Draw (name, count) bins as upright bars on a linear scale."""
    most = max([count for _, count in bins] + [1])
    width = (WIDTH - LEFT - RIGHT) / max(1, len(bins))
    drawn = []
    for index, (name, count) in enumerate(bins):
        height = count / most * (HEIGHT - TOP - BOTTOM)
        x, y = LEFT + index * width, HEIGHT - BOTTOM - height
        drawn.append(Bar(x, y, max(width - 1, 0.5), height, False, f"{name}: {count:,}"))
    return drawn


@dataclass(frozen=True, slots=True)
class Spark:
    """One bar of a timeline of a line's height: `x` and `y` of its corner, and its height, in units of 4 by 20."""

    x: int
    y: float
    height: float


def sparks(counts: Sequence[int]) -> list[Spark]:
    """Draw counts as tiny bars, one every 4 units, up to 20 high, on a square-root scale; empty ones are left out."""
    most = max([*counts, 1]) ** 0.5
    drawn = []
    for place, count in enumerate(counts):
        if count:
            height = max(2.0, round(count**0.5 / most * 20, 1))
            drawn.append(Spark(place * 4, 20 - height, height))
    return drawn


@dataclass(frozen=True, slots=True)
class Line:
    """One of several lines over common axes; `style` numbers its colour."""

    name: str
    points: str
    style: int


@dataclass(frozen=True, slots=True)
class Lines:
    """Several lines over the unit square, ready for the template."""

    lines: list[Line]
    x: str
    y: str
    diagonal: bool


def unit_lines(
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, x: str, y: str, diagonal: bool = False
) -> Lines:
    """Draw named (x, y) points of 0 to 1 over common axes with these names; `diagonal` shows where both are equal."""
    drawn = []
    for style, (name, points) in enumerate(series):
        places = (f"{across(a):.1f},{TOP + (1 - b) * (HEIGHT - TOP - BOTTOM):.1f}" for a, b in points)
        drawn.append(Line(name, " ".join(places), style % SERIES))
    return Lines(drawn, x, y, diagonal)


SERIES = 6
"""Colours of lines (see duolog.css)."""
