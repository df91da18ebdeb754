"""What a model answered, read as a report: every member is checked, and none is mended.

Thoughts and words around the JSON object are passed over, as are members that nobody asked for, and a text may be
longer than was asked. Whether a quote stands in its line is for `analysis.engine.grounding`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from analysis.engine import schema
from analysis.engine.lines import original, shown
from duolog.plugins.types import Case, Evidence, Language, Report, Wording
from logs.engine import taxonomy

# A string that is whole or still being written, and the colon that makes it the name of a member.
STRING = re.compile(r'"((?:[^"\\]|\\.)*)(?:"(\s*:)?|\\?$)', re.DOTALL)
NAMES = [f"{name}_{tongue}" for name in ("summary", "root_cause", "recommendations") for tongue in schema.LANGUAGES]
ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\u.*$|\\.", re.DOTALL)


class ReplyError(ValueError):
    """An answer that is no report: the message names the member, and what would be right."""


def parse(text: str, case: Case, languages: Sequence[Language]) -> Report:
    """Return the report that a model's answer to `schema.reply_schema(case, languages)` holds; else raise ReplyError.

    The category of a type that Duolog knows is the one it has there, whatever the answer says.
    """
    told = _object(text)
    kind = _choice(told, "type", schema.answers(case))
    category = _choice(told, "category", taxonomy.CATEGORIES)
    severity = _choice(told, "severity", taxonomy.SEVERITIES)
    confidence = _whole(told, "confidence", 0, 100) / 100
    evidence = _evidence(told, case) if languages else ()
    texts = {language: _wording(told, language) for language in languages}
    if kind == schema.NORMAL:
        return Report(False, "", "", "", confidence, evidence, texts)
    known = taxonomy.types().get(kind)
    return Report(True, known.category if known else category, kind, severity, confidence, evidence, texts)


def wording_so_far(text: str) -> str:
    """Return the texts of an answer that is still being written, for people who watch; "" before the first."""
    _verdict, found, rest = text.partition('"summary_')
    told = [ESCAPE.sub(_unescaped, match[1]) for match in STRING.finditer(found + rest) if not match[2]]
    return "\n".join(one for one in told if not any(name.startswith(one) for name in NAMES))


def _object(text: str) -> Mapping[str, Any]:
    body = text.strip()
    if not body.startswith("{"):
        thoughts, closed, rest = body.partition("</think>")
        if thoughts.startswith("<think>") and not closed:
            raise ReplyError("there are thoughts without an end, and no JSON object after them")
        body = rest if closed else body
    start, end = body.find("{"), body.rfind("}")
    if start < 0:
        raise ReplyError(f"there is no JSON object: {_brief(text) if text.strip() else 'the answer is empty'}")
    try:
        told: Mapping[str, Any] = msgspec.json.decode(body[start : end + 1] or body[start:], type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ReplyError(f"it is not a JSON object: {error}") from error
    return told


def _unescaped(match: re.Match[str]) -> str:
    try:
        return str(msgspec.json.decode(f'"{match[0]}"'))
    except (msgspec.DecodeError, UnicodeError):  # half of one
        return ""


def _evidence(told: Mapping[str, Any], case: Case) -> tuple[Evidence, ...]:
    entries = case.sequence.entries
    found = []
    for number, one in enumerate(_list(told, "evidence", "")):
        path = f"evidence[{number}]."
        if not isinstance(one, dict):
            raise ReplyError(f"{path[:-1]} is {_brief(one)}, where an object with line and quote is wanted")
        line = _whole(one, "line", 1, len(entries), path) - 1
        found.append(Evidence(line, original(_text(one, "quote", path), entries[line])))
    return tuple(found)


def _wording(told: Mapping[str, Any], language: Language) -> Wording:
    advice = f"recommendations_{language}"
    pieces = dict(enumerate(_list(told, advice, "")))
    return Wording(
        _text(told, f"summary_{language}"),
        _text(told, f"root_cause_{language}", blank=told["type"] == schema.NORMAL),
        tuple(_text({f"[{number}]": one}, f"[{number}]", advice) for number, one in pieces.items()),
    )


def _member(told: Mapping[str, Any], name: str, path: str) -> Any:
    if name not in told:
        raise ReplyError(f"{path}{name} is missing")
    return told[name]


def _choice(told: Mapping[str, Any], name: str, choices: Collection[str]) -> str:
    value = _member(told, name, "")
    if not isinstance(value, str) or value not in choices:
        raise ReplyError(f"{name} is {_brief(value)}, where one of these is wanted: {', '.join(choices)}")
    return value


def _whole(told: Mapping[str, Any], name: str, least: int, most: int, path: str = "") -> int:
    value = _member(told, name, path)
    if type(value) is not int or not least <= value <= most:
        raise ReplyError(f"{path}{name} is {_brief(value)}, where a whole number from {least} to {most} is wanted")
    return value


def _text(told: Mapping[str, Any], name: str, path: str = "", *, blank: bool = False) -> str:
    value = _member(told, name, path)
    if not isinstance(value, str) or not (blank or value.strip()):
        raise ReplyError(f"{path}{name} is {_brief(value)}, where a text is wanted")
    if "\0" in value:  # which no database stores
        raise ReplyError(f"{path}{name} holds a NUL character")
    return value


def _list(told: Mapping[str, Any], name: str, path: str) -> list[Any]:
    value = _member(told, name, path)
    if not isinstance(value, list):
        raise ReplyError(f"{path}{name} is {_brief(value)}, where a list is wanted")
    return value


def _brief(value: Any) -> str:
    told = shown(value if isinstance(value, str) else msgspec.json.encode(value).decode())
    return f"“{told[:100]}{'…' * (len(told) > 100)}”"
