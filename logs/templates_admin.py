"""Console: templates, and what people decide about them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog import access
from duolog.models import Role
from duolog.pages import ProjectAdmin, column, short
from logs import template_edits
from logs.models import Template
from workers.jobs import JobFailed

CHANGES, MERGED, MOVES = 30, 50, 100
"""Rows of a page, at most."""
KEY_DIGITS = 19


class Merged(admin.SimpleListFilter):
    """Templates that stand for themselves, unless those that were merged are asked for."""

    title = _("merged")
    parameter_name = "merged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the other choice."""
        return [("yes", _("merged into another"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Template]) -> QuerySet[Template]:
        """Show one kind."""
        return queryset.filter(merged_into__isnull=self.value() != "yes")


@admin.register(Template)
class TemplateAdmin(ProjectAdmin[Template]):
    """What many lines say."""

    project_field = "project__slug"
    page_template = "duolog/template.html"
    list_fullwidth = True
    list_display = ["key", "shown", "count", "project", "edited_by", "first_seen_at", "last_seen_at"]
    list_filter = [Merged, "project"]
    list_select_related = ["project", "edited_by"]
    search_fields = ["pattern", "fixed"]
    ordering = ["-lines", "-id"]
    deeds = {"edit": Role.ENGINEER, "merge": Role.ENGINEER, "split": Role.ENGINEER}

    @column("#", ordering="id")
    def key(self, template: Template) -> str:
        """What one merges into."""
        return f"#{template.pk}"

    @column(_("template"))
    def shown(self, template: Template) -> str:
        """Its text, cut."""
        return short(template.text) or "-"

    @column(_("lines"), ordering="lines")
    def count(self, template: Template) -> str:
        """Number of lines."""
        return f"{template.lines:,}"

    def page(self, request: HttpRequest, row: Template) -> dict[str, Any]:
        """Text, counts, examples, what was merged into it, changes, and what the asked-for decision would move."""
        asked = {name: request.GET.get(name, "") for name in ("action", "pattern", "into")}
        merged, may = row.merged.all(), access.may(request.user, Role.ENGINEER, self.project_of(row))
        return {
            "lines": row.lines + merged.aggregate(sum=Coalesce(Sum("lines"), 0))["sum"],
            "merged": merged.order_by("-lines")[:MERGED],
            "changes": row.changes.select_related("set_by")[:CHANGES],
            "asked": asked,
            **(self.preview(row, asked) if asked["action"] and may else {}),
        }

    def preview(self, row: Template, asked: dict[str, str]) -> dict[str, Any]:
        """Return the masked lines that would move, or why the decision makes no sense."""
        try:
            moves = template_edits.preview(template_edits.plan(row, asked["action"], **self._decision(row, asked)))
        except JobFailed as error:
            return {"refused": str(error)}
        return {"previewed": True, "moves": moves[:MOVES], "moved": len(moves)}

    def do_edit(self, request: HttpRequest, row: Template) -> tuple[str, None]:
        """Give the template another text."""
        self._decide(request, row, "edit")
        return gettext("The template has this text for lines from now on."), None

    def do_merge(self, request: HttpRequest, row: Template) -> tuple[str, str]:
        """Merge the template into another, and go there."""
        made = self._decide(request, row, "merge")
        return gettext("The two templates are one now."), self.address(made.merged_into or made)

    def do_split(self, request: HttpRequest, row: Template) -> tuple[str, str]:
        """Make a template of part of this one, and go there."""
        made = self._decide(request, row, "split")
        return gettext("Lines that fit have a template of their own from now on."), self.address(made)

    def _decide(self, request: HttpRequest, row: Template, action: str) -> Template:
        decision = self._decision(row, request.POST)
        return template_edits.apply(row, action, user=access.person(request), **decision)

    def _decision(self, row: Template, asked: Any) -> dict[str, Any]:
        """Return the text, and the template of the same project whose number or key was given."""
        pattern, into = asked.get("pattern", "").replace("\0", ""), asked.get("into", "").strip().lstrip("#")
        is_key = into.isdecimal() and len(into) < KEY_DIGITS
        target = Template.objects.filter(project=row.project_id, pk=into).first() if is_key else None
        return {"pattern": pattern, "into": target}
