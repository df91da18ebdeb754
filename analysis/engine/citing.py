"""Citing: which words of a text that was grounded stand in which line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analysis.engine.grounding import CLAIM

Cited = Mapping[tuple[str, str], int]
"""The first line (0-based) that bears a claim out, by the claim's kind and text."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a text, and the line (counted from 1) that they are from, or None."""

    text: str
    line: int | None = None


def pieces(text: str, cited: Cited) -> list[Piece]:
    """Cut a text where claims begin and end that stand in a line; joined, the pieces are the text."""
    found, end = [], 0
    for begin, after, line in _spots(text, cited):
        found += [Piece(text[end:begin])] if begin > end else []
        found.append(Piece(text[begin:after], line + 1))
        end = after
    return [*found, Piece(text[end:])] if end < len(text) else found


def _spots(text: str, cited: Cited) -> Iterator[tuple[int, int, int]]:
    """Yield begin, end and line of each claim, found as `grounding` finds them."""
    for match in CLAIM.finditer(text):
        for group, kind in (("q1", "quote"), ("q2", "quote"), ("q3", "quote"), ("name", "name")):
            if match[group] and (line := cited.get((kind, match[group]))) is not None:
                yield *match.span(group), line
        for group in ("l1", "l2"):
            for number in re.finditer(r"\d+", match[group] or ""):
                if (line := cited.get(("line", number[0]))) is not None:
                    start = match.start(group)
                    yield start + number.start(), start + number.end(), line
        if match["number"]:
            told = f"{match['number']}{match['unit'].strip()}"
            if (line := cited.get(("number", told))) is not None:
                yield *match.span("number"), line
