"""May a version become champion? Its figures say whether it beats what a few lines of code reach."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from detection.models import ModelVersion

TRIALS = 5
"""Fewer say little about the spread."""
FIT, PRIVACY = "fit", "privacy"
"""What an analyst's metrics hold beside the figures of each part: those of its training, and what an attack got."""
GROUNDED = 0.99
"""The share of an analyst's claims that must stand in the lines."""


def problems(version: ModelVersion) -> list[str]:
    """Return why a version should not become champion, a sentence each; none is a yes."""
    return _of_analyst(version) if version.kind == ModelVersion.Kind.ANALYST else _of_detector(version)


def parts(version: ModelVersion) -> dict[str, dict[str, Any]]:
    """Return an analyst's figures by the part that it was measured on."""
    return {name: figures for name, figures in version.metrics.items() if name not in (FIT, PRIVACY)}


def _of_analyst(version: ModelVersion) -> list[str]:
    """Every measurement must hold, and the first version of a name needs them, too: without one the rules explain.

    It must not name types worse than the rules do, nearly all that it claims must stand in the lines, and no canary
    may be got out of it.
    """
    measured = parts(version)
    if not measured:
        text = gettext("it was not measured; `duolog evaluate --model %(version)s --dataset NAME` does it")
        found = [text % {"version": version}]
    else:
        found = [problem for part, figures in measured.items() for problem in _of_part(part, figures)]
    attack = version.metrics.get(PRIVACY, {})
    if not attack.get("canaries"):
        found.append(gettext("nobody tried to get secrets out of it: fine-tune it with canaries, and measure it"))
    elif attack["rate"] > 0:
        text = gettext("%(extracted)d of the %(canaries)d secrets planted in its training data were got out of it")
        found.append(text % attack)
    return found


def _of_part(part: str, figures: dict[str, Any]) -> list[str]:
    found = []
    names = {"type_accuracy": gettext("type accuracy"), "macro_f1": gettext("macro-F1 of the types")}
    for name, title in names.items():
        floor = figures.get(f"floor_{name}")
        if floor is not None and figures[name] < floor:
            text = gettext("on %(part)s the %(floor)s are better: %(title)s %(best).4f to %(value).4f")
            told = {"part": part, "floor": figures["floor"], "title": title, "best": floor, "value": figures[name]}
            found.append(text % told)
    if figures["grounded"] is None or figures["grounded"] < GROUNDED:
        text = gettext("on %(part)s %(share).1f %% of what it claimed stands in the lines, and %(goal)d %% must")
        share = 100 * (figures["grounded"] or 0.0)
        found.append(text % {"part": part, "share": share, "goal": round(100 * GROUNDED)})
    return found


def _of_detector(version: ModelVersion) -> list[str]:
    """Every protocol of the setting REQUIRED_PROTOCOLS must stand on a scorecard.

    It is the newest that tried it `TRIALS` times or more that counts, and its mean F1 must not be below the best
    floor's. The first version of a name needs nothing: without a champion a newcomer would see nothing at all.
    """
    if version.number == 1:
        return []
    tried: dict[str, dict[str, Any]] = {}
    skipped: dict[str, str] = {}
    for card in version.scorecards.order_by("created_at"):
        for name, told in card.protocols.items():
            if "skipped" in told:
                skipped[name] = told["skipped"]
            elif told["trials"] >= TRIALS:
                tried[name] = told
    found = []
    for name in settings.REQUIRED_PROTOCOLS:
        if name not in tried:
            text = gettext(
                "the protocol %(name)s was not tried %(trials)d times; `duolog scorecard --model %(version)s "
                "--dataset NAME` does it"
            )
            found.append(text % {"name": name, "trials": TRIALS, "version": version})
            if name in skipped:
                found[-1] += f" ({skipped[name]})"
        elif tried[name]["over_floor"] < 0:
            text = gettext(
                "under the protocol %(name)s the trivial floor %(floor)s is better: F1 %(best).4f to %(f1).4f"
            )
            best = tried[name]["floors"][tried[name]["floor"]]["f1"]["mean"]
            told = {"floor": tried[name]["floor"], "best": best, "f1": tried[name]["f1"]["mean"]}
            found.append(text % {"name": name, **told})
    return found
