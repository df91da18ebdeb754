"""Which items a route lets through: by severity, service, and the hours of its time zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from analysis.models import Route
from logs.engine.taxonomy import SEVERITIES


def matches(route: Route, *, severity: str, service: str, at: datetime) -> bool:
    """Tell whether a route lets through what begins at `at` (aware); a severity nobody knows is below every other."""
    severe = severity in SEVERITIES and SEVERITIES.index(severity) >= SEVERITIES.index(route.severity)
    return severe and is_like(service, route.service) and is_open(route, at)


def is_like(service: str, pattern: str) -> bool:
    """Tell whether a service is meant by a pattern, in which * stands for any characters and ? for any one."""
    signs = {"*": ".*", "?": "."}
    wanted = "".join(signs.get(sign, re.escape(sign)) for sign in pattern)
    return re.fullmatch(wanted, service, re.DOTALL) is not None


def is_open(route: Route, at: datetime) -> bool:
    """Tell whether a moment lies within a route's hours, by the clocks of its time zone.

    Hours that span midnight belong to the day on which they began.
    """
    local = at.astimezone(ZoneInfo(route.zone))
    minute, day = local.hour * 60 + local.minute, local.date()
    begin, end = route.from_minute, route.until_minute
    if begin > end and minute < end:
        day -= timedelta(days=1)
    elif begin != end and not (begin <= minute and (minute < end or begin > end)):
        return False
    return str(day.isoweekday()) in route.weekdays
