"""A version's evaluations as charts and tables, ready for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from detection import promotion
from detection.models import ModelVersion
from duolog import charts
from logs import labels

SHADES, MISTAKEN = 10, 10
UNTYPED = {"normal": _("normal"), "anomalous": _("anomalous")}
"""What stands for a type where a sequence has none."""
FIGURES = {
    "f1": _("F1"), "precision": _("precision"), "recall": _("recall"), "accuracy": _("accuracy"), "pr_auc": "PR-AUC",
    "ece": _("calibration error"), "leakage": _("leakage"), "threshold": _("threshold"), "sequences": _("sequences"),
    "type_accuracy": _("type accuracy"), "macro_f1": _("macro-F1 of the types"),
    "category_accuracy": _("category accuracy"), "language_agreement": _("same type in both languages"),
    "valid": _("valid reports"), "grounded": _("claims that stand in the lines"),
    "seconds_a_report": _("seconds a report"),
}  # fmt: skip
OF_AN_ANALYST = (
    "type_accuracy", "macro_f1", "category_accuracy", "f1", "ece", "language_agreement", "valid", "grounded",
    "seconds_a_report",
)  # fmt: skip
"""Figures of an analyst on a part, in the order of its table."""


BESIDE = ("f1", "precision", "recall", "pr_auc")
"""Figures of a candidate beside those of the champion."""


def evaluations(version: ModelVersion) -> list[dict[str, Any]]:
    """Return the charts of each part that a version was measured on."""
    return [evaluation(version, part, plots) for part, plots in version.plots.items()]


def analyst(version: ModelVersion) -> dict[str, Any]:
    """Return what an analyst's page shows of its figures: a table a part, its confusions, the training, the attack."""
    measured = []
    for part, figures in promotion.parts(version).items():
        rows = [(FIGURES[name], figures.get(name), figures.get(f"floor_{name}")) for name in OF_AN_ANALYST]
        mistaken = [
            (labels.named(true) or UNTYPED["normal"], labels.named(said) or UNTYPED["normal"], count)
            for true, row in figures["confusion"].items()
            for said, count in row.items()
            if true != said
        ]
        mistaken.sort(key=lambda row: -row[2])
        told = {"sequences": figures["sequences"], "reports": figures["reports"], "floor": figures["floor"]}
        measured.append({"part": part, "rows": rows, "mistaken": mistaken[:MISTAKEN], **told})
    fit = sorted(version.metrics.get(promotion.FIT, {}).items())
    return {"measured": measured, "fit": fit, "attack": version.metrics.get(promotion.PRIVACY)}


def evaluation(version: ModelVersion, part: str, plots: dict[str, Any]) -> dict[str, Any]:
    """Return PR curve, reliability, score histogram, confusion matrix and heat map of experts of one part."""
    figures = version.metrics.get(part, {})
    threshold = float(figures.get("threshold", 0.5))
    histogram = plots["histogram"]
    most = max([*histogram["normal"], *histogram["anomalous"]])
    return {
        "part": part,
        "ece": figures.get("ece"),
        "pr": pr_curves([("", plots)]),
        "reliability": reliabilities([("", plots)]),
        "scores": {
            **{name: charts.histogram(counts, 2, most) for name, counts in histogram.items()},
            "threshold_x": charts.across(min(threshold, 1)),
        },
        "confusion": plots["confusion"],
        "experts": experts(figures["routing"], version.options.get("experts", 0)) if "routing" in figures else None,
    }


def experts(routing: dict[str, Any], of_a_block: int) -> dict[str, Any]:
    """Return head and rows of the heat map of types by experts (`detection.engine.routing.summary`).

    A cell's shade is the expert's part of the work on sequences of the type; the experts of a block sum to 1.
    """
    count = len(routing["load"])
    names = [expert(number, of_a_block or count, count) for number in range(count)]
    kinds = {str(UNTYPED.get(name) or labels.named(name)): loads for name, loads in routing["types"].items()}
    rows = []
    for kind, loads in [*kinds.items(), (gettext("all"), routing["load"])]:
        cells = [
            {"shade": round(load * SHADES), "share": f"{load:.0%}", "title": f"{kind} · {name}"}
            for name, load in zip(names, loads, strict=True)
        ]
        rows.append({"name": kind, "cells": cells})
    idle = ", ".join(names[number] for number in routing["collapsed"])
    return {"columns": names, "rows": rows, "fired": routing["fired"], "idle": idle}


def expert(number: int, of_a_block: int, experts: int) -> str:
    """Return the name of an expert, counted from 1, with its block if there are several."""
    if experts == of_a_block:
        return gettext("expert %(number)d") % {"number": number + 1}
    values = {"block": number // of_a_block + 1, "number": number % of_a_block + 1}
    return gettext("block %(block)d, expert %(number)d") % values


def learning(version: ModelVersion) -> list[dict[str, Any]]:
    """Return, for each dataset, what the version's recipe reaches with few labels: rows of a table, and curves."""
    found = []
    for dataset, told in version.learning.items():
        drawn = [
            charts.curve(str(FIGURES[name]), [(row["labels"], row[name]["mean"]) for row in told["points"]], log=True)
            for name in ("f1", "pr_auc")
        ]
        found.append({"dataset": dataset, "curves": drawn, **told})
    return found


def beside(version: ModelVersion) -> dict[str, Any] | None:
    """Return what a candidate's page shows of the version it was measured beside; None for one that was not."""
    parts: list[dict[str, Any]] = []
    for part, figures in version.metrics.items():
        if "champion" not in figures:
            continue
        live = figures["champion"]
        rows = [{"name": FIGURES[name], "value": figures[name], "before": live[name]} for name in BESIDE]
        learned = version.lineage.get("types", {})
        kinds = [
            {
                "name": labels.named(kind) if kind not in UNTYPED else UNTYPED[kind],
                "normal": kind == "normal",
                "learned": learned.get(kind, 0),
                "before": live["types"][kind]["flagged"],
                "better": (found["flagged"] - live["types"][kind]["flagged"]) * (-1 if kind == "normal" else 1) > 0,
                "worse": (found["flagged"] - live["types"][kind]["flagged"]) * (-1 if kind == "normal" else 1) < 0,
                **found,
            }
            for kind, found in figures["types"].items()
        ]
        shown = {"sequences": figures["sequences"], "figures": rows, "kinds": kinds, **live}
        if not any(shown.items() <= other.items() for other in parts):  # else people reviewed all of the test part
            parts.append({"name": part, **shown})
    if not parts:
        return None
    told = {"champion": parts[0]["version"], "id": parts[0]["id"], "verdicts": version.lineage.get("verdicts", 0)}
    return {"parts": parts, **told}


def pr_curves(series: Sequence[tuple[str, dict[str, Any]]]) -> charts.Lines:
    """Draw precision against recall, one line a version."""
    lines = [(name, [(recall, precision) for recall, precision, _ in plots["pr"]]) for name, plots in series]
    return charts.unit_lines(lines, x=gettext("recall"), y=gettext("precision"))


def reliabilities(series: Sequence[tuple[str, dict[str, Any]]]) -> charts.Lines:
    """Draw the share of anomalous sequences against the mean score of each bin, one line a version."""
    lines = [(name, [(mean, share) for mean, share, _ in plots["reliability"]]) for name, plots in series]
    return charts.unit_lines(lines, x=gettext("score"), y=gettext("anomalous"), diagonal=True)


def promises(version: ModelVersion) -> list[dict[str, Any]]:
    """Return, for each part measured at the present threshold, the false alarms beside what the threshold promises."""
    from detection.engine.calibrate import interval  # reads scipy, which a web process loads for this page only

    rate, a_day = version.policy.get("rate"), max(version.policy.get("a_day", {}).values(), default=None)
    rows = []
    for part, plots in version.plots.items():
        counts = plots["confusion"]
        alarms, normals = counts["false_positive"], counts["false_positive"] + counts["true_negative"]
        if not normals or version.metrics[part]["threshold"] != version.threshold:
            continue
        low, high = interval(alarms, normals)
        row = {"part": part, "alarms": alarms, "normals": normals, "share": alarms / normals, "low": low, "high": high}
        rows.append(
            {
                **row,
                "promised": rate,
                "a_day": row["share"] * a_day if a_day else None,
                "promised_a_day": rate * a_day if rate and a_day else None,
                "kept": None if rate is None else low <= rate,
            }
        )
    return rows


def comparison(versions: Sequence[ModelVersion]) -> dict[str, Any]:
    """Return the figures of versions side by side, part by part, and the curves of each part over one another."""
    parts = []
    for part in dict.fromkeys(part for version in versions for part in version.metrics):
        found = [version.metrics.get(part, {}) for version in versions]
        rows = [
            {"name": title, "values": [figures.get(name) for figures in found]}
            for name, title in FIGURES.items()
            if any(name in figures for figures in found)
        ]
        drawn = [(str(version), version.plots[part]) for version in versions if part in version.plots]
        curves = {"pr": pr_curves(drawn), "reliability": reliabilities(drawn)} if drawn else {}
        parts.append({"name": part, "rows": rows, **curves})
    options = dict.fromkeys(name for version in versions for name in version.options)
    differing = [
        {"name": name, "values": [version.options.get(name, "-") for version in versions]}
        for name in options
        if len({str(version.options.get(name)) for version in versions}) > 1
    ]
    return {"versions": versions, "parts": parts, "options": differing}
