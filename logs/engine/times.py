"""When a log line was written, read from how it begins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

# (date and time as they stand in the line, how to read them). Fraction and zone may follow each of them.
KINDS = (
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T _][0-9]{2}:[0-9]{2}:[0-9]{2}", "%Y-%m-%d %H:%M:%S"),  # ISO 8601, Postgres
    (r"[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", "%Y/%m/%d %H:%M:%S"),  # nginx
    (r"[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}", "%d %b %Y %H:%M:%S"),  # Valkey
    (r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}", "%d/%b/%Y:%H:%M:%S"),  # access logs
    (r"[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}", "%a %b %d %H:%M:%S %Y"),  # Apache
    (r"[0-9]{2}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", "%y/%m/%d %H:%M:%S"),  # Spark
    (r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}", "%Y %b %d %H:%M:%S"),  # syslog: without a year
    (r"^[0-9]{6} [0-9]{6}\b", "%y%m%d %H%M%S"),  # HDFS
)
YEAR_10000 = 253_402_300_800
HEAD = 120
"""Characters within which a time must stand."""
AFTER = r"(?:[.,]([0-9]{1,9}))?(?: ?(Z|UTC|GMT|[-+][0-9]{2}:?[0-9]{2}))?"


def parse(lines: Sequence[str], now: datetime | None = None, zone: str = "UTC") -> list[float | None]:
    """Return Unix seconds, one a line, None where no time was found; `zone` is that of a time that names none.

    Syslog names no year: it is the one that puts the line last before `now` (default: this moment).
    """
    now = (now or datetime.now(UTC)).astimezone(ZoneInfo(zone))
    head = pl.Series("line", lines, dtype=pl.String).str.slice(0, HEAD)
    found = pl.Series("at", [None] * len(lines), dtype=pl.Float64)
    for pattern, form in KINDS:
        missing = found.is_null()
        if not missing.any():
            break
        found = found.zip_with(~missing, _read(head, pattern, form, now, zone))
    return found.to_list()


def unix(value: object) -> float | None:
    """Return a moment as Unix seconds: a number, digits, or ISO 8601; None for all else (`parse` knows more forms).

    The unit of a number follows from its size: seconds until the year 5138, then milli-, micro- and nanoseconds.
    """
    if isinstance(value, str):
        try:
            if value[4:5] == "-":
                moment = datetime.fromisoformat(value)
                return kept((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
            value = float(value)
        except (ValueError, OverflowError):
            return None
    elif value.__class__ is not int and value.__class__ is not float:
        return None
    assert isinstance(value, int | float)  # noqa: S101 - for mypy
    if value < 1e11:
        return kept(value)
    if not value < 1e20:  # not a number, or one that would overflow
        return None
    return kept(value / (1e3 if value < 1e14 else 1e6 if value < 1e17 else 1e9))


def kept(seconds: float) -> float | None:
    """Return a moment that can be stored: after the year 1970 began and before 9999 ends."""
    return float(seconds) if 0 < seconds < YEAR_10000 else None


def _read(head: pl.Series, pattern: str, form: str, now: datetime, local: str) -> pl.Series:
    parts = head.str.extract_groups(f"({pattern}){AFTER}").struct.unnest()
    stamp, fraction, zone = parts.get_columns()
    yearless = form.startswith("%Y %b")
    if yearless:
        stamp = f"{now.year} " + stamp.str.replace("  ", " 0")
    elif form.startswith("%Y-"):
        stamp = stamp.str.replace("[T_]", " ")
    at = stamp.str.to_datetime(form, strict=False, time_unit="ms")
    if yearless:
        late = (at > now.replace(tzinfo=None)).fill_null(False)
        at = at.zip_with(~late, at.dt.offset_by("-1y"))
    if local != "UTC":
        here = at.dt.replace_time_zone(local, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
        at = at.zip_with(zone.is_not_null(), here.dt.replace_time_zone(None))
    offset = zone.str.replace(":", "").str.extract("([-+][0-9]{4})").cast(pl.Int64, strict=False).fill_null(0)
    east = offset.sign() * (offset.abs() // 100 * 3600 + offset.abs() % 100 * 60)
    return at.dt.epoch("ms") / 1000 + ("0." + fraction).cast(pl.Float64, strict=False).fill_null(0.0) - east
