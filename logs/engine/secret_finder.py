"""A finder: a Rust regex that says where a secret may stand, and a judge that looks closer at each place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    """A place that a pattern found: what it keeps, what may be secret, and up to 80 characters on either side."""

    kept: str
    value: str
    before: str
    after: str


Verdict = tuple[str, int, int] | None
"""The kind, and which part of the value is secret (from, to); None: nothing is."""


@dataclass(frozen=True)
class Finder:
    r"""A pattern whose group `k` and group `z` stay, whose group `v` holds the secret, and the judge of its matches.

    Without look-around, as everywhere in Rust's regex, and without a Unicode word boundary (see `masking.py`). Lines
    are often JSON, or hold some: a quote may stand behind backslashes, a number behind the `n` of `\n`.
    """

    kinds: tuple[str, ...]
    trigger: str  # matches whatever line the pattern matches, and is quick: all of them together run over every line
    pattern: str
    judge: Callable[[Match], Verdict]


def anything(match: Match) -> bool:
    """Fit whatever the pattern matched."""
    return True


def finder(kind: str, trigger: str, pattern: str, fits: Callable[[Match], bool] = anything) -> Finder:
    """Return a finder of one kind whose secret is all of the group `v`, or all of the match if it has no such group."""
    pattern = pattern if "(?P<v>" in pattern else f"(?P<v>{pattern})"
    return Finder((kind,), trigger, pattern, lambda match: (kind, 0, len(match.value)) if fits(match) else None)
