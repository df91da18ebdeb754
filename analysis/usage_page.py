"""Console: what analysts took, by project, analyst and day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from analysis import usage
from analysis.models import AnomalyReport
from duolog import access
from duolog.models import Role
from logs.models import Project

DAYS, MOST = 30, 500
"""How far to look back, and rows that are shown."""


def index(request: HttpRequest) -> HttpResponse:
    """Show what reports took, and which projects let lines leave the house, to engineers and owners."""
    if not access.may_anywhere(request.user, Role.ENGINEER):
        raise PermissionDenied
    projects = access.visible(request.user, Project.objects.order_by("slug"), "slug", Role.ENGINEER)
    owned = access.visible(request.user, Project.objects.all(), "slug", Role.OWNER)
    since = datetime.now(UTC) - timedelta(days=DAYS)
    written = AnomalyReport.objects.filter(finding__project__in=projects.values("slug"), created_at__gte=since)
    context = {
        **admin.site.each_context(request),
        "title": gettext("Usage of analysts"),
        "rows": usage.daily(written)[:MOST],
        "projects": projects,
        "owned": set(owned.values_list("pk", flat=True)),
        "days": DAYS,
    }
    return TemplateResponse(request, "duolog/usage.html", context)
