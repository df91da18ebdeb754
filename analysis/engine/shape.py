"""What the course of a sequence says of a fault that no line speaks of: a step twice, without an end, after a refusal.

Each rule is simple and common sense, holds for a request that runs through services, and stays silent where the lines
do not tell that steps begin and end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from analysis.engine.signs import Read, name_of

SLOW = 2.0
"""Seconds without a line that are much in any case, and so many medians that they are much in this one."""
MEDIANS = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """A type that the course speaks for, how strongly (as a word would), and the lines (0-based) that show it."""

    type: str
    weight: float
    lines: tuple[int, ...]


def shapes(lines: Sequence[Read], times: Sequence[float]) -> list[Shape]:
    """Return what is wrong with the course of a sequence, as far as simple rules see it."""
    rules = (repeated(lines), unended(lines), ignored(lines), early(lines), late_check(lines), slow(lines, times))
    return [shape for rule in rules for shape in rule]


def repeated(lines: Sequence[Read]) -> Iterator[Shape]:
    """Yield a step that changes something and is told twice, about the same thing, without a retry in between."""
    seen: dict[tuple[str, str, tuple[str, ...]], int] = {}
    for place, one in enumerate(lines):
        if one.complains or not one.things or "changes" not in one.signs or not {"begin", "end"} & one.signs:
            continue
        key = (one.component, one.message, one.things)
        before = seen.setdefault(key, place)
        if before < place and not any("retry" in other.signs for other in lines[before:place]):
            yield Shape("重复执行", 4.0, (lines[before].line, one.line))
            return


def unended(lines: Sequence[Read]) -> Iterator[Shape]:
    """Yield a step that begins and never ends, in a log that tells of ends, while nobody complains after it."""
    ends = [(place, one, name_of(one, "end")) for place, one in enumerate(lines) if "end" in one.signs]
    paired, open_ = 0, []
    for place, one in enumerate(lines):
        if "begin" not in one.signs or "end" in one.signs or one.complains or one.component == lines[0].component:
            continue
        name = name_of(one, "begin")
        if len(name) < 2:
            continue
        if any(end > place and (name in said or said in name) for end, other, said in ends if said):
            paired += 1
        elif not any(other.complains for other in lines[place:]):
            open_.append(one)
    if open_ and (paired or len(ends) >= 2):
        yield Shape("静默失败", 4.0, (open_[0].line,))


def ignored(lines: Sequence[Read]) -> Iterator[Shape]:
    """Yield a refusal after which further steps end well, as if it had not been spoken."""
    for place, one in enumerate(lines):
        if "refusal" in one.signs and one.complains:
            after = [other for other in lines[place + 1 :] if "end" in other.signs and not other.complains]
            if len(after) >= 2 and any("changes" in other.signs for other in after):
                yield Shape("校验被绕过", 4.5, (one.line, after[0].line))
                return


def early(lines: Sequence[Read]) -> Iterator[Shape]:
    """Yield an answer that goes out before the work is done: who spoke first tells the end, and others go on."""
    answers = [place for place, one in enumerate(lines) if place and one.component == lines[0].component != ""]
    if not answers or not lines[answers[-1]].signs & {"end"}:
        return
    for one in lines[answers[-1] + 1 :]:
        if one.component != lines[0].component and one.signs & {"begin", "end"} and "changes" in one.signs:
            yield Shape("流程乱序", 3.5, (lines[answers[-1]].line, one.line))
            return


def late_check(lines: Sequence[Read]) -> Iterator[Shape]:
    """Yield a check that follows what it should have come before."""
    done = None
    for one in lines[1:]:
        if one.complains or not one.signs & {"begin", "end"} or one.component == lines[0].component != "":
            continue
        if "checks" in one.signs and "changes" not in one.signs:
            if done:
                yield Shape("流程乱序", 2.5, (done.line, one.line))
                return
        elif "changes" in one.signs and "checks" not in one.signs and "end" in one.signs:
            done = done or one


def slow(lines: Sequence[Read], times: Sequence[float]) -> Iterator[Shape]:
    """Yield lines between which far more time passes than between others."""
    if len(times) <= max((one.line for one in lines), default=0) or len(lines) < 4:
        return
    gaps = [times[after.line] - times[before.line] for before, after in pairwise(lines)]
    usual = median(gaps)
    long = [place for place, gap in enumerate(gaps) if gap >= SLOW and gap >= MEDIANS * usual]
    if long:
        yield Shape("性能劣化", 3.0 + 0.5 * (len(long) > 1), tuple(lines[place + 1].line for place in long[:2]))
