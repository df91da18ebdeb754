"""Console: the form of a mute rule: what it names, which is tried while one types, and the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from analysis import muting
from analysis.models import Item, MuteRule
from duolog import access
from duolog.models import Role
from logs import templates
from logs.engine.user_patterns import LONGEST
from logs.models import Project, Template

DAYS = 30
"""How long a rule holds unless somebody says otherwise."""
KEY_DIGITS = 19
PLAIN = {"spellcheck": "false", "autocomplete": "off"}


class NamesForm(forms.Form):
    """What a rule names."""

    project = forms.ModelChoiceField(
        Project.objects.none(), to_field_name="slug", empty_label=None, label=_("Project"),
        widget=UnfoldAdminSelectWidget(),
    )  # fmt: skip
    service = forms.CharField(
        label=_("Service"), max_length=200, required=False,
        widget=UnfoldAdminTextInputWidget(attrs={**PLAIN, "list": "known-service"}),
    )  # fmt: skip
    type = forms.CharField(
        label=_("Anomaly type"), max_length=100, required=False,
        widget=UnfoldAdminTextInputWidget(attrs={**PLAIN, "list": "known-type"}),
        help_text=_("As in reports, such as 超时."),
    )  # fmt: skip
    template = forms.CharField(
        label=_("Template"), max_length=20, required=False, widget=UnfoldAdminTextInputWidget(attrs=PLAIN),
        help_text=_("As #17: some line is of this template, or of one that is merged into it."),
    )  # fmt: skip
    expression = forms.CharField(
        label=_("Expression"), max_length=LONGEST, required=False, strip=False,
        widget=UnfoldAdminTextInputWidget(attrs=PLAIN),
        help_text=_("Some line matches this regular expression, in the syntax of Rust's regex."),
    )  # fmt: skip

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        field = self.fields["project"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = access.visible(request.user, Project.objects.order_by("name"), "slug", Role.REVIEWER)

    def clean(self) -> dict[str, Any]:
        """Find the template, one of the project's."""
        data = super().clean() or {}
        key, project = (data.get("template") or "").strip().lstrip("#"), data.get("project")
        data["template"] = None
        if key and project:
            known = Template.objects.filter(project=project).select_related("project")
            is_key = key.isdecimal() and len(key) < KEY_DIGITS
            data["template"] = known.filter(pk=key).first() if is_key else None
            if data["template"] is None:
                self.add_error("template", gettext("The project has no such template."))
        return data

    def draft(self) -> MuteRule:
        """Return the rule, not saved."""
        names = {name: self.cleaned_data[name] for name in ("service", "type", "template", "expression")}
        return MuteRule(project=self.cleaned_data["project"].slug, **names)


class RuleForm(NamesForm):
    """A rule that is not there yet."""

    days = forms.IntegerField(
        label=_("Days that it holds"), min_value=1, max_value=muting.MOST_DAYS, initial=DAYS,
        widget=UnfoldAdminIntegerFieldWidget(),
    )  # fmt: skip
    reason = forms.CharField(
        label=_("Why"), max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text=_("It is recorded."),
    )  # fmt: skip

    def save(self) -> MuteRule:
        """Make the rule; raises JobFailed."""
        rule, data = self.draft(), self.cleaned_data
        access.require(self.request.user, Role.REVIEWER, rule.project)
        # A little less than the most: what is asked for at the limit must not be refused for the time it took.
        rule.expires_at = datetime.now(UTC) + timedelta(days=data["days"]) - timedelta(seconds=1)
        rule.reason = data["reason"]
        return muting.create(rule, user=access.person(self.request), even_so="even_so" in self.request.POST)


def prefilled(request: HttpRequest) -> dict[str, str]:
    """Return what the address says of a rule: names, or an `item` of which all is taken that may be named."""
    asked = {name: request.GET[name] for name in NamesForm.base_fields if name in request.GET}
    key = request.GET.get("item", "")
    if not (key.isdecimal() and len(key) < KEY_DIGITS):
        return asked
    items = access.visible(request.user, Item.objects.select_related("sequence__dataset", "score"), role=Role.REVIEWER)
    item = items.filter(pk=key).first()
    return {**told(item), **asked} if item else asked


def told(item: Item) -> dict[str, str]:
    """Return project, service and type of an item, and the template of its most suspicious line."""
    found = {"project": item.project, "service": item.service, "type": item.type}
    blame = (item.score.blame if item.score else None) or []
    if item.sequence.entries and blame:
        project = item.sequence.dataset.project_id
        templates.store_numbers(project, [item.sequence])
        number = (item.sequence.templates or [])[max(range(len(blame)), key=blame.__getitem__)]
        if row := templates.resolve(project, [number]).get(number):
            found["template"] = f"#{row.pk}"
    return found
