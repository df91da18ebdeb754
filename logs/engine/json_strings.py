"""The strings and numbers of a line that is JSON, with the key of each, so that values change and structure never."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

SCALAR = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+")(\s*+:)?|-?[0-9][0-9.eE+-]*+', re.DOTALL)
LISTED = re.compile(r"[\[,]\s*$")
NAMES, VALUES = (
    ("key", "name"),
    ("value", "stringValue"),
)  # {"name": "DB_PASSWORD", "value": "…"}: Kubernetes, OTLP, HAR


class Scalar(NamedTuple):
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
    for match in SCALAR.finditer(line):
        string, colon = match.groups()
        start = match.start()
        if string is None:
            text, end = match.group(), match.end()
        else:
            text, end = (json.loads(string, strict=False) if "\\" in string else string[1:-1]), match.end(1)
        if colon:
            key = text
            yield Scalar(start, end, text, "", False)
            continue
        under = named if named and key in VALUES else key
        yield Scalar(start, end, text, under, LISTED.search(line[max(0, start - 8) : start]) is not None)
        if key in NAMES:
            named = text
        elif key in VALUES:
            named = ""


def replaced(line: str, changed: Mapping[Scalar, str]) -> str:
    """Return the line with scalars replaced by strings; everything else stays as it is, byte for byte."""
    parts, at = [], 0
    for scalar in sorted(changed):
        escaped = "\\u" in line[scalar.start : scalar.end]
        parts += [line[at : scalar.start], json.dumps(changed[scalar], ensure_ascii=escaped)]
        at = scalar.end
    return "".join([*parts, line[at:]])
