"""What the lines of a sequence say of a fault, by the words of the field alone: no model, no training.

A hostile sequence costs no more than a bounded one: of a line the first `WIDTH` characters are read, of a long sequence
`LINES` lines, the most blamed first. The patterns are Rust's, whose time is linear in the text.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import rurex

from duolog.plugins.types import Case
from logs.engine.masking import MASK, mask, variables
from logs.engine.statement import LEVELS, read

WIDTH = 1_000
LINES = 1_000
QUOTE = 200
"""Most characters of a quote."""
TIERS = {"exact": 7.0, "certain": 5.0, "clear": 3.0, "hint": 1.0}
"""How much a word counts, by how specific it is."""
BESIDE = 0.3
"""What a word counts for in a statement that names another type more specifically."""
WEIGHTS = {"FATAL": 1.2, "ERROR": 1.0, "WARN": 0.9, "": 0.8, "INFO": 0.15, "DEBUG": 0.05}
"""How much a statement counts, by its level ("" where the line names none)."""
LOUD = re.compile(rf"\b(?:{'|'.join(name for name in LEVELS if len(name) > 3)})\b")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
UNQUOTED = re.compile(rf"{CONTROL.pattern}|[“”]")
VALUE = re.compile(r'[^\s,;)"]*')
GAP = 100
"""Most characters that a masked part of a message may hide."""
LONG = 4
"""Characters from which a variable part is taken for the name of a thing (an order, a host), not for a duration."""


@dataclass(frozen=True, slots=True)
class Read:
    """A line (0-based) as far as it was read; `words` are the statement's, verbatim, and `things` what it is about."""

    line: int
    level: str
    component: str
    message: str
    words: str
    things: tuple[str, ...]
    types: Mapping[str, float]
    signs: frozenset[str]
    factor: float

    @property
    def complains(self) -> bool:
        """Whether it tells of trouble, and does not say itself that nothing comes of it."""
        loud = self.level in ("WARN", "ERROR", "FATAL") or (not self.level and max(self.types.values(), default=0) >= 3)
        return loud and "harmless" not in self.signs and "overcome" not in self.signs


@dataclass(frozen=True, slots=True)
class Words:
    """The compiled patterns: a type's by tier, and the signs."""

    types: Mapping[str, tuple[tuple[float, rurex.Pattern], ...]]
    signs: Mapping[str, rurex.Pattern]


@cache
def words() -> Words:
    """Read `analysis/analysts/rules.toml` and compile it."""
    told = tomllib.loads(files("analysis.analysts").joinpath("rules.toml").read_text(encoding="utf-8"))
    return Words(
        {
            name: tuple((weight, compiled(tuple(row[tier]))) for tier, weight in TIERS.items() if tier in row)
            for name, row in told["words"].items()
        },
        {name: compiled(tuple(fragments)) for name, fragments in told["signs"].items()},
    )


@cache
def compiled(fragments: tuple[str, ...]) -> rurex.Pattern:
    """Return one pattern of many fragments; one that begins with a letter begins a word."""
    boundary = r"(?-u:\b)"
    parts = [(boundary if part[0].isascii() and part[0].isalpha() else "") + part for part in fragments]
    return rurex.compile(
        "(?i)" + "|".join(part.replace(r"\b", boundary) for part in parts).replace(boundary * 2, boundary)
    )


def chosen(case: Case) -> list[int]:
    """Return the lines to be read, in order: all, or the most blamed ones, of equals those nearer to an end."""
    count = len(case.sequence.entries)
    if count <= LINES:
        return list(range(count))
    blame = case.blame or (0.0,) * count
    return sorted(sorted(range(count), key=lambda line: (-blame[line], min(line, count - 1 - line)))[:LINES])


def read_lines(case: Case) -> list[Read]:
    """Return what the lines of a case say, in order; equal statements are judged once."""
    numbers = chosen(case)
    raw = [case.sequence.entries[number][:WIDTH] for number in numbers]
    flat = [CONTROL.sub(" ", line) for line in raw]
    masked = mask(flat)
    highest = max(case.blame, default=0.0)
    judged: dict[str, tuple[Mapping[str, float], frozenset[str]]] = {}
    lines = []
    for number, line, plain, form, parts in zip(numbers, raw, flat, masked, variables(flat), strict=True):
        level, component, message = read(form)
        said = located(line, message)
        text = said or plain
        if text not in judged:
            judged[text] = judge(text)
        types, signs = judged[text]
        level = level or _loud(plain)
        blamed = 0.5 + case.blame[number] / highest if highest and number < len(case.blame) else 1.0
        quiet = 0.15 if "harmless" in signs else 1.0
        things = tuple(part for part in parts if len(part) >= LONG and part in line[line.find(said) :])
        lines.append(
            Read(number, level, component if component in line else "", message, said or shown(line), things, types,
                 signs, WEIGHTS[level] * blamed * quiet)
        )  # fmt: skip
    return lines


def judge(text: str) -> tuple[Mapping[str, float], frozenset[str]]:
    """Return how strongly a text names each type, and its signs."""
    known = words()
    found = {
        name: weight
        for name, tiers in known.types.items()
        if (weight := next((weight for weight, pattern in tiers if pattern.search(text)), 0.0))
    }
    most = max(found.values(), default=0.0)
    named = {name: weight if weight == most else weight * BESIDE for name, weight in found.items()}
    return named, frozenset(name for name, pattern in known.signs.items() if pattern.search(text))


def located(line: str, message: str) -> str:
    """Return the stretch of a raw line that a masked message was read from, "" if it is not found."""
    begin, at = -1, 0
    pieces = message.split(MASK)
    for place, piece in enumerate(pieces):
        found, length = _found(line, piece, at)
        if found < 0 or (begin >= 0 and found - at > GAP):
            break
        begin = found if begin < 0 and piece.strip() else begin
        at = found + length
        if length < len(piece):
            break
        if place < len(pieces) - 1 and not pieces[place + 1].strip():  # ends in something masked
            at = VALUE.match(line, at).end()  # type: ignore[union-attr]
    return shown(line[begin:at]) if begin >= 0 else ""


def _found(line: str, piece: str, at: int) -> tuple[int, int]:
    """Return where a piece stands, or its longest beginning that does: fields that were left out follow it."""
    while piece:
        if (found := line.find(piece, at)) >= 0:
            return found, len(piece)
        piece = piece[: piece.rstrip().rfind(" ")].rstrip() if " " in piece.rstrip() else ""
    return -1, 0


def shown(text: str) -> str:
    """Return the longest stretch without control characters and quotation marks, cut to what a quote may hold."""
    return max(UNQUOTED.split(text), key=len).strip()[:QUOTE].strip()


def name_of(read: Read, sign: str) -> str:
    """Return the message without the words of a sign, such as "begin": what is left names the step."""
    return re.sub(r"[\W_]+", " ", words().signs[sign].sub(" ", read.message.replace(MASK, " "))).strip().casefold()


def _loud(plain: str) -> str:
    found = LOUD.search(plain[:QUOTE])
    return LEVELS[found[0]] if found else ""


def total(weights: Sequence[float]) -> float:
    """Return a sum in which each further one counts half of the one before it, from the greatest."""
    return sum(weight * 0.5**place for place, weight in enumerate(sorted(weights, reverse=True)[:8]))
