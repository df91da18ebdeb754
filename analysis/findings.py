"""Findings from scores."""

from __future__ import annotations

from django.db import connection

from analysis.models import Finding
from detection.models import Scan, Score


def open_for(scan_id: int) -> int:
    """Open a finding for each anomalous score of a scan, and return how many are new."""
    finding, score, scan = (model._meta.db_table for model in (Finding, Score, Scan))
    with connection.cursor() as cursor:
        # One statement however many there are; again for the same scan, it adds nothing.
        cursor.execute(
            f"INSERT INTO {finding} (project, score_id, state)"  # noqa: S608
            f" SELECT scan.project, score.id, %s FROM {score} score JOIN {scan} scan ON scan.id = score.scan_id"
            " WHERE score.scan_id = %s AND score.anomalous ORDER BY score.value"
            " ON CONFLICT (score_id) DO NOTHING",
            [Finding.State.OPEN, scan_id],
        )
        return int(cursor.rowcount)


def decide(finding: Finding, state: Finding.State) -> None:
    """Confirm, dismiss or reopen a finding."""
    finding.state = state
    finding.save(update_fields=["state"])
