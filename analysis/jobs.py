"""Jobs of this app; see workers.jobs for how one is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext

from analysis import analyst, cases, findings, reports, usage
from analysis.analyst import Chosen
from analysis.cases import Open
from analysis.models import Finding
from detection.models import Scan
from duolog.plugins.types import Language
from workers import runs
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job
from workers.models import Run
from workers.states import Status

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from analysis.writing import Writer

PAGE, ASKED, SEEN = 64, 64, 2048
"""Findings that are read at once; and in a run, those that an analyst is asked about, and all, most of them copies.

After so many, what is written becomes visible, and other runs get their turn.
"""


@dataclass(frozen=True)
class FindingOptions:
    """The scan whose anomalous scores become findings."""

    scan: int


@job("open-findings", follows="scan")
class OpenFindings(Job[FindingOptions]):
    """Put the anomalous sequences of a finished scan before people."""

    def run(self, options: FindingOptions, ctx: RunContext) -> Finish:
        """All the work is one statement, so it stands in the fenced transaction."""
        return lambda: {"scan": options.scan, "findings": findings.open_for(options.scan)}

    def follow(self, result: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Take up a scan that found something."""
        return {"scan": result["scan"]} if result["anomalous"] else None


@dataclass(frozen=True)
class ExplainOptions:
    """Findings by number; or, without any, the open ones that have no report, of a scan or of the whole project.

    `analyst` is as in `analyst.choose`; `unasked`: only what is grave enough gets texts; `below` is where the run
    before left off.
    """

    findings: tuple[int, ...] = ()
    scan: int | None = None
    languages: tuple[Language, ...] = ("zh", "en")
    analyst: str = ""
    unasked: bool = False
    below: int | None = None


@job("explain", queue="infer", follows="open-findings")
class Explain(Job[ExplainOptions]):
    """Have an analyst say what findings are about."""

    def run(self, options: ExplainOptions, ctx: RunContext) -> Finish:
        """Write some reports; the rest is the next run's, which is queued with them."""
        from analysis.writing import OutOfBudget, Writer  # computes with engines, which a web process need not load

        project = ctx.run.project
        count = len(options.findings) or _waiting(options, project).count()
        if not count or (options.unasked and settings.EXPLAIN_FROM == "never"):
            return lambda: dict.fromkeys(("written", "copied", "failed"), 0)
        try:
            chosen = analyst.choose(project=project, ref=options.analyst)
        except analyst.RemoteForbidden as forbidden:
            if not options.unasked:
                raise
            # Else every finding of a project that wants its lines to stay would leave a failed run.
            ctx.log(str(forbidden), "warning")
            chosen = analyst.choose(project=project, ref=analyst.RULES)
        usage.require_budget(chosen, project=project)
        ctx.stage(gettext("explaining"), total=count)
        writer, seen = Writer(chosen, ctx), 0
        rest: ExplainOptions | None = options
        try:
            while rest and writer.asked < ASKED and seen < SEEN:
                page, rest = _page(rest, project)
                seen += len(page)
                if options.unasked:
                    writer.triage(cases.build(project=project, findings=page), options.languages, settings.EXPLAIN_FROM)
                else:
                    writer.explain(_outdated(page, chosen, options), options.languages)
        except OutOfBudget:
            ctx.log(gettext("the project may spend no more on analysts today"), "warning")
        return lambda: _keep(writer, ctx.run, rest)

    def follow(self, result: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Take up what a scan opened."""
        if not result["findings"] or settings.EXPLAIN_FROM == "never":
            return None
        return {"scan": result["scan"], "unasked": True}


def explain(*, user: AbstractBaseUser | None = None, project: str, **which: Any) -> Run:
    """Queue a run that explains what `asked` makes of `which`."""
    return runs.enqueue(job="explain", options=asked(project=project, **which), project=project, user=user)


def asked(
    *,
    project: str,
    findings: Sequence[int] = (),
    scan: int | None = None,
    languages: Sequence[Language] = ("zh", "en"),
    analyst: str = "",
) -> ExplainOptions:
    """Return the options of a run that somebody asks for; raise JobFailed for findings or a scan of nobody here."""
    options = ExplainOptions(tuple(dict.fromkeys(findings)), scan, tuple(languages), analyst)
    there = Finding.objects.filter(project=project, pk__in=options.findings).values_list("pk", flat=True)
    if missing := sorted(set(options.findings) - set(there)):
        text = gettext("project %(project)s has no findings %(numbers)s")
        raise JobFailed(text % {"project": project, "numbers": ", ".join(map(str, missing[:10]))})
    if scan is not None and not Scan.objects.filter(project=project, pk=scan).exists():
        text = gettext("project %(project)s has no scan %(number)d")
        raise JobFailed(text % {"project": project, "number": scan})
    return options


def continued(run: Run) -> QuerySet[Run]:
    """Return the run that took up what a run left, if there is one."""
    return Run.objects.filter(project=run.project, job="explain", key=runs.follow_key(run))


def explain_soon(project: str) -> Run | None:
    """Have the new findings of a project looked at; called in the transaction that opens them.

    However many come at once, one run that waits is enough for all of them.
    """
    if settings.EXPLAIN_FROM == "never":
        return None
    # The race: a run is claimed, and looks for findings before ours are committed. So we hold the one that waits until
    # we commit; one that is just being claimed is passed over, and another one queued.
    due = Run.objects.filter(project=project, job="explain", status=Status.QUEUED, options__unasked=True)
    due = due.filter(options__scan=None, options__below=None)
    if held := due.select_for_update(skip_locked=True, no_key=True).first():
        return held
    return runs.enqueue(job="explain", options=ExplainOptions(unasked=True), project=project)


def _waiting(options: ExplainOptions, project: str) -> QuerySet[Finding]:
    waiting = reports.waiting(project=project, scan=options.scan, text=not options.unasked)
    return waiting if options.below is None else waiting.filter(pk__lt=options.below)


def _page(options: ExplainOptions, project: str) -> tuple[list[Finding], ExplainOptions | None]:
    """Return the next findings, and the options for those after them, if there are any."""
    if options.findings:
        wanted, left = options.findings[:PAGE], options.findings[PAGE:]
        found = Finding.objects.filter(project=project).select_related("score__scan__version").in_bulk(wanted)
        page = [found[number] for number in wanted if number in found]  # one may be gone by now
        return page, replace(options, findings=left) if left else None
    page = list(_waiting(options, project).select_related("score__scan__version")[:PAGE])
    return page, replace(options, below=page[-1].pk) if len(page) == PAGE else None


def _outdated(page: list[Finding], chosen: Chosen, options: ExplainOptions) -> list[Open]:
    """Return the findings whose newest report is not the one that would be written now."""
    known = {pk: row.key for pk, row in reports.newest(page).items()}
    opened = cases.build(project=page[0].project, findings=page) if page else []
    return [each for each in opened if known.get(each.finding.pk) != reports.key(each, chosen, options.languages)]


def _keep(writer: Writer, run: Run, rest: ExplainOptions | None) -> dict[str, int]:
    """Store what was written, and have the rest written by another run; the `Finish` of `Explain`."""
    every = [*writer.verdicts, *writer.written]
    for part in (writer.verdicts, writer.written):  # in this order: the newest report is the one with texts
        reports.keep(part, chosen=writer.chosen, run=run)
    failed = sum(each.report is None for each in every)
    copied = sum(each.report is not None and each.copy_of is not None for each in every)
    if rest and (not every or failed < len(every)):  # an analyst that only fails is not asked on and on
        runs.enqueue(job="explain", options=rest, project=run.project, key=runs.follow_key(run), user=run.created_by)
    return {"written": len(every) - copied - failed, "copied": copied, "failed": failed}
