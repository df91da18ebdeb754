"""Console: projects, and datasets with a browser of their sequences."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from duolog import access
from duolog.models import Role
from duolog.pages import ProjectAdmin, column
from logs import browse, charts, gaps, labels, statistics
from logs.browse import download
from logs.models import Dataset, Project, Sequence
from logs.templates_admin import TemplateAdmin

__all__ = ["DatasetAdmin", "ProjectsAdmin", "TemplateAdmin"]  # Django looks here for pages

QUARANTINE = 50
KEY_DIGITS = 19
"""Numbers of fewer digits fit a bigint."""


@admin.register(Project)
class ProjectsAdmin(ModelAdmin):
    """Tenants; site admins make them, members see theirs, and owners decide whether lines may leave the house."""

    list_display = ["name", "slug", "created_at"]
    fields = ["name", "slug", "remote_analysts"]
    prepopulated_fields = {"slug": ["name"]}
    search_fields = ["name", "slug"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """Narrow to the user's projects."""
        return access.visible(request.user, super().get_queryset(request), "slug")

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> list[str]:
        """Keep the slug of a project that exists: runs, models and findings name it."""
        return ["slug"] if obj else []

    def has_change_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        """Let owners change their project."""
        if obj is None:
            return access.may_anywhere(request.user, Role.OWNER)
        return access.may(request.user, Role.OWNER, obj.slug)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Project | None = None) -> dict[str, list[str]]:
        """Suggest a slug for a new project only."""
        return {} if obj else {"slug": ["name"]}

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the section to members of any project."""
        return access.may_anywhere(request.user, Role.VIEWER)

    def has_view_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        """Let members look at their projects."""
        return access.may_anywhere(request.user, Role.VIEWER)


@admin.register(Dataset)
class DatasetAdmin(ProjectAdmin[Dataset]):
    """Datasets: what is in them, and what can be done with them."""

    project_field = "project__slug"
    page_template = "duolog/dataset.html"
    deeds = {"recount": Role.ENGINEER}
    starts = {"import-data": _("Import a file"), "generate": _("Generate sample logs")}
    list_display = ["name", "project", "size", "created_at"]
    list_select_related = ["project"]
    search_fields = ["name", "note"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dataset]:
        """In the list, count the sequences in the same query; Django leaves that out where it only counts datasets."""
        if request.resolver_match and request.resolver_match.url_name != "logs_dataset_changelist":
            return super().get_queryset(request)
        mine = Sequence.objects.filter(dataset=OuterRef("pk")).order_by().values("dataset")
        size = Coalesce(Subquery(mine.annotate(count=Count("*")).values("count")), 0)
        return super().get_queryset(request).annotate(size=size)

    @column(_("sequences"), ordering="size")
    def size(self, dataset: Any) -> str:
        """Number of sequences."""
        return f"{dataset.size:,}"

    def get_urls(self) -> list[URLPattern]:
        """Add the download, and the part of the page that waits for its figures."""
        export, counted = (self.admin_site.admin_view(view) for view in (self.export, self.statistics))
        return [
            path("<path:object_id>/export/<slug:format>/", export, name="logs_dataset_export"),
            path("<path:object_id>/statistics/", counted, name="logs_dataset_statistics"),
            *super().get_urls(),
        ]

    def export(self, request: HttpRequest, object_id: str, format: str) -> HttpResponseBase:  # noqa: A002 - of the URL
        """Download the dataset, or the part that `?part=` names."""
        dataset = self.row_or_404(request, object_id)
        return download(dataset, format=format, part=request.GET.get("part") or None)

    def statistics(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part of the page that shows the charts as soon as they are there."""
        row = self.row_or_404(request, object_id)
        may = {"recount"} if access.may(request.user, Role.ENGINEER, self.project_of(row)) else set()
        found = figures(row, statistics.content(row))
        return render(request, "duolog/dataset_statistics.html", {"row": row, "may": may, **found})

    def do_recount(self, request: HttpRequest, dataset: Dataset) -> tuple[str, None]:
        """Count what the dataset holds again, after a run that failed."""
        statistics.recount(dataset, statistics.content(dataset))
        return gettext("What the dataset holds is being counted."), None

    def page(self, request: HttpRequest, row: Dataset) -> dict[str, Any]:
        """Charts, parts, quarantine, and one page of sequences."""
        label, kind = request.GET.get("label", ""), request.GET.get("type", "")
        text, after = (request.GET.get(name, "").replace("\0", "") for name in ("q", "after"))
        held = statistics.content(row)
        # The first key keeps the planner from walking through all sequences of older datasets.
        start = int(after) if after.isdecimal() and len(after) < KEY_DIGITS else held.first - 1
        found = browse.look(row, after=start, label=label, kind=kind.replace("\0", ""), text=text)
        return {
            "size": held.sequences,
            **figures(row, held),
            "gaps": gaps.drawn(row),
            "formats": browse.writable(),
            "quarantine": row.quarantine.order_by("-id")[:QUARANTINE],
            "quarantined": row.quarantine.count(),
            "bad_files": charts.quarantine(row),
            "sequences": found.rows,
            "after": found.after,
            "looked": found.looked,
            "label_choices": browse.LABELS,
            "label": label,
            "kind": kind,
            "q": text,
        }


def figures(dataset: Dataset, held: statistics.Content) -> dict[str, Any]:
    """Return the newest split with its leakage, the statistics and, once they are there, their charts."""
    shown, splits = statistics.shown(dataset, held), newest_parts(dataset)
    newer = labels.newer(splits[0]) if splits else 0
    found = {"statistics": shown, "splits": splits, "parts": charts.parts(splits), "newer_labels": newer}
    if shown.values is not None:
        found |= {"charts": charts.draw(shown.values), "cards": charts.cards(shown.values["labels"])}
    return found


def newest_parts(dataset: Dataset) -> list[Any]:
    """Return the parts of a dataset's newest split, with their `size`."""
    newest = dataset.splits.order_by("-revision").values("revision")[:1]
    parts = dataset.splits.filter(revision__in=newest).defer("sequence_ids")
    return list(parts.annotate(size=browse.Cardinality("sequence_ids")).order_by("pk"))
