"""Jobs of this app; see workers.jobs for how one is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext

from analysis import analyst, cases, findings, reports, usage
from analysis.models import AnomalyReport, Finding
from detection.models import Scan
from duolog.plugins.types import Language
from workers import runs
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job
from workers.models import Run
from workers.states import Status

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

CHUNK = 64
"""Findings a run: what is written becomes visible, and others get their turn, after so many."""


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
        AnomalyReport.objects.filter(run=ctx.run, state=reports.WRITING).delete()  # of an attempt that broke off
        chunk, rest = _chunk(options, project)
        if not chunk or (options.unasked and settings.EXPLAIN_FROM == "never"):
            return lambda: {"written": 0, "copied": 0, "failed": 0}
        chosen = analyst.choose(project=project, ref=options.analyst)
        usage.require_budget(chosen, project=project)
        ctx.stage(gettext("explaining"), total=len(chunk))
        writer, opened = Writer(chosen, ctx), cases.build(project=project, findings=chunk)
        try:
            if options.unasked:
                writer.triage(opened, options.languages, settings.EXPLAIN_FROM)
            else:
                known = reports.newest(chunk)
                keys = {pk: row.key for pk, row in known.items()}
                writer.explain(
                    [e for e in opened if keys.get(e.finding.pk) != reports.key(e, chosen, options.languages)],
                    options.languages,
                )
        except OutOfBudget:
            ctx.log(gettext("the project may spend no more on analysts today"), "warning")

        def finish() -> dict[str, object]:
            every = [*writer.verdicts, *writer.written]
            reports.keep(writer.verdicts, chosen=chosen, run=ctx.run)
            reports.keep(writer.written, chosen=chosen, run=ctx.run)
            failed = sum(each.report is None for each in every)
            if rest and (not every or failed < len(every)):  # an analyst that only fails is not asked on and on
                key = runs.follow_key(ctx.run)
                runs.enqueue(job="explain", options=rest, project=project, key=key, user=ctx.run.created_by)
            copied = sum(each.copy_of is not None for each in every)
            return {"written": len(every) - copied - failed, "copied": copied, "failed": failed}

        return finish

    def follow(self, result: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Take up what a scan opened."""
        if not result["findings"] or settings.EXPLAIN_FROM == "never":
            return None
        return {"scan": result["scan"], "unasked": True}


def explain(
    *,
    project: str,
    findings: Sequence[int] = (),
    scan: int | None = None,
    languages: Sequence[Language] = ("zh", "en"),
    analyst: str = "",
    user: AbstractBaseUser | None = None,
) -> Run:
    """Queue a run that explains what `ExplainOptions` says; raise JobFailed for findings or a scan of nobody here."""
    options = ExplainOptions(tuple(dict.fromkeys(findings)), scan, tuple(languages), analyst)
    _require(project, options)
    return runs.enqueue(job="explain", options=options, project=project, user=user)


def _require(project: str, options: ExplainOptions) -> None:
    there = Finding.objects.filter(project=project, pk__in=options.findings).values_list("pk", flat=True)
    if missing := sorted(set(options.findings) - set(there)):
        text = gettext("project %(project)s has no findings %(numbers)s")
        raise JobFailed(text % {"project": project, "numbers": ", ".join(map(str, missing[:10]))})
    if options.scan is not None and not Scan.objects.filter(project=project, pk=options.scan).exists():
        text = gettext("project %(project)s has no scan %(number)d")
        raise JobFailed(text % {"project": project, "number": options.scan})


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


def _chunk(options: ExplainOptions, project: str) -> tuple[list[Finding], ExplainOptions | None]:
    """Return the findings of this run, and the options of the run after it, if there is to be one."""
    rows = Finding.objects.select_related("score__scan__version")
    if options.findings:
        wanted, left = options.findings[:CHUNK], options.findings[CHUNK:]
        found = rows.filter(project=project).in_bulk(wanted)  # a finding may be gone by now
        chunk = [found[number] for number in wanted if number in found]
        return chunk, replace(options, findings=left) if left else None
    waiting = reports.waiting(project=project, scan=options.scan, text=not options.unasked)
    waiting = waiting.select_related("score__scan__version")
    chunk = list(waiting.filter(pk__lt=options.below)[:CHUNK] if options.below else waiting[:CHUNK])
    return chunk, replace(options, below=chunk[-1].pk) if len(chunk) == CHUNK else None
