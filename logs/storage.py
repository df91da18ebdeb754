"""Lines at rest: a batch is one row, stored with its receipt in one statement, and forgotten with its day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
from django.conf import settings
from django.db import connection

from duolog.plugins.types import BadRecord, Reason
from duolog.plugins.types import Receipt as Told
from logs.engine import chunks
from logs.engine.chunks import Lines
from logs.models import Source

TIMELESS = 600.0
"""Seconds for which a batch is known again if none of its lines has a time: later the same words may be news."""

# One statement, one round trip, one commit. A batch that is known already inserts nothing, and so nothing follows.
STORE = """
    WITH receipt AS (
        INSERT INTO logs_receipt (id, source_id, receiver, lines, rejected, redacted, digest, known_until)
        VALUES (%(id)s, %(source)s, %(receiver)s, %(lines)s, %(rejected)s, %(redacted)s, %(digest)s,
                now() + make_interval(secs => %(known)s))
        ON CONFLICT (source_id, digest) DO NOTHING
        RETURNING id
    ), chunk AS (
        INSERT INTO logs_chunk (source_id, receipt_id, expires, lines, first, last, body)
        SELECT %(source)s, id, %(expires)s::date, %(lines)s, %(first)s, %(last)s, %(body)b FROM receipt
        WHERE %(lines)s > 0
        RETURNING id, expires, received_at
    ), pending AS (
        INSERT INTO logs_pendingchunk (chunk, expires, source_id, lines, received_at)
        SELECT id, expires, %(source)s, %(lines)s, received_at FROM chunk
    ), records AS (
        INSERT INTO logs_rejectedrecord (receipt_id, row, reason, details, text)
        SELECT receipt.id, record.* FROM receipt, unnest(
            %(rows)s::bigint[], %(reasons)s::text[], %(details)s::jsonb[], %(texts)s::text[]
        ) AS record
    )
    SELECT id FROM receipt
"""
KNOWN = """
    UPDATE logs_receipt SET repeats = repeats + 1
    WHERE source_id = %(source)s AND digest = %(digest)s AND known_until > now()
    RETURNING id, lines, rejected
"""
FORGET_DIGEST = "UPDATE logs_receipt SET digest = NULL WHERE source_id = %(source)s AND digest = %(digest)s"

_parts: set[date] = set()


def store(
    source: Source,
    lines: Lines,
    rejected: Sequence[BadRecord],
    *,
    receiver: str,
    redacted: Counter[str],
    digest: bytes | None = None,
    timeless: bool = False,
) -> Told:
    """Commit a batch, and return what became of it; what is known by its `digest` is not stored again.

    Committed means on disk: it is when this returns, and if it raises nothing is. The lines are redacted already.
    """
    expires = datetime.now(UTC).date() + timedelta(days=(source.days or settings.LINE_DAYS) + 1)
    ensure_part(expires)
    told = [(each.row, *_parts_of(each.reason), each.excerpt) for each in rejected]
    rows, reasons, details, texts = (list(column) for column in zip(*told, strict=True)) if told else ([],) * 4
    values: dict[str, Any] = {
        "id": uuid4(),
        "source": source.pk,
        "receiver": receiver,
        "lines": len(lines),
        "rejected": len(rejected),
        "redacted": msgspec.json.encode(redacted).decode(),
        "digest": digest,
        "known": TIMELESS if timeless else settings.RETRY_SECONDS,
        "expires": expires,
        "first": min(lines.times, default=0.0),
        "last": max(lines.times, default=0.0),
        "body": chunks.pack(lines),
        "rows": rows,
        "reasons": reasons,
        "details": details,
        "texts": texts,
    }
    connection.ensure_connection()
    # Django's own cursor writes values into the statement as text, a packed body as twice its size.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        while True:
            if stored := cursor.execute(STORE, values, prepare=True).fetchone():
                return Told(str(stored[0]), len(lines), len(rejected))
            if known := cursor.execute(KNOWN, values).fetchone():
                return Told(str(known[0]), known[1], known[2], duplicate=True)
            # The same bytes, but so long ago that they are no repetition: the old receipt is known by its id only.
            cursor.execute(FORGET_DIGEST, values)


def _parts_of(reason: str) -> tuple[str, str]:
    if isinstance(reason, Reason):
        return reason.message, msgspec.json.encode(reason.values).decode()
    return reason, "{}"


def ensure_part(day: date) -> None:
    """Make the partition of lines that are kept until `day`, once a process and day."""
    if day in _parts:
        return
    with connection.cursor() as cursor:
        # The race: two processes make the same one. IF NOT EXISTS looks before it takes its lock, so they take turns.
        cursor.execute("SELECT pg_advisory_lock(hashtext('logs_chunk'))")
        try:
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS logs_chunk_{day:%Y%m%d} PARTITION OF logs_chunk "
                f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
            )
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext('logs_chunk'))")
    _parts.add(day)


def forget(today: date | None = None) -> list[str]:
    """Drop the lines whose day has passed, and return the names of the tables that held them."""
    limit = f"logs_chunk_{today or datetime.now(UTC).date():%Y%m%d}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'logs_chunk'::regclass")
        old = sorted(name for (name,) in cursor if name < limit)
        for name in old:
            cursor.execute(f"DROP TABLE {name}")
        if old:
            cursor.execute("DELETE FROM logs_pendingchunk WHERE expires < %s", [today or datetime.now(UTC).date()])
    _parts.clear()
    return old


def read(source: Source, chunk: int) -> Lines | None:
    """Return the lines of a chunk, or None where they are forgotten."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM logs_chunk WHERE id = %s AND source_id = %s", [chunk, source.pk])
        found = cursor.fetchone()
    return chunks.unpack(found[0]) if found else None
