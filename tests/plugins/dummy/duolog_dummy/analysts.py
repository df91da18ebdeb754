"""An analyst that says what a test can foretell, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from duolog.plugins.points import Analyst
from duolog.plugins.types import Case, Context, Draft, Evidence, Language, Report, Unexplained, Usage, Wording

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
