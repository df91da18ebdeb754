"""May a version become champion? Its scorecards say whether it beats what a few lines of code reach."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from detection.models import ModelVersion

TRIALS = 5
"""Fewer say little about the spread."""


def problems(version: ModelVersion) -> list[str]:
    """Return why a version should not become champion, a sentence each; none is a yes.

    Every protocol of the setting REQUIRED_PROTOCOLS must stand on a scorecard, the newest that tried it `TRIALS` times
    or more, and its mean F1 must not be below the best floor's. The first version of a name needs nothing: without a
    champion a newcomer would see nothing at all.
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
