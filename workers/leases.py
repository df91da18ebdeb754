"""Who holds a run: claim, renew, finish, end and sweep. Every write is fenced by the attempt's number.

The database's clock decides; the hosts' clocks never do. A transaction that ends a run holds the run's row, and the
sweeper skips rows that are held, so even a finish that takes longer than the lease is not taken away.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Coalesce, Greatest, Least, Now
from django.utils.translation import gettext

from workers import jobs, store
from workers.celery import ring
from workers.context import CHECKPOINT, News, RunContext
from workers.jobs import Cancelled, Finish, LeaseLost
from workers.models import Artifact, Attempt, Line, Metric, Run
from workers.runs import enqueue, follow_key
from workers.states import Status

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = timedelta(minutes=10)
RING_AGAIN_CAP = 10  # times RUN_RING_AGAIN
CLOCK_SLACK = timedelta(seconds=1)
SWEEP_BATCH = 1000


def claim(run_id: UUID | str, *, worker: str) -> Run | None:
    """Take a queued run for one attempt, or return None: it is not due, or another worker was faster."""
    with transaction.atomic():
        # The race: two workers hear the same ring. The second waits for the first one's row lock, looks again, and
        # finds the run no longer queued.
        # The slack: a clock that steps back (virtual machines do) must not leave a fresh run to the sweeper.
        won = Run.objects.filter(pk=run_id, status=Status.QUEUED, not_before__lte=Now() + CLOCK_SLACK).update(
            status=Status.RUNNING,
            attempt=F("attempt") + 1,
            lease_until=_lease(),
            started_at=Coalesce("started_at", Now()),
            error="",
        )
        if not won:
            return None
        run = Run.objects.get(pk=run_id)
        Attempt.objects.create(run=run, number=run.attempt, worker=worker)
    return run


def renew(ctx: RunContext) -> bool:
    """Extend the lease and save the news; return whether someone wants the run cancelled. Raises LeaseLost."""
    with ctx.news() as news, _fenced(ctx.run) as row:
        Run.objects.filter(pk=ctx.run.pk).update(lease_until=_lease(), **ctx.progress())
        _save(ctx.run, news)
    return row.cancel_at is not None


def finish(ctx: RunContext, effect: Finish | None) -> None:
    """Write the domain rows, mark the run as succeeded and queue its followers, all in one transaction.

    Raises LeaseLost or Cancelled, and then nothing was written.
    """
    with ctx.news() as before, _fenced(ctx.run) as row:
        if row.cancel_at is not None:
            raise Cancelled
        result = dict((effect() if effect else None) or {})
        with ctx.news() as during:  # the effect may log and keep artifacts, too
            for news in (before, during):
                _save(ctx.run, news)
        _close(row, Status.SUCCEEDED, outcome="succeeded", **ctx.progress(), result=result)
        _follow(row, result)


def end(ctx: RunContext, status: Status, error: str = "", *, retry: bool = False) -> Status:
    """End the attempt without success; with `retry` the run is queued again if attempts are left. Raises LeaseLost."""
    with ctx.news() as news, _fenced(ctx.run) as row:
        _save(ctx.run, news)
        if retry:
            return _requeue(row, outcome="failed", error=error, **ctx.progress())
        _close(row, status, outcome=status.value, error=error, **ctx.progress())
    return status


@dataclass(frozen=True, slots=True)
class Swept:
    """How many lost runs a sweep took back, and how many waiting ones it announced again."""

    lost: int
    rung: int


def sweep() -> Swept:
    """Take back runs whose lease expired, and ring again for runs that wait; any number of sweepers may run."""
    with transaction.atomic():
        held = Run.objects.select_for_update(skip_locked=True, no_key=True)
        lost = list(held.filter(status=Status.RUNNING, lease_until__lt=Now())[:SWEEP_BATCH])
        for run in lost:
            status = _requeue(run, outcome="lost", error=gettext("lost: the worker gave no sign of life"))
            logger.warning("run=%s job=%s attempt %d is lost, now %s", str(run.pk)[:8], run.job, run.attempt, status)
    with transaction.atomic():
        # Messages get lost, and then a ring is missing; or all workers are busy, and then each further ring only
        # makes the queue longer. So the pause between rings grows with the wait, up to a limit.
        waited = ExpressionWrapper(F("rung_at") - F("not_before"), output_field=DurationField())
        pause = timedelta(seconds=settings.RUN_RING_AGAIN)
        pause_now = Greatest(Value(pause), Least(waited, Value(pause * RING_AGAIN_CAP)))
        quiet = Q(rung_at=None) | Q(rung_at__lt=Now() - pause_now)
        due = list(held.filter(quiet, status=Status.QUEUED, not_before__lte=Now()).order_by("not_before")[:SWEEP_BATCH])
        Run.objects.filter(pk__in=[run.pk for run in due]).update(rung_at=Now())
    rung = all(ring(run.queue, run.pk) for run in due)  # stops at the first failure: the broker is away
    return Swept(lost=len(lost), rung=len(due) if rung else 0)


# --- parts ------------------------------------------------------------------------------------------------------


def _lease() -> Any:
    return Now() + timedelta(seconds=settings.RUN_LEASE)


@contextmanager
def _fenced(run: Run) -> Iterator[Run]:
    """Open a transaction that holds the run's row for this attempt; raise LeaseLost if it is no longer ours."""
    with transaction.atomic(durable=True):
        mine = Run.objects.select_for_update(no_key=True)
        row = mine.filter(pk=run.pk, attempt=run.attempt, status=Status.RUNNING).first()
        if row is None:
            raise LeaseLost
        yield row


def _save(run: Run, news: News) -> None:
    if news.lines:
        Line.objects.bulk_create(news.lines)
    if news.metrics:
        Metric.objects.bulk_create(
            [Metric(run=run, name=name, step=step, value=value) for (name, step), value in news.metrics.items()],
            update_conflicts=True,
            unique_fields=["run", "name", "step"],
            update_fields=["value"],
        )
    artifacts = [*news.artifacts, *([news.checkpoint] if news.checkpoint else [])]
    if artifacts:
        Artifact.objects.bulk_create(
            {(artifact.name, artifact.step): artifact for artifact in artifacts}.values(),
            update_conflicts=True,
            unique_fields=["run", "attempt", "name", "step"],
            update_fields=["path", "bytes", "sha256"],
        )
    if news.checkpoint:
        older = Artifact.objects.filter(run=run, name=CHECKPOINT).exclude(path=news.checkpoint.path)
        paths = list(older.values_list("path", flat=True))
        older.delete()
        transaction.on_commit(partial(store.remove, paths), robust=True)


def _close(run: Run, status: Status, *, outcome: str, error: str = "", **fields: Any) -> None:
    _end_attempt(run, outcome, error)
    Artifact.objects.filter(run=run, name=CHECKPOINT).delete()
    Run.objects.filter(pk=run.pk).update(status=status, error=error, finished_at=Now(), lease_until=None, **fields)
    transaction.on_commit(partial(store.prune, run.pk), robust=True)


def _requeue(run: Run, *, outcome: str, error: str, **fields: Any) -> Status:
    """Queue the run again after a pause; or end it, when it is to be cancelled or has no attempts left."""
    if run.cancel_at is not None:
        _close(run, Status.CANCELLED, outcome=outcome, **fields)
        return Status.CANCELLED
    if run.attempt >= run.max_attempts:
        _close(run, Status.FAILED, outcome=outcome, error=error, **fields)
        return Status.FAILED
    _end_attempt(run, outcome, error)
    pause = min(LONGEST_BACKOFF, timedelta(seconds=settings.RUN_BACKOFF * 2 ** (run.attempt - 1)))
    # rung_at None: the first sweep after the pause rings.
    Run.objects.filter(pk=run.pk).update(
        status=Status.QUEUED, error=error, lease_until=None, not_before=Now() + pause, rung_at=None, **fields
    )
    return Status.QUEUED


def _end_attempt(run: Run, outcome: str, error: str) -> None:
    Attempt.objects.filter(run=run, number=run.attempt).update(outcome=outcome, error=error, finished_at=Now())


def _follow(run: Run, result: Mapping[str, Any]) -> None:
    for spec in jobs.followers(run.job):
        options = spec.cls().follow(result)
        if options is not None:
            enqueue(job=spec.name, options=options, project=run.project, key=follow_key(run), user=run.created_by)
