"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DetectionConfig(AppConfig):
    """Registers the app's jobs when Django starts."""

    name = "detection"
    verbose_name = _("detection")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import the modules that register something."""
        from detection import jobs, stream  # noqa: F401
