"""Levels of log lines, as six names: trace, debug, info, warn, error, fatal; "" where nobody said."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

SYSLOG = ("fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug")
"""By severity, 0 (emergency) to 7 (debug): RFC 5424, table 2."""
OTLP = ("", *(name for name in ("trace", "debug", "info", "warn", "error", "fatal") for _ in range(4)))
"""By SeverityNumber, 0 (unspecified) to 24: OpenTelemetry logs data model."""
_WORDS = {
    "trace": "trace trc verbose finest finer all 跟踪",
    "debug": "debug dbg debugging fine 调试",
    "info": "info inf information informational notice log config success ok i 信息 通知",
    "warn": "warn wrn warning 警告",
    "error": "error err eror erro severe failure 错误",
    "fatal": "fatal ftl critical crit alert emerg emergency panic dpanic 致命 严重",
}
_NUMBERS: dict[object, str] = {
    10: "trace",
    20: "debug",
    30: "info",
    40: "warn",
    50: "error",
    60: "fatal",
}  # bunyan, pino

KNOWN: dict[object, str] = {word: name for name, words in _WORDS.items() for word in words.split()}
KNOWN |= {word.upper(): name for word, name in list(KNOWN.items()) if isinstance(word, str)}
KNOWN.update(enumerate(SYSLOG))
KNOWN.update(_NUMBERS)
KNOWN |= {str(number): name for number, name in list(KNOWN.items()) if isinstance(number, int)}


def level(value: object) -> str:
    """Return one of the six names, or "" for what is none of the words and numbers in use."""
    # True is 1, and 1 is an alert.
    if value.__class__ is str or value.__class__ is int:
        found = KNOWN.get(value)
        if found is None and isinstance(value, str):
            found = KNOWN.get(value.strip().lower())
        return found or ""
    return ""


_NAMED = r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|SEVERE|CRITICAL|FATAL|PANIC)\b"
_MARKED = r"(?i)(?:\[|\b(?:level|severity|lvl)[\"']?\s*[=:]\s*[\"']?)(trace|debug|info|notice|warn(?:ing)?|error|crit(?:ical)?|alert|emerg|fatal|panic)\b"  # noqa: E501
HEAD = 160
"""Characters within which a line of text names its level."""


def find(lines: Sequence[str]) -> list[str]:
    """Return the levels that lines of text name near their beginning, in capitals or marked as such; "" for others."""
    head = pl.Series("line", lines, dtype=pl.String).str.slice(0, HEAD)
    found = head.str.extract(_NAMED).fill_null(head.str.extract(_MARKED))
    return [level(word) for word in found]
