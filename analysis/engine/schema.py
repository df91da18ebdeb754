"""Reports as JSON: the public schema, versioned, and the flat one in which a model is asked to answer.

In JSON lines count from 1, as people count them, and what a normal sequence does not have is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

import msgspec

from duolog.plugins.types import Case, Evidence, Language, Report, Wording
from logs.engine import taxonomy

VERSION = 1
"""Version of the public schema: members may join it, but none of them changes its meaning or leaves."""
NORMAL = "正常"
"""What a model answers as the type of a sequence that is not anomalous."""
LANGUAGES: tuple[Language, ...] = get_args(Language)
QUOTES, QUOTE = 5, 200
SUMMARY, CAUSE, ADVICE, PIECES = 300, 500, 200, 5
"""What a model may write at most: quotes and their characters; characters of the texts, and pieces of advice."""

_WORDING = {
    "type": "object",
    "required": ["summary", "root_cause", "recommendations"],
    "properties": {
        "summary": {"type": "string"},
        "root_cause": {"type": "string"},
        "recommendations": {"type": "array", "items": {"type": "string"}},
    },
}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
REPORT: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": f"urn:duolog:report:{VERSION}",
    "title": "Report",
    "description": "What an analyst says about a sequence of log lines: one verdict, in one or two languages.",
    "type": "object",
    "required": [
        "version", "anomalous", "category", "type", "severity", "confidence", "evidence", "texts", "grounded",
    ],
    "properties": {
        "version": {"const": VERSION},
        "anomalous": {"type": "boolean"},
        "category": {"enum": [*taxonomy.CATEGORIES, None]},
        "type": {"type": ["string", "null"], "minLength": 1},
        "severity": {"enum": [*taxonomy.SEVERITIES, None]},
        "confidence": _SHARE | {"description": "How sure the analyst is of its verdict."},
        "evidence": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["line", "quote"],
                "properties": {
                    "line": {"type": "integer", "minimum": 1, "description": "Counts from 1."},
                    "quote": {"type": "string", "description": "Words that stand in that line."},
                },
            },
        },
        "texts": {"type": "object", "properties": dict.fromkeys(LANGUAGES, _WORDING)},
        "grounded": _SHARE | {"description": "Share of the analyst's claims that stand in the sequence."},
    },
    "if": {"properties": {"anomalous": {"const": True}}},
    "then": {"properties": {name: {"type": "string"} for name in ("category", "type", "severity")}},
    "else": {"properties": {name: {"type": "null"} for name in ("category", "type", "severity")}},
}  # fmt: skip
"""The public JSON schema of a report (draft 2020-12)."""

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Line(msgspec.Struct):
    line: Annotated[int, msgspec.Meta(ge=1)]
    quote: str


class _Texts(msgspec.Struct):
    zh: Wording | msgspec.UnsetType = msgspec.UNSET
    en: Wording | msgspec.UnsetType = msgspec.UNSET


class _Report(msgspec.Struct):
    version: Literal[1]
    anomalous: bool
    category: str | None
    type: Annotated[str, msgspec.Meta(min_length=1)] | None
    severity: str | None
    confidence: _Share
    evidence: list[_Line]
    texts: _Texts
    grounded: _Share


def as_json(report: Report, *, grounded: float = 1.0) -> dict[str, Any]:
    """Return a report as the public schema has it, ready for JSON; `grounded` is the share of its claims that stand.

    Its usage and probabilities stay behind: they are about the analyst.
    """
    return {
        "version": VERSION,
        "anomalous": report.anomalous,
        "category": report.category or None,
        "type": report.type or None,
        "severity": report.severity or None,
        "confidence": report.confidence,
        "evidence": [{"line": one.line + 1, "quote": one.quote} for one in report.evidence],
        "texts": {language: _wording(text) for language, text in report.texts.items()},
        "grounded": grounded,
    }


def from_json(document: dict[str, Any]) -> Report:
    """Return the report that a document of the public schema holds; ValueError names the member that is wrong."""
    told = msgspec.convert(document, _Report)  # its ValidationError is a ValueError
    for name, value, known in (
        ("category", told.category, taxonomy.CATEGORIES),
        ("severity", told.severity, taxonomy.SEVERITIES),
        ("type", told.type, None),
    ):
        if (value is not None) != told.anomalous:
            raise ValueError(f"{name} is {value!r} of a sequence whose `anomalous` is {told.anomalous} - at `$.{name}`")
        if value is not None and known is not None and value not in known:
            raise ValueError(f"{value!r} is none of {', '.join(known)} - at `$.{name}`")
    return Report(
        anomalous=told.anomalous,
        category=told.category or "",
        type=told.type or "",
        severity=told.severity or "",
        confidence=told.confidence,
        evidence=tuple(Evidence(one.line - 1, one.quote) for one in told.evidence),
        texts={language: text for language in LANGUAGES if (text := getattr(told.texts, language))},
    )


def answers(case: Case) -> tuple[str, ...]:
    """Return the types that a model may answer: normal, then the case's own, or all that Duolog knows."""
    return tuple(dict.fromkeys((NORMAL, *(case.types or taxonomy.types()))))


def reply_schema(case: Case, languages: Sequence[Language]) -> dict[str, Any]:
    """Return the JSON schema of what a model is asked to answer about a case; `analysis.engine.reply` reads it.

    It is flat, all of it is required, and whatever fits it is a report: category and severity of a normal sequence are
    not read. The confidence is a percentage, since not every server bounds fractions. Without languages it asks for
    the verdict alone.
    """
    properties: dict[str, Any] = {
        "type": {"type": "string", "enum": list(answers(case))},
        "category": {"type": "string", "enum": list(taxonomy.CATEGORIES)},
        "severity": {"type": "string", "enum": list(taxonomy.SEVERITIES)},
        "confidence": {"type": "integer", "minimum": 0, "maximum": 100},
    }
    if languages:
        line = {"type": "integer", "minimum": 1, "maximum": max(1, len(case.sequence.entries))}
        properties["evidence"] = {
            "type": "array",
            "items": _object({"line": line, "quote": _text(QUOTE)}),
            "maxItems": QUOTES,
        }
    for language in languages:
        properties |= {
            f"summary_{language}": _text(SUMMARY),
            f"root_cause_{language}": _text(CAUSE),
            f"recommendations_{language}": {"type": "array", "items": _text(ADVICE), "maxItems": PIECES},
        }
    return _object(properties)


def _wording(text: Wording) -> dict[str, Any]:
    advice = list(text.recommendations)
    return {"summary": text.summary, "root_cause": text.root_cause, "recommendations": advice}


def _text(length: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": length}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
