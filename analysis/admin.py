"""Console: findings, to be confirmed or dismissed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from analysis import findings
from analysis.models import Finding
from detection.models import Score
from duolog.models import Role
from duolog.pages import ProjectAdmin, column, facts, short

STATE_COLOURS = {Finding.State.OPEN: "warning", Finding.State.CONFIRMED: "danger", Finding.State.DISMISSED: "default"}
HEAT = 10
"""Steps of colour."""
SUSPECTS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a sequence with its part of the blame: `heat` 0 to 10, relative to the hottest line."""

    number: int
    text: str
    time: datetime | None
    weight: float
    heat: int


class Doubted(admin.SimpleListFilter):
    """Findings that the shadow would not have opened."""

    title = _("shadow")
    parameter_name = "shadow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the one choice."""
        return [("disagrees", _("disagrees"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        """Leave the findings whose sequence the shadow of the same scan calls normal."""
        if self.value() != "disagrees":
            return queryset
        said = Score.objects.filter(scan__shadow_of=OuterRef("score__scan"), sequence=OuterRef("sequence"))
        return queryset.filter(Exists(said))


@admin.register(Finding)
class FindingAdmin(ProjectAdmin[Finding]):
    """Anomalous sequences put before people."""

    page_template = "duolog/finding.html"
    list_fullwidth = True
    list_display = ["number", "state_label", "value", "suspect", "source", "project", "created_at"]
    list_filter = ["state", Doubted, "project"]
    list_select_related = ["score__sequence__dataset"]
    search_fields = ["score__sequence__key"]
    list_before_template = "duolog/findings_live.html"
    deeds = {"confirm": Role.REVIEWER, "dismiss": Role.REVIEWER, "reopen": Role.REVIEWER}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Tell which finding is the newest: the list watches for newer ones."""
        return super().changelist_view(request, {**(extra_context or {}), "newest": self.newest(request)})

    def get_urls(self) -> list[URLPattern]:
        """Add what the list asks for newer findings."""
        view = self.admin_site.admin_view(self.newer)
        return [path("newer/", view, name="analysis_finding_newer"), *super().get_urls()]

    def newest(self, request: HttpRequest) -> Finding | None:
        """Return the finding that was opened last."""
        return self.get_queryset(request).order_by("-pk").first()

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
        shown = lines(row)
        suspects = sorted((line for line in shown if line.weight > 0), key=lambda line: -line.weight)[:SUSPECTS]
        return {
            "meta": facts(told(row.score.sequence.meta)),
            "score": row.score,
            "sequence": row.score.sequence,
            "scan": row.score.scan,
            "doubt": doubt(row),
            "colour": STATE_COLOURS[Finding.State(row.state)],
            "lines": shown,
            "timed": any(line.time for line in shown),
            "suspects": suspects,
            "next": self._next(request, row),
        }

    def do_confirm(self, request: HttpRequest, finding: Finding) -> tuple[str, str | None]:
        """It is an anomaly."""
        findings.decide(finding, Finding.State.CONFIRMED)
        return gettext("Finding %(finding)s is confirmed.") % {"finding": finding}, self._next(request, finding)

    def do_dismiss(self, request: HttpRequest, finding: Finding) -> tuple[str, str | None]:
        """It is a false alarm."""
        findings.decide(finding, Finding.State.DISMISSED)
        return gettext("Finding %(finding)s is dismissed.") % {"finding": finding}, self._next(request, finding)

    def do_reopen(self, request: HttpRequest, finding: Finding) -> tuple[str, None]:
        """Nobody is sure any more."""
        findings.decide(finding, Finding.State.OPEN)
        return gettext("Finding %(finding)s is open again.") % {"finding": finding}, None

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
    weights = finding.score.blame or [0.0] * len(sequence.entries)
    hottest = max(weights, default=0.0) or 1.0
    times: list[datetime | None] = [datetime.fromtimestamp(time, UTC) for time in sequence.times or ()]
    times = times or [None] * len(sequence.entries)
    rows = zip(sequence.entries, times, weights, strict=True)
    return [
        Line(number, text, time, weight, round(weight / hottest * HEAT))
        for number, (text, time, weight) in enumerate(rows, start=1)
    ]
