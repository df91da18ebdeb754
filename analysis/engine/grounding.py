"""Grounding: what a report claims is looked up in the lines, and what does not stand there is struck.

A claim is something that can be looked up: words in quotation marks, a number, a name such as a service, a host or a
path, and the number of a line. General words are no claims: whether a judgement is sound is for people. Advice is about
what to do and not about what was logged, so that of it only words in quotation marks are looked up.

Numbers need not be copied: the number of lines, a wait between two lines in milliseconds or seconds, and a count up to
the number of lines before 次, 行, 个, times, lines or retries, or after attempt, can be worked out from a sequence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from duolog.plugins.types import Language, LogSequence, Report, Wording

Kind = Literal["quote", "number", "name", "line"]
MOST = 4_000
"""Characters of a text that are checked; what is longer is cut at a sentence."""

QUOTE = r"“(?P<q1>[^”]+)”|\"(?P<q2>[^\"]+)\"|`(?P<q3>[^`]+)`"
CHINESE_LINE = r"第\s*(?P<l1>\d+(?:\s*[、,，和至到~-]\s*\d+)*)\s*行"
ENGLISH_LINE = r"\b[Ll]ines?\s+(?P<l2>\d+(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s+to\s+|\s*[-–]\s*)\d+)*)"
NAME = r"(?P<name>(?:/[\w.-]+)+/?|[A-Za-z_]\w*(?:(?:[-_.:@=/]|::)\w+)+|[A-Za-z]+\d\w*|[a-z]+[A-Z]\w*)"
UNIT = r"(?P<unit>\s*(?:%|ms\b|毫秒|s\b|秒|seconds?\b|次|行|个|条|times\b|lines\b|retries\b|attempts\b)?)"
NUMBER = rf"(?P<number>\d+(?:[.,:/-]\d+)*){UNIT}"
CLAIM = re.compile(f"{QUOTE}|{CHINESE_LINE}|{ENGLISH_LINE}|{NAME}|{NUMBER}", re.ASCII)
COUNTED = re.compile(r"次|行|个|条|times|lines|retries|attempts")
WAITED = re.compile(r"ms|毫秒|s|秒|seconds?")
ATTEMPT = re.compile(r"\b(?:attempt|retry|try)\s*#?\s*$|第\s*$", re.IGNORECASE)
# A sentence ends at 。！？； or at a full stop before a space: not within a name, a number or quoted words.
SENTENCE = re.compile(r"(?:“[^”]*”|[^。！？；!?.;“]|[.!?;](?!\s|$)|“)*(?:[。！？；]|[.!?;](?=\s|$)|$)\s*")
# Words with a dash or a dot that are words of a language and no names.
WORDS = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)+|e\.g|i\.e", re.ASCII)


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that can be looked up: where it is said, what it is, and the lines (0-based) that bear it out.

    `field` is evidence (of no `language`), summary, root_cause or recommendations.
    """

    language: Language | Literal[""]
    field: str
    kind: Kind
    text: str
    found: bool
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Grounded:
    """A report without what is not so, and all that it claimed."""

    report: Report
    claims: tuple[Claim, ...]

    @property
    def share(self) -> float:
        """The share of the claims that stand in the sequence; 1 where nothing was claimed."""
        return sum(claim.found for claim in self.claims) / len(self.claims) if self.claims else 1.0


def check(report: Report, sequence: LogSequence) -> Grounded:
    """Look up what a report claims about a sequence; drop evidence and sentences that hold what is not there."""
    facts = _Facts(sequence)
    claims: list[Claim] = []
    evidence = []
    for one in report.evidence:
        found = facts.stands(one.quote, one.line)
        claims.append(Claim("", "evidence", "quote", one.quote, found, (one.line,) if found else ()))
        evidence += [one] if found else []
    cited = [one.line + 1 for one in evidence]
    texts: dict[Language, Wording] = {}
    for language, text in report.texts.items():
        parts = {}
        for field in ("summary", "root_cause"):
            kept = _kept(getattr(text, field), language, field, facts, claims)
            parts[field] = kept if kept or not getattr(text, field) else _neutral(language, cited)
        advice = [_kept(one, language, "recommendations", facts, claims) for one in text.recommendations]
        texts[language] = Wording(**parts, recommendations=tuple(one for one in advice if one))
    return Grounded(replace(report, evidence=tuple(evidence), texts=texts), tuple(claims))


def _kept(text: str, language: Language, field: str, facts: _Facts, claims: list[Claim]) -> str:
    """Return the sentences of a text of which nothing is made up, and note what all of them claim."""
    kept = []
    for sentence in SENTENCE.findall(text[:MOST]):
        found = [Claim(language, field, *told) for told in facts.claims(sentence, quotes=field == "recommendations")]
        claims += found
        if all(claim.found for claim in found):
            kept.append(sentence)
    return "".join(kept).strip()


class _Facts:
    """What can be looked up in a sequence."""

    def __init__(self, sequence: LogSequence) -> None:
        self.lines = [_folded(line) for line in sequence.entries]
        services = sequence.meta.get("services") or ()
        told = [*services, sequence.meta.get("service"), sequence.meta.get("host"), sequence.meta.get("path")]
        self.text = "\n".join([*self.lines, *(_folded(str(one)) for one in told if one)])
        self.count = len(self.lines)
        self.waits = [after - before for before, after in zip(sequence.times, sequence.times[1:], strict=False)]

    def stands(self, words: str, line: int) -> bool:
        """Tell whether words stand in a line."""
        return bool(words.strip()) and 0 <= line < self.count and _folded(words) in self.lines[line]

    def claims(self, sentence: str, *, quotes: bool) -> Iterator[tuple[Kind, str, bool, tuple[int, ...]]]:
        """Yield kind, text, whether it stands, and the lines, of each claim of a sentence; or of its `quotes` alone."""
        for match in CLAIM.finditer(sentence):
            if words := match["q1"] or match["q2"] or match["q3"]:
                yield ("quote", words, *self._holding(words))
            elif quotes:
                continue
            elif told := match["l1"] or match["l2"]:
                for number in re.findall(r"\d+", told):
                    yield "line", number, 1 <= int(number) <= self.count, (int(number) - 1,)
            elif name := match["name"]:
                if not WORDS.fullmatch(name) or _folded(name) in self.text:
                    yield ("name", name, *self._holding(name.rstrip("/.:")))
                elif name.partition("-")[2] in ("service", "server", "node", "host", "pod", "api", "db", "worker"):
                    yield "name", name, False, ()
            else:
                yield self._number(match, sentence)

    def _number(self, match: re.Match[str], sentence: str) -> tuple[Kind, str, bool, tuple[int, ...]]:
        number, unit = match["number"], match["unit"].strip()
        found, lines = self._holding(number, whole=True)
        if not found and number.isdigit():
            value = int(number)
            counted = COUNTED.fullmatch(unit) or ATTEMPT.search(sentence, 0, match.start())
            found = bool(counted and value <= self.count) or value == self.count
        if not found and WAITED.fullmatch(unit):
            scale = 1000 if unit in ("ms", "毫秒") else 1
            wanted = float(number.replace(",", "")) if re.fullmatch(r"[\d,]*\.?\d+", number) else -1.0
            found = any(abs(wait * scale - wanted) <= max(1.0 * (scale > 1), 0.05 * wanted) for wait in self.waits)
        return "number", f"{number}{unit}", found, lines

    def _holding(self, words: str, *, whole: bool = False) -> tuple[bool, tuple[int, ...]]:
        """Return whether words stand anywhere, and in which lines; `whole`: not as a part of a longer number."""
        wanted = _folded(words)
        if not wanted or wanted not in self.text:
            return False, ()
        if whole:
            fits = re.compile(rf"(?<![\d.]){re.escape(wanted)}(?!\d|\.\d)").search
            lines = tuple(number for number, line in enumerate(self.lines) if fits(line))
            return bool(lines) or bool(fits(self.text)), lines
        return True, tuple(number for number, line in enumerate(self.lines) if wanted in line)


def _folded(text: str) -> str:
    """Return a text of which only the words count: composed characters (NFC), single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _neutral(language: Language, lines: list[int]) -> str:
    """Return what is left to say where nothing else is: which lines to look at."""
    if language == "zh":
        return f"请查看{'、'.join(f'第{line}行' for line in lines)}。" if lines else "请查看日志原文。"
    return f"See line{'s' * (len(lines) > 1)} {', '.join(map(str, lines))}." if lines else "See the lines themselves."
