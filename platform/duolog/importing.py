"""The console's way to import: bring files, look at what they would become, change the options, then import."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminFileFieldWidget

from duolog import access
from duolog.models import Role
from duolog.plugins import registry
from duolog.plugins.options import OptionsError, build
from duolog.start_forms import IntoDataset
from logs import preview, transfer
from logs.jobs import ImportOptions
from logs.streams import UnknownFormat
from workers.jobs import JobFailed

PREFIX = "set-"
HIDDEN = {"max_line", "rows"}
HELP = {
    "window": _("so many lines make a sequence"),
    "stride": _("a window begins so many lines after the last; 0: no overlap"),
    "seconds": _("the lines of each span of so many seconds make a sequence"),
    "join": _("a stack trace is one entry with the line before it"),
    "session": _("what lines of one sequence share: a regular expression, or the column of a table"),
    "pattern": _("regular expression that finds the session within its column"),
    "node": _("the lines of one node make a sequence"),
    "templates": _("the templates of the lines instead of their text"),
    "labels": _("file with the labels, uploaded together with the log"),
    "lines": _("column with all lines of a sequence"),
    "line": _("column with one line; several, with commas, are put together"),
    "id": _("column with the sequence id; - for none"),
    "label": _("column with the label; - for none"),
    "type": _("column with the anomaly type; - for none"),
    "time": _("column with the time"),
    "anomalous": _("labels that mean anomalous, with commas"),
    "normal": _("labels that mean normal, with commas; all others are anomaly types"),
    "delimiter": _("what divides the columns; tab for a tab"),
}


class FilesInput(UnfoldAdminFileFieldWidget):
    """A choice of several files."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One or more uploaded files, as a list."""

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Check each."""
        check = super().clean
        return [check(each, initial) for each in data] if data else check(None, initial)


class UploadForm(IntoDataset):
    """Files for a dataset."""

    title = _("Import a file")
    button = _("Upload and look at it")

    file = FilesField(
        label=_("File"),
        widget=FilesInput(attrs={"multiple": True}),
        help_text=_(
            "JSON, JSON lines, CSV, Parquet, Arrow or plain text; gzip too. Several files are one import, such as the "
            "shards of a dataset, or HDFS.log with anomaly_label.csv. Nothing is imported before you saw the result."
        ),
    )

    def keep(self) -> Path:
        """Keep the upload; raises JobFailed or OptionsError."""
        access.require(self.request.user, Role.ENGINEER, self.project())
        data, user = self.cleaned_data, access.person(self.request)
        build(ImportOptions, {"path": "", "dataset": data["dataset"]})  # a name that will not do is told now
        return transfer.keep(data["dataset"], self.project(), data["file"], user.pk)


def upload(request: HttpRequest) -> HttpResponse:
    """Show the form, or keep the files and go on to what they would become."""
    if not access.may_anywhere(request.user, Role.ENGINEER):
        raise Http404
    if request.method == "POST":
        form = UploadForm(request.POST, request.FILES, request=request)
        if form.is_valid():
            try:
                return HttpResponseRedirect(reverse("review-import", args=[form.keep().name]))
            except (JobFailed, OptionsError) as error:
                form.add_error(None, str(error))
    else:
        form = UploadForm(initial=request.GET.dict(), request=request)
    context = {**admin.site.each_context(request), "form": form, "title": form.title}
    return TemplateResponse(request, "duolog/start.html", context)


def review(request: HttpRequest, token: str) -> HttpResponse:
    """Show what an upload would become with these options, or import it."""
    try:
        folder, waits = transfer.pending(token)
    except LookupError as error:
        raise Http404 from error
    person = access.person(request)
    if waits.user != person.pk or not access.may(request.user, Role.ENGINEER, waits.project):
        raise Http404
    asked = request.POST if request.method == "POST" else request.GET
    chosen = asked.get("format", "auto")
    options = {name.removeprefix(PREFIX): value for name, value in asked.items() if name.startswith(PREFIX) and value}
    # Another format was chosen: the options on the page were those of the old one.
    known = {field.name for field in _fields(chosen)}
    options = {name: value for name, value in options.items() if name in known}
    if request.method == "POST":
        try:
            run = transfer.import_kept(folder, format=chosen, options=options, user=person)
        except (JobFailed, OptionsError, LookupError) as error:
            messages.error(request, str(error))
        else:
            messages.success(request, gettext("%(run)s is queued.") % {"run": run})
            return HttpResponseRedirect(reverse("admin:workers_run_change", args=[run.pk]))
    seen, problem = None, ""
    try:
        seen = preview.look(transfer.data(folder), chosen, options)
    except (OSError, UnknownFormat, OptionsError, registry.PluginError) as error:
        problem = str(error)
    context = {
        **admin.site.each_context(request),
        "title": gettext("Import %(file)s") % {"file": transfer.title(folder)},
        "waits": waits,
        "seen": seen,
        "problem": problem,
        "format": seen.format if seen else chosen,
        "formats": [entry.name for entry in registry.discover(preview.GROUP) if not entry.error],
        "fields": _shown(seen.format if seen else chosen, options, seen.understood if seen else {}),
    }
    return TemplateResponse(request, "duolog/import.html", context)


def _fields(name: str) -> list[dataclasses.Field[Any]]:
    """Return the options of a format that people choose."""
    try:
        found = dataclasses.fields(registry.get(preview.GROUP, name).Options)
    except registry.PluginError:  # "auto", or one that is not there: opening the file tells
        return []
    return [field for field in found if field.name not in HIDDEN]


def _shown(name: str, options: Mapping[str, Any], understood: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each option's name, value, what is taken where it is empty, and what it is for."""
    rows = []
    for field in _fields(name):
        default = understood.get(field.name) or field.default
        rows.append(
            {
                "name": field.name,
                "id": PREFIX + field.name,
                "value": options.get(field.name, ""),
                "default": str(default).lower() if isinstance(default, bool) else default,
                "help": HELP.get(field.name, ""),
            }
        )
    return rows
