"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AnalysisConfig(AppConfig):
    """Registers the app's jobs when Django starts."""

    name = "analysis"
    verbose_name = _("analysis")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import the modules that register something."""
        from analysis import deliveries, evaluation, jobs, muting, stream  # noqa: F401
