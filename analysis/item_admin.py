"""Console: the queue of review."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminIntegerFieldWidget

from analysis import queue, queue_list, review
from analysis.models import Item, ReviewPolicy
from analysis.queue_list import Filters
from duolog import access
from duolog.models import Role
from duolog.pages import ProjectAdmin
from logs.models import Project
from workers.jobs import JobFailed

LIST = "admin:analysis_item_changelist"


class PolicyForm(forms.ModelForm):
    """How a project reviews."""

    class Meta:
        model = ReviewPolicy
        fields = ("reviewers", "control_share", "quiet_hours")
        widgets = {
            "reviewers": UnfoldAdminIntegerFieldWidget(),
            "control_share": UnfoldAdminDecimalFieldWidget(attrs={"step": "0.01"}),
            "quiet_hours": UnfoldAdminIntegerFieldWidget(),
        }


@admin.register(Item)
class ItemAdmin(ProjectAdmin[Item]):
    """What is put before reviewers, as cards in the order in which they are to be judged."""

    deeds = dict.fromkeys(["assign", "release", "reopen"], Role.REVIEWER)

    def get_urls(self) -> list[URLPattern]:
        """Add what the buttons above and below the queue do."""
        begin, merge, policy = (self.admin_site.admin_view(view) for view in (self.begin, self.merge, self.policy))
        return [
            path("begin/", begin, name="analysis_item_begin"),
            path("merge/", merge, name="analysis_item_merge"),
            path("policy/<slug:project>/", policy, name="analysis_item_policy"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the queue."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        user, filters = access.person(request), Filters.read(request.GET)
        page = int(number) if (number := request.GET.get("page", "0")).isdecimal() else 0
        seen = access.visible(user, Project.objects.order_by("slug"), "slug")
        projects = list(seen.values_list("slug", flat=True))
        items = filters.stated(user, filters.narrow(user, Item.objects.filter(project__in=projects)))
        cards, more = queue_list.cards(items.order_by(*queue.ORDERS[filters.order]), min(page, 1000))
        only = filters.project or (projects[0] if len(projects) == 1 else "")
        waiting = queue_list.waiting(request)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Review"),
            "is_fullwidth": "1",
            "filters": filters,
            "cards": cards,
            "list": reverse(LIST),
            "page": page,
            "paged": f"{filters.address[1:]}&" if filters.told else "",
            "more": more,
            "tabs": [
                (name, title, Filters.read({**request.GET.dict(), "state": name}).address, _badge(waiting, name))
                for name, title in queue_list.STATES.items()
            ],
            "selects": queue_list.selects(user, filters, projects),
            "orders": queue_list.ORDERS,
            "projects": projects,
            "judged": queue_list.projects(request),
            "waits": waiting["open"],
            "disputes": waiting["disputed"],
            "policy_of": only if only and access.may(user, Role.ENGINEER, only) else "",
        }
        return TemplateResponse(request, "duolog/queue.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the page of review, which shows an item whatever its state."""
        return HttpResponseRedirect(self.address(self.row_or_404(request, object_id)))

    def address(self, row: Item) -> str:
        """Return the address of the page of review."""
        return reverse("review", args=[row.pk])

    @method_decorator(require_POST)
    def begin(self, request: HttpRequest) -> HttpResponse:
        """Hold the next item of the queue, as it is narrowed, for whoever asks, and lead there."""
        user, filters = access.person(request), Filters.read(request.POST)
        if filters.project:
            access.require(user, Role.REVIEWER, filters.project)
        items = filters.narrow(user, queue_list.reviewable(request))
        found = queue.claim(user=user, items=items, order=filters.way, settle=filters.state == "disputed")
        if found:
            return HttpResponseRedirect(self.address(found) + filters.address)
        messages.info(request, gettext("Nothing here waits for you."))
        return self._back(filters)

    @method_decorator(require_POST)
    def merge(self, request: HttpRequest) -> HttpResponse:
        """Make the selected items one: that with the most findings."""
        user, filters = access.person(request), Filters.read(request.POST)
        wanted = [number for number in request.POST.getlist("item") if number.isdecimal()]
        rows = list(self.get_queryset(request).filter(pk__in=wanted).order_by("-findings_count", "pk"))
        for project in {row.project for row in rows}:
            access.require(user, Role.REVIEWER, project)
        if len(rows) < 2:
            messages.error(request, gettext("Select two items at least."))
            return self._back(filters)
        try:
            into = review.merge(user=user, items=rows, into=rows[0])
        except JobFailed as error:
            messages.error(request, str(error))
        else:
            text = ngettext(
                "%(item)s has %(count)d finding now.", "%(item)s has %(count)d findings now.", into.findings_count
            )
            messages.success(request, text % {"item": into, "count": into.findings_count})
        return self._back(filters)

    def policy(self, request: HttpRequest, project: str) -> HttpResponse:
        """Show how a project reviews, and change it."""
        access.require(request.user, Role.ENGINEER, project)
        home = get_object_or_404(Project, slug=project)
        form = PolicyForm(request.POST or None, instance=queue.policy(project))
        if request.method == "POST" and form.is_valid():
            form.save()
            messages.success(request, gettext("Saved. It holds for what is open, too."))
            return HttpResponseRedirect(f"{reverse(LIST)}?project={project}")
        form.button = gettext("Save")  # type: ignore[attr-defined]
        title = gettext("How %(project)s reviews") % {"project": home.name}
        context = {**self.admin_site.each_context(request), "title": title, "form": form}
        return TemplateResponse(request, "duolog/start.html", context)

    def do_assign(self, request: HttpRequest, item: Item) -> tuple[str, str]:
        """Make whoever asks its owner."""
        user = access.person(request)
        review.assign(user=user, item=item, owner=user)
        return gettext("%(item)s is yours now.") % {"item": item}, self._queue(request)

    def do_release(self, request: HttpRequest, item: Item) -> tuple[str, str]:
        """Make it nobody's."""
        review.assign(user=access.person(request), item=item, owner=None)
        return gettext("%(item)s is nobody's now.") % {"item": item}, self._queue(request)

    def do_reopen(self, request: HttpRequest, item: Item) -> tuple[str, None]:
        """Ask about it again."""
        review.reopen(user=access.person(request), item=item)
        return gettext("%(item)s is open again.") % {"item": item}, None

    @staticmethod
    def _queue(request: HttpRequest) -> str:
        return reverse(LIST) + Filters.read(request.POST).address

    def _back(self, filters: Filters) -> HttpResponse:
        return HttpResponseRedirect(reverse(LIST) + filters.address)


def _badge(waiting: Any, name: str) -> str:
    state = {"mine": "open", "disputed": "disputed"}.get(name, "")
    return queue_list.capped(waiting[state]) if waiting[state] else ""
