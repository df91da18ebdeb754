"""Console: model versions against their goals, and scans."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from detection import aliases, charts, learning, promotion, shadow
from detection.models import AliasChange, ModelVersion, Scan, Score, Scorecard
from detection.monitoring import newest_drift
from duolog import access
from duolog import charts as drawing
from duolog.charts import SERIES
from duolog.models import Role
from duolog.pages import ProjectAdmin, column, facts
from logs.models import Dataset
from workers.admin import curves

GOALS = {"accuracy": 0.90, "precision": 0.85, "recall": 0.80, "f1": 0.82}
"""What a version should exceed on a test part."""
FIGURES = {"accuracy": _("accuracy"), "precision": _("precision"), "recall": _("recall"), "f1": _("F1")}
BINS = 40
TOP, HISTORY, CARDS = 50, 30, 3
PROTOCOLS = {
    "random": _("random"),
    "chronological": _("chronological"),
    "template": _("template-disjoint"),
    "source": _("cross-source"),
}
DISTURBED = {
    "edited": _("F1, lines edited"),
    "dropped": _("F1, lines dropped"),
    "duplicated": _("F1, lines duplicated"),
    "swapped": _("F1, lines swapped"),
    "reworded": _("F1, lines reworded zh↔en"),
}
TOLD = ["f1", "precision", "recall", "pr_auc", "false_alarms", "leakage", "seconds_to_train", "seconds_to_score"]
"""Figures of a protocol, in the order of the table's columns; the floor and the time to detect follow."""


@admin.register(ModelVersion)
class ModelVersionAdmin(ProjectAdmin[ModelVersion]):
    """Fitted detectors and fine-tuned analysts."""

    page_template = "duolog/version.html"
    starts = {"fit-detector": _("Train a detector"), "finetune": _("Fine-tune an analyst")}
    actions = ["compare"]
    list_display = ["name_number", "kind", "project", "names", "detector", "best_f1", "encoder", "created_at"]
    list_filter = ["kind", "name", "detector", "project"]
    search_fields = ["name", "detector"]
    deeds = dict.fromkeys(["promote", "rollback", "learn"], Role.ENGINEER)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        """Fetch the aliases, too, and not what no list shows."""
        rows = super().get_queryset(request).prefetch_related("aliases").defer("reference")
        listed = request.resolver_match and request.resolver_match.url_name == "detection_modelversion_changelist"
        return rows.defer("plots", "learning") if listed else rows

    @column(_("model version"), ordering="name")
    def name_number(self, version: ModelVersion) -> str:
        """As one writes it in a reference."""
        return str(version)

    @column(_("aliases"))
    def names(self, version: ModelVersion) -> str:
        """Aliases that point here."""
        return ", ".join(alias.alias for alias in version.aliases.all()) or "-"

    @column(_("F1"))
    def best_f1(self, version: ModelVersion) -> str:
        """F1 on each part it was measured on."""
        found = ((part, figures.get("f1")) for part, figures in version.metrics.items())
        return ", ".join(f"{part} {f1:.3f}" for part, f1 in found if f1 is not None) or "-"

    def page(self, request: HttpRequest, row: ModelVersion) -> dict[str, Any]:
        """Figures against goals, options, lineage, scans; of an analyst its figures beside a floor, and the attack."""
        shared = {
            "options": facts(row.options),
            "lineage": facts(row.lineage),
            "aliases": [alias.alias for alias in row.aliases.all()],
            "problems": promotion.problems(row),
            "curves": curves(row.run) if row.run else [],
            "history": history(row),
        }
        if row.kind == ModelVersion.Kind.ANALYST:
            return shared | charts.analyst(row)
        return shared | {
            "figures": list(FIGURES.values()),
            "goals": [GOALS[name] for name in FIGURES],
            "parts": [measured(part, figures) for part, figures in row.metrics.items()],
            "scorecards": [card(each) for each in row.scorecards.select_related("dataset", "run")[:CARDS]],
            "learning": charts.learning(row),
            "evaluations": charts.evaluations(row),
            "promises": charts.promises(row),
            "thresholds": row.thresholds.select_related("set_by"),
            "record": shadow.record(row),
            "scans": row.scans.select_related("dataset")[:20],
            "drift": newest_drift([row]),
            "beside": charts.beside(row),
            "news": learning.news([row]) if aliases.CHAMPION in shared["aliases"] else [],
        }

    def do_promote(self, request: HttpRequest, version: ModelVersion) -> tuple[str, None]:
        """Point an alias (the champion, unless the form names another) here."""
        name, reason = request.POST.get("alias") or aliases.CHAMPION, request.POST.get("reason", "").strip()
        alias = aliases.point(version, name, user=access.person(request), reason=reason)
        return gettext("%(alias)s is version %(number)d now.") % {"alias": alias, "number": version.number}, None

    def do_rollback(self, request: HttpRequest, version: ModelVersion) -> tuple[str, str]:
        """Let the champion of this version's name be again what it was before, and go there."""
        alias = aliases.rollback(
            project=version.project, name=version.name, user=access.person(request),
            reason=request.POST.get("reason", ""),
        )  # fmt: skip
        values = {"alias": alias, "number": alias.version.number}
        return gettext("%(alias)s is version %(number)d now.") % values, self.address(alias.version)

    def do_learn(self, request: HttpRequest, version: ModelVersion) -> tuple[str, str]:
        """Learn from the new verdicts on a dataset, and go to the run that does."""
        pk = request.POST.get("dataset", "")
        number = int(pk) if pk.isdecimal() and len(pk) < 19 else 0
        dataset = Dataset.objects.filter(project__slug=version.project, pk=number).first()
        run = learning.start(version, dataset, user=access.person(request))
        return gettext("%(run)s is queued.") % {"run": run}, reverse("admin:workers_run_change", args=[run.pk])

    # --- side by side -------------------------------------------------------------------------------------------

    @admin.action(description=_("Compare side by side"))
    def compare(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> HttpResponseRedirect:
        """Go to the page that shows the chosen versions side by side."""
        query = "&".join(f"id={pk}" for pk in chosen.order_by("name", "number").values_list("pk", flat=True)[:SERIES])
        return HttpResponseRedirect(f"{reverse('admin:detection_modelversion_compare')}?{query}")

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the comparison."""
        view = self.admin_site.admin_view(self.comparison)
        return [path("compare/", view, name="detection_modelversion_compare"), *super().get_urls()]

    def comparison(self, request: HttpRequest) -> HttpResponse:
        """Show versions (`?id=3&id=5`) side by side: figures, curves, and the options in which they differ."""
        wanted = [pk for pk in request.GET.getlist("id") if pk.isdecimal() and len(pk) < 19][:SERIES]
        chosen = self.get_queryset(request).filter(pk__in=wanted).order_by("name", "number")
        context = {
            **self.admin_site.each_context(request),
            **charts.comparison(list(chosen)),
            "opts": self.opts,
            "title": gettext("Versions side by side"),
        }
        return TemplateResponse(request, "duolog/compare.html", context)


def history(version: ModelVersion) -> QuerySet[AliasChange]:
    """Return what the aliases of the version's name pointed to and when, newest first."""
    changes = AliasChange.objects.filter(project=version.project, name=version.name)
    return aliases.history(changes).select_related("version", "set_by")[:HISTORY]


def measured(part: str, figures: dict[str, Any]) -> dict[str, Any]:
    """Return a part's figures in the order of the table's columns, each with whether it exceeds its goal."""
    cells = [{"value": figures.get(name), "met": figures.get(name, 0) > goal} for name, goal in GOALS.items()]
    leakage = 100 * figures["leakage"] if "leakage" in figures else None
    told = {name: figures.get(name) for name in ("pr_auc", "sequences", "floor", "floor_f1", "over_floor")}
    return {"name": part, "cells": cells, "leakage": leakage, **told}


def card(scorecard: Scorecard) -> dict[str, Any]:
    """Return a scorecard as its table's rows, and its curves."""
    rows = []
    for name, told in scorecard.protocols.items():
        row = {"name": PROTOCOLS.get(name, name), "skipped": told.get("skipped")}
        if "skipped" not in told:
            floor = told["floors"][told["floor"]]["f1"]
            row |= {"cells": [told[figure] for figure in TOLD], "floor": told["floor"], "floor_f1": floor}
            row |= {"over_floor": told["over_floor"], "line": told.get("detect_line"), "of": told["detect_of"]}
            row |= {"share": told.get("detect_share")}
        rows.append(row)
    found = scorecard.instability
    drawn = [drawing.curve(str(DISTURBED[kind]), points) for kind, points in found["curves"].items()]
    missing = [(DISTURBED[kind], reason) for kind, reason in found["not_measured"].items()]
    protocol = PROTOCOLS.get(found["protocol"], found["protocol"])
    return {"row": scorecard, "rows": rows, "curves": drawn, "missing": missing, "protocol": protocol}


class Live(admin.SimpleListFilter):
    """Scans that grow through their day as sequences close."""

    title = _("kind")
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer both kinds."""
        return [("yes", _("live")), ("no", _("of a dataset, once"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Scan]) -> QuerySet[Scan]:
        """Leave scans of one kind."""
        return queryset.filter(day__isnull=self.value() == "no") if self.value() in ("yes", "no") else queryset


@admin.register(Scan)
class ScanAdmin(ProjectAdmin[Scan]):
    """Passes of versions over datasets."""

    page_template = "duolog/scan.html"
    starts = {"scan": _("Scan a dataset")}
    list_display = ["__str__", "project", "part", "sequences", "anomalous", "created_at"]
    list_filter = [Live, "project"]
    list_select_related = ["version", "dataset"]

    def page(self, request: HttpRequest, row: Scan) -> dict[str, Any]:
        """How the scores lie around the threshold, and the highest of them."""
        highest = Score.objects.filter(scan=row, anomalous=True).select_related("sequence", "finding")
        return {
            "bars": drawing.histogram(histogram(row), row.threshold),
            "threshold_x": drawing.across(min(row.threshold, 1)),
            "beside": Scan.objects.filter(shadow_of=row).select_related("version").first(),
            "disagreements": disagreements(row),
            "highest": highest.order_by("-value")[:TOP],
            "share": row.anomalous / row.sequences if row.sequences else 0,
        }


def disagreements(scan: Scan) -> QuerySet[Score]:
    """Return what the shadow says where it disagrees with a champion's scan, or a shadow's scan itself does."""
    scores = Score.objects.filter(scan=scan if scan.shadow_of_id else Scan.objects.filter(shadow_of=scan).first())
    return scores.select_related("sequence", "scan").order_by("-value")[:TOP]


def histogram(scan: Scan) -> list[int]:
    """Return how many scores lie in each of `BINS` equal bins over 0 to 1."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT least(width_bucket(value, 0, 1, {BINS}), {BINS}), count(*) FROM {Score._meta.db_table}"  # noqa: S608
            " WHERE scan_id = %s GROUP BY 1",
            [scan.pk],
        )
        counts = dict(cursor.fetchall())
    return [counts.get(bin_number, 0) for bin_number in range(1, BINS + 1)]
