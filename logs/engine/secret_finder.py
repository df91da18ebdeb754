"""A finder: a Rust regex that says where a secret may stand, and a judge that looks closer at each place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from logs.engine.masking import B

CONTEXT = 80
FRONT = rf"(?P<k>{B}|\\[nrt])"  # where a word begins, also behind an escaped line break


@dataclass(frozen=True)
class Match:
    """A place in a text that a pattern found: its group `k`, then `v`, then `z`, any of which may be empty."""

    text: str
    start: int
    value_start: int
    value_end: int
    end: int

    @property
    def kept(self) -> str:
        """What stands before the value: a key, a quote, the name of a header."""
        return self.text[self.start : self.value_start]

    @property
    def value(self) -> str:
        """What may be secret."""
        return self.text[self.value_start : self.value_end]

    @property
    def before(self) -> str:
        """The last CONTEXT characters before the match."""
        return self.text[max(0, self.start - CONTEXT) : self.start]

    @property
    def after(self) -> str:
        """The first CONTEXT characters after the value."""
        return self.text[self.value_end : self.value_end + CONTEXT]


Verdict = tuple[str, int, int] | None
"""A kind, and from where to where the text is secret; with the kind "", it is none, but was read; None: nothing."""


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
    return Finder(
        (kind,), trigger, pattern, lambda match: (kind, match.value_start, match.value_end) if fits(match) else None
    )
