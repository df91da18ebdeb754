"""The strings and numbers of a line that is JSON, with the key of each, so that values change and structure never."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

SCALAR = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.eE+-]*+', re.DOTALL)
NAMES, VALUES = (
    ("key", "name"),
    ("value", "stringValue"),
)  # {"name": "DB_PASSWORD", "value": "…"} of Kubernetes, OTLP, HAR


@dataclass(frozen=True)
class Scalar:
    """A string (a key, too) or a number: where it stands, what it says, the key it stands under ("" if it is one)."""

    start: int
    end: int
    text: str
    key: str
    listed: bool


def is_json(line: str) -> bool:
    """Tell whether a whole line is one JSON object or array."""
    stripped = line.strip(" \t\r\n")
    if not stripped.startswith(("{", "[")) or not stripped.endswith(("}", "]")):
        return False
    try:
        msgspec.json.decode(stripped.encode(errors="replace"), type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return "\\ud" in stripped.lower() and _takes_lone_surrogates(stripped)
    return True


def _takes_lone_surrogates(text: str) -> bool:
    """Tell whether text is JSON for Python's parser, which unlike msgspec takes "\\ud800"."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def scalars(line: str) -> Iterator[Scalar]:
    """Yield the scalars of a line that is JSON, in order."""
    key = named = ""
    found = list(SCALAR.finditer(line))
    for number, match in enumerate(found):
        raw = match.group()
        text = (json.loads(raw, strict=False) if "\\" in raw else raw[1:-1]) if raw[0] == '"' else raw
        after = line[match.end() : found[number + 1].start()] if number + 1 < len(found) else ""
        if raw[0] == '"' and after.lstrip().startswith(":"):
            key = text
            yield Scalar(match.start(), match.end(), text, "", False)
            continue
        under = named if key in VALUES and named else key
        yield Scalar(
            match.start(),
            match.end(),
            text,
            under,
            line[max(0, match.start() - 8) : match.start()].rstrip().endswith(("[", ",")),
        )
        if key in NAMES:
            named = text
        elif key in VALUES:
            named = ""


def replaced(line: str, changed: Mapping[Scalar, str]) -> str:
    """Return the line with scalars replaced by strings; everything else stays as it is, byte for byte."""
    parts, at = [], 0
    for scalar, text in sorted(changed.items(), key=lambda each: each[0].start):
        escaped = "\\u" in line[scalar.start : scalar.end]
        parts += [line[at : scalar.start], json.dumps(text, ensure_ascii=escaped)]
        at = scalar.end
    return "".join([*parts, line[at:]])
