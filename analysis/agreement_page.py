"""Console: how well a project's reviewers agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.dateparse import parse_date
from django.utils.translation import gettext

from analysis import agreement
from analysis.agreement import Agreement, Kind, Pair
from analysis.engine.agreement import Figure
from duolog import access
from duolog.models import Role
from logs.labels import named
from logs.models import Project
from logs.reasons import shown

SHADES = 10


@dataclass(frozen=True, slots=True)
class Told:
    """A figure as people read it: its value or a dash, its interval or nothing, and why there is no value."""

    value: str
    interval: str
    reason: str


def index(request: HttpRequest) -> HttpResponse:
    """Show a project's figures to its members."""
    if not access.may_anywhere(request.user, Role.VIEWER):
        raise PermissionDenied
    projects = access.visible(request.user, Project.objects.order_by("slug"), "slug")
    slug = request.GET.get("project")
    chosen = get_object_or_404(projects, slug=slug) if slug else projects.first()
    since = _day(request.GET.get("since", ""))
    found = agreement.measure(project=chosen.slug, since=since) if chosen else None
    context = {
        **admin.site.each_context(request),
        "title": gettext("Agreement"),
        "projects": projects,
        "chosen": chosen,
        "since": since,
        "found": found,
        **(_shown(found) if found else {}),
    }
    return TemplateResponse(request, "duolog/agreement.html", context)


def _day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:  # looks like a day, and there is none such
        return None


def _shown(found: Agreement) -> dict[str, Any]:
    wholes = [
        (gettext("Normal or anomalous"), found.classes),
        (gettext("The type, too"), found.types),
    ]
    return {
        "wholes": [
            {
                "name": name,
                "whole": whole,
                "alpha": _told(whole.alpha),
                "fleiss": _told(whole.fleiss),
                "share": f"{whole.agreed / whole.shared:.0%}" if whole.shared else "–",
                "interval": f"{whole.low:.0%} – {whole.high:.0%}",
            }
            for name, whole in wholes
        ],
        "heat": _heat(found),
        "kinds": [(_name(kind), kind.verdicts, _told(kind.alpha)) for kind in found.kinds],
        "reviewers": [(each, "–" if each.accuracy is None else f"{each.accuracy:.0%}") for each in found.reviewers],
    }


def _told(figure: Figure) -> Told:
    value = "–" if figure.value is None else f"{figure.value:.2f}"
    interval = "" if figure.low is None or figure.high is None else f"{figure.low:.2f} – {figure.high:.2f}"
    return Told(value, interval, shown(figure.reason))


def _name(kind: Kind) -> str:
    if not kind.anomalous:
        return gettext("normal")
    return named(kind.type) if kind.type else gettext("anomalous, without a type")


def _heat(found: Agreement) -> dict[str, Any]:
    """Return head and rows of the table of pairs: those who have items in common with somebody."""
    pairs = {frozenset((pair.first, pair.second)): pair for pair in found.pairs}
    paired = {user for pair in pairs for user in pair}
    people = [each for each in found.reviewers if each.user in paired]
    rows = []
    for one in people:
        both = ((other, pairs.get(frozenset((one.user, other.user)))) for other in people)
        rows.append({"name": one.name, "cells": [_cell(f"{one.name} · {other.name}", pair) for other, pair in both]})
    return {"columns": [each.name for each in people], "rows": rows}


def _cell(names: str, pair: Pair | None) -> dict[str, Any]:
    if pair is None:
        return {"shade": 0, "text": "", "title": names}
    kappa, items = _told(pair.kappa), pair.kappa.items
    said = gettext("%(names)s: the same on %(agreed)d of %(items)d items. %(reason)s")
    title = said % {"names": names, "agreed": pair.agreed, "items": items, "reason": kappa.reason}
    return {"shade": round(max(pair.kappa.value or 0, 0) * SHADES), "text": kappa.value, "title": title.strip()}
