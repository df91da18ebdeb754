from __future__ import annotations

from django.apps import AppConfig


class CountingConfig(AppConfig):
    name = "counting"

    def ready(self) -> None:
        from counting import jobs  # noqa: F401
