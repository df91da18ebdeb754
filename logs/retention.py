"""What is forgotten when its time is over: lines with their day's table, their receipts, and sequences nobody needs."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from logs import storage
from workers import streams

BATCH = 10_000
"""Rows deleted in one transaction; the next sweep goes on where this one ended."""
BATCHES = 200

RECEIPTS = """
    DELETE FROM logs_receipt WHERE id IN (
        SELECT receipt.id FROM logs_receipt AS receipt JOIN logs_source AS source ON source.id = receipt.source_id
        WHERE receipt.received_at < now() - make_interval(days => coalesce(source.days, %(days)s) + 1)
          AND NOT EXISTS (SELECT FROM logs_rejectedrecord WHERE receipt_id = receipt.id)
        LIMIT %(batch)s
    )
"""
# Kept is what any row refers to: a label, a score, a finding. What divisions hold is an array and no reference; a
# dataset that was divided is training data, and its sequences stay.
SEQUENCES = """
    WITH old AS (
        SELECT sequence.id FROM logs_sequence AS sequence
        JOIN logs_source AS source ON source.dataset_id = sequence.dataset_id
        WHERE sequence.created_at < now() - make_interval(days => coalesce(source.days, %(days)s) + 1)
          AND NOT EXISTS (SELECT FROM logs_split WHERE dataset_id = sequence.dataset_id) {unneeded}
        ORDER BY sequence.dataset_id, sequence.id LIMIT %(batch)s
    ), waiting AS (
        DELETE FROM logs_unjudgedsequence WHERE sequence_id IN (SELECT id FROM old)
    )
    DELETE FROM logs_sequence WHERE id IN (SELECT id FROM old)
"""
REFERENCES = """
    SELECT conrelid::regclass::text, attname FROM pg_constraint
    JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
    WHERE contype = 'f' AND confrelid = 'logs_sequence'::regclass AND conrelid <> 'logs_unjudgedsequence'::regclass
"""


def forget() -> dict[str, int]:
    """Forget what is older than its source keeps lines; return how many tables, receipts and sequences went."""
    return {"parts": len(storage.forget()), "receipts": _delete(RECEIPTS), "sequences": _delete(_sequences())}


def _sequences() -> str:
    with connection.cursor() as cursor:
        cursor.execute(REFERENCES)
        names = sorted(cursor.fetchall())
    unneeded = (f"AND NOT EXISTS (SELECT FROM {table} WHERE {column} = sequence.id)" for table, column in names)
    return SEQUENCES.format(unneeded=" ".join(unneeded))


def _delete(statement: str) -> int:
    total = 0
    with connection.cursor() as cursor:
        for _ in range(BATCHES):
            cursor.execute(statement, {"days": settings.LINE_DAYS, "batch": BATCH})
            total += cursor.rowcount
            if cursor.rowcount < BATCH:
                break
    return total


streams.CHORES.append(forget)
