"""Console: mute rules, what they hide, and a form that says what a new one would have hidden."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from analysis import muting
from analysis.models import Event, Finding, Item, MuteDay, MuteRule
from analysis.muting_forms import NamesForm, RuleForm, prefilled
from duolog import access, charts
from duolog.models import Role
from duolog.pages import ProjectAdmin, column, short
from logs.labels import named
from workers.jobs import JobFailed

STATE_COLOURS = {"holds": "success", "over": "warning", "expired": "default", "person": "default", "drift": "danger"}
SPARK, ITEMS, CHOICES = 30, 20, 200
"""Days of the small plots, hidden items that are listed, and values that are offered."""


class Holding(admin.SimpleListFilter):
    """Rules that hold, or those that have ended."""

    title = _("state")
    parameter_name = "holds"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer both."""
        return [("yes", _("holds")), ("no", _("ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[MuteRule]) -> QuerySet[MuteRule]:
        """Show one kind."""
        return queryset.filter(ended_at__isnull=self.value() == "yes") if self.value() else queryset


@admin.register(MuteRule)
class MuteRuleAdmin(ProjectAdmin[MuteRule]):
    """What a project does not want to be told of."""

    page_template = "duolog/mute_rule.html"
    list_before_template = "duolog/mute_rules.html"
    list_fullwidth = True
    list_display = ["number", "what", "state_label", "expires_at", "hidden_count", "spark", "project", "created_by"]
    list_filter = [Holding, "project"]
    list_select_related = ["template", "created_by"]
    search_fields = ["reason", "service", "type", "expression"]
    deeds = {"end": Role.REVIEWER}

    # --- list ---------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list below the way to a new rule, or, where there is none, what rules are for."""
        told = {
            "makes": access.may_anywhere(request.user, Role.REVIEWER),
            "none": not self.get_queryset(request).exists(),
        }
        return super().changelist_view(request, {**(extra_context or {}), **told})

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Fetch what the rules of the page hid, in one query."""
        changelist = super().get_changelist_instance(request)
        counts = hidden_by_day(changelist.result_list)
        for row in changelist.result_list:
            row.counts = counts[row.pk]
        return changelist

    @column(_("rule"), ordering="id")
    def number(self, rule: MuteRule) -> str:
        """Number and reason."""
        return f"#{rule.pk} {short(rule.reason, 60)}"

    @column(_("what it names"))
    def what(self, rule: MuteRule) -> str:
        """All of it."""
        return "; ".join(f"{name}: {short(value, 80)}" for name, value in names(rule))

    @column(_("state"), label=STATE_COLOURS)
    def state_label(self, rule: MuteRule) -> tuple[str, Any]:
        """Whether it holds, or why not."""
        return state(rule)

    @column(_("findings hidden"), ordering="hidden")
    def hidden_count(self, rule: MuteRule) -> str:
        """Since it was made."""
        return f"{rule.hidden:,}"

    @column(_("last 30 days"))
    def spark(self, rule: Any) -> SafeString:
        """What it hid, by the day of the findings."""
        counts = rule.counts
        title = f"{counts[-1]:,} / {max(counts):,}"
        told = {"bars": charts.sparks(counts), "width": 4 * len(counts), "title": title}
        return mark_safe(render_to_string("duolog/spark.html", told))  # noqa: S308 - it is escaped

    # --- page ---------------------------------------------------------------------------------------------------

    def page(self, request: HttpRequest, row: MuteRule) -> dict[str, Any]:
        """What it names and hides, what it would have hidden when it was made, and who did what."""
        kind, words = state(row)
        hidden = Item.objects.filter(muted_by=row, state=Item.State.MUTED).order_by("-pk")
        return {
            "state": words,
            "holds": kind == "holds",
            "names": names(row),
            "bars": bars(hidden_by_day([row])[row.pk], datetime.now(UTC).date()),
            "ends": [f"-{SPARK - 1}", gettext("today")],
            "hidden": linked(hidden.values_list("pk", flat=True)[:ITEMS]),
            "hidden_items": hidden.count(),
            "test": shown(row.back_test) if row.back_test else None,
            "history": [(event, in_words(event)) for event in muting.history(row)],
        }

    def do_end(self, request: HttpRequest, rule: MuteRule) -> tuple[str, None]:
        """Open what it hides."""
        if not muting.end(rule, user=access.person(request)):
            raise JobFailed(gettext("This rule has ended already."))
        return gettext("The rule has ended. What it hid and nobody decided is open again."), None

    # --- form ---------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Add the form, and what it asks while one types."""
        views = {"new": self.new, "test": require_POST(self.test)}
        found = [
            path(f"{name}/", self.admin_site.admin_view(view), name=f"analysis_muterule_{name}")
            for name, view in views.items()
        ]
        return [*found, *super().get_urls()]

    def new(self, request: HttpRequest) -> HttpResponse:
        """Show the form with what the rule would have hidden, or make the rule and go to its page."""
        if not access.may_anywhere(request.user, Role.REVIEWER):
            raise Http404
        given = prefilled(request)
        form = RuleForm(request.POST or None, request=request, initial=given)
        if request.method == "POST" and form.is_valid():
            try:
                rule = form.save()
            except JobFailed as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, gettext("The rule holds from now on."))
                return HttpResponseRedirect(self.address(rule))
        context = {**self.admin_site.each_context(request), "form": form, "title": gettext("New mute rule")}
        context |= {"opts": self.opts, "choices": choices(request), **tested(request, request.POST or given)}
        return TemplateResponse(request, "duolog/mute_new.html", context)

    def test(self, request: HttpRequest) -> HttpResponse:
        """Return what the rule would have hidden that the form names now."""
        if not access.may_anywhere(request.user, Role.REVIEWER):
            raise Http404
        return TemplateResponse(request, "duolog/mute_test.html", tested(request, request.POST))


# --- words ------------------------------------------------------------------------------------------------------


def state(rule: MuteRule) -> tuple[str, Any]:
    """Return whether a rule holds, or why not; `over` until the sweeper has ended it."""
    if rule.ended_at:
        return rule.ended_why, rule.get_ended_why_display()
    return ("holds", _("holds")) if rule.expires_at > datetime.now(UTC) else ("over", _("its time is over"))


def names(rule: MuteRule) -> list[tuple[str, str]]:
    """Return what a rule names, and what that has to be."""
    told = [
        (_("service"), rule.service),
        (_("type"), named(rule.type)),
        (_("template"), str(rule.template or "")),
        (_("expression"), rule.expression),
    ]
    return [(str(name), value) for name, value in told if value]


def in_words(event: Event) -> str:
    """Return what was done to a rule."""
    told = event.details
    if told["did"] == muting.MADE:
        text = gettext(
            "made; findings that it would have hidden: %(findings)s, items: %(items)s, confirmed: %(confirmed)s"
        )
        return text % {name: told.get(name, "-") for name in ("findings", "items", "confirmed")}
    if "busiest" in told:
        text = gettext("ended by drift: %(findings)s findings on %(day)s, on the busiest day before it was %(busiest)s")
        return text % told
    if "score_before" in told:
        text = gettext("ended by drift: mean score %(score)s on %(day)s, before it was %(score_before)s")
        return text % told
    return str(MuteRule.Why(told["did"]).label)


# --- what is hidden ---------------------------------------------------------------------------------------------


def tested(request: HttpRequest, data: Any) -> dict[str, Any]:
    """Return what the rule would have hidden that a form's data name, or what is wrong with it."""
    form = NamesForm(data, request=request)
    if not form.is_valid() or not any(form.cleaned_data[name] for name in NamesForm.base_fields if name != "project"):
        return {}
    try:
        found = muting.back_test(form.draft())
    except JobFailed as error:
        return {"problem": str(error)}
    warning = muting.warning(found.confirmed) if found.confirmed else ""
    return {"test": shown(found.as_json()), "warning": warning, "template": form.cleaned_data["template"],
            "even_so": "even_so" in data}  # fmt: skip


def shown(test: dict[str, Any]) -> dict[str, Any]:
    """Return a back-test as the page shows it: with bars and links."""
    until = parse_date(test["until"]) or datetime.now(UTC).date()
    return {**test, "linked": linked(test["links"]), "bars": bars(test["per_day"], until),
            "ends": [f"-{test['days']}", date_format(until)]}  # fmt: skip


def linked(items: Any) -> list[tuple[str, str]]:
    """Return items with the addresses of their newest findings."""
    numbers = list(items)
    newest = Finding.objects.filter(item__in=numbers).order_by("item", "-pk").distinct("item").values_list("item", "pk")
    found = dict(newest)
    return [(f"#{pk}", reverse("admin:analysis_finding_change", args=[found[pk]])) for pk in numbers if pk in found]


def hidden_by_day(rules: Any) -> dict[int, list[int]]:
    """Return how many findings of each of the last days each rule hid, the oldest first."""
    today = datetime.now(UTC).date()
    counts = {rule.pk: [0] * SPARK for rule in rules}
    rows = MuteDay.objects.filter(rule__in=list(counts), day__gt=today - timedelta(days=SPARK), day__lte=today)
    for rule, day, findings in rows.values_list("rule", "day", "findings"):
        counts[rule][-1 - (today - day).days] = findings
    return counts


def bars(counts: list[int], until: Any) -> list[charts.Bar]:
    """Draw counts of days, the last of which is `until`."""
    first = until - timedelta(days=len(counts) - 1)
    return charts.columns([(f"{first + timedelta(days=day):%Y-%m-%d}", count) for day, count in enumerate(counts)])


def choices(request: HttpRequest) -> dict[str, list[str]]:
    """Return services and types that items of the user's projects have."""
    items = access.visible(request.user, Item.objects.all(), role=Role.REVIEWER)
    return {
        name: list(items.exclude(**{name: ""}).order_by(name).values_list(name, flat=True).distinct()[:CHOICES])
        for name in ("service", "type")
    }
