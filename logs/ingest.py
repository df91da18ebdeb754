"""From records to stored sequences: COPY into a temporary table while they are read, and one transaction at the end.

A temporary table belongs to its connection and vanishes with it: a run that dies leaves nothing behind.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import psycopg.adapt
from django.conf import settings
from django.db import connection

from duolog.plugins.types import BadRecord, Context, LogSequence, Reason, Record
from logs.engine import times
from logs.engine.sanity import bad, fault
from logs.models import Dataset, Label, QuarantinedRow
from workers.models import Run

BATCH = 1000
FILE_CHARACTERS = 200
YEAR_9999 = 253_370_764_800
HEAD, LENGTH = struct.Struct("!iiIii"), struct.Struct("!i")
TEXT = psycopg.adapters.types["text"].oid

COLUMNS = {
    "row": "bigint",
    "key": "text",
    "entries": "text[]",
    "times": "float8[]",
    "meta": "text",
    "started": "float8",
    "ended": "float8",
    "label": "int2",
    "type": "text",
    "reason": "text",
    "details": "text",
    "excerpt": "text",
}
CREATE = f"CREATE TEMP TABLE staged ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
COPY = f"COPY staged ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"

AGAIN = Reason("the sequence id stands in row %(row)d already", row=0)
OTHER = Reason("another sequence with this id is stored already")
REPEATED = """
    UPDATE staged SET reason = %(again)s, details = jsonb_build_object('row', earlier), excerpt = left(entries[1], 500)
    FROM (SELECT row AS later, min(row) OVER (PARTITION BY key) AS earlier FROM staged WHERE reason IS NULL) AS same
    WHERE row = later AND later > earlier AND reason IS NULL
"""
INSERT = """
    WITH fresh AS (
        INSERT INTO logs_sequence (dataset_id, key, entries, length, times, meta, origin, started_at, ended_at)
        SELECT %(dataset)s, key, entries, cardinality(entries), times, meta::jsonb, %(origin)s,
               to_timestamp(started), to_timestamp(ended)
        FROM staged WHERE reason IS NULL ORDER BY row
        ON CONFLICT (dataset_id, key) DO NOTHING
        RETURNING id, key
    )
    SELECT id, key INTO TEMP staged_fresh FROM fresh
"""
# A sequence that is stored already is the same one if its lines are: then its label may still be news.
MATCH = """
    SELECT staged.row, stored.id, fresh.id IS NOT NULL AS fresh, staged.label, staged.type INTO TEMP staged_match
    FROM staged JOIN logs_sequence AS stored ON stored.dataset_id = %(dataset)s AND stored.key = staged.key
    LEFT JOIN staged_fresh AS fresh ON fresh.id = stored.id
    WHERE staged.reason IS NULL AND (fresh.id IS NOT NULL OR stored.entries = staged.entries)
"""
STATE = """
    INSERT INTO logs_label (sequence_id, value, type, source, confidence)
    SELECT id, label, coalesce(type, ''), %(source)s, 1 FROM staged_match AS match
    WHERE label IS NOT NULL AND NOT EXISTS (
        SELECT FROM logs_label AS stated WHERE stated.sequence_id = match.id AND stated.value = match.label
        AND stated.type = coalesce(match.type, '') AND stated.source = %(source)s
    )
    ORDER BY row
"""
QUARANTINE = """
    INSERT INTO logs_quarantinedrow (dataset_id, run_id, file, row, reason, details, excerpt)
    SELECT %(dataset)s, %(run)s, %(origin)s, row,
           coalesce(reason, %(other)s), coalesce(details, '{}')::jsonb, coalesce(excerpt, left(entries[1], 500))
    FROM staged LEFT JOIN staged_match AS match USING (row)
    WHERE reason IS NOT NULL OR match.id IS NULL
    ORDER BY row
"""
COUNT = """
    SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE fresh AND label = 1), count(*) FILTER (WHERE NOT fresh)
    FROM staged_match
"""


class TextArray(psycopg.adapt.Dumper):
    """A list of texts as Postgres takes it: psycopg's own asks every item for its type, and takes twice as long."""

    format = psycopg.pq.Format.BINARY
    oid = psycopg.adapters.types["text"].array_oid

    def dump(self, obj: list[str]) -> bytes:
        """Return one dimension, no NULLs, the type, the number of items and the first index; then length and bytes."""
        parts = [HEAD.pack(1, 0, TEXT, len(obj), 1)]
        for item in obj:
            data = item.encode()
            parts += (LENGTH.pack(len(data)), data)
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Staged:
    """Records that wait in the connection's temporary table; there is one at a time."""

    source: Label.Source
    origin: str

    def commit(self, dataset: Dataset, run: Run) -> dict[str, int]:
        """Store what is new, inside the caller's transaction, and return what became of the records.

        "sequences", "anomalous" and "labelled" are what was added, "duplicates" what was stored already, line for line,
        "quarantined" the rows that were refused: they replace those of an earlier import of the same file.
        """
        values: dict[str, Any] = {
            "dataset": dataset.pk,
            "run": run.pk,
            "origin": self.origin,
            "source": self.source.value,
            "other": OTHER.message,
        }
        # The race: two imports into one dataset would insert the same keys in different order, and deadlock.
        Dataset.objects.select_for_update().get(pk=dataset.pk)
        QuarantinedRow.objects.filter(dataset=dataset, file=self.origin).delete()
        with connection.cursor() as cursor:
            cursor.execute(INSERT, values)
            # The planner has not seen the new rows yet, takes them for one, and would compare each with each.
            cursor.execute("SET LOCAL enable_nestloop = off")
            cursor.execute(MATCH, values)
            cursor.execute("SET LOCAL enable_nestloop = on")
            cursor.execute(STATE, values)
            labelled = cursor.rowcount
            cursor.execute(QUARANTINE, values)
            quarantined = cursor.rowcount
            cursor.execute(COUNT)
            sequences, anomalous, duplicates = cursor.fetchone()
            cursor.execute("DROP TABLE staged, staged_fresh, staged_match")
        Dataset.objects.filter(pk=dataset.pk).update(run=run)
        return {
            "sequences": sequences,
            "anomalous": anomalous,
            "labelled": labelled,
            "quarantined": quarantined,
            "duplicates": duplicates,
        }


def stage(records: Iterable[Record], *, source: Label.Source, origin: str, ctx: Context) -> Staged:
    """Copy records into the temporary table, a thousand at a time, in bounded memory.

    `origin` names where they come from; of a long path the end is kept. `ctx` is asked whether to stop; progress is
    told by who yields the records.
    """
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS staged, staged_fresh, staged_match")
        cursor.execute(CREATE)
        cursor.adapters.register_dumper(None, TextArray)
        with cursor.copy(COPY) as copy:
            copy.set_types(list(COLUMNS.values()))
            for rows in _batches(records):
                for row in rows:
                    copy.write_row(row)
                ctx.checkpoint()
        cursor.execute("ANALYZE staged (row, key)")
        cursor.execute(REPEATED, {"again": AGAIN.message})
    return Staged(source, origin[-FILE_CHARACTERS:])


def _batches(records: Iterable[Record]) -> Iterator[list[tuple[Any, ...]]]:
    numbered = enumerate(records, 1)
    while batch := [(number, _checked(number, one)) for number, one in islice(numbered, BATCH)]:
        timeless = [one for _, one in batch if isinstance(one, LogSequence) and not one.times]
        # All at once: the times of a thousand first and last lines cost as much as those of ten.
        found = iter(times.parse([line for one in timeless for line in (one.entries[0], one.entries[-1])]))
        rows = []
        for number, one in batch:
            if isinstance(one, BadRecord):
                rows.append((one.row, *(None,) * 8, *_told(one.reason), one.excerpt))
            elif one.times:
                rows.append(_row(number, one, one.times[0], one.times[-1]))
            else:
                rows.append(_row(number, one, next(found), next(found)))
        yield rows


def _checked(number: int, record: Record) -> Record:
    """Refuse what Postgres would refuse, and with it the whole file: the format may be somebody else's plugin."""
    if isinstance(record, BadRecord):
        return bad(record.row, record.reason, record.excerpt)
    if isinstance(record, LogSequence) and (reason := fault(record, settings.MAX_LINE_BYTES)):
        return bad(number, reason, "\n".join(record.entries))
    return record


def _told(reason: str) -> tuple[str, str | None]:
    """Return a reason as it is stored: message, and values in JSON."""
    if isinstance(reason, Reason):
        return reason.message, msgspec.json.encode(reason.values).decode()
    return reason, None


def _row(number: int, one: LogSequence, first: float | None, last: float | None) -> tuple[Any, ...]:
    # Milliseconds instead of seconds lead to years that no calendar has.
    first, last = (at if at is not None and 0 <= at < YEAR_9999 else None for at in (first, last))
    meta = msgspec.json.encode(one.meta).decode() if one.meta else "{}"
    return (
        number,
        one.id,
        list(one.entries),
        list(one.times) or None,
        meta,
        first,
        last,
        one.label,
        one.type,
        None,
        None,
        None,
    )
