"""Console: projects, and datasets with a browser of their sequences."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Avg, Count, Max, Min, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from duolog import access
from duolog.models import Role
from duolog.pages import ProjectAdmin, column
from logs import browse, labels
from logs.browse import download
from logs.models import Dataset, Project, Sequence

PAGE = 20
QUARANTINE = 50


@admin.register(Project)
class ProjectsAdmin(ModelAdmin):
    """Tenants; site admins make them, members see theirs."""

    list_display = ["name", "slug", "created_at"]
    fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    search_fields = ["name", "slug"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """Narrow to the user's projects."""
        return access.visible(request.user, super().get_queryset(request), "slug")

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> list[str]:
        """Keep the slug of a project that exists: runs, models and findings name it."""
        return ["slug"] if obj else []

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
    starts = {"import-data": _("Import a file"), "generate": _("Generate sample logs")}
    list_display = ["name", "project", "size", "created_at"]
    list_select_related = ["project"]
    search_fields = ["name", "note"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dataset]:
        """Count the sequences, too, in the same query; Django leaves that out where it only counts datasets."""
        mine = Sequence.objects.filter(dataset=OuterRef("pk")).order_by().values("dataset")
        size = Coalesce(Subquery(mine.annotate(count=Count("*")).values("count")), 0)
        return super().get_queryset(request).annotate(size=size)

    @column(_("sequences"), ordering="size")
    def size(self, dataset: Any) -> str:
        """Number of sequences."""
        return f"{dataset.size:,}"

    def get_urls(self) -> list[URLPattern]:
        """Add the download."""
        view = self.admin_site.admin_view(self.export)
        return [path("<path:object_id>/export/<slug:format>/", view, name="logs_dataset_export"), *super().get_urls()]

    def export(self, request: HttpRequest, object_id: str, format: str) -> HttpResponseBase:  # noqa: A002 - of the URL
        """Download the dataset, or the part that `?part=` names."""
        dataset = self.row_or_404(request, object_id)
        return download(dataset, format=format, part=request.GET.get("part") or None)

    def page(self, request: HttpRequest, row: Dataset) -> dict[str, Any]:
        """Figures, parts, quarantine, and one page of sequences."""
        found = labels.counting(Sequence.objects.filter(dataset=row))
        label, text = request.GET.get("label", ""), request.GET.get("q", "").replace("\0", "")
        after = request.GET.get("after", "")
        shown = browse.with_label(found, label) if label else found
        shown = browse.containing(shown, text) if text else shown
        shown = shown.filter(pk__gt=int(after)) if after.isdecimal() else shown
        rows = list(shown.order_by("pk")[: PAGE + 1])
        lengths = Sequence.objects.filter(dataset=row).aggregate(
            least=Min("length"), mean=Avg("length"), most=Max("length")
        )
        return {
            "lengths": lengths,
            "labels": found.values("label").annotate(count=Count("pk")).order_by("label"),
            "splits": newest_parts(row),
            "formats": browse.writable(),
            "quarantine": row.quarantine.order_by("-id")[:QUARANTINE],
            "quarantined": row.quarantine.count(),
            "sequences": rows[:PAGE],
            "after": rows[PAGE - 1].pk if len(rows) > PAGE else None,
            "label_choices": browse.LABELS,
            "label": label,
            "q": text,
        }


def newest_parts(dataset: Dataset) -> list[Any]:
    """Return the parts of a dataset's newest split, with their `size`."""
    newest = dataset.splits.order_by("-revision").values("revision")[:1]
    parts = dataset.splits.filter(revision__in=newest).defer("sequence_ids")
    return list(parts.annotate(size=browse.Cardinality("sequence_ids")).order_by("pk"))
