"""Console: where alerts go, which ones, what became of each, and a button that tries it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from analysis import channels, deliveries
from analysis.alerts_forms import ChannelForm, RouteForm
from analysis.models import Channel, Delivery, Route
from duolog import access
from duolog.models import Role
from duolog.plugins import registry
from duolog.plugins.options import OptionsError
from duolog.plugins.registry import PluginError
from logs.models import Project
from workers.jobs import JobFailed

NAMES = {
    "alertmanager": "Alertmanager",
    "webhook": _("Webhook"),
    "slack": "Slack",
    "dingtalk": _("DingTalk"),
    "feishu": _("Feishu / Lark"),
    "wecom": _("WeCom"),
    "email": _("E-mail"),
}
ROWS = 50
"""Deliveries on a page."""
EVERY_DAY = "1234567"


def index(request: HttpRequest) -> HttpResponse:
    """List the user's projects, or go to the only one."""
    if not access.may_anywhere(request.user, Role.VIEWER):
        raise Http404
    projects = list(access.visible(request.user, Project.objects.order_by("name"), "slug"))
    if len(projects) == 1:
        return HttpResponseRedirect(reverse("alerts", args=[projects[0].slug]))
    found = Channel.objects.filter(project__in=[project.slug for project in projects], enabled=True)
    counts = dict(found.order_by().values_list("project").annotate(Count("pk")))
    rows = [(project, counts.get(project.slug, 0)) for project in projects]
    return shown(request, "duolog/alerts_index.html", gettext("Alerts"), {"rows": rows})


def page(request: HttpRequest, project: str) -> HttpResponse:
    """Show a project's channels, and the log of what they were told."""
    row = looked_at(request, project)
    mine = with_last(Channel.objects.filter(project=project)).order_by("name")
    context = {
        "project": row,
        "channels": [(each, NAMES.get(each.notifier, each.notifier)) for each in mine],
        "kinds": [(name, NAMES.get(name, name)) for name in installed()],
        "is_engineer": access.may(request.user, Role.ENGINEER, project),
        **log(request, project),
    }
    return shown(request, "duolog/alerts.html", gettext("Alerts: %(project)s") % {"project": row.name}, context)


def new(request: HttpRequest, project: str, notifier: str) -> HttpResponse:
    """Show the form of a new channel, or make it and go to its page."""
    engineered(request, project)
    form = ChannelForm(request.POST or None, options=options_of(notifier))
    if request.method == "POST" and form.is_valid():
        try:
            made = channels.create(project=project, notifier=notifier, **form.values())
        except (JobFailed, OptionsError) as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, gettext("The channel is there. Send a test message to see whether it works."))
            return HttpResponseRedirect(address(made))
    title = gettext("New channel: %(notifier)s") % {"notifier": NAMES.get(notifier, notifier)}
    return shown(request, "duolog/start.html", title, {"form": form})


def channel(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    """Show a channel's page, or do what one of its forms says."""
    looked_at(request, project)
    row = get_object_or_404(with_last(Channel.objects.filter(project=project)), pk=pk)
    if request.method != "POST":
        return channel_page(request, row)
    engineered(request, project)
    deed = DEEDS.get(request.POST.get("deed", ""))
    if deed is None:
        raise Http404
    try:
        return deed(request, row)
    except (JobFailed, OptionsError) as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(address(row))


@require_POST
def test(request: HttpRequest, project: str, pk: int) -> HttpResponse:
    """Send a test message, from the list of channels."""
    engineered(request, project)
    tried(request, get_object_or_404(Channel, project=project, pk=pk))
    return HttpResponseRedirect(reverse("alerts", args=[project]))


# --- deeds of a channel -----------------------------------------------------------------------------------------


def save(request: HttpRequest, row: Channel) -> HttpResponse:
    """Change the channel, or show what is wrong."""
    form = ChannelForm(request.POST, options=options_of(row.notifier), channel=row)
    if form.is_valid():
        try:
            channels.change(row, **form.values())
        except (JobFailed, OptionsError) as error:
            form.add_error(None, str(error))
        else:
            return done(request, row, gettext("It is saved."))
    return channel_page(request, row, form=form)


def try_it(request: HttpRequest, row: Channel) -> HttpResponse:
    """Send a test message."""
    tried(request, row)
    return HttpResponseRedirect(address(row))


def delete(request: HttpRequest, row: Channel) -> HttpResponse:
    """Delete the channel."""
    row.delete()
    messages.success(request, gettext("The channel is deleted."))
    return HttpResponseRedirect(reverse("alerts", args=[row.project]))


def add_route(request: HttpRequest, row: Channel) -> HttpResponse:
    """Add a route, or show what is wrong with it."""
    form = RouteForm(request.POST)
    if not form.is_valid():
        return channel_page(request, row, route=form)
    form.save(row)
    return done(request, row, gettext("The route is added; it holds for items that open from now on."))


def delete_route(request: HttpRequest, row: Channel) -> HttpResponse:
    """Delete a route."""
    wanted = request.POST.get("route", "")
    get_object_or_404(row.routes, pk=int(wanted) if wanted.isdecimal() and len(wanted) < 19 else 0).delete()
    return done(request, row, gettext("The route is deleted."))


DEEDS = {"save": save, "test": try_it, "delete": delete, "add-route": add_route, "delete-route": delete_route}


# --- parts ------------------------------------------------------------------------------------------------------


def looked_at(request: HttpRequest, project: str) -> Project:
    """Return a project that the user may look at."""
    access.require(request.user, Role.VIEWER, project)
    return get_object_or_404(Project, slug=project)


def engineered(request: HttpRequest, project: str) -> Project:
    """Return a project that the user may change."""
    access.require(request.user, Role.ENGINEER, project)
    return get_object_or_404(Project, slug=project)


def installed() -> list[str]:
    """Return the notifiers that can be used here: our own first, in the order of their names above."""
    found = {entry.name for entry in registry.discover(channels.GROUP) if not entry.error}
    return [*(name for name in NAMES if name in found), *sorted(found - NAMES.keys())]


def options_of(notifier: str) -> type:
    """Return the options of a notifier; raise Http404 where it cannot be used."""
    try:
        return registry.get(channels.GROUP, notifier).Options
    except PluginError as error:
        raise Http404 from error


def with_last(rows: QuerySet[Channel]) -> QuerySet[Any]:
    """Add to channels what became of the last delivery that is no longer waiting, and how many wait."""
    last = Delivery.objects.filter(channel=OuterRef("pk")).exclude(state="waiting", attempts=0).order_by("-pk")
    waiting = Delivery.objects.filter(channel=OuterRef("pk"), state="waiting", due_at__isnull=False).order_by()
    return rows.annotate(
        last_state=Subquery(last.values("state")[:1]),
        last_error=Subquery(last.values("error")[:1]),
        last_at=Subquery(last.values("sent_at")[:1]),
        waiting=Coalesce(Subquery(waiting.values("channel").annotate(count=Count("pk")).values("count")), 0),
    )


def log(request: HttpRequest, project: str) -> dict[str, Any]:
    """Return a page of the deliveries of a project that the filter lets through, newest first."""
    rows = Delivery.objects.filter(channel__project=project).select_related("channel", "item")
    asked = {name: request.GET.get(name, "") for name in ("channel", "state", "kind")}
    if asked["channel"].isdecimal() and len(asked["channel"]) < 19:
        rows = rows.filter(channel=int(asked["channel"]))
    if asked["state"] in Delivery.State:
        rows = rows.filter(state=asked["state"])
    if asked["kind"] in Delivery.Kind:
        rows = rows.filter(kind=asked["kind"])
    found = Paginator(rows.order_by("-pk"), ROWS).get_page(request.GET.get("page"))
    return {"deliveries": found, "asked": asked, "states": Delivery.State.choices, "told": Delivery.Kind.choices}


def channel_page(request: HttpRequest, row: Any, **forms: Any) -> HttpResponse:
    """Show a channel's page; `forms` replaces what would be as it is stored."""
    is_engineer = access.may(request.user, Role.ENGINEER, row.project)
    context: dict[str, Any] = {
        "row": row,
        "notifier": NAMES.get(row.notifier, row.notifier),
        "routes": [(route, hours(route)) for route in row.routes.all()],
        "is_engineer": is_engineer,
        "route": RouteForm(),
        "latest": row.deliveries.select_related("item").order_by("-pk")[:5],
    }
    if is_engineer and "form" not in forms:
        try:
            context["form"] = ChannelForm(options=options_of(row.notifier), channel=row)
        except Http404:
            context["gone"] = True
    title = gettext("Channel %(channel)s") % {"channel": row}
    return shown(request, "duolog/alert_channel.html", title, context | forms)


def hours(route: Route) -> str:
    """Return when a route holds, in words."""
    days = ", ".join(str(WEEKDAYS_ABBR[int(day) - 1]) for day in sorted(set(route.weekdays)))
    told = gettext("every day") if set(EVERY_DAY) == set(route.weekdays) else days
    if route.from_minute == route.until_minute:
        return told if told == gettext("every day") else f"{told} ({route.zone})"
    clock = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in (route.from_minute, route.until_minute)]
    return f"{told}, {'–'.join(clock)} ({route.zone})"


def tried(request: HttpRequest, row: Channel) -> None:
    """Send a test message, and tell what became of it."""
    try:
        told = deliveries.test(row)
    except JobFailed as error:
        messages.error(request, str(error))
        return
    if told.state == Delivery.State.SENT:
        messages.success(request, gettext("The test message to %(channel)s has arrived.") % {"channel": row})
    else:
        text = gettext("The test message to %(channel)s has not arrived: %(error)s")
        messages.error(request, text % {"channel": row, "error": told.error})


def address(row: Channel) -> str:
    """Return the address of a channel's page."""
    return reverse("alert-channel", args=[row.project, row.pk])


def done(request: HttpRequest, row: Channel, said: str) -> HttpResponse:
    """Go to the channel's page, and say there what was done."""
    messages.success(request, said)
    return HttpResponseRedirect(address(row))


def shown(request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
    """Return a page of the console."""
    return TemplateResponse(request, template, {**admin.site.each_context(request), "title": title, **context})
