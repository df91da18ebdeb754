"""Console: sources of lines, from the first line that somebody sends to what each of them rejects."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from detection import versions
from detection.versions import VersionError
from duolog import access, shippers
from duolog.models import Role
from duolog.pages import ProjectAdmin, column, refreshed
from duolog.plugins.options import build
from duolog.source_forms import NewSourceForm, SourceForm
from logs import sources, storage
from logs.engine.sequencing import Rule
from logs.models import Source
from workers.admin import duration
from workers.jobs import JobFailed

RECEIPTS, RECORDS, LINES, SCANS = 10, 50, 20, 5
PLACEHOLDER = "duo_…"


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
    return [{"at": moment(line.time), "line": line} for line in lines]


def moment(seconds: float) -> datetime | None:
    """Return a time in the reader's zone; None for what no calendar has, whatever a shipper says."""
    try:
        return datetime.fromtimestamp(seconds, timezone.get_current_timezone())
    except (OverflowError, ValueError, OSError):
        return None


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
