"""A sequence as the local model reads it, and its text as it writes it: what varies is masked, what it quotes it cites.

A line becomes `4 stock-service W +2513 deduct stock: started`: its number, the service where another one speaks than
before, the level where it warns, the wait before it in milliseconds where that is a second or more, and its statement
(`logs.engine.statement`). That is a sixth of the raw line's tokens, and holds no secret to repeat. In return the model
writes `[4]` where a person would quote: the words of line 4 are put in afterwards, so no quote can be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from duolog.plugins.types import Language, LogSequence
from logs.engine import statement
from logs.engine.masking import MASK, mask, variables

WAIT = 1.0
"""Seconds between two lines from which on the wait is told."""
LETTERS = {"WARN": " W", "ERROR": " E", "FATAL": " F"}
STATEMENT, QUOTE = 200, 160
"""Characters of a statement that are read, and that are quoted."""
LINES = 60
"""Lines that are read of a longer sequence: its beginning, its end, and those with the greatest blame."""
ENDS = 15
"""Lines at either end that are always among them."""
CITED = re.compile(r"\[(\d{1,5})\]")
# “…”, and the field that a model answer may put behind it in brackets: (peer 10.0.0.7:3306)
QUOTED = re.compile(r"“([^”]+)”(?:（[^（）“”]{1,80}）|[ ]\([^()“”]{1,80}\))?")
NUMBERED = re.compile(r"第(\d+)行|\blines? (\d+)")
SPEECH = {"zh": ("“", "”"), "en": ("“", "”")}


@dataclass(frozen=True, slots=True)
class Compact:
    """What the model reads; `quotes` holds for each line (0-based) that it read the words that `[n]` stands for."""

    text: str
    quotes: dict[int, str]


def compact(sequence: LogSequence, blame: Sequence[float] = ()) -> Compact:
    """Return the short form of a sequence; lines that are left out are counted where they were."""
    chosen = _chosen(len(sequence.entries), blame)
    raw = [sequence.entries[number][: 4 * STATEMENT] for number in chosen]
    told: list[str] = []
    quotes: dict[int, str] = {}
    speaker, last = "", -1
    for number, line, masked, values in zip(chosen, raw, mask(raw), variables(raw), strict=True):
        level, component, message = statement.read(masked)
        quotes[number] = _verbatim(line, masked, message, values)
        if number != last + 1:
            told.append(f"… {number - last - 1}")
        who = f" {component or '-'}" if component != speaker else ""
        told.append(f"{number + 1}{who}{LETTERS.get(level, '')}{_wait(sequence, number)} {_printable(message)}")
        speaker, last = component, number
    return Compact("\n".join(told), quotes)


def cite(text: str, sequence: LogSequence) -> str:
    """Return a model answer's text as the model should write it: what it quotes from a line becomes that line's [n]."""

    def pointer(match: re.Match[str]) -> str:
        holders = [number for number, line in enumerate(sequence.entries, 1) if match[1] in line]
        if not holders:
            return match[0]
        near = {int(one[1] or one[2]) for one in NUMBERED.finditer(text, max(0, match.start() - 60), match.end() + 60)}
        return f"[{next((number for number in holders if number in near), holders[0])}]"

    return QUOTED.sub(pointer, text)


def quote(text: str, quotes: dict[int, str], language: Language) -> tuple[str, list[int]]:
    """Return the text for people, each [n] replaced by the words of line n, and the lines (0-based) that it cites."""
    opened, closed = SPEECH[language]
    cited: list[int] = []

    def words(match: re.Match[str]) -> str:
        number = int(match[1]) - 1
        if number not in quotes:
            return ""
        cited.append(number)
        return f"{opened}{quotes[number]}{closed}"

    return CITED.sub(words, text), list(dict.fromkeys(cited))


def _chosen(count: int, blame: Sequence[float]) -> list[int]:
    if count <= LINES:
        return list(range(count))
    ends = {*range(ENDS), *range(count - ENDS, count)}
    weights = list(blame) if len(blame) == count else [0.0] * count
    rest = sorted((n for n in range(count) if n not in ends), key=lambda n: (-weights[n], n))
    return sorted(ends | set(rest[: LINES - len(ends)]))


def _wait(sequence: LogSequence, number: int) -> str:
    if not number or not sequence.times:
        return ""
    wait = sequence.times[number] - sequence.times[number - 1]
    return f" +{wait * 1000:.0f}" if wait >= WAIT else ""


def _printable(text: str) -> str:
    shown = text[:STATEMENT].replace(MASK, "*")
    return "".join(letter if letter.isprintable() else " " for letter in shown)


def _verbatim(line: str, masked: str, message: str, values: Sequence[str]) -> str:
    """Return the words of the raw line that its masked statement stands for, as far as they stand together there."""
    while message and message not in masked:  # fields that were kept do not follow the message there
        message = message.rpartition(" ")[0]
    at = masked.find(message) if message else 0
    message = message or masked
    first = masked.count(MASK, 0, at)
    parts = message.split(MASK)
    filled = parts[0] + "".join(
        value + part for value, part in zip(values[first : first + len(parts) - 1], parts[1:], strict=True)
    )
    text = filled[:QUOTE].strip()
    return text if text in line and text.isprintable() else ""
