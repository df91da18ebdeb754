"""When to ask a server again that could not answer."""

from __future__ import annotations

import time
from contextlib import suppress
from email.utils import parsedate_to_datetime

BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same question may be answered later."""


def seconds(value: str) -> float:
    """Return what `Retry-After` asks for, a number or a date, in seconds; 0 for what is neither."""
    if value.strip().isdecimal():
        return float(value)
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
