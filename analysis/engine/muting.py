"""What mute rules match, and how to tell that what they hide is no longer what they were made for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Any

import rurex

FACTOR = 1.5
"""So many times the findings of the busiest day of the back-test are still what the rule was made for."""
CERTAIN = 4.0
"""Standard errors beyond which a difference is no chance, for a test that is made whenever findings are hidden."""
RISE = 0.1
"""By so much the mean score has to rise, however certain it is that it rose."""
FEW = 5
"""Scores of which no mean is taken."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a rule names, and all of it must hold; None and "" name nothing.

    `templates` are the numbers of a template and of all that were merged into it, `expression` a pattern in the syntax
    of Rust's regex (`logs.engine.user_patterns.checked`, so it takes linear time) that some line matches.
    """

    service: str = ""
    type: str = ""
    templates: frozenset[int] | None = None
    expression: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an item: its service and type, and the lines of its sequence with their templates' numbers."""

    service: str
    type: str
    templates: Sequence[int] = ()
    lines: Sequence[str] = ()


def holds(rule: Conditions, facts: Facts) -> bool:
    """Tell whether all that a rule names is so; a rule that names nothing matches nothing."""
    if rule == Conditions():
        return False
    if (rule.service and rule.service != facts.service) or (rule.type and rule.type != facts.type):
        return False
    if rule.templates is not None and rule.templates.isdisjoint(facts.templates):
        return False
    return not rule.expression or matches(rule.expression, facts.lines)


def matches(expression: str, lines: Iterable[str]) -> bool:
    """Tell whether a pattern matches some line."""
    search = _compiled(expression).is_match
    return any(map(search, lines))


@lru_cache(maxsize=1000)
def _compiled(expression: str) -> Any:
    # Not `checked` again: it takes the time, and a rule that is kept must not fail because the machine is busy.
    return rurex.compile(expression)


# --- drift ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sums:
    """Scores by their count, sum and sum of squares, so that days can be added up."""

    count: int = 0
    sum: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """Of at least one."""
        return self.sum / self.count

    @property
    def error(self) -> float:
        """Squared standard error of the mean, of at least two; of scores that are all alike it is 0."""
        return max(0.0, self.squares - self.sum**2 / self.count) / (self.count - 1) / self.count


def is_flood(today: int, busiest: int) -> bool:
    """Tell whether a day so far has far more findings than the busiest day of the back-test.

    Two Poisson counts, tested for a ratio above FACTOR by their variance-stabilised difference (Huffman 1984, An
    improved approximate two-sample Poisson test, Applied Statistics 33), which holds for counts of 0, too: from a rule
    that hid nothing it takes 15 findings in a day, from 10 a day 51, from 1,000 a day 1,756. The busiest day and not
    the mean, because findings come in bursts: with the mean, every burst that was there before would be a drift.
    """
    distance = 2 * (sqrt(today + 3 / 8) - sqrt(FACTOR * (busiest + 3 / 8))) / sqrt(1 + FACTOR)
    return distance > CERTAIN


def is_worse(now: Sums, before: Sums) -> bool:
    """Tell whether scores rose clearly: by RISE at least, and by no chance (Welch 1947, one-sided)."""
    if min(now.count, before.count) < FEW:
        return False
    rise = now.mean - before.mean
    return rise >= RISE and rise > CERTAIN * sqrt(now.error + before.error)
