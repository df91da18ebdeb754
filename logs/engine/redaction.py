"""Redaction: secrets and personal data leave lines and attributes before anything is stored.

One pass of Rust regexes over a batch picks the lines that may hold something; only these are looked at closely. All
patterns, those of users too, run in polars' Rust regex, whose time is linear in the text whatever the pattern: no line
can make one hang. Redacting twice changes nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

import polars as pl

from duolog.plugins.types import Reason
from logs.engine import json_strings
from logs.engine.secret_checks import kind_of
from logs.engine.secret_finder import CONTEXT, Finder, Match, finder
from logs.engine.secret_kinds import GROUPS, KINDS
from logs.engine.user_patterns import checked

NAME = re.compile("[a-z][a-z0-9-]{0,39}")
# What earlier redaction left, and characters that no encoding takes: no text to any pattern.
INERT = re.compile(r"(\[-\]|\[REDACTED:[a-z][a-z0-9-]*\]|\[[a-z][a-z0-9-]*:[0-9a-f]{12}\]|[\ud800-\udfff]+)")
BEFORE_NUMBER = re.compile(r'(\\*")\s*:\s*$')
GROUPED, GROUPING = ("phone", "id-card", "bank-card", "plate"), {ord(sign): "" for sign in " -·•"}
# The trigger of JSON whose strings say, once unescaped, what no other trigger sees in the line.
BACKSLASH = r"^\s*[\[{](?s:.)*\\"
ROUNDS = 10  # what is redacted may make its neighbours match (^x in xxxx): a bound for what would go on for long


class Strategy(StrEnum):
    """What becomes of a value: `[REDACTED:phone]`, `[phone:9f3a…]` (keyed: equal values stay equal), or just `[-]`.

    Dropping leaves a mark, too: else `password=abc in 3 ms` would become a line whose password is "in".
    """

    MASK = "mask"
    HASH = "hash"
    DROP = "drop"


@dataclass(frozen=True)
class Rule:
    """A kind to redact: a built-in one (`KINDS`), or, with a pattern, a user's own.

    Raises:
        ValueError: if the kind is no name or unknown, or the strategy is, or the pattern is unfit (`checked`).
    """

    kind: str
    strategy: Strategy = Strategy.MASK
    pattern: str = ""  # https://docs.rs/regex/latest/regex/#syntax; what it matches as a whole is redacted

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.kind):
            raise ValueError(
                Reason(
                    "%(name)s is no name of a rule: small letters, digits and hyphens, at most 40", name=repr(self.kind)
                )
            )
        if self.strategy not in tuple(Strategy):
            raise ValueError(Reason("%(name)s is no strategy: mask, hash or drop", name=repr(self.strategy)))
        if self.pattern and self.kind in KINDS:
            raise ValueError(Reason("%(name)s is built in: give your own pattern another name", name=repr(self.kind)))
        if not self.pattern and self.kind not in KINDS:
            raise ValueError(Reason("%(name)s is not built in, so it needs a pattern", name=repr(self.kind)))
        if self.pattern:
            checked(self.pattern)


DEFAULTS = tuple(Rule(kind) for kind in KINDS if kind != "ip")


class Redactor:
    """Redacts by rules; make it once and use it for every batch."""

    def __init__(self, rules: Sequence[Rule] = DEFAULTS, key: bytes = b"") -> None:
        """Take rules, of which a user's own go first, and the secret key of `Strategy.HASH` (BLAKE2b, RFC 7693).

        Raises:
            ValueError: if two rules have one name, or one hashes and there is no key.
        """
        self.strategies = {rule.kind: rule.strategy for rule in rules}
        if len(self.strategies) < len(rules):
            raise ValueError(Reason("two rules have the same name"))
        if Strategy.HASH in self.strategies.values() and not key:
            raise ValueError(Reason("hashing needs a key: without one, a phone number is found by trying them all"))
        self.key = hashlib.blake2b(key).digest()
        # Put around what a pattern matched; nobody can write it into a line, for nobody knows it.
        self.mark = f"\ufdd0{secrets.token_hex(8)}\ufdd1"
        own = [(finder(rule.kind, "", rule.pattern),) for rule in rules if rule.pattern]
        built_in = [tuple(each for each in group if self.strategies.keys() & each.kinds) for group in GROUPS]
        # Whether a line holds anything for a group of finders, one pattern says.
        self.groups = [
            (finders, together(each.pattern for each in finders)) for finders in (*own, *built_in) if finders
        ]
        # One trigger for all that is built in; those of users, which may set flags, run one by one.
        triggers = together(each.trigger for finders in built_in for each in finders)
        self.triggers = [
            *(pattern for _, pattern in self.groups[: len(own)]),
            f"{triggers}|{BACKSLASH}{'' if own else 'u'}",
        ]

    def redact(self, texts: Sequence[str]) -> tuple[list[str], Counter[str]]:
        """Return the texts, in order, with secrets redacted, and how many of each kind were.

        A text is a line, or attributes: a JSON object, which stays one, with only its keys and values changed.
        """
        counts = Counter[str]()
        return self._redact(texts, counts), counts

    def _redact(self, texts: Sequence[str], counts: Counter[str]) -> list[str]:
        done = list(texts)
        suspects = self._suspects(done)
        if not suspects:
            return done
        documents = [at for at in suspects if json_strings.is_json(done[at])]
        for at, text in zip(documents, self._documents([done[at] for at in documents], counts), strict=True):
            done[at] = text
        lines = sorted(set(suspects).difference(documents))
        for _ in range(ROUNDS):
            if not lines:
                break
            changed = []
            for at, text in zip(lines, self._once([done[at] for at in lines], counts), strict=True):
                if text != done[at]:
                    done[at] = text
                    changed.append(at)
            lines = [changed[number] for number in self._suspects([done[at] for at in changed])]
        return done

    def _suspects(self, texts: list[str]) -> list[int]:
        """Return which of the texts may hold something."""
        series = strings(texts)
        suspect = series.str.contains(self.triggers[0])
        for trigger in self.triggers[1:]:
            suspect |= series.str.contains(trigger)
        return suspect.arg_true().to_list()

    def _once(self, lines: list[str], counts: Counter[str]) -> list[str]:
        """Run every finder once over lines; what one has redacted, the next does not see."""
        pieces = [INERT.split(line) for line in lines]  # text and inert in turns
        for finders, pattern in self.groups:
            places, series = flat(pieces)
            if not series.str.contains(pattern).any():
                continue
            for each in finders:
                found = self._find(each, series, counts)
                for number, parts in found:
                    line, place = places[number]
                    pieces[line][place : place + 1] = parts
                if found:
                    places, series = flat(pieces)
        return ["".join(parts) for parts in pieces]

    def _find(self, each: Finder, series: pl.Series, counts: Counter[str]) -> list[tuple[int, list[str]]]:
        """Return the numbers of the texts in which a finder found something, last first, and what becomes of them."""
        hits = series.str.contains(each.pattern).arg_true()
        if not len(hits):
            return []
        template = self.mark.join(("", "${k}", "${v}", "${z}", ""))
        marked = series.gather(hits).str.replace_all(each.pattern, template)
        judged = [self._judged(each, text.split(self.mark), counts) for text in marked]
        return [(number, parts) for number, parts in zip(hits, judged, strict=True) if len(parts) > 1][::-1]

    def _judged(self, each: Finder, split: list[str], counts: Counter[str]) -> list[str]:
        """Return text and redacted values in turns, of a text split into: text, k, v, z, text, k, and so on."""
        text, ends = "".join(split), list(accumulate(len(part) for part in split))
        parts, done, seen, quote = [], 0, 0, ""
        for at in range(0, len(ends) - 1, 4):
            match = Match(text, *ends[at : at + 4])
            if match.start < seen or not (verdict := each.judge(match)):
                continue
            kind, start, seen = verdict
            if kind in self.strategies:
                before = text[done:start]
                # A number that is the value of a key in JSON inside a line becomes a string.
                opened = BEFORE_NUMBER.search(before[-CONTEXT:]) if text[start].isdigit() else None
                parts += [quote + before + (opened[1] if opened else ""), self._instead(kind, text[start:seen], counts)]
                done, quote = seen, opened[1] if opened else ""
        return [*parts, quote + text[done:]]

    def _instead(self, kind: str, value: str, counts: Counter[str]) -> str:
        """Return what stands for a value from now on."""
        counts[kind] += 1
        match self.strategies[kind]:
            case Strategy.MASK:
                return f"[REDACTED:{kind}]"
            case Strategy.HASH:
                plain = value.translate(GROUPING) if kind in GROUPED else value
                digest = hashlib.blake2b(plain.encode(errors="replace"), key=self.key, digest_size=6)
                return f"[{kind}:{digest.hexdigest()}]"
        return "[-]"

    def _documents(self, lines: list[str], counts: Counter[str]) -> list[str]:
        """Redact lines that are JSON, by the names of their keys and by what their strings and numbers say."""
        found = [list(json_strings.scalars(line)) for line in lines]
        changed: list[dict[json_strings.Scalar, str]] = [{} for _ in lines]
        others: list[tuple[int, json_strings.Scalar]] = []
        for number, scalars in enumerate(found):
            for scalar in scalars:
                kind = kind_of(scalar.key, scalar.text, listed=scalar.listed)
                if kind in self.strategies and not INERT.fullmatch(scalar.text):
                    changed[number][scalar] = self._instead(kind, scalar.text, counts)
                else:
                    others.append((number, scalar))
        texts = self._redact([scalar.text for _, scalar in others], counts)
        for (number, scalar), text in zip(others, texts, strict=True):
            if text != scalar.text:
                changed[number][scalar] = text
        return [json_strings.replaced(line, new) for line, new in zip(lines, changed, strict=True)]


def strings(texts: list[str]) -> pl.Series:
    """Return texts for polars; lone surrogates, which it refuses, become question marks."""
    try:
        return pl.Series(texts, dtype=pl.String)
    except UnicodeEncodeError:
        return pl.Series([text.encode(errors="replace").decode() for text in texts], dtype=pl.String)


def flat(pieces: list[list[str]]) -> tuple[list[tuple[int, int]], pl.Series]:
    """Return the texts between what is inert, and where each stands: line and place in it."""
    places = [(line, place) for line, parts in enumerate(pieces) for place in range(0, len(parts), 2) if parts[place]]
    return places, pl.Series([pieces[line][place] for line, place in places], dtype=pl.String)


def together(patterns: Iterable[str]) -> str:
    """Return a pattern that matches where one of them does."""
    return "|".join(dict.fromkeys(re.sub(r"\(\?P<[kvz]>", "(?:", pattern) for pattern in patterns))
