"""Findings from scores."""

from __future__ import annotations

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext

from analysis.models import Finding
from detection.models import ModelVersion, NewScore, Scan, Score
from logs.models import Dataset, Source
from workers.jobs import JobFailed

FINDING, SCORE, SCAN, VERSION, NEW, SOURCE = (
    model._meta.db_table for model in (Finding, Score, Scan, ModelVersion, NewScore, Source)
)
INSERT = f"""
    INSERT INTO {FINDING} AS finding (project, score_id, sequence_id, model, state)
    SELECT scan.project, score.id, score.sequence_id, version.name, %(open)s
    FROM {SCORE} score JOIN {SCAN} scan ON scan.id = score.scan_id
    JOIN {VERSION} version ON version.id = scan.version_id
"""  # noqa: S608 - names of tables
KEEP_ONE = f"""
    ORDER BY score.value
    ON CONFLICT (sequence_id, model) WHERE state = '{Finding.State.OPEN}'
    DO UPDATE SET score_id = excluded.score_id WHERE finding.score_id < excluded.score_id
    RETURNING created_at = statement_timestamp()
"""
OPEN = f"""
    {INSERT} WHERE score.scan_id = %(scan)s AND score.anomalous AND scan.shadow_of_id IS NULL
      AND NOT EXISTS (SELECT FROM {FINDING} decided WHERE decided.score_id = score.id)
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
    {INSERT} JOIN news ON news.score_id = score.id {KEEP_ONE}
"""  # noqa: S608 - names of tables


@transaction.atomic
def open_for(scan_id: int) -> int:
    """Open a finding for each anomalous score of a scan, and return how many are new.

    A challenger opens none: it only looks on. Where the sequence has an open finding of the same model, that one takes
    over the score if it is newer. One statement however many there are; again for the same scan, it does nothing.
    """
    # The race: two scans of a dataset end together and open findings for the same sequences. The constraint and ON
    # CONFLICT leave one of each; that neither waits for the other crosswise (each statement inserts in the order of its
    # own scores) is due to the dataset's row, for which the second waits.
    Dataset.objects.select_for_update(no_key=True, of=("self",)).filter(scans=scan_id).first()
    with connection.cursor() as cursor:
        cursor.execute(OPEN, {"open": Finding.State.OPEN, "scan": scan_id})
        return sum(fresh for (fresh,) in cursor)


def open_new(source_id: int) -> int:
    """Open a finding for each anomalous score of a source's live scans that is news, and return how many are new."""
    with connection.cursor() as cursor:
        cursor.execute(NEWS, {"open": Finding.State.OPEN, "source": source_id})
        return sum(fresh for (fresh,) in cursor)


def decide(finding: Finding, state: Finding.State) -> None:
    """Confirm, dismiss or reopen a finding; raise JobFailed to reopen it beside an open one of its sequence."""
    finding.state = state
    try:
        with transaction.atomic():
            finding.save(update_fields=["state"])
    except IntegrityError as error:
        text = gettext("a newer scan found this sequence again; decide on that finding")
        raise JobFailed(text) from error
