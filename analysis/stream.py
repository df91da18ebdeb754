"""Findings from live scores, as they come."""

from __future__ import annotations

from collections.abc import Iterable

from analysis import findings, jobs, queue, reports, sampling
from detection.models import NewScore
from logs.models import Source
from workers import streams


def due() -> Iterable[int]:
    """Return the sources with anomalous scores that are no finding yet."""
    news = NewScore.objects.filter(score__scan__dataset__sources__isnull=False).order_by()
    return news.values_list("score__scan__dataset__sources", flat=True).distinct()


@streams.stage("open-findings", due=due, after="judge")
def open_findings(pk: int) -> bool:
    """Open findings for all that is news of a source, in one statement, and have them explained."""
    if findings.open_new(pk):
        jobs.explain_soon(Source.objects.values_list("project__slug", flat=True).get(pk=pk))
    return False


streams.CHORES += [reports.tidy, queue.forget_leases, sampling.controls]
