"""Findings from scores, and the items that people see of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from analysis import grouping, sampling
from analysis.models import Finding
from detection.models import ModelVersion, NewScore, Scan, Score
from logs.models import Dataset, Source

FINDING, SCORE, SCAN, VERSION, NEW, SOURCE = (
    model._meta.db_table for model in (Finding, Score, Scan, ModelVersion, NewScore, Source)
)
INSERT = f"""
    INSERT INTO {FINDING} AS finding (project, score_id, sequence_id, model, state)
    SELECT scan.project, score.id, score.sequence_id, version.name, %(open)s
    FROM {SCORE} score JOIN {SCAN} scan ON scan.id = score.scan_id
    JOIN {VERSION} version ON version.id = scan.version_id
"""  # noqa: S608 - names of tables
# What people decided on a sequence stays, however often a model finds it again.
UNDECIDED = f"""NOT EXISTS (
    SELECT FROM {FINDING} decided WHERE decided.sequence_id = score.sequence_id AND decided.model = version.name
      AND decided.state <> '{Finding.State.OPEN}'
)"""
KEEP_ONE = f"""
    ORDER BY score.value, score.id
    ON CONFLICT (sequence_id, model) WHERE state = '{Finding.State.OPEN}'
    DO UPDATE SET score_id = excluded.score_id WHERE finding.score_id < excluded.score_id
    RETURNING created_at = statement_timestamp()
"""
OPEN = f"""
    {INSERT} WHERE score.scan_id = %(scan)s AND score.anomalous AND scan.shadow_of_id IS NULL AND {UNDECIDED}
    {KEEP_ONE}
"""
NEWS = f"""
    WITH news AS (
        DELETE FROM {NEW} WHERE score_id IN (
            SELECT new.score_id FROM {NEW} new JOIN {SCORE} score ON score.id = new.score_id
            JOIN {SCAN} scan ON scan.id = score.scan_id JOIN {SOURCE} source ON source.dataset_id = scan.dataset_id
            WHERE source.id = %(source)s FOR UPDATE OF new SKIP LOCKED
        ) RETURNING score_id
    )
    {INSERT} JOIN news ON news.score_id = score.id WHERE {UNDECIDED} {KEEP_ONE}
"""  # noqa: S608 - names of tables


@transaction.atomic
def open_for(scan_id: int) -> int:
    """Open a finding for each anomalous score of a scan, and return how many are new.

    A challenger opens none: what it alone flags becomes items of doubt. Where the sequence has an open finding of the
    same model, that one takes over the score if it is newer; where it has been decided, it stays so. One statement
    however many there are; again for the same scan, it does nothing.
    """
    # The race: two scans of a dataset end together and open findings for the same sequences. The constraint and ON
    # CONFLICT leave one of each; that neither waits for the other crosswise (each statement inserts in the order of its
    # own scores) is due to the dataset's row, for which the second waits.
    Dataset.objects.select_for_update(no_key=True, of=("self",)).filter(scans=scan_id).first()
    return _open(OPEN, {"open": Finding.State.OPEN, "scan": scan_id}, Q(pk=scan_id), Score.objects.filter(scan=scan_id))


@transaction.atomic
def open_new(source_id: int) -> int:
    """Open a finding for each anomalous score of a source's live scans that is news, and return how many are new."""
    live = Q(dataset__sources=source_id, day__gte=timezone.now().date() - timedelta(days=1))
    news = Score.objects.filter(newscore__isnull=False, scan__dataset__sources=source_id)
    return _open(NEWS, {"open": Finding.State.OPEN, "source": source_id}, live, news)


def _open(statement: str, values: dict[str, Any], scans: Q, scores: QuerySet[Score]) -> int:
    found_again = Finding.objects.filter(state=Finding.State.OPEN, sequence__in=scores.values("sequence"))
    with connection.cursor() as cursor:
        cursor.execute(grouping.TURN)
        # The race: a person judges an item while we hold a finding of it that takes over a score, and want the item.
        grouping.lock(found_again.exclude(item=None).values("item"))
        cursor.execute(statement, values)
        fresh = sum(fresh for (fresh,) in cursor)
    grouping.gather()
    sampling.doubt(Scan.objects.filter(scans))
    return fresh
