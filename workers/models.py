"""Runs: all long work, its attempts, log lines, metrics and artifacts; and the workers that execute them.

A run points to nothing of the domain; domain rows point to their run. See docs/architecture.md, "Runs".
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from workers.states import Status


class Run(models.Model):
    """One piece of long work. `attempt` is the fence: every write of a run carries it, and a stale one is refused."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # A slug, not a foreign key: workers know no domain. Access is decided on it (duolog/access.py).
    project = models.SlugField(_("project"), default="default")
    job = models.SlugField(_("job"))
    queue = models.SlugField(_("queue"), default="cpu")
    options = models.JSONField(_("options"), default=dict)
    key = models.CharField(_("idempotency key"), max_length=200, null=True, blank=True)  # noqa: DJ001 - NULL: no key
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    max_attempts = models.PositiveIntegerField(_("attempts allowed"), default=3)
    not_before = models.DateTimeField(_("not before"), db_default=Now())
    rung_at = models.DateTimeField(_("last announced"), db_default=Now(), null=True, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    cancel_at = models.DateTimeField(_("cancel asked"), null=True, blank=True)
    stage = models.CharField(_("stage"), max_length=80, blank=True)
    done = models.BigIntegerField(_("done"), default=0)
    total = models.BigIntegerField(_("total"), default=0)
    stage_started_at = models.DateTimeField(_("stage started"), null=True, blank=True)
    latest = models.JSONField(_("latest metrics"), default=dict)
    result = models.JSONField(_("result"), default=dict)
    error = models.TextField(_("error"), blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("created by")
    )

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["project", "job", "key"], name="run_idempotency")]
        indexes = [
            models.Index(fields=["lease_until"], condition=Q(status=Status.RUNNING), name="run_leases"),
            models.Index(fields=["not_before"], condition=Q(status=Status.QUEUED), name="run_queue"),
            models.Index(fields=["project", "-created_at"], name="run_by_project"),
        ]

    def __str__(self) -> str:
        return f"{self.job} {str(self.id)[:8]}"

    @property
    def share(self) -> float:
        """Part of the current stage that is done, 0 to 1."""
        if self.status == Status.SUCCEEDED:
            return 1.0
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def remaining(self) -> timedelta | None:
        """Estimate of the time that the current stage still takes, from its pace so far; None: not known."""
        if self.status != Status.RUNNING or not self.stage_started_at or not 0 < self.done <= self.total:
            return None
        return (timezone.now() - self.stage_started_at) * ((self.total - self.done) / self.done)


class Attempt(models.Model):
    """One try at a run by one worker."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField(_("number"))
    worker = models.CharField(_("worker"), max_length=200)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=20, blank=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="attempt_once")]

    def __str__(self) -> str:
        return f"{self.run_id} #{self.number}"


class Line(models.Model):
    """One line of a run's log."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, models.CASCADE, related_name="lines")
    attempt = models.PositiveIntegerField(_("attempt"))
    at = models.DateTimeField(_("time"))
    level = models.CharField(_("level"), max_length=8, default="info")
    text = models.TextField(_("text"))

    class Meta:
        verbose_name = _("log line")
        verbose_name_plural = _("log lines")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text


class Metric(models.Model):
    """One point of a run's curve."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, models.CASCADE, related_name="metrics")
    name = models.CharField(_("name"), max_length=80)
    step = models.BigIntegerField(_("step"))
    value = models.FloatField(_("value"))

    class Meta:
        verbose_name = _("metric")
        verbose_name_plural = _("metrics")
        ordering = ["name", "step"]
        constraints = [models.UniqueConstraint(fields=["run", "name", "step"], name="metric_once")]

    def __str__(self) -> str:
        return f"{self.name}[{self.step}] = {self.value:g}"


class Artifact(models.Model):
    """A folder or file that a run left in the artifact store; `path` is relative to it, `sha256` covers the content."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="artifacts")
    attempt = models.PositiveIntegerField(_("attempt"))
    name = models.SlugField(_("name"))
    step = models.BigIntegerField(_("step"), default=0)
    path = models.CharField(_("path"), max_length=300)
    bytes = models.BigIntegerField(_("bytes"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("artifact")
        verbose_name_plural = _("artifacts")
        constraints = [models.UniqueConstraint(fields=["run", "attempt", "name", "step"], name="artifact_once")]

    def __str__(self) -> str:
        return self.path


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Workers by whether they live."""

    def alive(self) -> WorkerQuerySet:
        """Workers that reported themselves lately."""
        return self.filter(seen_at__gt=Now() - timedelta(seconds=settings.WORKER_ALIVE))


class Worker(models.Model):
    """A worker process that reported itself; `seen_at` tells whether it still lives."""

    name = models.CharField(_("name"), max_length=200, unique=True)
    host = models.CharField(_("host"), max_length=200)
    pid = models.PositiveIntegerField(_("process id"))
    device = models.CharField(_("device"), max_length=80)
    queues = models.JSONField(_("queues"), default=list)
    plugins = models.JSONField(_("plugins"), default=list)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    seen_at = models.DateTimeField(_("last seen"), db_default=Now())

    objects = WorkerQuerySet.as_manager()

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name
