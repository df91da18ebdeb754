"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LogsConfig(AppConfig):
    """Registers the app's jobs when Django starts."""

    name = "logs"
    verbose_name = _("logs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import the modules that register something."""
        from logs import jobs, retention, sequencer, statistics  # noqa: F401
