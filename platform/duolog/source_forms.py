"""Forms of the console for sources of lines: how a stream is cut into sequences, and a new one."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from detection.models import ModelVersion
from duolog import access
from duolog.models import Role
from duolog.plugins.options import OptionsError, build
from logs import sources
from logs.engine.sequencing import Rule
from logs.models import Project, Source

BY = [
    ("session", _("session: lines with the same key, until it is silent")),
    ("gap", _("gap: lines until none comes for a while")),
    ("time", _("time: windows of seconds")),
    ("count", _("count: windows of lines")),
]


def number(label: Any, help_text: Any = "", *, least: int = 0, whole: bool = False) -> Any:
    """A number of the rule; empty: as by default."""
    kind = forms.IntegerField if whole else forms.FloatField
    widget = UnfoldAdminIntegerFieldWidget(attrs={"step": 1 if whole else "any"})
    return kind(label=label, min_value=least, required=False, widget=widget, help_text=help_text)


class SourceForm(forms.Form):
    """How lines become sequences, how long they are kept, and who judges them."""

    button: ClassVar[Any] = _("Save")

    by = forms.ChoiceField(label=_("Sequences are made by"), choices=BY, widget=UnfoldAdminSelectWidget())
    key = forms.CharField(
        label=_("Key"),
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_(
            "Names of attributes, of which the first that a line has counts (trace_id, request_id; service and level "
            "are such, too), or a regular expression with one group, such as (blk_-?\\d+)."
        ),
    )
    seconds = number(_("Seconds"), _("Of silence for session and gap, of a window for time."))
    size = number(_("Lines of a window"), _("For count."), least=1, whole=True)
    stride = number(_("Stride"), _("A window begins so many seconds or lines after the last; 0: no overlap."))
    lateness = number(_("Seconds that lines may be late"))
    most = number(_("Lines of a sequence at most"), least=1, whole=True)
    days = forms.IntegerField(
        label=_("Days that lines are kept"), min_value=1, max_value=sources.MOST_DAYS, required=False,
        widget=UnfoldAdminIntegerFieldWidget(), help_text=_("Empty: as long as the site's setting says."),
    )  # fmt: skip
    judged = forms.BooleanField(
        label=_("Judge sequences as they close"), required=False, initial=True, widget=UnfoldBooleanWidget()
    )
    model = forms.ChoiceField(label=_("Model"), required=False, widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, request: HttpRequest, source: Source | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request, self.source = request, source
        rule: Rule = build(Rule, source.rule if source else {})
        for name in ("by", "key", "seconds", "size", "stride", "lateness", "most"):
            self.fields[name].initial = getattr(rule, name)
        if source:
            for name in ("days", "judged", "model"):
                self.fields[name].initial = getattr(source, name)
            field = self.fields["model"]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
            field.choices = models(source)

    def clean(self) -> dict[str, Any]:
        """Refuse a rule that makes no sense."""
        data = super().clean() or {}
        given = {name: data.get(name) for name in ("by", "key", "seconds", "size", "stride", "lateness", "most")}
        try:
            data["rule"] = sources.checked({name: value for name, value in given.items() if value is not None})
        except OptionsError as error:
            self.add_error(None, str(error))
        return data

    def values(self) -> dict[str, Any]:
        """Return what is stored."""
        return {
            name: self.cleaned_data[name] for name in ("rule", "days", "judged", "model") if name in self.cleaned_data
        }

    def save(self) -> Source:
        """Change the source."""
        assert self.source is not None  # noqa: S101 - the form that makes one has a `save` of its own
        access.require(self.request.user, Role.ENGINEER, self.source.project.slug)
        Source.objects.filter(pk=self.source.pk).update(**self.values())
        return self.source


def models(source: Source) -> list[tuple[str, Any]]:
    """Return the models that may judge a source: by name, so that its new champions take over, or by version."""
    detectors = ModelVersion.objects.filter(project=source.project.slug, kind=ModelVersion.Kind.DETECTOR)
    mine = list(detectors.order_by("name", "-number"))
    names = [*dict.fromkeys(version.name for version in mine), *map(str, mine)]
    names += [source.model] if source.model and source.model not in names else []
    return [("", _("the project's champion")), *((name, name) for name in names)]


class NewSourceForm(SourceForm):
    """A source that is not there yet."""

    button = _("Make the source")
    field_order = ("project", "name")
    model = None  # type: ignore[assignment]  # at first there is none, or the champion

    project = forms.ModelChoiceField(Project.objects.none(), label=_("Project"), widget=UnfoldAdminSelectWidget())
    name = forms.SlugField(
        label=_("Name"), max_length=50, widget=UnfoldAdminTextInputWidget(),
        help_text=_("Such as the application's: letters, digits, - and _."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["project"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = access.visible(self.request.user, Project.objects.all(), "slug")
        field.initial = field.queryset.first()

    def save(self) -> Source:
        """Make the source; raises JobFailed where there is one of that name."""
        project = self.cleaned_data["project"].slug
        access.require(self.request.user, Role.ENGINEER, project)
        return sources.create(project=project, name=self.cleaned_data["name"], **self.values())
