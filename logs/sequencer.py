"""From stored lines to sequences: each line is put into its sequences once, in the transaction that notes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import rurex
from django.db import connection
from django.db.models.functions import Now

from duolog.plugins.options import build
from logs.engine import chunks, sequencing
from logs.engine.chunks import Lines
from logs.engine.masking import B
from logs.engine.sequencing import Head, Heads, Rule
from logs.models import OpenSequence, PendingChunk, Source
from workers import streams

LINES = 20_000
"""Lines put into sequences in one transaction."""
PLACES = 20
"""Bits for the number of a line in its chunk."""
LEVELLED = rurex.compile(
    rf"^.{{0,100}}?(?:{B}|_)(?i:trace|debug|info|notice|warn|warning|err|error|severe|crit|critical|fatal){B}"
)

COLUMNS = {
    "key": "text", "first": "int8", "window": "int8", "entries": "text[]", "times": "float8[]", "services": "text[]",
    "close": "float8",
}  # fmt: skip
STAGED = f"""
    CREATE TEMP TABLE IF NOT EXISTS staged_open ({", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())});
    TRUNCATE staged_open
"""
COPY = "COPY staged_open FROM STDIN (FORMAT BINARY)"
# Rows in one order everywhere, so that two transactions cannot wait for each other crosswise.
ADD = """
    INSERT INTO logs_opensequence AS open (source_id, key, first, "window", entries, times, services, close, idle_at)
    SELECT %(source)s, key, first, "window", entries, times, services, close, now() + make_interval(secs => %(idle)s)
    FROM staged_open ORDER BY key, first
    ON CONFLICT (source_id, key, first, "window") DO UPDATE SET
        entries = open.entries || excluded.entries, times = open.times || excluded.times,
        services = open.services || excluded.services, close = excluded.close, idle_at = excluded.idle_at
"""
# Lines stand in order of time, those of the same moment in order of receipt.
CLOSE = """
    WITH closed AS (
        DELETE FROM logs_opensequence
        WHERE source_id = %(source)s AND (close <= %(watermark)s OR idle_at <= now())
        RETURNING *
    ), made AS (
        INSERT INTO logs_sequence (dataset_id, key, entries, length, times, meta, origin, started_at, ended_at)
        SELECT %(dataset)s, format('%%s@%%s.%%s', key, first >> 20, first & 1048575)
               || CASE WHEN %(overlap)s THEN '/' || "window" ELSE '' END,
               sorted.entries, cardinality(sorted.entries), sorted.times,
               CASE sorted.service WHEN '' THEN '{}' ELSE jsonb_build_object('service', sorted.service) END,
               %(name)s, to_timestamp(sorted.times[1]), to_timestamp(sorted.times[cardinality(sorted.times)])
        FROM closed, LATERAL (
            SELECT array_agg(entry ORDER BY at, number) AS entries, array_agg(at ORDER BY at, number) AS times,
                   mode() WITHIN GROUP (ORDER BY service) AS service
            FROM unnest(closed.entries, closed.times, closed.services)
                 WITH ORDINALITY AS line (entry, at, service, number)
        ) AS sorted
        ORDER BY sorted.times[cardinality(sorted.times)]
        ON CONFLICT (dataset_id, key) DO NOTHING
        RETURNING id
    )
    INSERT INTO logs_unjudgedsequence (sequence_id, source_id) SELECT id, %(source)s FROM made WHERE %(judged)s
"""


def due() -> Iterable[int]:
    """Return the sources with lines in no sequence, or with sequences that have waited long enough."""
    waiting = PendingChunk.objects.order_by().values_list("source", flat=True).distinct()
    idle = OpenSequence.objects.filter(idle_at__lte=Now()).order_by().values_list("source", flat=True).distinct()
    return {*waiting, *idle}


@streams.stage("sequence", due=due)
def advance(pk: int) -> bool:
    """Put the next lines of a source into sequences and close those that are over; return whether lines are left."""
    # The race: two workers hear the same bell. The second waits for the source's row, and finds the lines taken.
    source = Source.objects.select_for_update(no_key=True).get(pk=pk)
    rule: Rule = build(Rule, source.rule)
    pending = _pending(source)
    watermark, grown = source.watermark, _Grown()
    for chunk, received, body in _bodies(pending):
        lines = chunks.unpack(body)
        watermark = _take(rule, source, chunk, received, lines, watermark, grown)
    with connection.cursor() as cursor:
        if grown.rows:
            cursor.execute(STAGED)
            with cursor.copy(COPY) as copy:
                copy.set_types(list(COLUMNS.values()))
                for name, (head, columns) in grown.rows.items():
                    copy.write_row((*name, *columns, head.close))
            idle = rule.seconds + rule.lateness
            cursor.execute(ADD, {"source": pk, "idle": max(idle, 60.0) if rule.by == "count" else idle})
        values: dict[str, Any] = {
            "source": pk,
            "dataset": source.dataset_id,
            "watermark": watermark,
            "name": source.name,
        }
        cursor.execute(CLOSE, values | {"judged": source.judged, "overlap": rule.by == "time" and rule.stride > 0})
    if watermark > source.watermark:
        Source.objects.filter(pk=pk).update(watermark=watermark)
    PendingChunk.objects.filter(chunk__in=[chunk for chunk, *_ in pending]).delete()
    return PendingChunk.objects.filter(source=pk).exists()


class _Grown:
    """What the lines at hand add to open sequences: a row for each, and the heads of the keys seen so far."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int, int], tuple[Head, tuple[list[Any], ...]]] = {}
        self.heads: Heads = {}


def _take(
    rule: Rule, source: Source, chunk: int, received: float, lines: Lines, watermark: float, grown: _Grown
) -> float:
    keys, times = sequencing.keys(rule, lines), sequencing.moments(lines, received)
    names = {sequencing.partition(rule, key, service) for key, service in set(zip(keys, lines.services, strict=True))}
    _load(source, names - grown.heads.keys(), grown.heads)
    entries = headed(lines)
    pieces, watermark = sequencing.assign(rule, lines, keys, times, chunk << PLACES, watermark, grown.heads)
    for piece in pieces:
        head, members = piece.head, piece.members
        _, added = grown.rows.setdefault((piece.key, head.first, head.window), (head, ([], [], [])))
        columns: tuple[list[Any], ...] = (entries, times, lines.services)
        for column, values in zip(added, columns, strict=True):
            column.extend([values[member] for member in members])
    return watermark


def headed(lines: Lines) -> list[str]:
    """Return texts with level and service before them, where the shipper told these apart from the text."""
    if not any(lines.levels):
        return lines.texts
    # The detector reads both off the line; one that says its level itself keeps its own header.
    return [
        text
        if not level or LEVELLED.search(text)
        else f"{level.upper()} {service}: {text}"
        if service
        else f"{level.upper()} {text}"
        for text, level, service in zip(lines.texts, lines.levels, lines.services, strict=True)
    ]


def _pending(source: Source) -> list[tuple[int, Any, float]]:
    """Return the chunks that come next, with the day that leads to their partition, and when they were received."""
    found, lines = [], 0
    queue = PendingChunk.objects.filter(source=source).order_by("chunk")
    for chunk, expires, count, received in queue.values_list("chunk", "expires", "lines", "received_at")[:500]:
        found.append((chunk, expires, received.timestamp()))
        lines += count
        if lines >= LINES:
            break
    return found


def _bodies(pending: list[tuple[int, Any, float]]) -> Iterator[tuple[int, float, bytes]]:
    if not pending:
        return
    received = {chunk: at for chunk, _, at in pending}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, body FROM logs_chunk WHERE expires = ANY(%s::date[]) AND id = ANY(%s) ORDER BY id",
            [sorted({expires for _, expires, _ in pending}), list(received)],
        )
        for chunk, body in cursor.fetchall():
            yield chunk, received[chunk], body


def _load(source: Source, names: set[str], heads: Heads) -> None:
    heads |= {name: [] for name in names}
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT key, first, close, cardinality(entries), "window" FROM logs_opensequence '
            "WHERE source_id = %s AND key = ANY(%s) ORDER BY key, first",
            [source.pk, list(names)],
        )
        for key, *told in cursor:
            heads[key].append(Head(*told))
