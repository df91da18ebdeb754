"""Grounding: what a report claims is looked up in the lines, and what does not stand there is struck.

A claim is something that can be looked up: words in “ ”, " " or ` `, a number, a name such as a service, a host or a
path, and the number of a line. General words are no claims: whether a judgement is sound is for people. Advice is about
what to do and not about what was logged, so that of it only quotes, addresses, ids and names of services are looked up.

Numbers need not be copied. These can be worked out: the number of lines; a wait between two lines, or from the first to
the last, in milliseconds or seconds; the other of these units; and a count of up to 20, and no more than there are
lines, before 次, 行, 个, 条, times, lines, retries or attempts, or after attempt, retry, try or 第.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from duolog.plugins.types import Language, LogSequence, Report, Wording

Kind = Literal["quote", "number", "name", "line"]
MOST = 4_000
"""Characters of a text that are checked; what is longer is cut at a sentence."""
COUNT = 20
"""The largest count that is taken for one of lines."""
BORNE = 50
"""Lines that are named as those that bear a claim out, at most."""

# Each alternative is linear: none begins within a word, and none of its parts can match what the next one does.
QUOTE = r"“(?P<q1>[^“”]+)”|\"(?P<q2>[^\"]+)\"|`(?P<q3>[^`]+)`"
CHINESE_LINE = r"第\s*(?P<l1>\d+(?:\s*[、,，和至到~-]\s*\d+)*)\s*行"
ENGLISH_LINE = r"\blines?\s+(?P<l2>\d+(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s+to\s+|\s*[-–]\s*)\d+)*)"
UNIT = r"%|ms\b|毫秒|s\b|秒|seconds?\b|次|行|个|条|times\b|lines\b|retries\b|attempts\b"
NUMBER = rf"(?<!\w)(?P<number>\d++(?:[.,:/-]\d++)*+)(?P<unit>\s*(?:{UNIT})|(?![-:@=/.]?[A-Za-z_]))"
NAME = r"(?P<name>(?:(?<!\w)\w+|(?<![\w/])(?=/\w))(?:(?:[-.@=/]|::?)\w+)*)"
CLAIM = re.compile(f"{QUOTE}|{CHINESE_LINE}|{ENGLISH_LINE}|{NUMBER}|{NAME}", re.ASCII | re.IGNORECASE)
COUNTED = re.compile(r"次|行|个|条|times|lines|retries|attempts", re.IGNORECASE)
WAITED = re.compile(r"ms|毫秒|s|秒|seconds?", re.IGNORECASE)
ATTEMPT = re.compile(r"(?:\b(?:attempt|retry|try)\s*#?|第)\s*$", re.IGNORECASE)
# A sentence ends at 。！？；, at the end of a line, or at a full stop before a space: not within a name, a number or a
# quote.
SENTENCE = re.compile(
    r"(?:“[^“”]*”|\"[^\"]*\"|`[^`]*`|[^。！？；!?.;“\"`\n]|[.!?;](?!\s|$)|[“\"`])*(?:[。！？；\n]|[.!?;](?=\s|$)|$)\s*"
)
# What is not one plain word: a part after a dash or the like, a digit among letters, a capital after a small letter.
NAMED = re.compile(r"\w*(?:\W|_|[A-Za-z]\d|\d[A-Za-z]|[a-z][A-Z])", re.ASCII)
# What looks like a name, and is a word of a language, or of the trade.
WORDS = re.compile(
    r"[A-Za-z]+(?:[-/][A-Za-z]+)+|[ei]\.[ge]|\d+(?:st|nd|rd|th|xx)|\d+[-/][A-Za-z-]+|IPv[46]|HTTPS?/?[123](?:\.[01])?"
    r"|(?:TLS|SSL)v?[\d.]+|UTF-?(?:8|16)|SHA-?\d+|MD5|Base64|x509|OAuth2?|K8s|S3|P(?:50|9\d+)|GitHub|JavaScript|MySQL"
    r"|[A-Za-z]+(?:SQL|DB|MQ)|i?OS|eBPF|DevOps|Node\.js|VMs?|IDs?|APIs|URLs|IPs|CPUs|GPUs|[A-Z]+s",
    re.ASCII | re.IGNORECASE,
)
SERVICE = re.compile(r"[\w.-]*-(?:service|svc|server|node|host|pod|api|db|worker|gateway)", re.ASCII)
SPECIFIC = re.compile(rf"(?!0\.0\.0\.0|127\.0\.0\.1)\d+(?:\.\d+){{3}}\S*|\d{{6,}}|{SERVICE.pattern}", re.ASCII)
"""What even advice cannot say without having read it: an address, an id, a service."""


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
    sentences = [one for one in SENTENCE.findall(text[:MOST]) if one]
    if len(text) > MOST:
        sentences.pop()
    for sentence in sentences:
        found = [Claim(language, field, *told) for told in facts.claims(sentence, advice=field == "recommendations")]
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
        self.starts = [0]  # of lines in the text
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        # Names and numbers stand whole or not at all, so that one with a part that the text lacks is known at once.
        self.runs = {
            "name": set(re.findall(r"\w+", self.text, re.ASCII)),
            "number": set(re.findall("[0-9]+", self.text)),
        }
        times = sequence.times
        waits = [after - before for before, after in pairwise(times)]
        self.waits = sorted([*waits, times[-1] - times[0]] if times else waits)
        self.known: dict[tuple[Kind, str], tuple[int, ...] | None] = {}

    def stands(self, words: str, line: int) -> bool:
        """Tell whether words stand in a line."""
        return bool(words.strip()) and 0 <= line < self.count and _folded(words) in self.lines[line]

    def claims(self, sentence: str, *, advice: bool) -> Iterator[tuple[Kind, str, bool, tuple[int, ...]]]:
        """Yield kind, text, whether it stands, and the lines, of each claim of a sentence."""
        for match in CLAIM.finditer(sentence):
            if words := match["q1"] or match["q2"] or match["q3"]:
                yield self._looked_up("quote", words)
            elif advice and not SPECIFIC.fullmatch(match["name"] or match["number"] or ""):
                continue
            elif told := match["l1"] or match["l2"]:
                for line in map(int, re.findall(r"\d{1,9}", told)):
                    found = 1 <= line <= self.count
                    yield "line", str(line), found, (line - 1,) if found else ()
            elif name := match["name"]:
                if NAMED.match(name):
                    claim = self._looked_up("name", name)
                    if claim[2] or SERVICE.fullmatch(name) or not WORDS.fullmatch(name):
                        yield claim
            elif number := match["number"]:
                yield self._number(number, match["unit"].strip(), bool(ATTEMPT.search(sentence[: match.start()][-20:])))

    def _number(self, number: str, unit: str, attempt: bool) -> tuple[Kind, str, bool, tuple[int, ...]]:
        """Look a number up, or work it out."""
        plain = re.sub(r",(?=\d{3}(?!\d))", "", number)  # 3,000
        _kind, _text, found, lines = self._looked_up("number", number)
        if not found and plain != number:
            _kind, _text, found, lines = self._looked_up("number", plain)
        if not found and re.fullmatch(r"\d{1,9}", plain):
            counted = attempt or COUNTED.fullmatch(unit)
            found = int(plain) == self.count or bool(counted and int(plain) <= min(COUNT, self.count))
        if not found and WAITED.fullmatch(unit) and re.fullmatch(r"\d{1,9}(?:\.\d{1,6})?", plain):
            short = unit.lower() in ("ms", "毫秒")
            seconds = float(plain) / (1000 if short else 1)
            lines = self._looked_up("number", f"{seconds if short else round(seconds * 1000, 3):g}")[3]
            slack = max(0.001 if short else 0.5, 0.05 * seconds)  # as people round
            nearest = bisect_left(self.waits, seconds - slack)
            found = bool(lines) or (nearest < len(self.waits) and self.waits[nearest] <= seconds + slack)
        return "number", f"{number}{unit}", found, lines

    def _looked_up(self, kind: Kind, words: str) -> tuple[Kind, str, bool, tuple[int, ...]]:
        """Look words up in the lines, and in what is known of the whole; each only once."""
        key = kind, words
        if key not in self.known:
            self.known[key] = self._places(kind, _folded(words))
        places = self.known[key]
        return kind, words, places is not None, places or ()

    def _places(self, kind: Kind, wanted: str) -> tuple[int, ...] | None:
        """Return the lines that hold words, () where only the services or the like do, None where nothing does.

        A name is not found within a longer word, nor a number within a longer number.
        """
        parts = re.findall(r"\w+" if kind == "name" else "[0-9]+", wanted, re.ASCII)
        if not wanted or (kind in self.runs and not self.runs[kind].issuperset(parts)):
            return None
        places: dict[int, None] = {}
        at, found = self.text.find(wanted), False
        while at >= 0 and len(places) < BORNE:
            end, following = at + len(wanted), at + 1
            if kind == "quote" or _whole(kind, self.text[max(0, at - 1) : at], self.text[end : end + 2]):
                found, line = True, bisect_right(self.starts, at) - 1
                if line < self.count:
                    places[line] = None
                    following = self.starts[line + 1]
                else:
                    break
            at = self.text.find(wanted, following)
        return tuple(places) if found else None


def _whole(kind: Kind, before: str, after: str) -> bool:
    """Tell whether a name or a number between these characters does not go on."""
    if kind == "name":
        return not re.match(r"\w", before, re.ASCII) and not re.match(r"\w", after, re.ASCII)
    return not re.match(r"[0-9.]", before) and not re.match(r"[0-9]|\.[0-9]", after)


def _folded(text: str) -> str:
    """Return a text of which only the words count: composed characters (NFC), single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _neutral(language: Language, lines: list[int]) -> str:
    """Return what is left to say where nothing else is: which lines to look at."""
    if language == "zh":
        return f"请查看{'、'.join(f'第{line}行' for line in lines)}。" if lines else "请查看日志原文。"
    return f"See line{'s' * (len(lines) > 1)} {', '.join(map(str, lines))}." if lines else "See the lines themselves."
