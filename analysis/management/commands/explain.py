"""Have an analyst say what findings are about."""

from __future__ import annotations

from typing import Any, get_args

from django.core.management.base import CommandParser
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from analysis import jobs, reports
from analysis.models import AnomalyReport, Finding
from duolog.plugins.types import Language
from logs.labels import named
from workers.console import DuologCommand, perform, served
from workers.models import Run

COUNTS = ("written", "copied", "failed")
SHOWN = 20
"""Reports that people get to read; programs get all."""


class Command(DuologCommand):
    help = str(
        _(
            "Have an analyst explain findings: what is wrong, why, and what to do. Whatever says the same is explained "
            "once. With --json the reports are as the public schema has them, with the number of their finding."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--finding", type=int, nargs="+", metavar="N", help=str(_("findings, by their numbers")))
        which.add_argument("--scan", type=int, metavar="N", help=str(_("open findings of a scan without a report")))
        which.add_argument("--all", action="store_true", help=str(_("all open findings without a report")))
        parser.add_argument(
            "--analyst", default="", metavar="REF",
            help=str(_("an analyst such as rules, or a model: name@alias, name:version (default: the usual one)")),
        )  # fmt: skip
        parser.add_argument(
            "--language", nargs="+", choices=get_args(Language), default=list(get_args(Language)),
            help=str(_("languages of the reports (default: both)")),
        )  # fmt: skip
        parser.add_argument("--wait", action="store_true", help=str(_("wait for the end where a worker does the work")))

    def handle(
        self,
        *args: Any,
        project: str,
        json: bool,
        finding: list[int] | None,
        scan: int | None,
        analyst: str,
        language: list[Language],
        wait: bool,
        **options: Any,
    ) -> None:
        asked = jobs.asked(project=project, findings=finding or (), scan=scan, languages=language, analyst=analyst)
        # Without a worker nobody but this process would do it.
        wait = wait or not served(jobs.Explain.spec.queue)
        first = perform(job="explain", options=asked, project=project, wait=wait)
        if not wait:
            self.reply({"run": str(first.pk)}, gettext("run %(run)s explains them") % {"run": first.pk}, json=json)
            return
        runs = [first, *_after(first)]
        told = AnomalyReport.objects.filter(run__in=runs).order_by("finding_id", "id")
        if finding:  # those that had their report already, too
            rows = reports.newest(Finding.objects.filter(pk__in=finding))
            told = told.filter(state=reports.FAILED).exclude(finding__in=rows)
            shown = [*rows.values(), *told]
        else:
            shown = list(told)
        counts = {name: sum(run.result.get(name, 0) for run in runs) for name in COUNTS}
        values = {"run": str(first.pk), **counts, "reports": [_document(row) for row in shown]}
        text = gettext("%(written)d reports written, %(copied)d copied, %(failed)d failed") % counts
        self.reply(values, "\n\n".join([*map(_text, shown[:SHOWN]), text]), json=json)


def _after(run: Run) -> list[Run]:
    """Return the runs that took up what the run left."""
    return [each for row in jobs.continued(run) for each in (row, *_after(row))]


def _document(row: AnomalyReport) -> dict[str, Any]:
    if row.state == reports.FAILED:
        return {"finding": row.finding_id, "analyst": row.analyst, "error": row.error}
    return {"finding": row.finding_id, "analyst": row.analyst, **reports.document(row)}


def _text(row: AnomalyReport) -> str:
    head = f"#{row.finding_id}  {row.analyst}"
    if row.state == reports.FAILED:
        return f"{head}\n  {row.error}"
    verdict = [named(row.type), row.severity] if row.anomalous else [gettext("normal")]
    lines = [" · ".join([head, *verdict, f"{row.confidence:.0%}"])]
    if text := reports.text(row, get_language() or ""):
        lines += [f"  {text['summary']}", f"  {text['root_cause']}", *(f"  - {one}" for one in text["recommendations"])]
    lines += [f"  {one['line']:>4}  {one['quote']}" for one in row.evidence]
    return "\n".join(lines)
