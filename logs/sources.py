"""Sources of lines as people run them: made, changed, looked after, and what they rejected sent through again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext

from duolog.models import ApiToken
from duolog.plugins.options import OptionsError, as_json, build
from logs import datasets, reasons, receive, redaction, storage, templates
from logs.engine.chunks import Lines
from logs.engine.sequencing import Rule
from logs.models import Receipt, RejectedRecord, Source
from workers import streams
from workers.jobs import JobFailed

MOST_DAYS = 3650
"""Days that lines can be kept."""
REPLAYED = 10_000
"""Records that are replayed in one transaction."""
KEPT = 20
"""A figure is kept for so many times as long as it took to count: pages that refresh themselves cost no more."""

STANDING = """
    SELECT source.id, received.hour, received.day, received.last, pending.lines, pending.oldest,
           (SELECT count(*) FROM logs_opensequence open WHERE open.source_id = source.id),
           (SELECT count(*) FROM logs_unjudgedsequence unjudged WHERE unjudged.source_id = source.id)
    FROM unnest(%s::bigint[]) AS source (id), LATERAL (
        SELECT coalesce(sum(lines) FILTER (WHERE received_at > now() - interval '1 hour'), 0) AS hour,
               coalesce(sum(lines), 0) AS day, max(received_at) AS last
        FROM logs_receipt WHERE source_id = source.id AND received_at > now() - interval '1 day'
    ) AS received, LATERAL (
        SELECT coalesce(sum(lines), 0) AS lines, min(received_at) AS oldest
        FROM logs_pendingchunk WHERE source_id = source.id
    ) AS pending
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a source keeps up: lines received in the last `hour` and `day`, and the `last` receipt of that day.

    `waiting` lines, the `oldest` of them received then, are in no sequence yet; `open` sequences may still get lines;
    `unjudged` ones wait for a model.
    """

    hour: int = 0
    day: int = 0
    last: datetime | None = None
    waiting: int = 0
    oldest: datetime | None = None
    open: int = 0
    unjudged: int = 0


def standings(sources: Iterable[Source]) -> dict[int, Standing]:
    """Return how sources keep up, by primary key, in one query; figures that took long to count are not the newest."""
    keys = sorted(source.pk for source in sources)
    name = f"standings-{hash(tuple(keys))}"
    if known := cache.get(name):
        return dict(known)
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(STANDING, [keys])
        found = {pk: Standing(*values) for pk, *values in cursor}
    cache.set(name, found, int((time.monotonic() - began) * KEPT))
    return found


def checked(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a rule as they are stored; raise OptionsError, in the reader's language, if one is wrong.

    Only what is given is kept: the rest follows the defaults.
    """
    try:
        whole = as_json(build(Rule, rule))
    except OptionsError as error:
        raise OptionsError(reasons.of_options(error)) from error
    return {name: whole[name] for name in rule}


def in_words(rule: Rule) -> str:
    """Return what a rule does, as a sentence or three."""
    values = {"key": rule.key, "seconds": f"{rule.seconds:g}", "size": rule.size, "stride": f"{rule.stride:g}"}
    if rule.by == "session":
        said = gettext(
            "Lines with the same %(key)s are a sequence, which ends after %(seconds)s s of silence. Lines without one "
            "are put together by service, in windows of %(seconds)s s."
        )
    elif rule.by == "gap":
        said = gettext("Lines with the same %(key)s are a sequence, which ends after %(seconds)s s of silence.")
        if not rule.key:
            said = gettext("A sequence ends after %(seconds)s s of silence.")
    elif rule.by == "time":
        said = gettext("The lines of each %(seconds)s s are a sequence.")
        if rule.stride:
            said = gettext("The lines of %(seconds)s s are a sequence, and a new one begins every %(stride)s s.")
    else:
        said = gettext("Each %(size)d lines are a sequence.")
        if rule.stride:
            said = gettext("%(size)d lines are a sequence, and a new one begins every %(stride)s lines.")
    if rule.key and rule.by in ("time", "count"):
        said = gettext("Of each %(key)s:") + " " + said
    rest = gettext("Lines may come %(lateness)s s late, and a sequence is closed at %(most)d lines.")
    return f"{said % values} {rest % {'lateness': f'{rule.lateness:g}', 'most': rule.most}}"


def create(*, project: str, name: str, **values: Any) -> Source:
    """Make a source, with a dataset for its sequences; raise JobFailed where the project has one of that name."""
    try:
        with transaction.atomic():
            dataset = datasets.get_or_create(project=project, name=receive.dataset_name(name))
            return Source.objects.create(project=dataset.project, name=name, dataset=dataset, **values)
    except IntegrityError as error:
        text = gettext("project %(project)s has a source %(name)s already")
        raise JobFailed(text % {"project": project, "name": name}) from error


def tokens(source: Source) -> QuerySet[ApiToken]:
    """Return the tokens of shippers that fill a source, newest first."""
    names = [source.name, ""] if source.name == receive.DEFAULT else [source.name]
    found = ApiToken.objects.filter(project=source.project.slug, source__in=names)
    return found.select_related("user").order_by("-pk")


def rejected(source: Source) -> QuerySet[RejectedRecord]:
    """Return what a source rejected and nobody has dealt with, newest first."""
    return RejectedRecord.objects.filter(receipt__source=source).select_related("receipt").order_by("-pk")


def replay(source: Source, records: QuerySet[RejectedRecord]) -> int:
    """Store the texts of records as plain lines, of the time at which they were received, and delete the records.

    Both in one transaction, `REPLAYED` records at most, oldest first; return how many.
    """
    # Outside the transaction: other processes must not wait for its end to store their lines.
    storage.ensure_part(storage.last_day(source))
    with transaction.atomic():
        # The race: two people replay the same. The second waits here, and finds the records gone.
        rows = list(records.select_for_update(of=("self",)).order_by("pk")[:REPLAYED])
        if not rows:
            return 0
        empty = [""] * len(rows)
        # Once more: the project may look for other secrets than when they came.
        texts, _attributes, _rejected, counts = redaction.redact(source.project, [row.text for row in rows], empty, [])
        times = [row.receipt.received_at.timestamp() for row in rows]
        lines = Lines(texts, times, empty, empty, empty, templates.match(source.project_id, texts))
        storage.store(source, lines, [], receiver="replay", redacted=counts)
        RejectedRecord.objects.filter(pk__in=[row.pk for row in rows]).delete()
        transaction.on_commit(partial(streams.ring, "sequence", source.pk))
    return len(rows)


def newest_receipts(source: Source, count: int) -> QuerySet[Receipt]:
    """Return the last receipts of a source, newest first."""
    return source.receipts.order_by("-received_at")[:count]
