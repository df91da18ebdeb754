"""Console: runs with live progress, workers, and which plugin works where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import F, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog import access, charts
from duolog.models import Role
from duolog.pages import ProjectAdmin, column, facts
from duolog.plugins import registry
from workers import runs
from workers.models import Metric, Run, Worker
from workers.states import FINAL, Status

STATUS_COLOURS = {
    Status.QUEUED: "default",
    Status.RUNNING: "info",
    Status.SUCCEEDED: "success",
    Status.FAILED: "danger",
    Status.CANCELLED: "warning",
}
TAIL = 200
CURVE_POINTS = 300


@admin.register(Run)
class RunAdmin(ProjectAdmin[Run]):
    """All long work: how far it is, what it said, and what became of it."""

    page_template = "duolog/run.html"
    list_display = ["name", "project", "status_label", "progress", "created_at", "took", "created_by"]
    list_filter = ["status", "job", "project"]
    list_select_related = ["created_by"]
    search_fields = ["job", "error"]
    deeds = {"cancel": Role.ENGINEER, "again": Role.ENGINEER}

    @column(_("run"), ordering="job")
    def name(self, run: Run) -> str:
        """Job and beginning of the id."""
        return str(run)

    @column(_("status"), ordering="status", label=STATUS_COLOURS)
    def status_label(self, run: Run) -> tuple[str, str]:
        """Status as a coloured label."""
        return run.status, run.get_status_display()

    @column(_("progress"))
    def progress(self, run: Run) -> SafeString:
        """Bar of the current stage."""
        return render_to_string("duolog/progress.html", {"row": run})

    @column(_("took"))
    def took(self, run: Run) -> str:
        """Time from start to end, or until now."""
        return duration((run.finished_at or timezone.now()) - run.started_at) if run.started_at else "-"

    def get_urls(self) -> list[URLPattern]:
        """Add the part of the page that refreshes itself."""
        live = self.admin_site.admin_view(self.live)
        return [path("<path:object_id>/live/", live, name="workers_run_live"), *super().get_urls()]

    def live(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part of the page that changes while the run runs."""
        run = self.row_or_404(request, object_id)
        return render(request, "duolog/run_live.html", self.context(request, run))

    def page(self, request: HttpRequest, row: Run) -> dict[str, Any]:
        """Progress, curves, and the end of the log."""
        lines = list(row.lines.order_by("-id")[:TAIL])[::-1]
        return {
            "final": row.status in FINAL,
            "colour": STATUS_COLOURS[Status(row.status)],
            "took": self.took(row),
            "options": facts(row.options),
            "result": list(facts(row.result)),
            "remaining": duration(row.remaining) if row.remaining else "",
            "curves": curves(row),
            "lines": lines,
            "more_lines": bool(lines) and row.lines.filter(id__lt=lines[0].id).exists(),
            "attempts": row.attempts.all(),
            "artifacts": row.artifacts.order_by("id"),
        }

    def do_cancel(self, request: HttpRequest, run: Run) -> tuple[str, None]:
        """Ask the run to stop."""
        runs.cancel(run)
        return gettext("%(run)s is asked to stop.") % {"run": run}, None

    def do_again(self, request: HttpRequest, run: Run) -> tuple[str, str]:
        """Start a new run with the same options, and go there."""
        new = runs.again(run, user=access.person(request))
        return gettext("%(run)s is queued.") % {"run": new}, self.address(new)


def curves(run: Run) -> list[charts.Curve]:
    """Return a curve for each metric of a run, thinned to what a screen can show."""
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    metrics = Metric.objects.filter(run=run)
    last = metrics.aggregate(last=Max("step"))["last"] or 0
    thin = max(1, last // CURVE_POINTS)
    shown = metrics.alias(rest=F("step") % thin).filter(rest=last % thin) if thin > 1 else metrics
    for name, step, value in shown.order_by("name", "step").values_list("name", "step", "value"):
        points[name].append((step, value))
    return [charts.curve(name, of_name) for name, of_name in points.items()]


def duration(time: timedelta) -> str:
    """Return a time as 5 s, 3:20 min or 2:05 h."""
    seconds = round(time.total_seconds())
    if seconds < 60:
        return gettext("%(count)d s") % {"count": seconds}
    if seconds < 3600:
        return gettext("%(time)s min") % {"time": f"{seconds // 60}:{seconds % 60:02}"}
    return gettext("%(time)s h") % {"time": f"{seconds // 3600}:{seconds % 3600 // 60:02}"}


PLUGIN_STATUSES = {
    registry.Status.FOUND: _("not loaded"),
    registry.Status.READY: _("ready"),
    registry.Status.MISSING: _("missing"),
    registry.Status.INCOMPATIBLE: _("incompatible"),
    registry.Status.INVALID: _("invalid"),
    registry.Status.BROKEN: _("broken"),
    registry.Status.SHADOWED: _("shadowed"),
    registry.Status.OFF: _("off"),
    registry.Status.QUARANTINED: _("quarantined"),
}


def cell(plugin: Mapping[str, str] | None) -> dict[str, Any] | None:
    """Return one cell of the plugin page; None: this host does not have it installed."""
    if plugin is None:
        return None
    status = registry.Status(plugin["status"])
    return {"status": status.value, "text": PLUGIN_STATUSES[status], "error": plugin["error"]}


@admin.register(Worker)
class WorkerAdmin(ProjectAdmin[Worker]):
    """Who works here; for everybody, since workers belong to no project."""

    list_display = ["name", "alive", "host", "device", "serves", "seen_at", "started_at"]
    list_display_links = None
    ordering = ["name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        """All of them."""
        return Worker.objects.order_by("name")

    @column(_("alive"), boolean=True)
    def alive(self, worker: Worker) -> bool:
        """Whether it reported itself lately."""
        return worker.seen_at > timezone.now() - timedelta(seconds=settings.WORKER_ALIVE)

    @column(_("queues"))
    def serves(self, worker: Worker) -> str:
        """Queues it takes work from."""
        return ", ".join(worker.queues)

    def get_urls(self) -> list[URLPattern]:
        """Add the plugin page."""
        view = self.admin_site.admin_view(self.plugins)
        return [path("plugins/", view, name="workers_worker_plugins"), *super().get_urls()]

    def plugins(self, request: HttpRequest) -> HttpResponse:
        """Show each plugin with its status in this process and in each living worker."""
        hosts = [(gettext("web"), registry.inventory())]
        hosts += [(worker.name, worker.plugins) for worker in Worker.objects.alive().order_by("name")]
        rows: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        for host, plugins in hosts:
            for plugin in plugins:
                key = (plugin["group"], plugin["name"], plugin["distribution"], plugin["version"])
                rows.setdefault(key, {})[host] = plugin
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Plugins"),
            "hosts": [host for host, _plugins in hosts],
            "plugins": [
                {
                    "group": group.partition(".")[2],
                    "name": name,
                    "distribution": distribution,
                    "version": version,
                    "cells": [cell(seen.get(host)) for host, _plugins in hosts],
                    "error": next((plugin["error"] for plugin in seen.values() if plugin["error"]), ""),
                }
                for (group, name, distribution, version), seen in sorted(rows.items())
            ],
        }
        return TemplateResponse(request, "duolog/plugins.html", context)
