"""Start, stop and repeat runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Now

from duolog.plugins.options import as_json, build
from workers import jobs
from workers.celery import ring
from workers.models import Run
from workers.states import Status

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def enqueue(
    *,
    job: str,
    options: Any = None,
    project: str = "default",
    key: str | None = None,
    user: AbstractBaseUser | None = None,
) -> Run:
    """Queue a run and announce it when the transaction commits.

    `options` is the job's options dataclass or a mapping to fill it from. With a `key`, asking again for the same
    project and job returns the run that is already there, unless that one failed or was cancelled. Raises JobFailed
    for an unknown job and OptionsError for options that do not fit.
    """
    spec = jobs.find(job)
    values = options if isinstance(options, Mapping) else as_json(options) if options is not None else {}
    fields = {
        "queue": spec.queue,
        "options": as_json(build(spec.options, values)),
        "max_attempts": spec.max_attempts,
        "created_by": user,
    }
    if key is None:
        run, created = Run.objects.create(project=project, job=job, **fields), True
    else:
        # A key that led to nothing is free again.
        led = Run.objects.filter(project=project, job=job, key=key)
        led.filter(status__in=[Status.FAILED, Status.CANCELLED]).update(key=None)
        run, created = Run.objects.get_or_create(project=project, job=job, key=key, defaults=fields)
    if created:
        transaction.on_commit(partial(ring, run.queue, run.pk), robust=True)
    return run


def follow_key(run: Run) -> str:
    """Return the key of the runs that follow the success of `run`."""
    return f"after:{run.pk}"


def cancel(run: Run) -> None:
    """End a queued run at once, and ask a running one to stop; a finished run stays as it is."""
    # One statement: between two of them the run could be claimed or requeued, and the wish would be lost.
    queued = When(status=Status.QUEUED, then=Value(Status.CANCELLED))
    Run.objects.filter(pk=run.pk, status__in=[Status.QUEUED, Status.RUNNING], cancel_at=None).update(
        status=Case(queued, default=F("status")),
        finished_at=Case(When(status=Status.QUEUED, then=Now()), default=F("finished_at")),
        cancel_at=Now(),
    )
    run.refresh_from_db()


def again(run: Run, user: AbstractBaseUser | None = None) -> Run:
    """Queue a new run of the same job with the same options."""
    return enqueue(job=run.job, options=run.options, project=run.project, user=user)
