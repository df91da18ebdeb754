"""Console: what a project redacts, how well it finds it, its own rules, and a box to try them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from duolog import access
from duolog.models import Role
from logs import redaction_rules
from logs.engine.planted_measure import Found, Measured
from logs.engine.redaction import DEFAULTS
from logs.engine.user_patterns import LONGEST
from logs.models import Project, RedactionRule
from logs.redaction import combined
from logs.redaction_names import KINDS
from workers.jobs import JobFailed

MOST = 100_000
"""Characters of a text to try."""
BY_DEFAULT = {rule.kind: str(rule.strategy) for rule in DEFAULTS}


class OwnKind(forms.Form):
    """A kind of one's own: all that its pattern matches is redacted."""

    kind = forms.CharField(
        label=_("Name"), max_length=40, widget=UnfoldAdminTextInputWidget(),
        help_text=_("Such as employee-number: small letters, digits and hyphens."),
    )  # fmt: skip
    pattern = forms.CharField(
        label=_("Pattern"), max_length=LONGEST, strip=False,
        widget=UnfoldAdminTextInputWidget(attrs={"spellcheck": "false", "autocomplete": "off"}),
        help_text=_(
            "A regular expression in the syntax of Rust's regex, such as (?i)emp-\\d{6}: without look-around and "
            "back-references. All that it matches is redacted."
        ),
    )  # fmt: skip
    strategy = forms.ChoiceField(
        label=_("What becomes of it"), choices=RedactionRule.Strategy.choices, widget=UnfoldAdminSelectWidget()
    )


class Text(forms.Form):
    """Lines to try the rules on."""

    text = forms.CharField(
        label=_("Lines of a log"), max_length=MOST, strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5, "spellcheck": "false"}),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A kind as the table shows it; `rule` is what the project has set, `found` what was measured, where it was."""

    kind: str
    name: Any
    strategy: str
    redacted: int
    rule: RedactionRule | None = None
    found: Found | None = None

    @property
    def is_kept(self) -> bool:
        """Whether it is not looked for."""
        return self.strategy == RedactionRule.Strategy.KEEP

    @property
    def is_known(self) -> bool:
        """Whether it is built in or the project's own; else only receipts remember it."""
        return self.rule is not None or self.kind in KINDS

    @property
    def label(self) -> str:
        """What becomes of it, in words."""
        return str(RedactionRule.Strategy(self.strategy).label)


def index(request: HttpRequest) -> HttpResponse:
    """List the user's projects, or go to the only one."""
    if not access.may_anywhere(request.user, Role.VIEWER):
        raise Http404
    projects = list(access.visible(request.user, Project.objects.order_by("name"), "slug"))
    if len(projects) == 1:
        return HttpResponseRedirect(reverse("redaction", args=[projects[0].slug]))
    counts = redaction_rules.redacted(projects)
    context = {"title": gettext("Redaction"), "days": redaction_rules.DAYS}
    context |= {"rows": [(project, counts[project.pk].total()) for project in projects]}
    return TemplateResponse(request, "duolog/redaction_index.html", admin.site.each_context(request) | context)


def page(request: HttpRequest, project: str) -> HttpResponse:
    """Show a project's page, or do what one of its forms says."""
    access.require(request.user, Role.VIEWER, project)
    row = get_object_or_404(Project, slug=project)
    if request.method != "POST":
        return shown(request, row)
    access.require(request.user, Role.ENGINEER, project)
    deed = DEEDS.get(request.POST.get("deed", ""))
    if deed is None:
        raise Http404
    try:
        return deed(request, row)
    except JobFailed as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("redaction", args=[project]))


def shown(request: HttpRequest, project: Project, **forms: Any) -> HttpResponse:
    """Show the page; `forms` replaces what would be empty."""
    mine = list(RedactionRule.objects.filter(project=project).select_related("set_by").order_by("kind"))
    measured = redaction_rules.measured(combined(mine), asked="measure" in request.GET)
    context = {
        "title": gettext("Redaction: %(project)s") % {"project": project.name},
        "project": project,
        "rows": list(rows(project, mine, measured)),
        "measured": measured,
        "strategies": RedactionRule.Strategy.choices,
        "days": redaction_rules.DAYS,
        "is_engineer": access.may(request.user, Role.ENGINEER, project.slug),
        "own": OwnKind(),
        "text": Text(),
        **forms,
    }
    return TemplateResponse(request, "duolog/redaction.html", admin.site.each_context(request) | context)


def rows(project: Project, mine: list[RedactionRule], measured: Measured | None) -> Iterator[Row]:
    """Yield what is built in, the project's own kinds, and those of its receipts that it had once."""
    counts = redaction_rules.redacted([project])[project.pk]
    found, set_of = measured.kinds if measured else {}, {rule.kind: rule for rule in mine}
    for kind in dict.fromkeys([*KINDS, *set_of, *sorted(counts)]):
        rule = set_of.get(kind)
        strategy = rule.strategy if rule else BY_DEFAULT.get(kind, "keep")
        yield Row(kind, KINDS.get(kind, kind), strategy, counts[kind], rule, found.get(kind))


# --- deeds ------------------------------------------------------------------------------------------------------


def set_strategy(request: HttpRequest, project: Project) -> HttpResponse:
    """Set what becomes of a kind that is built in, or of one that the project has made."""
    kind, strategy = asked_kind(request), request.POST.get("strategy", "")
    rule = RedactionRule.objects.filter(project=project, kind=kind).first()
    if strategy not in RedactionRule.Strategy or (rule is None and kind not in KINDS):
        raise Http404
    user = access.person(request)
    if rule:
        redaction_rules.change(rule, strategy=strategy, user=user)
    else:
        redaction_rules.create(project=project, kind=kind, strategy=strategy, pattern="", user=user)
    return done(request, project, gettext("It holds for lines that come from now on, within seconds."))


def add(request: HttpRequest, project: Project) -> HttpResponse:
    """Make a kind of the project's own, or show what is wrong with it."""
    form = OwnKind(request.POST)
    if form.is_valid():
        try:
            redaction_rules.create(project=project, user=access.person(request), **form.cleaned_data)
        except JobFailed as error:
            form.add_error(None, str(error))
        else:
            return done(request, project, gettext("It holds for lines that come from now on, within seconds."))
    return shown(request, project, own=form)


def delete(request: HttpRequest, project: Project) -> HttpResponse:
    """Delete a rule."""
    get_object_or_404(RedactionRule, project=project, kind=asked_kind(request)).delete()
    return done(request, project, gettext("The rule is deleted."))


def attempt(request: HttpRequest, project: Project) -> HttpResponse:
    """Redact a text line by line, and show it; it is stored nowhere."""
    form = Text(request.POST)
    if not form.is_valid():
        return shown(request, project, text=form)
    redactor = redaction_rules.example(redaction_rules.rules_of(project))
    lines, counts = redactor.redact(form.cleaned_data["text"].replace("\r\n", "\n").split("\n"))
    found = [(KINDS.get(kind, kind), count) for kind, count in counts.most_common()]
    return shown(request, project, text=form, tried="\n".join(lines), tried_counts=found)


def asked_kind(request: HttpRequest) -> str:
    """Return the kind that a row's button stands for, without what no table can hold."""
    return request.POST.get("kind", "").replace("\0", "")


def done(request: HttpRequest, project: Project, said: str) -> HttpResponse:
    """Go to the page, and say there what was done."""
    messages.success(request, said)
    return HttpResponseRedirect(reverse("redaction", args=[project.slug]))


DEEDS = {"set": set_strategy, "add": add, "delete": delete, "try": attempt}
