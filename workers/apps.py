"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WorkersConfig(AppConfig):
    """Binds the Celery app when Django starts, so that `.delay()` finds the right broker everywhere."""

    name = "workers"
    verbose_name = _("runs and workers")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import the Celery app, and let a run's own exceptions cross the plugins that it calls."""
        from django.db import InterfaceError, OperationalError

        from duolog.plugins import guard
        from workers import celery  # noqa: F401
        from workers.jobs import Cancelled, JobFailed, LeaseLost

        guard.let_pass(Cancelled, JobFailed, LeaseLost, OperationalError, InterfaceError)
