"""The gap between a synthetic dataset and real ones, in words and as charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from duolog import charts
from logs.models import Dataset

NAMES = {
    "all": _("all together"),
    "wording": _("wording"),
    "language": _("language"),
    "lengths": _("lengths"),
    "levels": _("levels"),
    "gaps": _("time gaps"),
    "repetition": _("repetition"),
    "services": _("services"),
    "labels": _("anomaly share"),
}
"""What tells synthetic and real sequences apart (`training.engine.gap`)."""
SIDES = {"synthetic": _("synthetic"), "real": _("real")}


def drawn(dataset: Dataset) -> list[dict[str, Any]]:
    """Return what was measured against each real dataset, newest first, as charts and sentences."""
    rows = dataset.gaps.select_related("real").order_by("-measured_at")
    return [
        {
            "gap": row,
            "auc": _auc(row.values),
            "coverage": _shares(
                (gettext("alike, distinct"), row.values["coverage"]["alike"], ""),
                (gettext("alike, as written"), row.values["coverage"]["alike_mentions"], ""),
                (gettext("equal, distinct"), row.values["coverage"]["equal"], "quiet"),
                (gettext("equal, as written"), row.values["coverage"]["equal_mentions"], "quiet"),
            ),
            "transfer": _transfer(row.values["transfer"]),
            "missing": missing(row.values["transfer"]),
            "advice": advice(row.values),
        }
        for row in rows
    ]


def advice(values: Mapping[str, Any]) -> list[str]:
    """Return what a person should do about a gap: the option that helps most first, then what none helps."""
    telling = [name for name in NAMES if (values["auc"][name] or 0) >= values["limit"]]
    if not telling:
        return [gettext("Nothing of what was compared gives the synthetic sequences away.")]
    if not values["generated"]:
        return [
            gettext(
                "This dataset was not generated here, so there is no option to try; import real sequences of your own."
            )
        ]
    said = []
    for place, each in enumerate(values["options"]):
        text = gettext("%(options)s would help most: %(group)s %(before).2f → %(after).2f")
        if place:
            text = gettext("%(options)s: %(group)s %(before).2f → %(after).2f")
        said.append(text % {**each, "options": options(each["options"]), "group": NAMES[each["group"]]})
    helped = {"all", *(each["group"] for each in values["options"])}
    if left := [str(NAMES[name]) for name in telling if name not in helped]:
        text = gettext("No option helps here: %(groups)s; import real sequences of your own.")
        said.append(text % {"groups": ", ".join(left)})
    return said or [gettext("Only all of it together tells them apart, and no option changes that.")]


def options(chosen: Mapping[str, Any]) -> str:
    """Return options as `generate` takes them."""
    return " ".join(f"--set {name}={value}" for name, value in chosen.items())


def missing(transfer: Mapping[str, Any]) -> str:
    """Return why nothing was trained; empty where something was."""
    if "missing" not in transfer:
        return ""
    text = gettext(
        "too few labels to train and test: the %(side)s sample has %(normal)d normal and %(anomalous)d anomalous"
    )
    return text % {**transfer, "side": SIDES[transfer["missing"]]}


def _auc(values: Mapping[str, Any]) -> list[charts.Strip]:
    """Draw each group's AUC from 0.5, where a bar has no length, to 1; what could not be compared has no bar."""
    strips = []
    for place, (name, title) in enumerate(NAMES.items()):
        value = values["auc"][name]
        shown = gettext("not told") if value is None else f"{value:.2f}"
        width = 0 if value is None else max(2 * value - 1, 0) * charts.ROOM
        style = "flagged" if value is not None and value >= values["limit"] else ""
        strips.append(charts.Strip(str(title), shown, place * charts.STRIP, width, f"{title}: {shown}", style, ""))
    return strips


def _transfer(found: Mapping[str, Any]) -> list[charts.Strip]:
    if "missing" in found:
        return []
    return _shares(
        (gettext("on synthetic"), found["synthetic"]["f1"], ""),
        (gettext("on real"), found["real"]["f1"], "quiet"),
        (gettext("all anomalous"), found["guess"], "quiet"),
        form="{:.3f}",
    )


def _shares(*rows: tuple[str, float, str], form: str = "{:.1%}") -> list[charts.Strip]:
    """Draw (name, share, style) rows as bars from 0 to 1."""
    return [
        charts.Strip(
            name,
            form.format(share),
            place * charts.STRIP,
            share * charts.ROOM,
            f"{name}: {form.format(share)}",
            style,
            "",
        )
        for place, (name, share, style) in enumerate(rows)
    ]
