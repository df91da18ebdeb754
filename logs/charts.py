"""A dataset's statistics as charts, ready for the page."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog import charts
from logs import labels
from logs.models import Dataset

LABELS = {0: ("normal", _("normal")), 1: ("anomalous", _("anomalous")), None: ("none", _("no label"))}
LANGUAGES = {"zh": _("Chinese"), "en": _("English"), "mixed": _("mixed"), "other": _("neither")}
SHOWN = 12
LEAKY = 0.1
"""From this share on the page says how to split without."""
SHADES = 10


def draw(values: dict[str, Any]) -> dict[str, Any]:
    """Return the charts of `logs.engine.statistics.Tally.result`."""
    lengths, repeated = values["lengths"], values["duplicates"]
    languages = [(str(LANGUAGES[row["language"]]), row["sequences"], "", "") for row in values["languages"]]
    bins = [(between(each["from"], each["to"]), each["sequences"]) for each in lengths["bins"]]
    return {
        "labels": kinds(values["labels"]),
        "lengths": charts.columns(bins),
        "length_ends": (bins[0][0], bins[-1][0]),
        "languages": charts.strips(languages),
        "growth": charts.curve(gettext("Distinct templates against lines read"), [(0, 0), *values["growth"]]),
        "repeated": charts.strips(
            [
                (gettext("first of its kind"), repeated["distinct"], "", ""),
                (gettext("a repetition"), repeated["repeated"], "quiet", ""),
                (gettext("contradictory"), repeated["contradictory"], "flagged", ""),
            ],
            values["sequences"],
        ),
        "most": [{"before": each["sequence"] - 1, "sequences": each["sequences"]} for each in repeated["most"][:5]],
        "heat": heat(values["services"]),
    }


def kinds(rows: list[dict[str, Any]]) -> list[charts.Strip]:
    """Draw labels and types, the most frequent first; a name leads to these sequences."""
    shown = [(named(row), row["sequences"], "flagged" if row["label"] == 1 else "", link(row)) for row in rows[:SHOWN]]
    if rest := sum(row["sequences"] for row in rows[SHOWN:]):
        shown.append((gettext("others"), rest, "quiet", ""))
    return charts.strips(shown)


def cards(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how many sequences have which label, whatever their type."""
    counts = Counter[int | None]()
    for row in rows:
        counts[row["label"]] += row["sequences"]
    return [
        {"label": LABELS[each][0], "name": LABELS[each][1], "sequences": counts[each]}
        for each in sorted(counts, key=str)
    ]


def heat(services: dict[str, Any]) -> dict[str, Any]:
    """Return head and rows of a table of services by type.

    A cell's shade is the share of the column's sequences in which the service takes part, so that columns of any size
    compare.
    """
    columns = services["kinds"]
    rows = []
    for name, counts in zip(services["names"], services["sequences"], strict=True):
        cells = []
        for kind, count in zip(columns, counts, strict=True):
            share = count / kind["sequences"] if kind["sequences"] else 0
            title = f"{name} · {named(kind)}: {count:,} / {kind['sequences']:,}"
            cells.append({"shade": round(share * SHADES), "share": f"{share:.0%}", "title": title})
        rows.append({"name": name, "cells": cells})
    return {"columns": [named(kind) for kind in columns], "rows": rows}


def named(kind: dict[str, Any]) -> str:
    """Return how people call a label with its type."""
    if kind["label"] == 1 and kind["type"]:
        return labels.named(kind["type"])
    return str(LABELS[kind["label"]][1])


def link(kind: dict[str, Any]) -> str:
    """Return the query of the page that shows these sequences."""
    wanted = {"label": LABELS[kind["label"]][0]} | ({"type": kind["type"]} if kind["type"] else {})
    return f"?{urlencode(wanted)}#sequences"


def between(first: int, last: int) -> str:
    """Return a range of lengths in words."""
    return f"{first:,}" if first == last else f"{first:,}-{last:,}"


def parts(splits: list[Any]) -> dict[str, Any]:
    """Return the sizes of a division's parts as a chart, and how much each leaks."""
    leaks = [(part.name, part.leakage) for part in splits if part.leakage is not None]
    return {
        "sizes": charts.strips([(part.name, part.size, "", "") for part in splits]),
        "leaks": [
            charts.Strip(
                name, f"{share:.1%}", at * charts.STRIP, share * charts.ROOM, f"{name}: {share:.2%}", style, ""
            )
            for at, (name, share) in enumerate(leaks)
            for style in ["flagged" if share >= LEAKY else ""]
        ],
        "leaky": any(share >= LEAKY for _name, share in leaks),
    }


def quarantine(dataset: Dataset) -> list[charts.Strip]:
    """Draw which files held rows that could not be understood."""
    rows = dataset.quarantine.order_by().values_list("file").annotate(rows=Count("pk")).order_by("-rows", "file")
    return charts.strips([(file[-40:], count, "flagged", "") for file, count in rows[:SHOWN]])
