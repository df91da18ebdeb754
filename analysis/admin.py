"""Console: findings, to be confirmed or dismissed; importing it brings in the other pages, too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.decorators import action

from analysis import jobs, report_page, reports, review, review_page, tape
from analysis.finding_list import ByCategory, BySeverity, Doubted
from analysis.item_admin import ItemAdmin
from analysis.learned import what_changed
from analysis.models import Finding
from analysis.muting_admin import MuteRuleAdmin
from analysis.tape import Line
from detection.models import Score
from duolog import access
from duolog.models import Role
from duolog.pages import ProjectAdmin, column, facts, short
from logs.models import Project

__all__ = ["FindingAdmin", "ItemAdmin", "MuteRuleAdmin"]

STATE_COLOURS = {
    Finding.State.OPEN: "warning",
    Finding.State.CONFIRMED: "danger",
    Finding.State.DISMISSED: "default",
    Finding.State.MUTED: "default",
}
SUSPECTS = 3
MOST = 1000
"""Findings that may be selected to be explained."""


@admin.register(Finding)
class FindingAdmin(ProjectAdmin[Finding]):
    """Anomalous sequences put before people."""

    page_template = "duolog/finding.html"
    list_fullwidth = True
    list_display = ["number", "state_label", "severity", "kind", "value", "suspect", "source", "project", "created_at"]
    list_filter = ["state", BySeverity, ByCategory, Doubted, "project"]
    list_select_related = ["score__sequence__dataset", "item"]
    search_fields = ["score__sequence__key"]
    list_before_template = "duolog/findings_live.html"
    deeds = dict.fromkeys(["confirm", "dismiss", "reopen", "explain"], Role.REVIEWER)
    actions = ["explain_selected"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        """In the list, fetch the newest reports of all findings at once."""
        rows = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "analysis_finding_changelist":
            return rows.prefetch_related(Prefetch("reports", reports.finished(), to_attr="newest"))
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Tell which finding is the newest: the list watches for newer ones."""
        told = {"newest": self.newest(request), "may_explain": self.has_explain_permission(request)}
        return super().changelist_view(request, {**(extra_context or {}), **told})

    def get_urls(self) -> list[URLPattern]:
        """Add what list and page ask for what is new, and the button above the list."""
        newer, report, every = (
            self.admin_site.admin_view(view) for view in (self.newer, self.report, self.explain_all)
        )
        return [
            path("newer/", newer, name="analysis_finding_newer"),
            path("explain/", every, name="analysis_finding_explain"),
            path("<path:object_id>/report/", report, name="analysis_finding_report"),
            *super().get_urls(),
        ]

    def newest(self, request: HttpRequest) -> Finding | None:
        """Return the finding that was opened last."""
        return self.get_queryset(request).prefetch_related(None).order_by("-pk").first()

    def newer(self, request: HttpRequest) -> HttpResponse:
        """Tell a list that it is out of date, or 204 while the newest finding is `?after=`."""
        newest = self.newest(request)
        if newest is None or str(newest.pk) == request.GET.get("after"):
            return HttpResponse(status=204)
        response = render(request, "duolog/findings_newest.html", {"newest": newest})
        response["HX-Trigger-After-Settle"] = "findings"
        return response

    @column(_("finding"), ordering="id")
    def number(self, finding: Finding) -> str:
        """Number."""
        return str(finding)

    @column(_("state"), ordering="state", label=STATE_COLOURS)
    def state_label(self, finding: Finding) -> tuple[str, str]:
        """State as a coloured label."""
        return finding.state, finding.get_state_display()

    @column(_("severity"), label=report_page.COLOURS)
    def severity(self, finding: Any) -> tuple[str, Any] | None:
        """What the newest report says, as a coloured label; nothing where there is none."""
        if not finding.newest:
            return None
        said = finding.newest[0].severity
        return said, report_page.SEVERITIES.get(said, _("normal"))

    @column(_("category, type"))
    def kind(self, finding: Any) -> str:
        """What the newest report calls it."""
        return report_page.kind(finding.newest[0]) if finding.newest else ""

    @column(_("score"), ordering="score__value")
    def value(self, finding: Finding) -> str:
        """Score."""
        return f"{finding.score.value:.3f}"

    @column(_("most suspicious line"))
    def suspect(self, finding: Finding) -> str:
        """The line with the greatest weight."""
        return short(max(lines(finding), key=lambda line: line.weight).text, 180)

    @column(_("sequence"))
    def source(self, finding: Finding) -> str:
        """Dataset and sequence id."""
        return f"{finding.score.sequence.dataset} · {short(finding.score.sequence.key, 40)}"

    def page(self, request: HttpRequest, row: Finding) -> dict[str, Any]:
        """The sequence with its heat, and the way to the next open finding."""
        shown, user = lines(row), access.person(request)
        suspects = sorted((line for line in shown if line.weight > 0), key=lambda line: -line.weight)[:SUSPECTS]
        return {
            "meta": facts(told(row.score.sequence.meta)),
            "score": row.score,
            "sequence": row.score.sequence,
            "scan": row.score.scan,
            "doubt": doubt(row),
            "change": what_changed(row.score.sequence, row.model),
            "colour": STATE_COLOURS[Finding.State(row.state)],
            "lines": shown,
            "timed": any(line.time for line in shown),
            "suspects": suspects,
            "next": self._next(request, row),
            "item": row.item,
            "others": row.item.findings_count - 1 if row.item else 0,
            "opinions": review_page.opinions(row.item, user, review_page.names(row.item)) if row.item else [],
            **self._report(request, row),
        }

    def do_confirm(self, request: HttpRequest, finding: Finding) -> tuple[str, str | None]:
        """It is an anomaly."""
        review.decide(user=access.person(request), finding=finding, state=Finding.State.CONFIRMED)
        return gettext("Finding %(finding)s is confirmed.") % {"finding": finding}, self._next(request, finding)

    def do_dismiss(self, request: HttpRequest, finding: Finding) -> tuple[str, str | None]:
        """It is a false alarm."""
        review.decide(user=access.person(request), finding=finding, state=Finding.State.DISMISSED)
        return gettext("Finding %(finding)s is dismissed.") % {"finding": finding}, self._next(request, finding)

    def do_reopen(self, request: HttpRequest, finding: Finding) -> tuple[str, None]:
        """Nobody is sure any more."""
        review.decide(user=access.person(request), finding=finding, state=Finding.State.OPEN)
        return gettext("Finding %(finding)s is open again.") % {"finding": finding}, None

    def do_explain(self, request: HttpRequest, finding: Finding) -> tuple[str, str]:
        """Have an analyst say what it is about; where one is at it, wait for that one."""
        if not report_page.panel(finding)["busy"]:
            jobs.explain(
                project=finding.project, findings=[finding.pk], analyst=request.POST.get("analyst", ""),
                user=access.person(request),
            )  # fmt: skip
        text = gettext("Finding %(finding)s is being explained. Where nothing changed since, its report stays.")
        return text % {"finding": finding}, self.address(finding) + "#report"

    def report(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the panel of the reports, or 204 while it is what the browser shows (`?seen=`) already."""
        row = self.row_or_404(request, object_id)
        shown = self._report(request, row)
        if shown["mark"] == request.GET.get("seen"):
            return HttpResponse(status=204)
        may = {"explain"} if access.may(request.user, Role.REVIEWER, row.project) else set()
        return render(request, "duolog/report.html", {"row": row, "may": may, **shown})

    def _report(self, request: HttpRequest, row: Finding) -> dict[str, Any]:
        return report_page.panel(row, request.GET.get("in", ""))

    def has_explain_permission(self, request: HttpRequest) -> bool:
        """Offer it to reviewers of any project; for which findings is looked at when it is done."""
        return access.may_anywhere(request.user, Role.REVIEWER)

    @action(description=_("Explain the selected"), permissions=["explain"])
    def explain_selected(self, request: HttpRequest, queryset: QuerySet[Finding]) -> None:
        """Have an analyst explain these findings."""
        chosen: dict[str, list[int]] = defaultdict(list)
        for project, pk in queryset.order_by("-pk").values_list("project", "pk")[: MOST + 1]:
            chosen[project].append(pk)
        for project in chosen:
            access.require(request.user, Role.REVIEWER, project)
        if (count := sum(map(len, chosen.values()))) > MOST:
            messages.error(request, gettext("Select %(most)d findings at most.") % {"most": MOST})
            return
        for project, numbers in chosen.items():
            jobs.explain(project=project, findings=numbers, user=access.person(request))
        self._tell(request, count)

    @method_decorator(require_POST)
    def explain_all(self, request: HttpRequest) -> HttpResponse:
        """Have the open findings without a report explained, of the project that the list is narrowed to, or of all."""
        rows = access.visible(request.user, Project.objects.order_by("slug"), "slug", Role.REVIEWER)
        if only := request.POST.get("project"):
            access.require(request.user, Role.REVIEWER, only)
            rows = rows.filter(slug=only)
        total = 0
        for project in rows.values_list("slug", flat=True):
            if count := reports.waiting(project=project).count():
                jobs.explain(project=project, user=access.person(request))
                total += count
        self._tell(request, total)
        return HttpResponseRedirect(reverse("admin:analysis_finding_changelist"))

    @staticmethod
    def _tell(request: HttpRequest, count: int) -> None:
        text = ngettext("%(count)d finding is being explained.", "%(count)d findings are being explained.", count)
        messages.success(request, text % {"count": count} if count else gettext("Every open finding has a report."))

    def _next(self, request: HttpRequest, finding: Finding) -> str | None:
        """Return the address of the next open finding of the project: the one below in the list, or the first."""
        waiting = self.get_queryset(request).filter(project=finding.project, state=Finding.State.OPEN)
        waiting = waiting.exclude(pk=finding.pk).order_by("-pk")
        following = waiting.filter(pk__lt=finding.pk).first() or waiting.first()
        return self.address(following) if following else None


def told(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what came with a sequence; its root cause counts lines from 0, and here from 1 as the page does."""
    roots = meta.get("root_cause")
    if not isinstance(roots, list) or not all(isinstance(line, int) for line in roots):
        return meta
    return {**meta, "root_cause": [line + 1 for line in roots]}


def doubt(finding: Finding) -> Score | None:
    """Return what the shadow says of the sequence where it disagrees with the finding's scan."""
    wanted = Score.objects.filter(scan__shadow_of=finding.score.scan_id, sequence=finding.sequence_id)
    return wanted.select_related("scan__version").first()


def lines(finding: Finding) -> list[Line]:
    """Return the lines of a finding's sequence with their weights."""
    sequence = finding.score.sequence
    return tape.lines(sequence.entries, sequence.times, finding.score.blame)
