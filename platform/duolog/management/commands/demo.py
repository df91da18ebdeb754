"""`duolog demo`: from nothing to a trained detector and to the moments at which this very stack was broken."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis import reports
from analysis.analyst import RULES
from duolog import access
from duolog.demo import outage, story
from duolog.demo.collector import Collector
from duolog.demo.traffic import Traffic
from duolog.management.commands.serve import serve_until_interrupted
from duolog.models import ApiToken
from duolog.newcomer import ensure_admin
from duolog.stack import Stack, StackFailed
from logs.labels import named
from workers.console import DuologCommand

TRAFFIC = "demo traffic"


class Command(DuologCommand):
    help = str(_("Generate, train, evaluate; then break this stack and find the moments in its own logs."))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help=str(_("exit after the table; code 1 if a goal is missed"))
        )
        parser.add_argument("--logs", type=Path, help=str(_("scan this file instead of the stack's own logs")))
        parser.add_argument(
            "--finetune", action="store_true",
            help=str(_("fine-tune a small language model that explains the findings (about %(minutes)d minutes more)"))
            % {"minutes": story.MINUTES + 8},
        )  # fmt: skip

    def handle(self, *args: Any, once: bool, logs: Path | None, finetune: bool, **options: Any) -> None:
        if logs and not logs.is_file():
            raise CommandError(gettext("%(path)s is not a file") % {"path": logs})
        self.finetune = finetune
        self.console = Console(highlight=False)
        self.started = time.monotonic()
        for line in ensure_admin():
            self.console.print(f"[bold]{line}[/bold]")
        try:
            with Stack().running() as stack:
                outcome = self._tell(stack, logs)
                self._show(outcome, stack)
                if not once:
                    self.console.print(gettext("Serving until Ctrl-C."))
                    serve_until_interrupted(stack, self.console.print)
        except StackFailed as error:
            raise CommandError(str(error)) from error
        if missed := outcome.missed():
            raise CommandError(gettext("missed: %(goals)s") % {"goals": ", ".join(missed)})

    def _tell(self, stack: Stack, logs: Path | None) -> story.Outcome:
        admin = get_user_model().objects.filter(is_superuser=True).earliest("pk")
        token = access.issue_token(user=admin, name=TRAFFIC)
        collector = Collector({name: stack.log(name) for name in ("stack", "postgres", "valkey", *stack.children)})
        traffic = Traffic(stack.url, token)
        try:
            collector.start()
            traffic.start()
            _version, metrics = story.train_on_generated(self._step)
            outcome = story.Outcome(metrics)
            if logs:
                outcome.findings = self._explained(story.scan_file(logs, self._step))
                return outcome
            if not story.was_told():
                story.watch_the_stack_break(stack, collector, traffic, self._step)
            outcome.findings = self._explained(story.WATCHED)
            outcome.faults = [fault.key for fault in outage.faults()]
            return outcome
        finally:
            traffic.stop()
            collector.stop()
            ApiToken.objects.filter(user=admin, name=TRAFFIC).delete()

    def _explained(self, dataset: str) -> list[story.Told]:
        story.explain(dataset, story.finetune(self._step) if self.finetune else "", self._step)
        return story.findings_of(dataset)

    def _step(self, text: str) -> None:
        self.console.print(f"[dim]{time.monotonic() - self.started:5.0f} s[/dim]  {text}")

    def _show(self, outcome: story.Outcome, stack: Stack) -> None:
        table = Table(title=gettext("Test part of the generated sequences"))
        for heading in (gettext("figure"), gettext("reached"), gettext("goal")):
            table.add_column(heading)
        for name, goal in story.GOALS.items():
            colour = "green" if outcome.metrics[name] > goal else "red"
            table.add_row(name, f"[{colour}]{outcome.metrics[name]:.2%}[/{colour}]", f"> {goal:.0%}")
        self.console.print(table)
        titles = {fault.key: str(fault.title) for fault in outage.faults()}
        self.console.rule(gettext("Findings"))
        if not outcome.findings:
            self.console.print(gettext("Nothing stands out from what was learned."))
        for finding in outcome.findings:
            cause = titles.get(finding.cause, "" if not outcome.faults else gettext("nothing was broken then"))
            self.console.print(f"[bold]{finding.window}[/bold]  {finding.score:.3f}  [yellow]{cause}[/yellow]")
            for line in finding.lines:
                self.console.print(Text(f"    {line}"), overflow="ellipsis", no_wrap=True)
            self._tell_report(finding)
        if any(finding.report and finding.report.analyst == RULES for finding in outcome.findings):
            text = gettext("Explained by rules, without a language model; `duolog demo --finetune` trains one first.")
            self.console.print(text)
        strays = sum(not finding.cause for finding in outcome.findings)
        if outcome.faults:
            counts = {"findings": len(outcome.findings), "faults": len(outcome.faults), "strays": strays}
            self.console.print(gettext("%(findings)s findings, %(faults)s faults, %(strays)s at other times") % counts)
        self.console.print(f"{gettext('Console')} {stack.url}/admin/   API {stack.url}/api/docs/")

    def _tell_report(self, finding: story.Told) -> None:
        if finding.report is None or not (told := reports.text(finding.report, get_language() or "")):
            return
        report = finding.report
        verdict = f"{named(report.type)} · {report.severity}" if report.anomalous else gettext("normal")
        self.console.print(Text(f"    ▸ {verdict}  ({report.analyst})", style="cyan"))
        for text in (told["summary"], told["root_cause"], *(f"- {one}" for one in told["recommendations"])):
            if text:
                self.console.print(Text(f"      {text}"))
