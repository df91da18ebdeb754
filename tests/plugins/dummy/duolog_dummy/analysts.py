"""Analysts that say what a test can foretell: one remembers what it was asked, one learns."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from duolog.plugins.points import Analyst
from duolog.plugins.types import (
    Case,
    Context,
    Draft,
    Evidence,
    Language,
    LogSequence,
    Report,
    Unexplained,
    Usage,
    Wording,
)
from logs.engine import taxonomy

LEVELS = {"FATAL": "critical", "ERROR": "high", "WARN": "low"}
"""The severity of a sequence is that of its first line with one of these words; without any, it is normal."""

asked: list[tuple[tuple[Case, ...], tuple[Language, ...]]] = []
"""What was asked in this process, call by call."""


@dataclass(frozen=True)
class EchoOptions:
    """`quote` the word only or the whole line; each report costs `cost`; fail on a case with the word `fail`."""

    quote: str = "word"
    cost: float = 0.0
    fail: str = "POISON"


class Echo(Analyst):
    """Repeats the first line that has a level."""

    Options = EchoOptions

    def explain(
        self, cases: Sequence[Case], languages: Sequence[Language], ctx: Context, draft: Draft
    ) -> Sequence[Report | Unexplained]:
        asked.append((tuple(cases), tuple(languages)))
        for number in range(len(cases)):
            draft(number, "thinking")
        if any(self.options.fail in line for case in cases for line in case.sequence.entries):
            raise RuntimeError("I was poisoned")
        return [self._report(case, languages) for case in cases]

    def _report(self, case: Case, languages: Sequence[Language]) -> Report | Unexplained:
        usage = Usage("echo-1", 10, 5, 0.5, self.options.cost)
        if "RIDDLE" in case.sequence.entries[0]:
            return Unexplained("what a riddle", usage)
        for number, line in enumerate(case.sequence.entries):
            for word, severity in LEVELS.items():
                if word in line:
                    told = Wording(f"{word} in line {number + 1}", "unknown", ("look at it",))
                    quote = Evidence(number, line if self.options.quote == "line" else word)
                    return Report(
                        True,
                        "应用",
                        case.types[0],
                        severity,
                        0.9,
                        (quote,),
                        dict.fromkeys(languages, told),
                        usage=usage,
                    )
        told = Wording("nothing", "none", ())
        return Report(False, "", "", "", 0.9, (), dict.fromkeys(languages, told), usage=usage)


class RemoteEcho(Echo):
    """The same, said to be far away."""

    remote = True


@dataclass(frozen=True)
class WordsOptions:
    """`base` is looked at by nobody; one that is `forgetful` learns nothing, a `parrot` repeats what it learned."""

    base: str = "none"
    forgetful: bool = False
    parrot: bool = False


class Words(Analyst):
    """Counts words by type (multinomial naive Bayes); "" is the type of what is normal."""

    Options = WordsOptions
    options: WordsOptions
    learns = True

    def __init__(self, options: WordsOptions | None = None) -> None:
        super().__init__(options)
        self.counts: dict[str, Counter[str]] = {}
        self.lines: list[str] = []

    def fit(self, train: Sequence[LogSequence], validation: Sequence[LogSequence], ctx: Context) -> Mapping[str, float]:
        for one in train:
            kind = (one.type or "") if one.label else ""
            words = ["" if self.options.forgetful else word for word in _words(one)]
            self.counts.setdefault(kind, Counter()).update(words)
        self.lines = sorted({one.entries[-1] for one in train}) if self.options.parrot else []
        right = [self._chances(one) for one in validation]
        hits = sum(
            max(found, key=lambda kind: found[kind]) == (one.type or "")
            for found, one in zip(right, validation, strict=True)
        )
        ctx.metric("accuracy", hits / len(validation), 1)
        taught = sum("analysis" in one.meta for one in train)
        return {"type_accuracy": hits / len(validation), "taught": float(taught)}

    def save(self, folder: Path) -> None:
        (folder / "words.json").write_text(json.dumps({"counts": self.counts, "lines": self.lines}))

    def load(self, folder: Path) -> None:
        kept = json.loads((folder / "words.json").read_text())
        self.counts = {kind: Counter(words) for kind, words in kept["counts"].items()}
        self.lines = kept["lines"]

    def explain(
        self, cases: Sequence[Case], languages: Sequence[Language], ctx: Context, draft: Draft
    ) -> Sequence[Report]:
        return [self._report(case, languages) for case in cases]

    def _report(self, case: Case, languages: Sequence[Language]) -> Report:
        chances = self._chances(case.sequence)
        kind = max(chances, key=lambda name: chances[name])
        told = Wording("; ".join(["it is so", *self.lines]), "unknown", ())
        texts = dict.fromkeys(languages, told)
        if not kind:
            return Report(False, "", "", "", chances[kind], (), texts)
        known = taxonomy.types().get(kind)
        category, severity = (known.category, known.severity) if known else ("应用", "medium")
        return Report(True, category, kind, severity, chances[kind], (Evidence(0, case.sequence.entries[0]),), texts)

    def _chances(self, sequence: LogSequence) -> dict[str, float]:
        size = len({word for words in self.counts.values() for word in words}) or 1
        logs = {}
        for kind, words in self.counts.items():
            total = sum(words.values()) + size
            logs[kind] = sum(math.log((words[word] + 1) / total) for word in _words(sequence))
        most = max(logs.values())
        weights = {kind: math.exp(value - most) for kind, value in logs.items()}
        return {kind: weight / sum(weights.values()) for kind, weight in weights.items()}


def _words(sequence: LogSequence) -> list[str]:
    return [word for line in sequence.entries for word in line.split() if word.isalpha()]
