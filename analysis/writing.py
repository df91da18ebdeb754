"""Writing reports in batches: each distinct sequence once, the verdict first where texts are for grave cases only."""

from __future__ import annotations

from collections.abc import Iterable

from analysis import cases, reports, usage
from analysis.analyst import Chosen
from analysis.cases import Open
from analysis.drafts import Drafts
from analysis.precedents import Past
from analysis.reports import Written
from detection.engine.vectors import Quiet
from duolog.plugins import guard
from duolog.plugins.registry import PluginError
from duolog.plugins.types import Language, Report, Unexplained
from logs.engine import taxonomy
from workers.context import RunContext

BATCH = 8
"""Cases a call: one that makes it fail takes no more than these with it."""


class OutOfBudget(Exception):
    """The project may spend no more today; what was written until then stands."""


class Writer:
    """Writes the reports of one run: `verdicts` without texts, which those in `written` follow where it is due."""

    def __init__(self, chosen: Chosen, ctx: RunContext) -> None:
        self.chosen, self.ctx, self.project = chosen, ctx, ctx.run.project
        self.verdicts: list[Written] = []
        self.written: list[Written] = []
        self.asked = 0
        self._cost = 0.0
        self._said: dict[str, Written | None] = {}  # by key; None: nothing yet
        self._past: Past | None = None

    def explain(self, opened: Iterable[Open], languages: tuple[Language, ...]) -> None:
        """Write a report on each; raise OutOfBudget where the analyst may not be asked any more."""
        for each in self._write(opened, languages):
            self.written.append(each)

    def triage(self, opened: Iterable[Open], languages: tuple[Language, ...], least: str) -> None:
        """Write a report on each, with texts only where its verdict is at least as severe as `least`."""
        unknown = []
        for each in opened:
            if copy := self._known(each, reports.key(each, self.chosen, languages)):
                self.written.append(copy)
                self.ctx.advance()
            else:
                unknown.append(each)
        grave = []
        for verdict in self._write(unknown, ()):
            self.verdicts.append(verdict)
            if verdict.report and at_least(verdict.report.severity, least):
                grave.append(verdict.opened)
        self.explain(grave, languages)

    def _write(self, opened: Iterable[Open], languages: tuple[Language, ...]) -> Iterable[Written]:
        """Yield a report on each: a copy of what is known, else what the analyst says of one of those alike."""
        left = list(opened)
        while left:
            first: dict[str, Open] = {}
            alike: list[Open] = []
            for each in left:
                key = reports.key(each, self.chosen, languages)
                if copy := self._known(each, key):
                    self.ctx.advance()
                    yield copy
                elif key in first:
                    alike.append(each)
                else:
                    first[key] = each
            asked = list(first.items())
            for start in range(0, len(asked), BATCH):
                yield from self._ask(dict(asked[start : start + BATCH]), languages)
            # What is not true of them, they do not copy: then one of them is the next to be asked about.
            left = alike

    def _known(self, opened: Open, key: str) -> Written | None:
        if key not in self._said:
            self._said[key] = reports.original(project=self.project, key=key)
        said = self._said[key]
        if said is None or said.report:
            return reports.copied(opened, key, said) if said else None
        return Written(opened, key, error=said.error)

    def _ask(self, batch: dict[str, Open], languages: tuple[Language, ...]) -> list[Written]:
        self.ctx.checkpoint()
        if usage.exhausted(self.chosen, project=self.project, more=self._cost):
            raise OutOfBudget
        if self._past is None:
            self._past = Past(self.project, lambda rows: cases.redacted(project=self.project, sequences=rows))
        asked = [cases.with_precedents(each, self._past) for each in batch.values()]
        draft = Drafts([each.finding for each in batch.values()], analyst=self.chosen.name, run=self.ctx.run)
        try:
            found: list[Report | Unexplained] = guard.call(
                self.chosen.plugin, "explain", asked, languages, Quiet(self.ctx), draft
            )
            said = [reports.judged(each, key, report) for (key, each), report in zip(batch.items(), found, strict=True)]
        except PluginError as error:
            self.ctx.log(str(error), "error")
            said = [Written(each, key, error=str(error)) for key, each in batch.items()]
        self.asked += len(said)
        for each in said:
            self._said[each.key] = each
            self._cost += each.usage.cost
        self.ctx.advance(len(said))
        return said


def at_least(severity: str, least: str) -> bool:
    """Tell whether a severity ("" of a normal sequence) is `least` or worse."""
    return severity in taxonomy.SEVERITIES[taxonomy.SEVERITIES.index(least) :]
