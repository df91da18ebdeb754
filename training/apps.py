"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TrainingConfig(AppConfig):
    """Registers the app's jobs when Django starts."""

    name = "training"
    verbose_name = _("training")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import the modules that register something."""
        from training import finetuning, jobs, learning  # noqa: F401
