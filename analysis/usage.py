"""What reports took: tokens, seconds and cost, and what a project may still spend today."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils.translation import gettext

from analysis.analyst import Chosen
from analysis.models import AnomalyReport
from workers.jobs import JobFailed

FIGURES = ("prompt_tokens", "completion_tokens", "seconds", "cost")


def daily(reports: QuerySet[AnomalyReport]) -> QuerySet[Any, Any]:
    """Return by project, day (UTC) and analyst what reports took, the newest day first.

    `written` were written, `copied` cost nothing, `failed` may have.
    """
    done = Q(state=AnomalyReport.State.DONE)
    rows = reports.exclude(state=AnomalyReport.State.WRITING).order_by()
    return (
        rows.values("analyst", project=F("finding__project"), day=TruncDate("created_at", tzinfo=UTC))
        .annotate(
            written=Count("pk", filter=done & Q(copy_of=None)),
            copied=Count("pk", filter=done & Q(copy_of__isnull=False)),
            failed=Count("pk", filter=Q(state=AnomalyReport.State.FAILED)),
            **{name: Sum(name, filter=Q(copy_of=None), default=0) for name in FIGURES},
        )
        .order_by("-day", "project", "analyst")
    )


def spent(*, project: str, day: date | None = None) -> float:
    """Return what a project's reports of one day (UTC; today's) cost."""
    begin = datetime.combine(day or datetime.now(UTC).date(), time(), UTC)
    rows = AnomalyReport.objects.filter(finding__project=project, copy_of=None, created_at__gte=begin)
    return float(rows.aggregate(cost=Sum("cost", default=0))["cost"])


def exhausted(chosen: Chosen, *, project: str, more: float = 0.0) -> bool:
    """Tell whether the project has spent today, with `more` that is not stored yet, what it may on remote analysts."""
    most = settings.ANALYST_DAILY_COST
    return bool(most and chosen.remote and spent(project=project) + more >= most)


def require_budget(chosen: Chosen, *, project: str) -> None:
    """Raise JobFailed for a remote analyst whose project has spent what it may today."""
    if exhausted(chosen, project=project):
        text = gettext(
            "project %(project)s has spent %(spent).2f on analysts today, and may spend %(most).2f "
            "(DUOLOG_ANALYST_DAILY_COST); go on tomorrow (UTC), or choose an analyst that is not remote"
        )
        values = {"project": project, "spent": spent(project=project), "most": settings.ANALYST_DAILY_COST}
        raise JobFailed(text % values)
