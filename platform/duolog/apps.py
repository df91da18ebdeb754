"""App configuration of the project package itself (memberships and tokens, commands, pages)."""

from __future__ import annotations

from django.apps import AppConfig


class DuologConfig(AppConfig):
    """The project package is an app: it owns access rows and the `serve` and `demo` commands."""

    name = "duolog"
    verbose_name = "Duolog"
    default_auto_field = "django.db.models.BigAutoField"
