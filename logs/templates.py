"""The templates of a project: one miner a process, the table behind it, and what people decide about them.

`match` is for who stores lines: it finds their templates and stores new ones in the caller's transaction, so that no
committed line names a template that is not there. Web processes mine at the same time: ids are hashes, so they agree
on them (`logs.engine.templates`), and whoever writes templates holds the project's lock until its transaction ends.
Under it `changed_at` grows in the order of commits, so a process reads what others changed by asking for what is newer
than what it knows. New templates are rare; lines whose templates are all known take no lock and write nothing.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from logs.engine import forms
from logs.engine.templates import Miner
from logs.models import Sequence as Row
from logs.models import Template

REFRESH, FLUSH = 5.0, 5.0
"""Seconds after which what other processes changed is read, and after which counts are written."""
OVERLAP = timedelta(seconds=10)  # a clock may have been set back
HEADS = (re.compile(r"^[A-Z]{3,9} "), re.compile(r"^[A-Z]{3,9} [^\s:]{1,200}: "))
"""Level, and level and service, before a line whose shipper told them apart from the text."""
MINERS = 32
"""Projects whose miners a process keeps; those not used for longest go."""
STORE = f"""
    UPDATE {Row._meta.db_table} AS sequence SET templates = given.numbers::bigint[]
    FROM unnest(%s::bigint[], %s::text[]) AS given (id, numbers) WHERE sequence.id = given.id
"""  # noqa: S608 - the name of a table


@dataclass
class Known:
    """What this process knows of a project's templates. `lock` guards it; nothing waits for a row while it is held."""

    miner: Miner
    lock: threading.Lock = field(default_factory=threading.Lock)
    newest: datetime | None = None
    read_at: float = 0.0
    counts: Counter[int] = field(default_factory=Counter)
    flushed_at: float = float("-inf")


_known: OrderedDict[int, Known] = OrderedDict()
_lock = threading.Lock()


# --- lines ------------------------------------------------------------------------------------------------------


def match(project: int, lines: Sequence[str]) -> list[int]:
    """Return the number of each line's template, in order; `project` is the key of one.

    Call it in the transaction that stores the lines, with lines as they are stored, so redacted: a template keeps some.
    If the transaction is rolled back, the templates are stored by the next one that needs them.
    """
    known, masked = _of(project), forms.masks(lines)
    with known.lock:
        _refresh(project, known)
        numbers = known.miner.assign(*masked)
        records = known.miner.export(known.miner.changed)
    if records:
        _save(project, records)
        transaction.on_commit(partial(_saved, known, records))
    transaction.on_commit(partial(_count, project, known, Counter(numbers)), robust=True)
    return numbers


def resolve(project: int, numbers: Iterable[int]) -> dict[int, Template]:
    """Return, by number, the templates that lines with these numbers are of now; unknown numbers are left out."""
    rows = Template.objects.filter(project=project, number__in=set(numbers)).select_related("merged_into")
    return {row.number: row.merged_into or row for row in rows}


@transaction.atomic
def store_numbers(project: int, sequences: Iterable[Row]) -> None:
    """Store the numbers of their lines' templates with sequences that lack them.

    Its lines need not have come as a stream: what no template is known for is mined, though not counted as received.
    A line with level and service before it (`logs.sequencer.headed`) is of the template of what was received.
    """
    rows = [row for row in sequences if row.templates is None]
    if not rows:
        return
    # The race: two transactions give numbers to the same sequences and to new templates, each in its own order. Who
    # has this lock waits for nobody.
    lock(project)
    known, lines = _of(project), [line for row in rows for line in row.entries]
    with known.lock:
        _refresh(project, known)
        found = iter(known.miner.assign(*forms.masks(_unheaded(known.miner, lines))))
        records = known.miner.export(known.miner.changed)
    if records:
        _save(project, records)
        transaction.on_commit(partial(_saved, known, records))
    for row in rows:
        row.templates = [next(found) for _ in row.entries]
    with connection.cursor() as cursor:
        arrays = [f"{{{','.join(map(str, row.templates or ()))}}}" for row in rows]
        cursor.execute(STORE, [[row.pk for row in rows], arrays])


def _unheaded(miner: Miner, lines: Sequence[str]) -> list[str]:
    """Return lines without level and service where only what follows these has a template."""
    heads: dict[str, re.Pattern[str] | None] = {}
    lines, masked = forms.masks(lines)
    for line, text in zip(lines, masked, strict=True):
        if text not in heads:
            heads[text] = _head(miner, line, text)
    cut = ((line, heads[text]) for line, text in zip(lines, masked, strict=True))
    return [head.sub("", line) if head else line for line, head in cut]


def _head(miner: Miner, line: str, masked: str) -> re.Pattern[str] | None:
    if not HEADS[0].match(line) or miner.find(forms.refine(line, masked)) is not None:
        return None
    for head in HEADS:
        lines, (text,) = forms.masks([head.sub("", line)])
        if miner.find(forms.refine(lines[0], text)) is not None:
            return head
    return None


def flush(project: int) -> None:
    """Write the counts that this process has gathered."""
    known = _of(project)
    with known.lock:
        counts, known.counts, known.flushed_at = known.counts, Counter(), time.monotonic()
    if not counts:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        # The race: two processes would lock the same rows in different order, and deadlock.
        cursor.execute(
            """
            WITH seen AS (
                SELECT id, count FROM logs_template
                JOIN unnest(%s::bigint[], %s::bigint[]) AS counted (number, count) USING (number)
                WHERE project_id = %s ORDER BY id FOR UPDATE OF logs_template
            )
            UPDATE logs_template SET lines = lines + seen.count, last_seen_at = now()
            FROM seen WHERE logs_template.id = seen.id
            """,
            [list(counts), list(counts.values()), project],
        )


def _of(project: int) -> Known:
    with _lock:
        known = _known.setdefault(project, Known(Miner(limit=settings.MAX_TEMPLATES)))
        _known.move_to_end(project)
        while len(_known) > MINERS:
            _known.popitem(last=False)
        return known


def _refresh(project: int, known: Known) -> None:
    """Read what other processes, or people, changed."""
    if known.newest is not None and time.monotonic() - known.read_at < REFRESH:
        return
    rows = Template.objects.filter(project=project).select_related("merged_into")
    if known.newest is not None:
        rows = rows.filter(changed_at__gt=known.newest - OVERLAP)
    found = list(rows.order_by("changed_at"))
    known.miner.restore(map(record, found))
    known.read_at = time.monotonic()
    known.newest = found[-1].changed_at if found else known.newest or datetime.fromtimestamp(0, UTC)


def _count(project: int, known: Known, counts: Counter[int]) -> None:
    with known.lock:
        known.counts += counts
        is_due = time.monotonic() - known.flushed_at > FLUSH
    if is_due:
        flush(project)


def _saved(known: Known, records: list[dict[str, Any]]) -> None:
    """Forget that these changed, unless they changed again meanwhile."""
    with known.lock:
        for each in records:
            [now] = known.miner.export([each["id"]])
            if all(now[name] == each[name] for name in ("examples", "merged_into", "fixed")):
                known.miner.changed.discard(each["id"])


# --- rows -------------------------------------------------------------------------------------------------------


def record(row: Template) -> dict[str, Any]:
    """Return a row as the miner takes it."""
    into = row.merged_into.number if row.merged_into else None
    return {"id": row.number, "examples": row.examples, "merged_into": into, "fixed": row.fixed, "mined": row.pattern,
            "count": 0}  # fmt: skip


def lock(project: int) -> datetime:
    """Let whoever else changes templates of the project wait until this transaction ends; return the time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"templates {project}"])
        cursor.execute("SELECT clock_timestamp()")
        [now] = cursor.fetchone()
    found: datetime = now
    return found


@transaction.atomic
def _save(project: int, records: list[dict[str, Any]]) -> None:
    """Store templates that are new, wider or merged; what people decided stands."""
    now = lock(project)
    wanted = {each["id"] for each in records} | {each["merged_into"] for each in records} - {None}
    found = Template.objects.filter(project=project, number__in=wanted).select_related("merged_into")
    rows = {row.number: row for row in found}
    new = [each for each in records if each["id"] not in rows]
    made = [Template(project_id=project, number=each["id"], changed_at=now) for each in new]
    rows |= {row.number: row for row in Template.objects.bulk_create(made)}
    for each in records:
        row = rows[each["id"]]
        row.changed_at = now
        if row.fixed is None:
            row.examples = list(dict.fromkeys([*row.examples, *each["examples"]]))
            row.pattern = each["mined"]
        into = rows.get(each["merged_into"])
        if into is not None and row.merged_into_id is None and row.fixed is None:
            point(row, into.merged_into or into, now)
    Template.objects.bulk_update(rows.values(), ["pattern", "examples", "merged_into", "changed_at"])


def point(row: Template, into: Template, now: datetime) -> None:
    """Merge a template, and what was merged into it, into one that is not merged itself; under the project's lock."""
    if into.pk != row.pk:  # a person merged these the other way round
        row.merged_into = into
        Template.objects.filter(merged_into=row).update(merged_into=into, changed_at=now)


def forget(project: int | None = None) -> None:
    """Read the templates of a project, or of all, anew when they are next asked for."""
    with _lock:
        for each in [project] if project is not None else list(_known):
            _known.pop(each, None)
