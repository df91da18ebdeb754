"""Console: what the list of findings can be narrowed to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from analysis import reports
from analysis.models import Finding
from analysis.report_page import SEVERITIES
from detection.models import Score
from logs.engine import taxonomy
from logs.labels import named


class Doubted(admin.SimpleListFilter):
    """Findings that the shadow would not have opened."""

    title = _("shadow")
    parameter_name = "shadow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the one choice."""
        return [("disagrees", _("disagrees"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        """Leave the findings whose sequence the shadow of the same scan calls normal."""
        if self.value() != "disagrees":
            return queryset
        said = Score.objects.filter(scan__shadow_of=OuterRef("score__scan"), sequence=OuterRef("sequence"))
        return queryset.filter(Exists(said))


class Said(admin.SimpleListFilter):
    """Findings whose newest report says this; the values are those of its column `parameter_name`."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        """Ask the newest finished report alone: what an older one said no longer counts."""
        if (value := self.value()) is None:
            return queryset
        queryset = queryset.alias(said=reports.told_newest(self.parameter_name or ""))
        if value == "none":
            return queryset.filter(said=None)
        return queryset.filter(said="" if value == "normal" else value)


class BySeverity(Said):
    """Severity."""

    title = _("severity")
    parameter_name = "severity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The worst first; then what is called normal, and what nobody has explained."""
        worst = [(name, SEVERITIES[name]) for name in reversed(taxonomy.SEVERITIES)]
        return [*worst, ("normal", _("called normal")), ("none", _("no report"))]


class ByCategory(Said):
    """Category."""

    title = _("category")
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The categories, in the language of whoever looks."""
        return [(name, named(name)) for name in taxonomy.CATEGORIES]
