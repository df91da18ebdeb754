"""The console's front page and menu; users, memberships and API tokens."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Q, QuerySet
from django.forms import ChoiceField, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from analysis import queue_list
from analysis.models import Finding, Item
from detection import learning, monitoring
from detection.aliases import CHAMPION
from detection.models import ModelAlias, ModelVersion, Scan
from duolog import access
from duolog.models import ApiToken, Membership, Role
from duolog.pages import column, refreshed
from logs.models import Dataset, Project
from logs.receive import DEFAULT
from workers.models import Run, Worker
from workers.states import Status

LATEST = 8
EXACT = {"index", "workers_worker_changelist"}
"""Pages whose address begins those of others."""
PLAIN = {"agreement-index", "alerts-index", "redaction-index", "usage-index"}
"""Pages that belong to no model."""


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add counts, the latest runs and findings, and what to do next (UNFOLD's DASHBOARD_CALLBACK)."""
    user = request.user
    datasets = access.visible(user, Dataset.objects.all(), "project__slug")
    versions = access.visible(user, ModelVersion.objects.all())
    findings = access.visible(user, Finding.objects.select_related("score__sequence__dataset"))
    runs = access.visible(user, Run.objects.all())
    return context | {
        "title": gettext("Overview"),
        "cards": [
            (
                _("open findings"),
                _count(access.visible(user, Item.objects.filter(queue_list.undecided()))),
                f"{_list('analysis_item')}?state=open",
                "warning",
            ),
            (_("runs at work"), _count(runs.filter(status=Status.RUNNING)), _list("workers_run"), "info"),
            (_("datasets"), _count(datasets), _list("logs_dataset"), ""),
            (_("model versions"), _count(versions), _list("detection_modelversion"), ""),
            (_("workers alive"), _count(Worker.objects.alive()), _list("workers_worker"), ""),
        ],
        "drifting": [each for each in monitoring.newest_drift(champions_of(user)) if each.suggests_training],
        "news": [each for each in learning.news(learning.champions(versions)) if each.suggested],
        "is_engineer": access.may_anywhere(user, Role.ENGINEER),
        "runs": runs.order_by("-created_at")[:LATEST],
        "findings": findings.order_by("-pk")[:LATEST],
        "next_step": next_step(
            has_data=datasets.filter(sequences__isnull=False).exists(),
            has_model=versions.filter(kind=ModelVersion.Kind.DETECTOR).exists(),
            has_scan=access.visible(user, Scan.objects.all()).exists(),
        )
        if access.may_anywhere(user, Role.ENGINEER)
        else None,
    }


def live(request: HttpRequest) -> HttpResponse:
    """Return the part of the overview that refreshes itself."""
    return refreshed(request, "duolog/overview_live.html", dashboard(request, {}))


def champions_of(user: access.Who) -> Q:
    """Return the condition on scans that their version is a champion which the user may see."""
    champions = access.visible(user, ModelAlias.objects.filter(alias=CHAMPION))
    return Q(version__in=champions.values("version"))


def next_step(*, has_data: bool, has_model: bool, has_scan: bool) -> dict[str, Any] | None:
    """Return what a newcomer should do now, or None: they know their way."""
    if not has_data:
        text = _("There are no logs yet. Import a file, let a shipper send some, or let the built-in shop write them.")
        links = [(_("Import a file"), "import-data"), (_("Generate sample logs"), "generate")]
        links.append((_("Receive logs from a shipper"), "source"))
    elif not has_model:
        text = _(
            "Logs are here, and no model has learned from them yet. Without labels, choose the detector neighbours."
        )
        links = [(_("Split a dataset"), "split"), (_("Train a detector"), "fit-detector")]
    elif not has_scan:
        text = _("A model is ready. Let it look for anomalies.")
        links = [(_("Scan a dataset"), "scan")]
    else:
        return None
    return {"text": text, "links": [(title, reverse("start", args=[job])) for title, job in links]}


def _count(queryset: QuerySet[Any]) -> str:
    return f"{queryset.count():,}"


def _list(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu (UNFOLD's SIDEBAR)."""
    site_admin = request.user.is_superuser
    is_engineer = access.may_anywhere(request.user, Role.ENGINEER)
    waits = queue_list.waiting(request).total()

    def item(title: Any, icon: str, name: str, shown: bool = True, badge: str = "") -> dict[str, Any]:
        link = reverse(name if name in PLAIN else f"admin:{name}")
        active = request.path == link if name in EXACT else request.path.startswith(link)
        told = {"title": title, "icon": icon, "link": link, "active": active, "permission": lambda _: shown}
        # unfold takes a text for the path of a function, unless it is a lazy one
        return told | ({"badge": format_lazy("{}", badge), "badge_variant": "primary"} if badge else {})

    return [
        {
            "items": [
                item(_("Overview"), "monitoring", "index"),
                item(
                    _("Review"),
                    "rate_review",
                    "analysis_item_changelist",
                    badge=queue_list.capped(waits) if waits else "",
                ),
                item(_("Findings"), "warning", "analysis_finding_changelist"),
                item(_("Agreement"), "handshake", "agreement-index"),
                item(_("Mute rules"), "notifications_off", "analysis_muterule_changelist"),
                item(_("Alerts"), "notifications", "alerts-index"),
                item(_("Runs"), "play_circle", "workers_run_changelist"),
            ]
        },
        {
            "title": _("Data and models"),
            "separator": True,
            "items": [
                item(_("Sources"), "sensors", "logs_source_changelist"),
                item(_("Datasets"), "database", "logs_dataset_changelist"),
                item(_("Templates"), "format_quote", "logs_template_changelist"),
                item(_("Redaction"), "visibility_off", "redaction-index"),
                item(_("Model versions"), "model_training", "detection_modelversion_changelist"),
                item(_("Scans"), "search_insights", "detection_scan_changelist"),
            ],
        },
        {
            "title": _("System"),
            "separator": True,
            "items": [
                item(_("Workers"), "dns", "workers_worker_changelist"),
                item(_("Plugins"), "extension", "workers_worker_plugins"),
                item(_("Usage of analysts"), "payments", "usage-index", is_engineer),
                item(_("Projects"), "folder", "logs_project_changelist"),
                item(_("API tokens"), "key", "duolog_apitoken_changelist"),
                item(_("Users"), "person", "auth_user_changelist", site_admin),
                item(_("Memberships"), "group", "duolog_membership_changelist", site_admin),
            ],
        },
    ]


admin.site.unregister(User)
admin.site.unregister(Group)  # roles are memberships of projects


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """People; what they may do on which project stands in their memberships."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "is_active", "is_staff", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    filter_horizontal = []
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Personal info"), {"fields": ["first_name", "last_name", "email"]}),
        (_("Permissions"), {"fields": ["is_active", "is_staff", "is_superuser"]}),
    ]


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    """Who holds which role on which project."""

    list_display = ["user", "project", "role"]
    list_filter = ["role", "project"]
    list_select_related = ["user"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the projects that exist."""
        if db_field.name == "project":
            choices = list(Project.objects.values_list("slug", "name"))
            return ChoiceField(label=_("project"), choices=choices, widget=UnfoldAdminSelectWidget())
        return super().formfield_for_dbfield(db_field, request, **kwargs)


@admin.register(ApiToken)
class ApiTokenAdmin(ModelAdmin):
    """Everybody's own tokens; site admins see all."""

    list_display = ["name", "user", "sends_to", "created_at", "expires_at", "used_at"]
    list_display_links = None
    list_select_related = ["user"]
    fields = ["name", "expires_at"]

    @column(_("sends lines to"))
    def sends_to(self, token: ApiToken) -> str:
        """Project and source of a shipper's token; any other stands for its user."""
        return f"{token.project} / {token.source or DEFAULT}" if token.project else "-"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """Narrow to the user's own."""
        tokens: QuerySet[ApiToken] = super().get_queryset(request)
        return tokens if request.user.is_superuser else tokens.filter(user=request.user.pk)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """For everybody who may log in here."""
        return True

    def has_view_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """For everybody: `get_queryset` narrows."""
        return True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """For everybody: a token can do no more than its user."""
        return True

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """A token is made and deleted, never changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """For everybody: `get_queryset` narrows."""
        return True

    def save_model(self, request: HttpRequest, obj: ApiToken, form: ModelForm[ApiToken], change: bool) -> None:
        """Make the token, and show its text this once."""
        text = access.issue_token(user=access.person(request), name=obj.name, expires_at=obj.expires_at)
        messages.success(
            request, gettext("Copy the token now, it is shown only this once: %(token)s") % {"token": text}
        )

    def log_addition(self, request: HttpRequest, obj: ApiToken, message: Any) -> None:
        """Write no entry: the row was made elsewhere, and its creation is in its own columns."""

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        """Go to the list, where the token's text is shown."""
        return HttpResponseRedirect(_list("duolog_apitoken"))
