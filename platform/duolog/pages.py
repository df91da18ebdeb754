"""What the console's pages share: read-only rows scoped by project, a page an object, and deeds as POST buttons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from duolog import access
from duolog.models import Role
from duolog.plugins.options import OptionsError
from workers.jobs import JobFailed

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

M = TypeVar("M", bound=Model)
F = TypeVar("F", bound=Callable[..., Any])


class ProjectAdmin(ModelAdmin, Generic[M]):
    """Rows of the user's projects, to look at; what may be done with one is listed in `deeds`.

    A deed called `cancel` is the method `do_cancel(request, row)`. It runs only on POST and with the role that `deeds`
    asks for, and returns what to tell the user and where to go then (None: back to the row's page).
    """

    project_field: ClassVar[str] = "project"
    page_template: ClassVar[str]
    deeds: ClassVar[Mapping[str, Role]] = {}
    starts: ClassVar[Mapping[str, StrOrPromise]] = {}
    """Jobs that fill this list, with the words on their buttons."""
    list_before_template = "duolog/start_buttons.html"
    show_full_result_count = False
    list_per_page = 50
    actions: Sequence[Any] | None = None

    # --- who ----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        """Narrow to the user's projects: all that Django's admin does starts from here."""
        return access.visible(request.user, super().get_queryset(request), self.project_field)

    def project_of(self, row: M) -> str:
        """Return the slug of a row's project."""
        value: Any = row
        for name in self.project_field.split("__"):
            value = getattr(value, name)
        return str(value)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the section to members of any project."""
        return access.may_anywhere(request.user, Role.VIEWER)

    def has_view_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Let members look; which rows they see is `get_queryset`'s work."""
        return access.may_anywhere(request.user, Role.VIEWER)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows come from runs, not from forms."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Rows are facts."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Rows are facts."""
        return False

    # --- pages --------------------------------------------------------------------------------------------------

    def page(self, request: HttpRequest, row: M) -> dict[str, Any]:
        """Return what the row's page shows."""
        return {}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list below the buttons that start what fills it."""
        starts = self.starts.items() if access.may_anywhere(request.user, Role.ENGINEER) else []
        response: HttpResponse = super().changelist_view(request, {**(extra_context or {}), "starts": starts})
        return response

    def row_or_404(self, request: HttpRequest, object_id: str) -> M:
        """Return a row that the user may see."""
        row: M | None = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the row's page; there is no form on it."""
        row = self.row_or_404(request, object_id)
        return TemplateResponse(
            request,
            self.page_template,
            {
                **self.admin_site.each_context(request),
                **self.context(request, row),
                "opts": self.opts,
                "original": row,
                "title": str(row),
                "media": self.media,
            },
        )

    def context(self, request: HttpRequest, row: M) -> dict[str, Any]:
        """Return the row, its page's data, and which deeds this user may do."""
        project = self.project_of(row)
        allowed = {name for name, role in self.deeds.items() if access.may(request.user, role, project)}
        is_engineer = access.may(request.user, Role.ENGINEER, project)
        return {"row": row, "project": project, "may": allowed, "is_engineer": is_engineer, **self.page(request, row)}

    # --- deeds --------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the deeds."""
        view = self.admin_site.admin_view(require_POST(self.do))
        name = f"{self.opts.app_label}_{self.opts.model_name}_do"
        return [path("<path:object_id>/do/<slug:deed>/", view, name=name), *super().get_urls()]

    def do(self, request: HttpRequest, object_id: str, deed: str) -> HttpResponse:
        """Do it, tell the user, and go where the deed says, or back to the page."""
        row = self.row_or_404(request, object_id)
        if deed not in self.deeds:
            raise Http404
        access.require(request.user, self.deeds[deed], self.project_of(row))
        try:
            said, target = getattr(self, f"do_{deed}")(request, row)
        except (JobFailed, OptionsError) as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self.address(row))
        messages.success(request, said)
        return HttpResponseRedirect(target or self.address(row))

    def address(self, row: M) -> str:
        """Return the address of the row's page."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])


def refreshed(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """Return a part of a page that refreshes itself, or 204 while it is what the browser shows (`?seen=`) already.

    So that nothing that somebody marks, or stands on with the keyboard, is drawn anew for nothing. The part holds no
    forms: their tokens differ each time.
    """
    html = render_to_string(template, dict(context), request)
    seen = blake2b(html.encode(), digest_size=8).hexdigest()
    if request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    return HttpResponse(html + format_html('<input type="hidden" name="seen" value="{}">', seen))


def column(
    description: StrOrPromise,
    *,
    ordering: str | None = None,
    label: Mapping[Any, str] | None = None,
    boolean: bool | None = None,
) -> Callable[[F], F]:
    """Describe a list's column: a typed door to unfold's decorator. `label` maps values to colours."""
    decorate: Callable[[F], F] = display(description=description, ordering=ordering, label=label, boolean=boolean)
    return decorate


def facts(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the names and values of a JSON object as people read them; an object within it is flattened."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from facts(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        elif isinstance(value, float):
            yield f"{prefix}{name}", f"{value:.6g}"
        elif value not in ("", None):
            yield f"{prefix}{name}", str(value)


def short(value: object, limit: int = 160) -> str:
    """Return a text cut to `limit` characters."""
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
