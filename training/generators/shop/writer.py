"""How the lines of a request are written: each is picked from one table, piece by piece, and joined at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from operator import itemgetter

from training.generators.shop.catalog import Language, Phrase
from training.generators.shop.stories import Line
from training.generators.shop.styles import CONSTANT, MARKS, PER_LINE, Style

MARK = re.compile(f"([{''.join(MARKS.values())}])")
PLACES = {name: place for place, name in enumerate(MARKS)}
MINUTE, SECOND, THOUSANDTH, MS, TOTAL, WAIT, ATTEMPT = (PLACES[name] for name in PER_LINE)
USUAL = PLACES["usual"]
TIMED = frozenset({"ms", "wait", "attempt"})
Form = tuple[Callable[[Sequence[str]], tuple[str, ...]], Line | None]
"""What picks the pieces of a line from the table, and the line if it tells how long something took."""


class Voice:
    """A language in a house style and a dialect, which has one of the `wordings` for each phrase.

    It is what all services that log so have in common, and keeps the forms of its lines.
    """

    def __init__(self, style: Style, language: Language, dialect: int, wordings: Sequence[int]) -> None:
        self.style, self.language, self.dialect, self.wordings = style, language, dialect, wordings
        self.forms: dict[Line, Form] = {}

    def wording(self, phrase: Phrase) -> int:
        """Return which wording of a phrase the dialect has."""
        key = f"{self.dialect}/{phrase.en[0]}".encode()
        return self.wordings[int.from_bytes(blake2b(key, digest_size=2).digest()) % len(self.wordings)]

    def message(self, told: Line) -> str:
        """Return the words of a line, without its fields."""
        return self.style.message(told.phrase, self.wording(told.phrase), self.language, told.kind, told.callee)

    def text(self, told: Line) -> str:
        """Return the whole line, a MARK standing for each value."""
        return self.style.form(
            told.service, told.phrase, self.wording(told.phrase), self.language, told.kind, told.callee
        )


class Writer:
    """Writes requests down. Its table holds the values of the one it writes, and all texts between values."""

    def __init__(self) -> None:
        self.places = {mark: place for place, mark in enumerate(MARKS.values())}
        self.table = list(self.places)
        self.minutes = [f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(24 * 60)]
        self.seconds = [f"{second:02d}" for second in range(60)]
        self.thousandths = [f"{thousandth:03d}" for thousandth in range(1000)]

    def write(
        self, lines: Iterable[Line], voices: Mapping[str, Voice], values: Sequence[str],
        midnight: int, now: int, gaps: Iterable[int],
    ) -> tuple[tuple[str, ...], tuple[float, ...]]:  # fmt: skip
        """Return the text and the time of each line; the hot loop of a shop.

        `values` are in the order of CONSTANT; the request comes in at `now`, in milliseconds after `midnight`; each of
        the `gaps` makes for the time before a line.
        """
        table, minutes, seconds, thousandths = self.table, self.minutes, self.seconds, self.thousandths
        table[: len(CONSTANT)] = values
        begun: dict[str, int] = {}
        attempt, entries, times = 0, [], []
        for told, gap in zip(lines, gaps, strict=False):
            voice = voices[told.service]
            pick, timed = voice.forms.get(told) or self._form(told, voice)
            if timed is None:
                now += 2 + gap
            else:
                now += (pause := (2 + gap) * timed.slow)
                if timed.begins:
                    begun[timed.begins] = now
                elif timed.ends:
                    table[MS] = table[TOTAL] = str(now - begun.get(timed.ends, now - pause))
                else:
                    attempt += timed.again
                    table[WAIT] = str(pause) if timed.slow > 1 else table[USUAL]
                    table[ATTEMPT], table[MS] = str(attempt), str(pause // 3)
            table[MINUTE] = minutes[now // 60_000]
            table[SECOND] = seconds[now // 1000 % 60]
            table[THOUSANDTH] = thousandths[now % 1000]
            entries.append("".join(pick(table)))
            times.append(midnight + now / 1000)
        return tuple(entries), tuple(times)

    def _form(self, told: Line, voice: Voice) -> Form:
        """Compile a line: split it into values and the texts between, and give each text a place in the table."""
        pieces = [piece for piece in MARK.split(voice.text(told)) if piece]
        for piece in pieces:
            if piece not in self.places:
                self.places[piece] = len(self.table)
                self.table.append(piece)
        timed = told if told.begins or told.ends or not TIMED.isdisjoint(told.phrase.fields) else None
        form = voice.forms[told] = itemgetter(*(self.places[piece] for piece in pieces)), timed
        return form
