"""Console: sources of lines, from the first line that somebody sends to what each of them rejects."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from detection import versions
from detection.models import ModelVersion
from detection.versions import VersionError
from duolog import access, shippers
from duolog.models import Role
from duolog.pages import ProjectAdmin, column, refreshed
from duolog.plugins.options import OptionsError, build
from logs import sources, storage
from logs.engine.sequencing import Rule
from logs.models import Project, Source
from workers.admin import duration
from workers.jobs import JobFailed

RECEIPTS, RECORDS, LINES, SCANS = 10, 50, 20, 5
PLACEHOLDER = "duo_…"
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
    mine = list(ModelVersion.objects.filter(project=source.project.slug).order_by("name", "-number"))
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


@admin.register(Source)
class SourceAdmin(ProjectAdmin[Source]):
    """Where lines come from: what arrives, what waits, what was rejected."""

    project_field = "project__slug"
    page_template = "duolog/source.html"
    starts = {"source": _("New source")}
    list_display = ["name", "project", "hour", "day", "waiting", "open", "unjudged"]
    list_select_related = ["project"]
    list_filter = ["project"]
    search_fields = ["name"]
    ordering = ["name"]
    deeds = dict.fromkeys(("replay", "discard", "revoke"), Role.ENGINEER)

    # --- list ---------------------------------------------------------------------------------------------------

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Tell how the sources of the page keep up, in one query."""
        changelist = super().get_changelist_instance(request)
        found = sources.standings(changelist.result_list)
        for row in changelist.result_list:
            row.standing = found[row.pk]
        return changelist

    @column(_("lines in the last hour"))
    def hour(self, source: Any) -> str:
        """Lines."""
        return f"{source.standing.hour:,}"

    @column(_("in the last day"))
    def day(self, source: Any) -> str:
        """Lines."""
        return f"{source.standing.day:,}"

    @column(_("lines waiting"))
    def waiting(self, source: Any) -> str:
        """Lines in no sequence, and for how long the oldest has waited."""
        told = source.standing
        return f"{told.waiting:,} ({duration(timezone.now() - told.oldest)})" if told.oldest else "0"

    @column(_("open sequences"))
    def open(self, source: Any) -> str:
        """Sequences that may still get lines."""
        return f"{source.standing.open:,}"

    @column(_("unjudged sequences"))
    def unjudged(self, source: Any) -> str:
        """Closed sequences that wait for a model."""
        return f"{source.standing.unjudged:,}"

    # --- page ---------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Add the part of the page that refreshes itself, the form, and the way to a token."""
        views = {"live": self.live, "edit": self.edit, "token": require_POST(self.issue)}
        found = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(view), name=f"logs_source_{name}")
            for name, view in views.items()
        ]
        return [*found, *super().get_urls()]

    def page(self, request: HttpRequest, row: Source) -> dict[str, Any]:
        """What is set, what comes in, and how to send more."""
        project = row.project.slug
        rejected = sources.rejected(row)
        reviews = access.may(request.user, Role.REVIEWER, project)
        return {
            **self.moving(request, row),
            "rule": sources.in_words(build(Rule, row.rule)),
            "judge": judge(row),
            "days": settings.LINE_DAYS,
            "records": rejected[:RECORDS] if reviews else [],
            "rejected": rejected.count(),
            "reviews": reviews,
            "tokens": sources.tokens(row) if access.may(request.user, Role.ENGINEER, project) else [],
            "scans": row.dataset.scans.filter(day__isnull=False, shadow_of=None).order_by("-day", "-pk")[:SCANS],
            **self.sending(request, row, PLACEHOLDER),
        }

    def moving(self, request: HttpRequest, row: Source) -> dict[str, Any]:
        """What changes while one looks."""
        standing = sources.standings([row])[row.pk]
        reviews = access.may(request.user, Role.REVIEWER, row.project.slug)
        return {
            "standing": standing,
            "waits": duration(timezone.now() - standing.oldest) if standing.oldest else "",
            "receipts": sources.newest_receipts(row, RECEIPTS),
            "lines": shown(storage.newest(row, LINES)) if reviews else [],
        }

    def sending(self, request: HttpRequest, row: Source, token: str) -> dict[str, Any]:
        """Settings of shippers, with a token that was just issued or a place to put one."""
        address = request.build_absolute_uri(f"/in/{row.project.slug}")
        return {"shippers": shippers.settings(address, token), "token": "" if token == PLACEHOLDER else token}

    def live(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Return the part of the page that changes."""
        row = self.row_or_404(request, str(pk))
        return refreshed(request, "duolog/source_live.html", {"row": row, **self.moving(request, row)})

    def edit(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the form, or keep what it says."""
        row = self.row_or_404(request, str(pk))
        access.require(request.user, Role.ENGINEER, row.project.slug)
        form = SourceForm(request.POST or None, request=request, source=row)
        return answered(request, form, gettext("Source %(source)s") % {"source": row}, gettext("It is saved."))

    def issue(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Issue a token and show the page with it, this once: it is stored nowhere on the way."""
        row = self.row_or_404(request, str(pk))
        access.require(request.user, Role.ENGINEER, row.project.slug)
        name = request.POST.get("name", "").strip()[:100] or gettext("shipper")
        text = access.issue_token(user=access.person(request), name=name, project=row.project.slug, source=row.name)
        context = {**self.admin_site.each_context(request), **self.context(request, row)}
        context |= {"opts": self.opts, "original": row, "title": str(row), "media": self.media}
        return TemplateResponse(request, self.page_template, context | self.sending(request, row, text))

    # --- deeds --------------------------------------------------------------------------------------------------

    def do_replay(self, request: HttpRequest, source: Source) -> tuple[str, str]:
        """Store what was rejected as plain lines."""
        count = sources.replay(source, chosen(request, source))
        said = ngettext("%(count)d record is a line now.", "%(count)d records are lines now.", count)
        return said % {"count": count}, self.address(source) + "#rejected"

    def do_discard(self, request: HttpRequest, source: Source) -> tuple[str, str]:
        """Delete what was rejected."""
        count = chosen(request, source).delete()[0]
        said = ngettext("%(count)d record is deleted.", "%(count)d records are deleted.", count)
        return said % {"count": count}, self.address(source) + "#rejected"

    def do_revoke(self, request: HttpRequest, source: Source) -> tuple[str, str]:
        """Take a token back."""
        token = sources.tokens(source).filter(pk=digits(request.POST.get("token", ""))).first()
        if token is None:
            raise Http404
        token.delete()
        return gettext("The token %(name)s sends nothing any more.") % {"name": token}, self.address(source) + "#tokens"


def digits(text: str) -> int:
    """Return a primary key; 0, which no row has, for what is none."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def chosen(request: HttpRequest, source: Source) -> Any:
    """Return the record that a button stands beside, or, of the button for all, all that stood there then."""
    records = sources.rejected(source)
    if "record" in request.POST:
        return records.filter(pk=digits(request.POST["record"]))
    # Not those that have come since: nobody has seen them.
    return records.filter(pk__lte=digits(request.POST.get("newest", "")))


def judge(source: Source) -> dict[str, Any]:
    """Return the version that judges a source, or why there is none."""
    try:
        return {"version": versions.resolve(project=source.project.slug, ref=source.model)}
    except VersionError as error:
        return {"problem": str(error) if source.model else ""}


def shown(lines: Iterable[storage.Line]) -> list[dict[str, Any]]:
    """Return lines as the page shows them."""
    return [{"at": datetime.fromtimestamp(line.time, timezone.get_current_timezone()), "line": line} for line in lines]


def new(request: HttpRequest) -> HttpResponse:
    """Show the form of a new source, or make it and go to its page."""
    if not access.may_anywhere(request.user, Role.ENGINEER):
        raise Http404
    form = NewSourceForm(request.POST or None, request=request)
    return answered(request, form, gettext("New source"), gettext("The source is there. Send it your first lines."))


def answered(request: HttpRequest, form: SourceForm, title: str, said: str) -> HttpResponse:
    """Show a form, or save it and go to the source."""
    if request.method == "POST" and form.is_valid():
        try:
            source = form.save()
        except JobFailed as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, said)
            return HttpResponseRedirect(reverse("admin:logs_source_change", args=[source.pk]))
    context = {**admin.site.each_context(request), "form": form, "title": title}
    return TemplateResponse(request, "duolog/start.html", context)
